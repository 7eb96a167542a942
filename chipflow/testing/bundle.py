"""Replay bundles: a run in one file, with all that it takes to run it again, here or on a chip, and to say what changed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chipflow.backends.base import ClockedConfig, Device, Runnable
from chipflow.backends.layers import one_input
from chipflow.backends.opening import open_device
from chipflow.errors import BundleError
from chipflow.events.array import EventArray, OnOutside, as_events
from chipflow.events.result import RunResult
from chipflow.testing.bundle_file import read_bundle, write_bundle
from chipflow.testing.replay import Replay, compared
from chipflow.testing.similarity import Tolerance
from chipflow.testing.stored_run import parts_document, run_arrays, run_document, stored_parts, stored_run
from chipflow.versions import versions
from hwconfig import ChipConfig, HwconfigError

NO_REPLAY = ("reset", "trace", "timeout")
"""Options that belong to one run: states that came from before it, what it was looked at for, how long this machine takes."""


@dataclass(frozen=True)
class Bundle:
    """A run that can be run again.

    Attributes:
        program: configuration, entries, inputs, layers and slow clock, as a device runs them; no torch and no graph.
        events: what was sent.
        options: of the run: monitor, duration, on_outside, strict, and those of the device's own.
        expected: what it answered.
        device: the name of the device that did, its chip and its capabilities.
        graph_hash: of the program's quantised network; "" for a bare configuration.
        versions: of chipflow and of what it ran with.
    """

    program: ClockedConfig
    events: EventArray
    options: Mapping[str, Any]
    expected: RunResult
    device: Mapping[str, Any]
    graph_hash: str = ""
    versions: Mapping[str, str] = field(default_factory=versions)

    @staticmethod
    def record(
        program: Runnable | ChipConfig,
        events: Any,
        *,
        device: Device | str = "emulator",
        monitor: Sequence[str | int] | None = None,
        duration: int | None = None,
        on_outside: OnOutside = "error",
        strict: bool = True,
        timeout: float | None = None,
        **options: Any,
    ) -> Bundle:
        """Runs a program, and keeps all that it takes to run it again.

        Args:
            program: a program, or a bare configuration.
            events: as `device.run` takes them.
            device: an open one, or the name of one, which is opened and closed again.
            monitor: this and the next three as in `device.run`.
            duration: in microseconds.
            on_outside: "error" or "drop".
            strict: whether clipped states end the run.
            timeout: seconds allowed; not kept, unlike the others.
            options: further ones of the device, which are kept: an emulator's order, zero_weights, ...

        Raises:
            BundleError: the run reports no layer, or has an option that no other run can repeat.
            ChipflowError: as `device.run`.
        """
        runnable = ClockedConfig(program) if isinstance(program, ChipConfig) else program
        kept = {"monitor": monitor and list(monitor), "duration": duration, "on_outside": on_outside, "strict": strict} | options
        _check_options(kept)
        array = as_events(one_input(runnable, events))
        with _opened(device) as opened:
            expected = opened.run(runnable, array, timeout=timeout, **kept)
            who = {"name": opened.name, "chip": runnable.config.chip.name, "capabilities": sorted(opened.capabilities)}
        if not expected.monitored and not expected.readout:
            raise BundleError("the run reports no spikes, so that no board could repeat it: give monitor= the layers to compare")
        bare = ClockedConfig(runnable.config, runnable.slow_clock_period_us, runnable.entries, runnable.inputs, runnable.parts)
        return Bundle(bare, array, kept, expected, who, _graph_hash(runnable))

    def save(self, path: str | Path) -> None:
        """Writes one file, beside the target first, then renamed; equal bundles are equal files.

        Raises:
            OSError: the place cannot be written to.
        """
        expected = {f"expected/{name}": array for name, array in run_arrays(self.expected).items()}
        write_bundle(path, self._document(), self.program.config.to_json(), {"events": self.events, **expected})

    def _document(self) -> dict[str, Any]:
        program = self.program
        return {
            "versions": dict(self.versions),
            "device": dict(self.device),
            "model": {"config_hash": program.config.hash, "graph_hash": self.graph_hash},
            "program": {
                "slow_clock_period_us": program.slow_clock_period_us,
                "entries": None if program.entries is None else list(program.entries),
                "inputs": {name: list(cores) for name, cores in program.inputs.items()},
                "parts": parts_document(program.parts),
            },
            "options": dict(self.options),
            "expected": run_document(self.expected),
        }

    @staticmethod
    def load(path: str | Path) -> Bundle:
        """The bundle in a file.

        Raises:
            BundleError: no such file; truncated, foreign, edited, or of a newer version.
        """
        document, config, arrays = read_bundle(path)
        try:
            return Bundle(
                program=_program(document["program"], ChipConfig.from_json(config)),
                events=as_events(arrays["events"]),
                options=document["options"],
                expected=stored_run(document["expected"], _expected(arrays)),
                device=document["device"],
                graph_hash=document["model"]["graph_hash"],
                versions=document["versions"],
            )
        except HwconfigError as error:
            raise BundleError(f"{path}: its configuration cannot be read: {error}") from None
        except KeyError as error:
            raise BundleError(f"{path}: not a valid bundle: it has no {error}") from None
        except (TypeError, ValueError, AttributeError, IndexError) as error:
            raise BundleError(f"{path}: not a valid bundle: {type(error).__name__}: {error}") from None

    def replay(
        self, device: Device | str = "emulator", *, tolerance: Tolerance | None = None, timeout: float | None = None
    ) -> Replay:
        """Runs it again, and compares.

        The comparison is exact where both devices, this one and that of the recording, repeat a run bit for bit; else it is one of
        spike counts, within the tolerance.

        Args:
            device: an open one, or the name of one, which is opened and closed again.
            tolerance: what the layers may differ in; None: the defaults of `Tolerance`. Given, it is used on exact devices, too.
            timeout: seconds allowed.

        Raises:
            DeviceError: as `device.run`; also for options which only another kind of device has.
        """
        with _opened(device) as opened:
            result = opened.run(self.program, self.events, timeout=timeout, **self.options)
            exact = "exact" in opened.capabilities and "exact" in self.device["capabilities"]
        return compared(self.expected, result, tolerance or (None if exact else Tolerance()), self._changed())

    def _changed(self) -> dict[str, tuple[str, str]]:
        now = versions()
        return {name: (then, now.get(name, "")) for name, then in self.versions.items() if then != now.get(name, "")}

    def __str__(self) -> str:
        chipflow = self.versions.get("chipflow", "an unknown version")
        return (
            f"{self.expected.accounting} by {self.device['name']} ({self.device['chip']}), recorded with chipflow {chipflow}; "
            f"configuration {self.program.config.hash}"
        )


def _check_options(kept: Mapping[str, Any]) -> None:
    refused = [name for name in NO_REPLAY if name in kept]
    if refused:
        raise BundleError(f"{', '.join(refused)} cannot be kept: a replay starts from the initial states, and compares spikes")
    try:
        json.dumps(dict(kept))
    except (TypeError, ValueError) as error:
        raise BundleError(f"options must be numbers, texts and lists, to be kept in a file: {error}") from None


@contextmanager
def _opened(device: Device | str) -> Iterator[Device]:
    """The device; one that was opened here is closed here."""
    if not isinstance(device, str):
        yield device
        return
    with open_device(device) as opened:
        yield opened


def _graph_hash(runnable: Runnable) -> str:
    graph = getattr(runnable, "graph", None)
    if graph is None:
        return ""
    from chipflow.program_file import graph_hash

    return graph_hash(graph)


def _program(document: Mapping[str, Any], config: ChipConfig) -> ClockedConfig:
    entries = document["entries"]
    return ClockedConfig(
        config,
        document["slow_clock_period_us"],
        None if entries is None else tuple(entries),
        {name: tuple(cores) for name, cores in document["inputs"].items()},
        stored_parts(document["parts"]),
    )


def _expected(arrays: Mapping[str, Any]) -> dict[str, Any]:
    return {name.removeprefix("expected/"): array for name, array in arrays.items() if name.startswith("expected/")}
