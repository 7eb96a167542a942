"""A configuration in the kernels' layout: the arrays of `records.CONSTANTS`, and the states."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from chipflow.emulator import records as r
from chipflow.emulator.lines import on_lines, whole_lines
from chipflow.emulator.network import Network, Route
from hwconfig.config import ChipConfig
from hwconfig.core_config import CoreConfig, Dimensions

Array = npt.NDArray[Any]
Shape = tuple[int, int, int]
LIST_ROOM = 16384  # a core's list has room for so many spikes and for one of each neuron: enough that many events go at a time
SPARE_ELEMENTS = 2  # the kernels write two elements before they know whether there are as many
NO_AMOUNT = -32768  # marks killed weights where a weight of 0 is a synapse


@dataclass(frozen=True)
class Axis:
    """What an event at each coordinate of an input map's axis touches, in the kernels' layout.

    Attributes:
        count: output rows (or columns).
        first: the first of them.
        tap: the first one's place in a kernel row (or column), as laid out.
        number: class of the coordinate; those of one class differ in `first` only.
        members: for each class, which taps it meets, bool [class][tap].
    """

    count: npt.NDArray[np.int64]
    first: npt.NDArray[np.int64]
    tap: npt.NDArray[np.int64]
    number: npt.NDArray[np.int64]
    members: npt.NDArray[np.int64]


@dataclass(frozen=True)
class CoreLayout:
    """One core in the kernels' layout.

    Attributes:
        shape: (features, y, x) of its map.
        weights: int16 [c][ky][tap][f].
        biases: int16 [y][x][f]; nothing if the core does not leak.
        alive: int16 [y][x][f]: -1, or 0 for a killed neuron.
        counts: int32 [c][class of y][class of x]: synapses that an event meets.
        rows, columns: by input coordinate.
        bounded: whether no state can leave the range from the lower bound to below the threshold once all are in it.
    """

    shape: Shape
    weights: npt.NDArray[np.int16]
    biases: npt.NDArray[np.int16]
    alive: npt.NDArray[np.int16]
    counts: npt.NDArray[np.int32]
    rows: Axis
    columns: Axis
    bounded: bool


def core_layout(part: CoreConfig, *, zero_is_synapse: bool) -> CoreLayout:
    """Lay out one core.

    An event at x (padding included) touches output columns ox with kx = x - ox * stride: kx = phase + stride * m, with the phase
    x % stride the same for all of them, and m falling as ox rises. So the taps of a kernel row are in the order of phase, then of
    j = taps - 1 - m, which rises with ox: what one event meets in one row is contiguous for every stride.
    """
    size, stride = part.dimensions.kernel_size, part.dimensions.stride[1]
    taps = -(-size // stride)
    features, channels = part.weights.shape[:2]
    killed = part.kill_bits.get("weights_kill_bit")
    amounts = np.full((features, channels, size, taps * stride), NO_AMOUNT, np.int16)
    amounts[..., :size] = part.weights if killed is None else np.where(killed, np.int16(NO_AMOUNT), part.weights)
    by_phase = amounts.reshape(features, channels, size, taps, stride)[:, :, :, ::-1, :]
    weights = np.ascontiguousarray(by_phase.transpose(1, 2, 4, 3, 0)).reshape(channels, size, taps * stride, features)
    if not zero_is_synapse:
        weights[weights == NO_AMOUNT] = 0
    absent = NO_AMOUNT if zero_is_synapse else 0
    rows, columns = _rows(part.dimensions), _columns(part.dimensions, taps)
    synapses = np.count_nonzero(weights != absent, axis=-1)
    alive = _alive(part)
    biases = _biases(part, alive)
    return CoreLayout(
        shape=part.dimensions.output_shape,
        weights=weights,
        biases=biases,
        alive=alive,
        counts=(rows.members @ synapses @ columns.members.T).astype(np.int32),
        rows=rows,
        columns=columns,
        bounded=bool(alive.all()) and (killed is None or not zero_is_synapse) and _stays_in_range(part, biases),
    )


def _stays_in_range(part: CoreConfig, biases: npt.NDArray[np.int16]) -> bool:
    """Whether a state from the lower bound to below the threshold can only become another one of these.

    A sum is then at most threshold - 1 + the largest amount: it must not be cut, and be below the threshold after subtracting it.
    """
    largest = max(int(part.weights.max()), int(biases.max(initial=0)))
    # The spare elements are 0, and must stay so.
    fits = r.STATE_MIN < part.threshold_low <= 0 and part.threshold_high - 1 + largest <= r.STATE_MAX
    return fits and (part.return_to_zero or largest <= part.threshold_high)


def _alive(part: CoreConfig) -> npt.NDArray[np.int16]:
    killed = part.kill_bits.get("neurons_value_kill_bit")
    features, height, width = part.dimensions.output_shape
    alive = np.full((height, width, features), -1, np.int16)
    if killed is not None:
        alive[np.asarray(killed).transpose(1, 2, 0)] = 0
    return alive


def _biases(part: CoreConfig, alive: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
    if not part.leak_enable:
        return np.zeros((0, 0, 0), np.int16)
    killed = part.kill_bits.get("biases_kill_bit")
    biases = part.biases if killed is None else np.where(killed, np.int16(0), part.biases)
    return np.where(alive, biases.astype(np.int16), np.int16(0))


def _touched(size: Dimensions, axis: int) -> tuple[Array, Array, Array]:
    """For each input coordinate along an axis (0: y, 1: x): itself with padding, how many outputs it touches, the first of them."""
    stride, last = size.stride[axis], size.output_shape[1 + axis] - 1
    padded = np.arange(size.input_shape[1 + axis], dtype=np.int64) + size.padding[axis]
    first = np.maximum(0, -((size.kernel_size - 1 - padded) // stride))
    count = np.maximum(0, np.minimum(last, padded // stride) - first + 1)
    return padded, count, first


def _rows(size: Dimensions) -> Axis:
    padded, count, first = _touched(size, 0)
    return _axis(count, first, padded - first * size.stride[0], -size.stride[0], size.kernel_size)


def _columns(size: Dimensions, taps: int) -> Axis:
    padded, count, first = _touched(size, 1)
    phase, m = padded % size.stride[1], padded // size.stride[1] - first
    return _axis(count, first, phase * taps + taps - 1 - m, 1, taps * size.stride[1])


def _axis(count: Array, first: Array, tap: Array, step: int, taps: int) -> Axis:
    tap = np.where(count, tap, 0)  # what touches nothing meets no tap
    classes, number = np.unique(np.stack([count, tap], axis=1), axis=0, return_inverse=True)
    members = np.zeros((len(classes), taps), np.int64)
    for i, (n, start) in enumerate(classes):
        members[i, start + step * np.arange(n)] = 1
    return Axis(count, np.where(count, first, 0), tap, number.reshape(-1), members)


@dataclass(frozen=True)
class NetworkLayout:
    """A whole network in the kernels' layout.

    Attributes:
        constants: the arrays of `records.CONSTANTS`.
        cores: by rank.
        entry_port, sensor_port: input ports of events without a layer, and of sensor events; port i is that of rank i alone.
    """

    constants: dict[str, Array]
    cores: tuple[CoreLayout, ...]
    entry_port: int
    sensor_port: int


def network_layout(
    config: ChipConfig, network: Network, *, zero_is_synapse: bool, silent: bool, probes: Mapping[int, Sequence[int]]
) -> NetworkLayout:
    """Lay out a network.

    Args:
        zero_is_synapse: a weight of 0 updates its neuron.
        silent: no core reports its spikes.
        probes: for each core, numbers of its traced neurons.
    """
    order = network.order
    layouts = tuple(core_layout(config.core(core), zero_is_synapse=zero_is_synapse) for core in order)
    tables = _Tables(config, {core: (rank, layouts[rank]) for rank, core in enumerate(order)})
    ports = [(*tables.add([_direct(config, core)]), 1) for core in order]
    for targets in (network.entries, network.sensor):
        ports.append((*tables.add(_direct(config, core) for core in targets), network.merges_after(targets)))
    own = [tables.add(network.routes[core]) for core in order]
    cores = np.zeros((len(order), r.N_CORE), np.int64)
    offsets = dict.fromkeys(("states", "amounts", "counts", "elements", "probes"), 0)
    for rank, core in enumerate(order):
        part, laid = config.core(core), layouts[rank]
        row, mine = cores[rank], len(probes.get(core, ()))
        _numbers(row, config, part, laid)
        row[r.STATES_AT], row[r.COUNTS_AT], row[r.LIST_AT] = offsets["states"], offsets["counts"], offsets["elements"]
        row[r.WEIGHTS_AT], row[r.BIASES_AT] = offsets["amounts"], offsets["amounts"] + _room(laid.weights)
        row[r.ABSENT] = NO_AMOUNT if zero_is_synapse else 0
        row[r.MONITORED] = part.monitor_enable and not silent
        row[r.LIST_ROOM] = LIST_ROOM + row[r.NEURONS]
        row[r.SEQUENTIAL] = network.merges_after([route.target for route in network.routes[core]])
        row[r.FIRST_ROUTE], row[r.END_ROUTE] = own[rank]
        row[r.FIRST_PROBE], row[r.END_PROBE] = offsets["probes"], offsets["probes"] + mine
        needed = {
            "states": _room(laid.alive),
            "amounts": _room(laid.weights) + _room(laid.biases),
            "counts": laid.counts.size,
            "elements": row[r.LIST_ROOM] + SPARE_ELEMENTS,
            "probes": mine,
        }
        offsets = {name: offset + int(needed[name]) for name, offset in offsets.items()}
    constants = {
        "cores": cores,
        "routes": np.array(tables.routes, np.int64).reshape(-1, r.N_ROUTE),
        "ports": np.array(ports, np.int64).reshape(-1, r.N_PORT),
        "arrivals": np.concatenate([*tables.arrivals, np.zeros((1, r.N_ARRIVAL), np.int32)]),
        "amounts": on_lines([piece for laid in layouts for piece in (laid.weights, laid.biases)], np.int16, r.SPARE),
        "counts": np.concatenate([np.zeros(0, np.int32), *(laid.counts.ravel() for laid in layouts)]),
        "alive": on_lines([laid.alive for laid in layouts], np.int16, r.SPARE),
        "probes": np.array([neuron for core in order for neuron in probes.get(core, ())], np.int64),
    }
    return NetworkLayout(constants, layouts, len(order), len(order) + 1)


def _numbers(row: Array, config: ChipConfig, part: CoreConfig, laid: CoreLayout) -> None:
    """The numbers of one core that do not depend on the others."""
    features, height, width = laid.shape
    row[r.FEATURES], row[r.HEIGHT], row[r.WIDTH] = features, height, width
    row[r.RECIPROCAL] = (1 << r.RECIPROCAL_BITS) // features + 1
    row[r.NEURONS] = features * height * width
    _, kernel, taps, _ = laid.weights.shape
    row[r.CHANNEL_TAPS], row[r.ROW_TAPS] = kernel * taps * features, part.dimensions.stride[0] * taps * features
    row[r.COUNTS_ROW] = laid.counts[0].size
    row[r.MOST_SPIKES] = laid.rows.count.max() * laid.columns.count.max() * features or 1
    row[r.LOW], row[r.HIGH] = max(part.threshold_low, r.STATE_MIN), part.threshold_high
    row[r.KEEP] = 0 if part.return_to_zero else -1
    row[r.DECIMATE] = decimation(config, part)
    row[r.LEAKS], row[r.LEAKING] = part.leak_enable, np.count_nonzero(laid.biases)


def decimation(config: ChipConfig, part: CoreConfig) -> int:
    """One of how many spikes passes the core's decimator; 1 if it is off."""
    return config.chip.limits.decimator_ratios[part.output_decimator_interval] if part.output_decimator_enable else 1


