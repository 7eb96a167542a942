"""The network of cores as the emulator sees it: routes, entries, and the order of the cores at a clock tick."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chipflow.errors import EmulatorError, UnsupportedConfigError
from hwconfig.config import ChipConfig
from hwconfig.errors import DesignRuleError


@dataclass(frozen=True)
class Route:
    """One enabled destination of a core.

    Attributes:
        source, target: core ids; the target may be the readout block's id.
        pooling: coordinates are divided by it, rounded down.
        shift: added to the feature.
        full: (y, x) size of the pooled map counting complete pooling windows only.
    """

    source: int
    target: int
    pooling: int
    shift: int
    full: tuple[int, int]


@dataclass(frozen=True)
class Network:
    """Routes of each core in index order, the entries, and all cores in the order in which they act at a tick."""

    routes: dict[int, tuple[Route, ...]]
    entries: tuple[int, ...]
    order: tuple[int, ...]

    def sources(self, core: int) -> tuple[int, ...]:
        """Source of every enabled destination into this core, repeats included."""
        return tuple(route.source for routes in self.routes.values() for route in routes if route.target == core)


def build_network(config: ChipConfig, entries: Sequence[int] | None) -> Network:
    """The network of a configuration.

    Args:
        entries: cores that addressed events enter, in order; None: the only core without a source, if there is only one.

    Raises:
        DesignRuleError: the configuration breaks design rules.
        UnsupportedConfigError: it uses the sensor's destinations, the event filter, the readout block or kill bits.
        EmulatorError: entries that are not configured cores, or repeated.
    """
    report = config.violations()
    if not report.ok:
        raise DesignRuleError(report, "the emulator refuses a configuration that breaks design rules")
    _refuse_unsupported(config)
    routes = {core: _routes(config, core) for core in config.active_cores}
    chosen = _default_entries(routes) if entries is None else _checked_entries(config, entries)
    return Network(routes, chosen, core_order(routes, chosen))


def _refuse_unsupported(config: ChipConfig) -> None:
    problems: list[str] = []
    if config.dvs_layer.enabled_destinations:
        targets = [destination.layer for destination in config.dvs_layer.enabled_destinations]
        problems.append(
            f"the sensor sends to cores {targets}: disable dvs_layer.destinations and send events to the cores (entries=)"
        )
    if config.dvs_filter.enable:
        problems.append("dvs_filter.enable: the event filter is not modelled; disable it")
    if config.readout.enable:
        problems.append("readout.enable: the readout block is not modelled yet; disable it and monitor the last core")
    killed = [core for core, part in config.cnn_layers.items() if part.kill_bits]
    if killed:
        problems.append(f"cores {killed} have kill bits, which are not modelled yet; set the weights and biases to 0 instead")
    if problems:
        raise UnsupportedConfigError("the emulator does not support this configuration:\n  " + "\n  ".join(problems))


def _routes(config: ChipConfig, core: int) -> tuple[Route, ...]:
    part = config.core(core)
    _, height, width = part.dimensions.output_shape
    return tuple(
        Route(core, d.layer, d.pooling, d.feature_shift, (height // d.pooling, width // d.pooling))
        for d in part.enabled_destinations
    )


def _default_entries(routes: dict[int, tuple[Route, ...]]) -> tuple[int, ...]:
    targets = {route.target for outgoing in routes.values() for route in outgoing}
    free = tuple(core for core in routes if core not in targets)
    return free if len(free) == 1 else ()


def _checked_entries(config: ChipConfig, entries: Sequence[int]) -> tuple[int, ...]:
    chosen = tuple(int(entry) for entry in entries)
    unknown = [entry for entry in chosen if entry not in config.active_cores]
    if unknown:
        raise EmulatorError(f"entries {unknown} are not configured cores; configured are {list(config.active_cores)}")
    if len(set(chosen)) != len(chosen):
        raise EmulatorError(f"entries {list(chosen)} name a core twice; name each core once")
    return chosen


def core_order(routes: dict[int, tuple[Route, ...]], entries: Sequence[int]) -> tuple[int, ...]:
    """Sources before targets; among the ready, the one that a depth-first walk from the entries meets first (grade C)."""
    met: list[int] = []

    def walk(core: int) -> None:
        if core in routes and core not in met:
            met.append(core)
            for route in routes[core]:
                walk(route.target)

    for entry in entries:
        walk(entry)
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
