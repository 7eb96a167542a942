"""Every placement there is, one by one, from the definitions alone: what the allocator is compared with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise, permutations, product
from math import lcm

from chipflow.allocation.cost import operations_of
from chipflow.ir.plan import READOUT, LayerShape, NetworkShape
from hwconfig import ChipSpec, CoreSpec, memory_need

Sets = tuple[frozenset[int], ...]


def holds(core: CoreSpec, layer: LayerShape, features: int) -> bool:
    shape = (features, *layer.output_shape[1:])
    need = memory_need(layer.input_shape, shape, layer.kernel_size, has_bias=layer.has_bias)
    return need.kernel <= core.kernel_words and need.neuron <= core.neuron_words and need.bias <= core.bias_words


def legal(network: NetworkShape, chip: ChipSpec) -> bool:
    """The limits that the random networks may break."""
    most, shift = chip.limits.destinations, chip.limits.feature_shift
    return len(network.sensor_targets) <= most and all(
        len(layer.links) <= most and all(link.shift <= shift for link in layer.links) for layer in network.layers
    )


def whole_placements(network: NetworkShape, chip: ChipSpec) -> Iterator[tuple[int, ...]]:
    """All placements without a split: a core for each layer."""
    if legal(network, chip):
        for cores in permutations(chip.core_ids, len(network.layers)):
            if all(holds(chip.core(core), layer, layer.features) for core, layer in zip(cores, network.layers, strict=True)):
                yield cores


def compositions(total: int, parts: int) -> Iterator[tuple[int, ...]]:
    """All ways to divide features into consecutive parts."""
    for cuts in combinations(range(1, total), parts - 1):
        ends = (0, *cuts, total)
        yield tuple(after - before for before, after in pairwise(ends))


def splittable(layer: LayerShape, cores: Sequence[int], chip: ChipSpec) -> bool:
    """Whether any order of the cores and any sizes of parts hold the layer."""
    if len(cores) > layer.features:
        return False
    shift = max((link.shift for link in layer.links), default=0)
    for sizes in compositions(layer.features, len(cores)):
        if layer.links and shift + layer.features - sizes[-1] > chip.limits.feature_shift:
            continue
        for order in permutations(cores):
            if all(holds(chip.core(core), layer, size) for core, size in zip(order, sizes, strict=True)):
                return True
    return False


def fan_out_ok(network: NetworkShape, chip: ChipSpec, sets: Sequence[frozenset[int]]) -> bool:
    parts = {layer.name: len(cores) for layer, cores in zip(network.layers, sets, strict=True)} | {READOUT: 1}
    sources = [network.sensor_targets, *([link.target for link in layer.links] for layer in network.layers)]
    return all(sum(parts[target] for target in targets) <= chip.limits.destinations for targets in sources)


def all_placements(network: NetworkShape, chip: ChipSpec) -> Iterator[Sets]:
    """All placements, split in all ways: the set of cores of each layer."""
    if not legal(network, chip):
        return
    subsets = [frozenset(some) for size in range(1, len(chip.cores) + 1) for some in combinations(chip.core_ids, size)]
    able = [[some for some in subsets if splittable(layer, sorted(some), chip)] for layer in network.layers]
    for sets in product(*able):
        if sum(map(len, sets)) == len(frozenset().union(*sets)) and fan_out_ok(network, chip, sets):
            yield sets


def cost(network: NetworkShape, chip: ChipSpec, sets: Sequence[frozenset[int]], objective: str) -> tuple[int, ...]:
    """As documented: hidden layers on parallel cores, words; before them, for "speed", the time."""
    fed = {link.target for layer in network.layers for link in layer.links}
    pairs = [(layer, chip.core(core)) for layer, cores in zip(network.layers, sets, strict=True) for core in cores]
    hidden = sum(layer.name in fed and core.id in chip.parallel_cores for layer, core in pairs)
    words = sum(core.kernel_words + core.neuron_words + core.bias_words for _, core in pairs)
    unit = lcm(*(core.synops_per_second for core in chip.cores))
    time = sum(operations_of(layer) * unit // core.synops_per_second for layer, core in pairs)
    return (hidden, words) if objective == "memory" else (time, hidden, words)


def ranked_whole(network: NetworkShape, chip: ChipSpec, objective: str) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Cost and cores of all placements without a split, in order."""
    placements = whole_placements(network, chip)
    return sorted((cost(network, chip, [frozenset([core]) for core in cores], objective), cores) for cores in placements)


def ranked_split(network: NetworkShape, chip: ChipSpec, objective: str) -> list[tuple[int, tuple[int, ...]]]:
    """Parts and cost of all placements, in order."""
    return sorted((sum(map(len, sets)), cost(network, chip, sets, objective)) for sets in all_placements(network, chip))


def smallest_competing(able: Sequence[frozenset[int]]) -> int | None:
    """How many layers there are in a smallest set that has too few cores; None where there is no such set."""
    for size in range(1, len(able) + 1):
        for some in combinations(able, size):
            if len(frozenset().union(*some)) < size:
                return size
    return None