def _room(array: Array) -> int:
    """What a core's states or amounts take, with what must follow them."""
    return whole_lines(array.size + r.SPARE, np.int16)


def _direct(config: ChipConfig, core: int) -> Route:
    """The way of events that are addressed to a core."""
    size = config.core(core).dimensions.input_shape[1:]
    return Route(core, 1, 0, size, size)


class _Tables:
    """Routes under construction, with what an event touches that comes by them."""

    def __init__(self, config: ChipConfig, cores: Mapping[int, tuple[int, CoreLayout]]) -> None:
        self.routes: list[list[int]] = []
        self.arrivals: list[Array] = []
        self._config = config
        self._cores = cores
        self._length = 0
        self._known: dict[Route, list[int]] = {}

    def add(self, routes: Iterable[Route]) -> tuple[int, int]:
        """Append routes; returns the numbers of the first and of the one after the last."""
        first = len(self.routes)
        for route in routes:
            if route not in self._known:
                self._known[route] = self._to_core(route) if route.target in self._cores else self._to_readout(route)
            self.routes.append(self._known[route])
        return first, len(self.routes)

    def _to_core(self, route: Route) -> list[int]:
        rank, laid = self._cores[route.target]
        features, _, width = laid.shape
        channels, _, taps, _ = laid.weights.shape
        (y, drop_y), (x, drop_x) = (_pooled(axis, route, i) for i, axis in enumerate((laid.rows, laid.columns)))
        table = np.zeros((*route.size, r.N_ARRIVAL), np.int32)
        table[..., r.FIRST] = (laid.rows.first[y, None] * width + laid.columns.first[x]) * features
        table[..., r.TAP] = (laid.rows.tap[y, None] * taps + laid.columns.tap[x]) * features
        table[..., r.ROWS], table[..., r.EXTENT] = laid.rows.count[y, None], laid.columns.count[x] * features
        table[..., r.CLASS] = laid.rows.number[y, None] * len(laid.columns.members) + laid.columns.number[x]
        # Outside on one axis beats a remainder on the other.
        dropped = np.where(drop_y[:, None] & drop_x, np.maximum(drop_y[:, None], drop_x), drop_y[:, None] | drop_x)
        table[dropped != 0, r.ROWS] = dropped[dropped != 0]
        return [rank, route.shift, channels, self._append(table.reshape(-1, r.N_ARRIVAL)), *route.size]

    def _to_readout(self, route: Route) -> list[int]:
        """To the class of each feature."""
        if not self._config.readout.enable:
            return [r.TO_NOWHERE, route.shift, 0, 0, 0, 0]
        readout = self._config.chip.readout
        features = self._config.chip.limits.features
        table = np.zeros((features, r.N_ARRIVAL), np.int32)
        table[:, r.CLASS] = [readout.class_of(feature + route.shift) or 0 for feature in range(features)]
        return [r.TO_READOUT, route.shift, features, self._append(table), 0, 0]

    def _append(self, table: Array) -> int:
        """Where the table begins."""
        at = self._length
        self.arrivals.append(table)
        self._length += len(table)
        return at


def _pooled(axis: Axis, route: Route, i: int) -> tuple[Array, Array]:
    """For each coordinate along an axis of the map that a route comes from: that at its target, and 0 or why the event is dropped."""
    pooled = np.arange(route.size[i]) // route.pooling
    size = len(axis.count)
    why = np.where(pooled >= route.full[i], r.REMAINDER, r.OUTSIDE)
    return np.minimum(pooled, size - 1), np.where(pooled < size, 0, why)
