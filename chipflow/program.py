"""A compiled network: configuration, placement, scales and the quantised graph; saved as one file, loaded equal."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chipflow import program_file
from chipflow.backends.base import open_device
from chipflow.errors import ProgramFileError
from chipflow.ir.graph import Graph
from chipflow.quantization import LayerScale
from chipflow.tables import table
from hwconfig import ChipConfig, DeploymentError, Report
from hwconfig.files import write_text
from hwconfig.memory import KINDS

if TYPE_CHECKING:
    from chipflow.events.result import RunResult


@dataclass(frozen=True)
class LayerRecord:
    """What the compiler did with one of the user's layers.

    Attributes:
        name: the layer's dotted name.
        core: where it was placed.
        pooling_factor: what average pooling before it multiplied into its weights.
        quantization: scale, rounding error, weights that became zero.
    """

    name: str
    core: int
    pooling_factor: float
    quantization: LayerScale


@dataclass(frozen=True)
class Program:
    """What `compile` returns.

    Attributes:
        config: the chip's configuration.
        graph: the quantised network, for the time-stepped interpreter.
        layers: one record per layer, in order.
        entries: cores that addressed events enter.
        slow_clock_period_us: microseconds between ticks that add the biases; None where nothing leaks.
    """

    config: ChipConfig
    graph: Graph
    layers: tuple[LayerRecord, ...]
    entries: tuple[int, ...]
    slow_clock_period_us: int | None

    @property
    def placement(self) -> dict[str, int]:
        """Layer name -> core."""
        return {layer.name: layer.core for layer in self.layers}

    def run(self, events: Any, device: str = "emulator", **options: Any) -> RunResult:
        """Opens the device, runs, closes it; options as in `device.run`."""
        with open_device(device) as opened:
            return opened.run(self, events, **options)

    def violations(self) -> Report:
        """Every design rule that the configuration breaks, judged with the program's slow clock and entries."""
        return self.config.violations(slow_clock_period_us=self.slow_clock_period_us, entries=self.entries)

    def memory_rows(self) -> list[dict[str, Any]]:
        """For each layer its core and, for each memory, words needed and available."""
        rows: list[dict[str, Any]] = []
        for layer in self.layers:
            need, core = self.config.core(layer.core).memory_need(), self.config.chip.core(layer.core)
            memory = {kind: (getattr(need, kind), getattr(core, f"{kind}_words")) for kind in KINDS}
            rows.append({"layer": layer.name, "core": layer.core, **memory})
        return rows

    def summary(self) -> str:
        """Placement, memory and quantisation as text."""
        chip = self.config.chip.name
        clock = "" if self.slow_clock_period_us is None else f", biases by a slow clock of {self.slow_clock_period_us} us"
        memory = [[row["layer"], str(row["core"]), *(share(*row[kind]) for kind in KINDS)] for row in self.memory_rows()]
        header = ["layer", "core", *(f"{kind} words" for kind in KINDS)]
        placed = table(f"{len(self.layers)} layers on {chip}{clock}", header, memory)
        return f"{placed}\n{self._quantization_table()}"

    def _quantization_table(self) -> str:
        header = ["layer", "scale", "limited by", "threshold", "lower bound", "largest error", "became zero", "pooling factor"]
        rows: list[list[str]] = []
        notes: list[str] = []
        for layer in self.layers:
            core, record = self.config.core(layer.core), layer.quantization
            numbers = [f"{record.scale:.4g}", record.limited_by, str(core.threshold_high), str(core.threshold_low)]
            lost = f"{record.zeroed} of {record.weights}"
            rows.append([layer.name, *numbers, f"{record.max_rounding_error:.2g}", lost, f"{layer.pooling_factor:g}"])
            notes.extend(f"{layer.name}: {note}" for note in record.notes)
        return "\n".join([table("quantisation (integers = floats x scale)", header, rows), *notes])

    def save(self, path: str | Path) -> None:
        """Writes one file, beside the target first, then renamed."""
        write_text(path, program_file.to_json(self))

    @staticmethod
    def load(path: str | Path) -> Program:
        """The program in a file.

        Raises:
            ProgramFileError: no such file, truncated, foreign, of a newer version, or edited by hand.
        """
        program, stale = Program.read(path)
        if stale:
            raise ProgramFileError(f"{path}: {stale}")
        return program

    @staticmethod
    def read(path: str | Path) -> tuple[Program, str]:
        """The program in a file, and in words how it is stale: hashes that do not match, records that contradict ("": none)."""
        try:
            return program_file.from_json(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise ProgramFileError(f"{path}: {error.strerror}") from None
        except (DeploymentError, UnicodeDecodeError) as error:
            raise ProgramFileError(f"{path}: {error}") from None


def share(needed: int, available: int) -> str:
    """Words needed of words available, and percent."""
    percent = f" ({100 * needed / available:.0f} %)" if available else ""
    return f"{needed} / {available}{percent}"
