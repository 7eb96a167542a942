"""A network at run time: the kernels' arrays, and how calls of the kernels follow each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from chipflow.emulator import records as r
from chipflow.emulator.layout import SPARE_ELEMENTS, NetworkLayout
from chipflow.emulator.lines import on_lines
from chipflow.emulator.machine_code import Net

Array = npt.NDArray[Any]
REPORT_ROOM, PROBE_ROOM, PERIOD_ROOM, QUEUE_ROOM = 1 << 16, 1 << 14, 1 << 12, 1 << 12
BUDGET = 1 << 27  # synaptic operations after which a call pauses, a tenth of a second or so, so that Ctrl-C is heard
_CUTS = {"reports": r.REPORTS, "report_t": r.REPORTS, "report_rank": r.REPORTS, "probed": r.PROBED, "periods": r.PERIODS}


class StoppedError(Exception):
    """The kernels met what a strict run objects to; `status` is one of records, `spot` (rank, neuron, time)."""

    def __init__(self, status: int, spot: tuple[int, int, int]) -> None:
        super().__init__(status, spot)
        self.status, self.spot = status, spot


@dataclass(frozen=True)
class Inputs:
    """Events for the kernels, contiguous columns: feature, y, x (int16), time (int64), input port (int16)."""

    f: npt.NDArray[np.int16]
    y: npt.NDArray[np.int16]
    x: npt.NDArray[np.int16]
    t: npt.NDArray[np.int64]
    port: npt.NDArray[np.int16]


@dataclass(frozen=True)
class Image:
    """Copies of all that a machine remembers between calls."""

    arrays: Mapping[str, Array]


class Machine:
    """Runs a laid out network; calls go on where the last one ended.

    Args:
        layout: of the network.
        initial: for each rank, int16 [f][y][x], the states after a reset.
        phases: for each rank, the decimator's count after a reset.
        period: of the clock in microseconds; 0 where no tick has an effect.
        window: length of a window of the load estimate, in microseconds.
        most_count: where the readout's counters stop; 0: the block is off.
    """

    def __init__(
        self,
        layout: NetworkLayout,
        initial: Sequence[npt.NDArray[np.int16]],
        phases: Sequence[int],
        *,
        period: int,
        window: int,
        strict: bool,
        breadth_first: bool,
        most_count: int,
    ) -> None:
        self._layout = layout
        cores = layout.constants["cores"]
        self._net = Net(layout.constants | _work_space(cores, bool(most_count)) | _memory(initial, phases))
        options = self._net["options"]
        options[r.PERIOD], options[r.WINDOW], options[r.BUDGET] = period, window, BUDGET
        options[r.STRICT], options[r.BREADTH_FIRST], options[r.STEPWISE] = strict, breadth_first, breadth_first
        options[r.READS_OUT], options[r.MOST_COUNT] = bool(most_count), most_count
        self.judge()
        self._stopping = False
        self.begin()
        self._start = self.save()

    def stop(self) -> None:
        """From another thread: let calls of `advance` end soon, with CancelledError, up to the next `go_on`."""
        self._stopping = True

    def go_on(self) -> None:
        """After `stop`."""
        self._stopping = False

    def reset(self) -> None:
        """Initial states, decimators, readout; the clock at 0."""
        self.restore(self._start)

    def begin(self) -> None:
        """Set the clock and the counters of a run to 0; states stay."""
        progress, totals = self._net["progress"], self._net["totals"]
        progress[:] = 0
        progress[r.ACTING] = len(totals) + 1
        progress[r.WINDOW_END] = self._net["options"][r.WINDOW]
        totals[:, : r.PHASE] = 0
        self._net["load"][:] = 0
        self._net["readout"][r.READOUT_IN :] = 0

    def read(self, rank: int) -> npt.NDArray[np.int16]:
        """A copy of a core's states, int16 [f][y][x]."""
        features, height, width = self._layout.cores[rank].shape
        return self._states(rank).reshape(height, width, features).transpose(2, 0, 1).copy(order="C")

    def write(self, rank: int, states: npt.NDArray[np.int16]) -> None:
        """Replace a core's states, int16 [f][y][x]."""
        self._states(rank)[:] = _to_kernel(states)
        self._judge(rank)

    def _states(self, rank: int) -> npt.NDArray[np.int16]:
        core = self._layout.constants["cores"][rank]
        return self._net["states"][core[r.STATES_AT] : core[r.STATES_AT] + core[r.NEURONS]]

    def save(self) -> Image:
        """Between two calls of `advance`."""
        return Image({name: self._net[name].copy() for name in (*r.MEMORY, "general", "progress")})

    def restore(self, image: Image) -> None:
        """Back to what `save` copied, after whatever."""
        for name, array in image.arrays.items():
            self._net[name][:] = array

    @property
    def totals(self) -> npt.NDArray[np.int64]:
        """What this run has counted, [rank][column]."""
        return self._net["totals"]

    @property
    def readout(self) -> npt.NDArray[np.int64]:
        """What the readout block has counted."""
        return self._net["readout"]

    def worst_windows(self) -> tuple[Array, Array]:
        """For each rank, the most updates in a window so far, the one under way included, and that window's number."""
        load, totals = self._net["load"], self._net["totals"]
        now = totals[:, r.UPDATES] + totals[:, r.LEAK_UPDATES] - load[:, r.AT_START]
        worse = now > load[:, r.WORST]
        number = np.where(worse, self._net["progress"][r.WINDOW_NUMBER], load[:, r.WORST_WINDOW])
        return np.where(worse, now, load[:, r.WORST]), number

    def advance(self, inputs: Inputs | None, end: int, keep: Mapping[str, list[Array]]) -> None:
        """Handle events, if any, and the ticks before them and up to `end`; append what is reported to the lists in `keep`.

        Raises:
            StoppedError: in a strict run; CancelledError: after `stop`. What the machine remembers is then to be restored.
        """
        net, options = self._net, self._net["options"]
        if inputs is not None:
            for name, column in vars(inputs).items():
                net[f"input_{name}"] = column
        options[r.N_INPUTS], options[r.END] = 0 if inputs is None else len(inputs.t), end
        before = self.save() if options[r.STRICT] and not options[r.STEPWISE] else None
        try:
            self._advance(keep)
        except StoppedError:
            if before is None:
                raise
            self.restore(before)
            self._find_first(keep)

    def _find_first(self, keep: Mapping[str, list[Array]]) -> NoReturn:
        """Raise what a strict run objects to first in the order of the model, not in that of the lists."""
        options = self._net["options"]
        options[r.STEPWISE] = True
        try:
            self._advance(keep)
        finally:
            options[r.STEPWISE] = False
        raise AssertionError("lists and single steps differ: this is a fault of the emulator, please report it")

    def _advance(self, keep: Mapping[str, list[Array]]) -> None:
        net, progress = self._net, self._net["progress"]
        progress[r.POSITION] = 0
        status = r.PAUSED
        while status != r.DONE:
            if self._stopping:
                raise CancelledError
            progress[r.SPENT] = 0
            status = net.advance()
            if status in (r.LOW_CLIPPED, r.HIGH_CLIPPED, r.NO_CLASS):
                raise StoppedError(status, self._culprit())
            if status == r.GROW:
                self._grow_queue()
            elif status != r.PAUSED:
                self._take_out(keep)

    def _culprit(self) -> tuple[int, int, int]:
        """Rank, neuron and time of what stopped a strict run."""
        progress = self._net["progress"]
        cause, neuron = divmod(int(progress[r.CULPRIT]), 1 << r.CAUSE_AT)
        time = progress[r.TICK_TIME] if cause == r.BY_TICK else self._net["input_t"][cause]
        return int(progress[r.CULPRIT_RANK]), neuron, int(time)

    def judge(self) -> None:
        """Which kernel each core needs; after `restore` of an image of another machine."""
        for rank in range(len(self._layout.cores)):
            self._judge(rank)

    def _judge(self, rank: int) -> None:
        """Which kernel a core needs, from its states as they are: the one for bounded cores proves only that they stay so."""
        core, states = self._layout.constants["cores"][rank], self._states(rank)
        traced = core[r.END_PROBE] > core[r.FIRST_PROBE]
        bounded = self._layout.cores[rank].bounded and core[r.LOW] <= states.min() and states.max() < core[r.HIGH]
        self._net["general"][rank] = traced or not bounded

    def _take_out(self, keep: Mapping[str, list[Array]]) -> None:
        progress = self._net["progress"]
        for name, count in _CUTS.items():
            if progress[count]:
                keep[name].append(self._net[name][: progress[count]].copy())
        progress[[r.REPORTS, r.PROBED, r.PERIODS]] = 0

    def _grow_queue(self) -> None:
        progress = self._net["progress"]
        head, tail = int(progress[r.HEAD]), int(progress[r.TAIL])
        room = 2 * (tail - head) + 2 * len(self._net["elements"])
        for name in ("queue_rank", "queue"):  # the kernels look at the length of the second
            larger = np.empty(room, self._net[name].dtype)
            larger[: tail - head] = self._net[name][head:tail]
            self._net[name] = larger
        progress[r.HEAD], progress[r.TAIL] = 0, tail - head


