"""The network of cores as the emulator sees it: routes, where events enter, and the order of the cores at a clock tick."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from chipflow.errors import EmulatorError, UnsupportedConfigError
from chipflow.events.readings import CLASS_BITS
from hwconfig.config import ChipConfig
from hwconfig.errors import DesignRuleError

FLAT_READOUT = 3  # readout_configuration_sel: a class by the feature alone
MOST_CLASSES = (1 << CLASS_BITS) - 1  # 0 is no class
MOST_LAYER = 255


@dataclass(frozen=True)
class Route:
    """One way into a core: an enabled destination of a core or of the sensor, or an entry.

    Attributes:
        target: core id, or the readout block's id.
        pooling: coordinates are divided by it, rounded down.
        shift: added to the feature.
        size: (y, x) of the map that the events come from.
        full: the same after pooling, counting complete windows only.
    """

    target: int
    pooling: int
    shift: int
    size: tuple[int, int]
    full: tuple[int, int]


@dataclass(frozen=True)
class Network:
    """A network without a loop.

    Attributes:
        routes: those of each core, in index order.
        entries: cores that events without a layer enter, in order; empty where such events are sensor events, or refused.
        sensor: cores that sensor events enter, in index order.
        order: all cores in the order in which they act at a tick.
    """

    routes: dict[int, tuple[Route, ...]]
    entries: tuple[int, ...]
    sensor: tuple[int, ...]
    order: tuple[int, ...]

    @cached_property
    def ways_in(self) -> Counter[int]:
        """How many routes, entries and destinations of the sensor lead into each core."""
        targets = (route.target for routes in self.routes.values() for route in routes)
        return Counter((*targets, *self.entries, *self.sensor))

    @cached_property
    def _merging(self) -> frozenset[int]:
        """Cores in which streams merge, or that lead to one."""
        found: set[int] = set()
        for core in reversed(self.order):  # targets come before their sources
            if self.ways_in[core] > 1 or any(route.target in found for route in self.routes[core]):
                found.add(core)
        return frozenset(found)

    def merges_after(self, targets: Iterable[int]) -> bool:
        """Whether streams merge in one of these cores, or in one that they reach."""
        return not self._merging.isdisjoint(targets)


def build_network(config: ChipConfig, entries: Sequence[int] | None) -> Network:
    """The network of a configuration.

    Args:
        entries: cores that addressed events enter, in order; None: the only core without a source, if there is only one and the
            sensor has no destination.

    Raises:
        DesignRuleError: the configuration breaks design rules.
        UnsupportedConfigError: it uses the event filter, or a readout that does not go by the feature alone.
        EmulatorError: entries that are not configured cores, or repeated; destinations that form a loop.
    """
    report = config.violations()
    if not report.ok:
        raise DesignRuleError(report, "the emulator refuses a configuration that breaks design rules")
    _refuse_unsupported(config)
    return network_of(config, entries)


def network_of(config: ChipConfig, entries: Sequence[int] | None) -> Network:
    """The same of a legal configuration, also where it uses what the emulator does not model: a board may.

    Raises:
        EmulatorError: entries that are not configured cores, or repeated; destinations that form a loop.
    """
    routes = {core: _routes(config, core) for core in config.active_cores}
    sensor = tuple(destination.layer for destination in config.dvs_layer.enabled_destinations)
    if entries is not None:
        chosen = _checked_entries(config, entries)
    else:
        chosen = () if sensor else _without_source(routes)
    return Network(routes, chosen, sensor, core_order(routes, (*sensor, *chosen)))


def _refuse_unsupported(config: ChipConfig) -> None:
    problems: list[str] = []
    if config.dvs_filter.enable:
        problems.append(
            "dvs_filter.enable: the event filter is not modelled; disable it, and filter the recording before the run"
        )
    selected = config.readout.readout_configuration_sel
    if config.readout.enable and selected != FLAT_READOUT:
        problems.append(
            f"readout.readout_configuration_sel is {selected}: only {FLAT_READOUT}, a class by the feature alone, is modelled"
        )
    if config.readout.enable and config.chip.readout.classes > MOST_CLASSES:
        problems.append(f"a readout block with {config.chip.readout.classes} classes: a ReadoutValue has room for {MOST_CLASSES}")
    large = [f"core {core}" for core in config.active_cores if core > MOST_LAYER]
    sensor = config.dvs_layer.enabled_destinations or config.dvs_layer.monitor_enable
    large += ["the sensor"] if sensor and config.chip.layers.sensor > MOST_LAYER else []
    if large:
        problems.append(f"{', '.join(large)}: events name their layer in 8 bits, up to {MOST_LAYER}")
    if problems:
        raise UnsupportedConfigError("the emulator does not support this configuration:\n  " + "\n  ".join(problems))


def _routes(config: ChipConfig, core: int) -> tuple[Route, ...]:
    part = config.core(core)
    _, height, width = part.dimensions.output_shape
    return tuple(
        Route(d.layer, d.pooling, d.feature_shift, (height, width), (height // d.pooling, width // d.pooling))
        for d in part.enabled_destinations
    )


def _without_source(routes: dict[int, tuple[Route, ...]]) -> tuple[int, ...]:
    targets = {route.target for outgoing in routes.values() for route in outgoing}
    free = tuple(core for core in routes if core not in targets)
    return free if len(free) == 1 else ()


def _checked_entries(config: ChipConfig, entries: Any) -> tuple[int, ...]:
    given: list[Any] = list(entries) if np.iterable(entries) else [entries]
    unknown = [entry for entry in given if isinstance(entry, bool) or entry not in config.active_cores]
    if unknown:
        raise EmulatorError(f"entries {unknown} are not configured cores; configured are {list(config.active_cores)}")
    chosen = tuple(int(entry) for entry in given)
    if len(set(chosen)) != len(chosen):
        raise EmulatorError(f"entries {list(chosen)} name a core twice; name each core once")
    return chosen


def core_order(routes: dict[int, tuple[Route, ...]], inputs: Sequence[int]) -> tuple[int, ...]:
    """Sources before targets; among the ready, the one that a depth-first walk from the inputs meets first (grade C)."""
    met: list[int] = []

    def walk(core: int) -> None:
        if core in routes and core not in met:
            met.append(core)
            for route in routes[core]:
                walk(route.target)

    for core in inputs:
        walk(core)
    ranked = met + [core for core in sorted(routes) if core not in met]
    waiting = {core: sum(route.target == core for outgoing in routes.values() for route in outgoing) for core in routes}
    order: list[int] = []
    while len(order) < len(ranked):
        ready = [core for core in ranked if core not in order and waiting[core] == 0]
        if not ready:
            raise EmulatorError(f"the destinations of cores {sorted(set(routes) - set(order))} form a loop: remove one of them")
        order.append(ready[0])
        for route in routes[ready[0]]:
            if route.target in waiting:
                waiting[route.target] -= 1
    return tuple(order)
