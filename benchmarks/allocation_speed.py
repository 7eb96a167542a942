"""How long it takes to place a network, or to say why it cannot be placed, as cores and layers grow; beside networkx' plain matching."""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

import networkx as nx
import numpy as np

from benchmarks.measure import machine, milliseconds, show, timed
from chipflow.allocation import Allocation, allocate
from chipflow.allocation.demand import demands_of
from chipflow.allocation.problem import SEARCH_BUDGET, Problem, make_problem
from chipflow.allocation.solve import search
from chipflow.errors import MappingError
from chipflow.ir.plan import LayerShape, Link, NetworkShape
from hwconfig import ChipSpec, get_chip, synthetic_chip

SIZES = ((9, 7), (30, 15), (100, 50), (300, 150), (1000, 500))
WIDE = {"solvable": 0.2, "needs splits": 0.75, "impossible": 1.0}  # share of wide layers, which fit few cores
LIMIT_S = 10
SIDE = 16


@dataclass
class Point:
    """An instance, and what was measured on it.

    Attributes:
        graph: which core holds which layer, for networkx.
        answer, whole: seconds of the search alone, and of `allocate`, which explains where there is no placement.
        building, matching: seconds of networkx' graph, from the layers' needs on, and of its matching.
    """

    kind: str
    network: NetworkShape
    chip: ChipSpec
    graph: nx.Graph[str]
    answer: list[float] = field(default_factory=list[float])
    whole: list[float] = field(default_factory=list[float])
    building: list[float] = field(default_factory=list[float])
    matching: list[float] = field(default_factory=list[float])
    outcome: str = ""

    def run(self) -> None:
        """Both sides once, in turn."""
        self.answer.append(timed(lambda: search(problem(self.network, self.chip)))[0])
        taken, self.outcome = timed(lambda: outcome(self.network, self.chip))
        self.whole.append(taken)
        self.building.append(timed(lambda: fitting(self.network, self.chip))[0])
        self.matching.append(timed(lambda: largest_matching(self.graph, self.network))[0])


def main(arguments: Sequence[str] | None = None) -> None:
    """All instances in turn, so that what else the machine does hits all alike; then a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="runs per instance")
    parser.add_argument("--most-cores", type=int, default=SIZES[-1][0], help="leave larger chips out")
    options = parser.parse_args(arguments)
    print(machine("numpy", "networkx"), flush=True)
    points = [make_point(kind, *size) for kind in WIDE for size in SIZES if size[0] <= options.most_cores]
    for _ in range(options.rounds):
        for point in points:
            point.run()
    show(f"a placement, or why there is none: median of {options.rounds}", HEADER, [_row(point) for point in points])
    print(f"target: under {LIMIT_S} s each: {'met' if all(max(point.whole) < LIMIT_S for point in points) else 'missed'}")


def make_point(kind: str, cores: int, layers: int) -> Point:
    """A chip with the cores of a Speck, over and over, and a chain of convolutions on it."""
    network, chip = chain(layers, WIDE[kind]), speck_with(cores)
    return Point(kind, network, chip, fitting(network, chip))


def speck_with(cores: int) -> ChipSpec:
    """So many cores, by turns as large as those of a Speck."""
    kinds = [(core.kernel_words, core.neuron_words, core.bias_words) for core in get_chip("speck2f").cores]
    return synthetic_chip([kinds[i % len(kinds)] for i in range(cores)])


def chain(layers: int, wide: float, seed: int = 0) -> NetworkShape:
    """Convolutions that feed each other; this share of them has 64 features, the others 16."""
    rng = np.random.default_rng(seed)
    features = [2, *(64 if rng.random() < wide else 16 for _ in range(layers))]
    return NetworkShape(
        tuple(
            LayerShape(
                name=f"conv{i}",
                input_shape=(features[i], SIDE, SIDE),
                features=features[i + 1],
                kernel_size=3,
                padding=(1, 1),
                links=(Link(f"conv{i + 1}"),) if i < layers - 1 else (),
            )
            for i in range(layers)
        )
    )


def fitting(network: NetworkShape, chip: ChipSpec) -> nx.Graph[str]:
    """Layers and cores, joined where the core holds the layer: what a plain matching starts from."""
    graph: nx.Graph[str] = nx.Graph()
    for demand in demands_of(network.layers, chip, {}):
        graph.add_node(demand.layer)
        graph.add_edges_from((demand.layer, f"core {core}") for core in demand.cores)
    return graph


def largest_matching(graph: nx.Graph[str], network: NetworkShape) -> int:
    """How many layers networkx places (Hopcroft and Karp), at whatever cost, none split."""
    names = [layer.name for layer in network.layers]
    found = nx.bipartite.hopcroft_karp_matching(graph, top_nodes=names)
    return sum(name in found for name in names)


def problem(network: NetworkShape, chip: ChipSpec) -> Problem:
    """What the search is given."""
    return make_problem(network, chip, None, "memory", None, True, SEARCH_BUDGET)


def outcome(network: NetworkShape, chip: ChipSpec) -> str:
    """Allocation or explanation, in a word."""
    try:
        return _placed(allocate(network, chip))
    except MappingError as error:
        return f"{len(error.report.levers)} levers" if error.report.stop == "proven impossible" else error.report.stop


def _placed(found: Allocation) -> str:
    more = len(found.parts) - len({part.layer for part in found.parts})
    return f"{found.stop}, +{more}" if more else found.stop


HEADER = [
    "",
    "cores",
    "layers",
    "outcome",
    "answer, ms",
    "four of five",
    "with report",
    "nx places",
    "graph, ms",
    "matching, ms",
    "ratio",
]


def _row(point: Point) -> list[str]:
    return [
        point.kind,
        f"{len(point.chip.cores):,}",
        str(len(point.network.layers)),
        point.outcome,
        *milliseconds(point.answer),
        milliseconds(point.whole)[0],
        str(largest_matching(point.graph, point.network)),
        milliseconds(point.building)[0],
        milliseconds(point.matching)[0],
        f"{statistics.median(point.answer) / (statistics.median(point.building) + statistics.median(point.matching)):.1f}",
    ]


if __name__ == "__main__":
    main()