def _memory(initial: Sequence[npt.NDArray[np.int16]], phases: Sequence[int]) -> dict[str, Array]:
    """After a reset."""
    totals = np.zeros((len(initial), r.N_TOTALS), np.int64)
    totals[:, r.PHASE] = phases
    return {
        "states": on_lines([_to_kernel(array) for array in initial], np.int16, r.SPARE),
        "totals": totals,
        "load": np.zeros((len(initial), r.N_LOAD), np.int64),
        "readout": np.zeros(r.N_READOUT, np.int64),
    }


def _to_kernel(states: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
    """[f][y][x] -> flat [y][x][f]."""
    return np.asarray(states, np.int16).transpose(1, 2, 0).ravel()


def _work_space(cores: Array, reads_out: bool) -> dict[str, Array]:
    probes, most = int(cores[:, r.END_PROBE].max(initial=0)), int(cores[:, r.LIST_ROOM].max(initial=0))
    blocks = int(np.max(cores[:, r.HEIGHT] * -(-cores[:, r.WIDTH] * cores[:, r.FEATURES] // r.LANES), initial=0))
    reports = max(REPORT_ROOM, 2 * most) if cores[:, r.MONITORED].any() else 0
    rooms = {
        "options": r.N_OPTIONS,
        "progress": r.N_PROGRESS,
        "general": len(cores),
        "stack": len(cores) + 1,
        "elements": int((cores[:, r.LIST_ROOM] + SPARE_ELEMENTS).sum()),
        "jobs": r.MOST_JOBS,
        "masks": blocks,
        "bases": blocks,
        "queue": QUEUE_ROOM,
        "queue_rank": QUEUE_ROOM,
        "reports": reports,
        "report_t": reports,
        "report_rank": reports,
        "probed": max(PROBE_ROOM, r.PROBE_BATCH * probes) if probes else 0,
        "periods": PERIOD_ROOM if reads_out else 0,
    } | dict.fromkeys(r.INPUTS, 0)
    return {name: _empty(name, room) for name, room in rooms.items()}


def _empty(name: str, room: int) -> Array:
    kind = r.ARRAYS[name]
    return np.zeros((room, kind.columns) if kind.columns > 1 else room, kind.dtype)
