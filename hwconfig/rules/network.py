"""The network of cores: memories, destinations, and what no event reaches or nobody sees."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from hwconfig.config import ChipConfig
from hwconfig.core_config import CoreConfig
from hwconfig.destinations import Destination
from hwconfig.memory import KINDS
from hwconfig.rules.catalogue import Case, Finding, Findings, case_rule
from hwconfig.subjects import SENSOR

VALIDATOR = "the vendor's validator, by its messages in public scripts and in sinabs issue 274"


@case_rule(
    "core-id",
    "Configured cores exist on the chip.",
    grade="A",
    source="the chip's description",
    fix="move the layer to a core that exists",
)
def core_id(case: Case) -> Findings:
    known = case.chip.core_ids
    for core in case.config.active_cores:
        if core not in known:
            yield Finding(f"{case.chip.name} has no such core, its cores are {known[0]} to {known[-1]}", core, at=core)


@case_rule(
    "memory",
    "Kernel, neuron and bias memory of each core hold its layer.",
    grade="A",
    source="Speck Dev Kit datasheet, 3.2.4.1; sinabs, DynapcnnLayer.memory_summary",
    fix="place the layer on a core with more, or use fewer features or a smaller map",
    suppressible=True,
)
def memory(case: Case) -> Findings:
    specs = {spec.id: spec for spec in case.chip.cores}
    for core_id_, core in case.config.cnn_layers.items():
        size = core.dimensions
        if core_id_ not in specs or min(*size.input_shape, *size.output_shape, size.kernel_size) < 1:
            continue  # other rules name these
        need, spec = core.memory_need(), specs[core_id_]
        for kind in KINDS:
            needed, available = getattr(need, kind), getattr(spec, f"{kind}_words")
            if needed > available:
                problem = f"needs {needed} words of {kind} memory, available are {available}"
                fix = "use a core with bias memory, or disable leak_enable and set the biases to 0" if kind == "bias" else ""
                yield Finding(problem, needed, available, f"{kind} words", at=core_id_, fix=fix)


@dataclass(frozen=True)
class Link:
    """One enabled destination: who sends ("the sensor" or a core's id), (features, y, x) of what is sent, and where to."""

    source: int | str
    shape: tuple[int, int, int]
    target: int
    pooling: int = 1
    shift: int = 0

    @property
    def sent_map(self) -> tuple[int, int]:
        """(y, x) after pooling, complete windows only."""
        return self.shape[1] // self.pooling, self.shape[2] // self.pooling

    @property
    def sent_features(self) -> range:
        """Features as they arrive."""
        return range(self.shift, self.shift + max(self.shape[0], 0))


def links(config: ChipConfig) -> tuple[Link, ...]:
    """Every enabled destination, the sensor's first."""
    shape = config.dvs_layer.output_shape(config.chip.sensor.size)
    sensor = [Link(SENSOR, shape, destination.layer) for destination in config.dvs_layer.enabled_destinations]
    cores = [_link(core_id, core, d) for core_id, core in config.cnn_layers.items() for d in core.enabled_destinations]
    return (*sensor, *cores)


def _link(core_id: int, core: CoreConfig, destination: Destination) -> Link:
    """Pooling below 1 is another rule's business."""
    return Link(core_id, core.dimensions.output_shape, destination.layer, max(destination.pooling, 1), destination.feature_shift)


@case_rule(
    "destination-exists",
    "Enabled destinations are configured cores, or, of a core, the readout block.",
    grade="A",
    source="Speck Dev Kit datasheet, 3.2.5.3, for the readout block's id",
    fix="configure that core, or disable the destination",
)
def destination_exists(case: Case) -> Findings:
    readout = case.chip.layers.readout
    for link in links(case.config):
        if link.target not in case.config.cnn_layers and (link.source == SENSOR or link.target != readout):
            to_readout = link.target == readout and readout not in case.chip.core_ids
            problem = "sends to the readout block" if to_readout else f"sends to core {link.target}, which is not configured"
            fix = "send to a core: only a core can feed the readout block" if to_readout else ""
            yield Finding(problem, link.target, at=link.source, fix=fix)


def _core_links(config: ChipConfig) -> Iterator[tuple[Link, CoreConfig]]:
    """The links into configured cores, each with its target."""
    return ((link, config.cnn_layers[link.target]) for link in links(config) if link.target in config.cnn_layers)


@case_rule(
    "destination-shape",
    "Map and features match along every enabled destination, the sensor's too, after pooling and shift.",
    grade="A",
    source=VALIDATOR,
    fix="make the two sizes equal",
)
def destination_shape(case: Case) -> Findings:
    for link, target in _core_links(case.config):
        features, *map_size = target.dimensions.input_shape
        if link.sent_map != tuple(map_size):
            problem = f"sends a map of {link.sent_map} (y, x) to core {link.target}, which expects {tuple(map_size)}"
            yield Finding(problem, at=link.source)
        if link.sent_features.stop > features:
            problem = f"sends features up to {link.sent_features.stop - 1} to core {link.target}, which has {features}"
            yield Finding(problem, link.sent_features.stop, features, "features", at=link.source)
    for core, reached in _reached(case.config).items():
        expected = case.config.core(core).dimensions.input_shape[0]
        if reached and max(span.stop for span in reached) < expected:
            sent = max(span.stop for span in reached)
            yield Finding(f"expects {expected} features, its sources send {sent}", expected, sent, "features", at=core)


def _reached(config: ChipConfig) -> dict[int, list[range]]:
    """Core -> the spans of features that arrive there."""
    spans: dict[int, list[range]] = {}
    for link, _ in _core_links(config):
        spans.setdefault(link.target, []).append(link.sent_features)
    return spans


@case_rule(
    "feature-gap",
    "The features that arrive at a core leave none out between them.",
    severity="warning",
    grade="C",
    source="not public; a gap is most likely a slip in a feature_shift",
    fix="let each feature_shift continue where another source's features end",
)
def feature_gap(case: Case) -> Findings:
    for core, spans in _reached(case.config).items():
        end = 0
        for span in sorted(spans, key=lambda span: span.start):
            if span.start > end:
                yield Finding(f"no source sends features {end} to {span.start - 1}", end, span.start, "features", at=core)
            end = max(end, span.stop)


@case_rule(
    "twice-same-target",
    "Two destinations of one source into one core send different features there, or the same spike arrives twice.",
    severity="warning",
    grade="B",
    source="used with different shifts on a Speck2f, in public; address mapping of the destinations",
    fix="give one of the two a feature_shift, or disable it",
)
def twice_same_target(case: Case) -> Findings:
    seen: dict[tuple[int | str, int], list[Link]] = {}
    for link in links(case.config):
        same_way = seen.setdefault((link.source, link.target), [])
        for other in same_way:
            common = range(max(other.shift, link.shift), min(other.sent_features.stop, link.sent_features.stop))
            if common:
                problem = f"both destinations send features {common.start} to {common.stop - 1} to core {link.target}"
                yield Finding(problem, at=link.source)
        same_way.append(link)


@case_rule(
    "loop",
    "Destinations form no loop: the chip routes them, but the vendor warns of deadlock, and the emulator has no order for them.",
    grade="A",
    source="sinabs' page on network architectures",
    fix="remove a destination of one of them",
    suppressible=True,
)
def loop(case: Case) -> Findings:
    for cores in _loops(_targets(case.config)):
        yield Finding(f"destinations form a loop through cores {cores}", at=cores[0])


def _loops(targets: Mapping[int, set[int]]) -> Iterator[list[int]]:
    """The cores of each loop, ascending; loops that share a core are one."""
    reached = {core: _closure(targets[core], targets) for core in targets}
    for core in targets:
        on_it = sorted(other for other in reached[core] if core in reached.get(other, ()))
        if core in on_it and core == on_it[0]:
            yield on_it


def _targets(config: ChipConfig) -> dict[int, set[int]]:
    """Core -> the configured cores that it sends to."""
    return {
        core: {d.layer for d in part.enabled_destinations} & set(config.cnn_layers) for core, part in config.cnn_layers.items()
    }


@case_rule(
    "unreachable-core",
    "Events reach every core: from the sensor, or from an entry, which is what a program names or the only core without a source.",
    severity="warning",
    grade="C",
    source="our definition of an entry, as the emulator has it",
    fix="name it as an entry, address events to it, or let a core or the sensor send to it",
)
def unreachable_core(case: Case) -> Findings:
    targets = _targets(case.config)
    sources = Counter(core for reached in targets.values() for core in reached)
    starts = [destination.layer for destination in case.config.dvs_layer.enabled_destinations]
    without_source = [core for core in targets if not sources[core] and core not in starts]
    if case.entries is not None:
        starts.extend(case.entries)
    elif not starts and len(without_source) == 1:
        starts.extend(without_source)
    reached = _closure(starts, targets)
    for core in without_source:
        if core not in reached:
            yield Finding("no event reaches it: neither the sensor nor a core sends to it, and it is no entry", at=core)
    for cores in _loops(targets):
        if not reached.intersection(cores):
            yield Finding(f"no event reaches the loop of cores {cores}", at=cores[0])


def _closure(starts: Iterable[int], targets: Mapping[int, set[int]]) -> set[int]:
    reached: set[int] = set()
    waiting = list(starts)
    while waiting:
        core = waiting.pop()
        if core not in reached:
            reached.add(core)
            waiting.extend(targets.get(core, ()))
    return reached


@case_rule(
    "unseen-core",
    "The spikes of a core go somewhere: to a destination or to its monitor.",
    severity="warning",
    grade="A",
    source="the vendor's page on the configuration (monitor_enable)",
    fix="enable its monitor or a destination",
)
def unseen_core(case: Case) -> Findings:
    for core_id_, core in case.config.cnn_layers.items():
        if not core.enabled_destinations and not core.monitor_enable:
            yield Finding("its spikes go nowhere: it has no enabled destination and no monitor", at=core_id_)


@case_rule(
    "parallel-core",
    "The cores with parallel computing hold input layers, for which they are made.",
    severity="warning",
    grade="A",
    source="Speck Dev Kit datasheet, 2.4; the vendor's page on Speck2e",
    fix="move the layer to another core, if one has the room",
)
def parallel_core(case: Case) -> Findings:
    fed = {target for targets in _targets(case.config).values() for target in targets}
    for core in case.chip.parallel_cores:
        if core in fed:
            yield Finding(f"core {core} computes in parallel, but it holds no input layer: a core sends to it", at=core)


@case_rule(
    "first-event-lost",
    "On chips with the erratum, a core with parallel computing most likely loses the first event after all its states were written anew.",
    severity="warning",
    grade="B",
    source="measured by a third party on a Speck2f; sinabs' single-neuron hardware test leaves cores 0 and 1 out",
    fix="send an event that may be lost first, or use another core",
)
def first_event_lost(case: Case) -> Findings:
    if case.chip.has_erratum("first-event-lost"):
        for core in case.chip.parallel_cores:
            if core in case.config.cnn_layers:
                yield Finding(f"core {core} computes in parallel: its first event after a reset may be lost", at=core)
