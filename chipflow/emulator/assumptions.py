"""What a run rests on that is not public: the rules graded B or C that a configuration touches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from chipflow.emulator.network import Network
from chipflow.emulator.options import Options
from hwconfig.config import ChipConfig
from hwconfig.core_config import CoreConfig

Where = tuple[int | str, ...]


@dataclass(frozen=True)
class Assumption:
    """A rule of the chip model that the vendor does not state, and that a configuration makes use of.

    Attributes:
        rule: short name.
        grade: "B" relayed or deduced from what is public, "C" not public: our choice.
        section: of the chip model.
        text: what is assumed.
        where: layers that it is about (core ids, "sensor", "readout"); empty where it is about no layer in particular.
        alternative: options of the emulator under which it is otherwise; empty where no other way is implemented.
    """

    rule: str
    grade: Literal["B", "C"]
    section: str
    text: str
    where: Where = ()
    alternative: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class _Case:
    """A configuration as the rules below look at it."""

    config: ChipConfig
    network: Network
    options: Options

    def cores(self, applies: Callable[[CoreConfig], Any]) -> tuple[int, ...]:
        return tuple(core for core in self.network.order if bool(applies(self.config.core(core))))

    @property
    def ticking(self) -> tuple[int, ...]:
        return self.cores(lambda part: part.leak_enable)

    @property
    def dropping(self) -> tuple[int, ...]:
        """Cores from which a spike can fall outside its target's map, at the edge of a pooled one."""
        return tuple(
            core
            for core, routes in self.network.routes.items()
            for route in routes
            if any(size % route.pooling for size in route.size)
        )

    @property
    def uses_sensor(self) -> bool:
        part = self.config.dvs_layer
        return bool(self.network.sensor) or part.monitor_enable or part.raw_monitor_enable


def assumptions(config: ChipConfig, network: Network, options: Options) -> tuple[Assumption, ...]:
    """All that the configuration touches, in the order of the chip model's sections."""
    case = _Case(config, network, options)
    return (
        *_of_events(case),
        *_of_spikes(case),
        *_of_the_clock(case),
        *_of_the_sensor(case),
        *_of_the_readout(case),
        *_of_the_load(case),
    )


def _of_events(case: _Case) -> Iterator[Assumption]:
    cut = case.cores(_can_be_cut)
    if cut:
        text = "a membrane potential stops at the largest 16-bit number instead of wrapping around"
        yield Assumption("saturation", "C", "1", text, cut)
    zeros = case.cores(lambda part: np.any(np.asarray(part.weights) == 0))
    if zeros:
        text = "a weight of 0 is no synapse: the neuron is not updated, and does not fire though it may still be at the threshold"
        yield Assumption("zero-weights", "B", "2", text, zeros, {"zero_weights": "synapse"})
    killed = case.cores(lambda part: part.kill_bits)
    if killed:
        text = "a killed weight is no synapse, a killed neuron is never updated, a killed bias is 0"
        yield Assumption("kill-bits", "B", "2", text, killed)
    again = case.cores(lambda part: _can_stay_at_the_threshold(part) and _inhibits(part))
    if again:
        text = "a neuron still at the threshold after its spike fires at its next update, also if that is an inhibiting one"
        yield Assumption("rest-above-threshold", "B", "2", text, again)
    spread = case.cores(lambda part: part.enabled_destinations or part.monitor_enable)
    if spread:
        yield Assumption(
            "order-of-spikes", "C", "2", "the spikes of one event leave in the order of rows, columns, features", spread
        )
    if case.dropping:
        text = "spikes from the incomplete window at the edge of a pooled map are dropped at the next core"
        yield Assumption("outside-the-map", "C", "2", text, case.dropping)


def _largest(part: CoreConfig) -> int:
    """The largest amount that can be added at once."""
    biases = np.asarray(part.biases) if part.leak_enable else np.zeros(0)
    return max(int(np.max(part.weights, initial=0)), int(np.max(biases, initial=0)))


