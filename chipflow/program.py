"""A compiled network: configuration, placement, scales and the quantised graph; saved as one file, loaded equal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chipflow import program_file
from chipflow.backends.opening import open_device
from chipflow.errors import ProgramFileError
from chipflow.events.array import EventArray, addressed
from chipflow.events.readings import US_PER_S
from chipflow.events.result import LayerPart
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
    """What the compiler did with one of the user's layers, or with a part of one that is split over several cores.

    Attributes:
        name: the layer's dotted name; a part has its features behind it, as in "conv1[0:16]".
        core: where it was placed.
        pooling_factor: what average pooling and scales before it multiplied into its weights; where that differs between its
            input features, one number for each group of them.
        quantization: scale, rounding error, weights that became zero.
        layer: the user's layer.
        first_feature, feature_step: the core's feature n is the layer's (first_feature + n) / feature_step, where that is whole.
    """

    name: str
    core: int
    pooling_factor: float | tuple[float, ...]
    quantization: LayerScale
    layer: str = ""
    first_feature: int = 0
    feature_step: int = 1


@dataclass(frozen=True)
class Program:
    """What `compile` returns.

    Attributes:
        config: the chip's configuration.
        graph: the quantised network, for the time-stepped interpreter.
        layers: one record per core, in order.
        inputs: for each input of the network, the cores that its events enter, in order; empty where events come through the
            sensor.
        slow_clock_period_us: microseconds between ticks that add the biases; None where nothing works at ticks.
    """

    config: ChipConfig
    graph: Graph
    layers: tuple[LayerRecord, ...]
    inputs: dict[str, tuple[int, ...]]
    slow_clock_period_us: int | None

    @property
    def placement(self) -> dict[str, int]:
        """Layer name -> core; a layer that is split stands there with each of its parts."""
        return {layer.name: layer.core for layer in self.layers}

    @property
    def entries(self) -> tuple[int, ...]:
        """Cores that events enter which name none; with several inputs events have to name one, see `addressed`."""
        return tuple(dict.fromkeys(core for cores in self.inputs.values() for core in cores))

    @property
    def parts(self) -> dict[str, tuple[LayerPart, ...]]:
        """The user's layers, each with the cores that compute it, in the order of its features."""
        found: dict[str, tuple[LayerPart, ...]] = {}
        for record in self.layers:
            part = LayerPart(record.core, record.first_feature, record.feature_step)
            found[record.layer or record.name] = (*found.get(record.layer or record.name, ()), part)
        return found

    @property
    def slow_clock_hz(self) -> float | None:
        """Ticks per second that the biases were made for; None where nothing works at ticks."""
        return None if self.slow_clock_period_us is None else US_PER_S / self.slow_clock_period_us

    def addressed(self, recordings: Mapping[str, Any]) -> EventArray:
        """Recordings of several inputs as one, each event addressed to the cores that its input enters.

        Args:
            recordings: input name -> events with x, y, t, p.

        Raises:
            EventError: an input that does not exist, or one without a recording.
        """
        return addressed(self.inputs, recordings)

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
        memory = [[row["layer"], str(row["core"]), *(share(*row[kind]) for kind in KINDS)] for row in self.memory_rows()]
        header = ["layer", "core", *(f"{kind} words" for kind in KINDS)]
        return "\n".join([table(self._headline(), header, memory), *self._split_lines(), self._quantization_table()])

    def _headline(self) -> str:
        cores = f" in {len(self.layers)} parts" if len(self.layers) > len(self.parts) else ""
        period = self.slow_clock_period_us
        clock = "" if period is None else f", with a slow clock of {period} us ({self.slow_clock_hz:g} Hz)"
        return f"{len(self.parts)} layer{'' if len(self.parts) == 1 else 's'}{cores} on {self.config.chip.name}{clock}"

    def _split_lines(self) -> list[str]:
        """A sentence for each layer that is split."""
        return [
            f"{name} is split along its features over cores {', '.join(str(part.core) for part in parts)}"
            for name, parts in self.parts.items()
            if len(parts) > 1
        ]

    def _quantization_table(self) -> str:
        header = ["layer", "scale", "limited by", "threshold", "lower bound", "largest error", "became zero", "pooling factor"]
        rows: list[list[str]] = []
        notes: list[str] = []
        first_parts = {record.layer or record.name: record for record in reversed(self.layers)}
        for name in self.parts:
            layer = first_parts[name]
            core, record = self.config.core(layer.core), layer.quantization
            numbers = [f"{record.scale:.4g}", record.limited_by, str(core.threshold_high), str(core.threshold_low)]
            lost = f"{record.zeroed} of {record.weights}"
            rows.append([name, *numbers, f"{record.max_rounding_error:.2g}", lost, _factors(layer.pooling_factor)])
            notes.extend(f"{name}: {remark}" for remark in record.remarks())
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


def _factors(factor: float | tuple[float, ...]) -> str:
    return ", ".join(f"{each:g}" for each in (factor if isinstance(factor, tuple) else (factor,)))


def share(needed: int, available: int) -> str:
    """Words needed of words available, and percent."""
    percent = f" ({100 * needed / available:.0f} %)" if available else ""
    return f"{needed} / {available}{percent}"