def _can_stay_at_the_threshold(part: CoreConfig) -> bool:
    """Whether a neuron can be at or above the threshold after its update, or begins so."""
    rest = not part.return_to_zero and _largest(part) > part.threshold_high
    return rest or int(np.max(part.neurons_initial_value, initial=0)) >= part.threshold_high


def _inhibits(part: CoreConfig) -> bool:
    return bool(np.any(np.asarray(part.weights) < 0) or (part.leak_enable and np.any(np.asarray(part.biases) < 0)))


def _can_be_cut(part: CoreConfig) -> bool:
    return _can_stay_at_the_threshold(part) or part.threshold_high - 1 + _largest(part) > np.iinfo(np.int16).max


def _of_spikes(case: _Case) -> Iterator[Assumption]:
    thinned = case.cores(lambda part: part.output_decimator_enable)
    if thinned:
        text = "of every n spikes of a core the last passes its decimator, which counts for the whole core, ticks included"
        yield Assumption("decimator", "C", "3", text, thinned, {"decimator_passes": "first"})
    watched = tuple(core for core in thinned if case.config.core(core).monitor_enable)
    if watched:
        yield Assumption("monitor-after-decimator", "C", "3", "the monitor shows what the decimator lets through", watched)
    text = (
        "a spike has the time of the event or tick that caused it, and is handled with all that follows from it before the next"
    )
    merging = tuple(core for core in case.network.order if case.network.ways_in[core] > 1)
    if any(case.network.routes.values()):
        yield Assumption("depth-first", "B", "4", text, merging, {"order": "breadth_first"} if merging else {})


def _of_the_clock(case: _Case) -> Iterator[Assumption]:
    if not (case.ticking or case.config.readout.enable):
        return
    yield Assumption("tick-before-events", "C", "5", "a clock tick comes before the events of its time", case.ticking)
    if case.ticking:
        text = "a bias is added to the whole map of a core before its spikes leave; a neuron that reaches its threshold so spikes"
        yield Assumption("leak-spikes", "B", "5", text, case.ticking)
        yield Assumption("zero-bias", "C", "5", "a bias of 0 updates nothing", case.ticking)
    if len(case.ticking) > 1:
        text = "at a tick the cores take turns, sources before their targets, otherwise as a walk from the inputs meets them"
        yield Assumption("order-at-ticks", "C", "5", text, case.ticking)


def _of_the_sensor(case: _Case) -> Iterator[Assumption]:
    if not case.uses_sensor:
        return
    text = "sensor events pass polarity, merging, pooling, region of interest, mirrors in this order"
    yield Assumption("sensor-order", "B", "6", text, ("sensor",))
    if case.config.dvs_layer.monitor_enable:
        yield Assumption("sensor-monitor", "C", "6", "the sensor's monitor shows events after all blocks", ("sensor",))


def _of_the_readout(case: _Case) -> Iterator[Assumption]:
    part, chip = case.config.readout, case.config.chip
    if not part.enable:
        return
    if chip.readout.feature_stride == 1:
        yield Assumption("readout-classes", "C", "7", "feature f counts for class f + 1", ("readout",))
    text = "x and y do not matter; counters stop at their largest value, averages are rounded down, periods before the start count as 0"
    yield Assumption("readout-counting", "C", "7", text, ("readout",))
    yield Assumption("readout-maximum", "C", "7", "of classes with equal averages the lowest is the maximum", ("readout",))


def _of_the_load(case: _Case) -> Iterator[Assumption]:
    text = f"how many operations per second a core can do: {case.config.chip.synops_source}"
    yield Assumption("ratings", "C", "9", text, case.network.order)
    text = "cores work one after the other without delay; on the chip they work at the same time, and a core that is overloaded stalls it"
    yield Assumption("no-timing", "B", "9", text)
    balanced = case.cores(lambda part: part.input_congestion_balancer_enable)
    if balanced:
        yield Assumption("congestion-balancer", "C", "9", "no core is ever busy, so that the balancer drops nothing", balanced)
