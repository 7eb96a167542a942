"""Placements against brute force: yes or no, cost, order; splits; pins; what is asked for in vain."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from chipflow.allocation import Allocation, allocate, alternatives
from chipflow.allocation.cost import operations_of
from chipflow.allocation.problem import SEARCH_BUDGET, make_problem
from chipflow.allocation.solve import Outcome, search
from chipflow.errors import MappingError
from chipflow.ir.plan import LayerShape, Link, NetworkShape
from hwconfig import ChipSpec, get_chip, synthetic_chip
from tests.allocation.brute import all_placements, cost, holds, ranked_split, ranked_whole
from tests.allocation.networks import SPECK, chain, mnist, random_case
from tests.processes import ROOT

ALL = 10**6


def searched(network: NetworkShape, chip: ChipSpec, objective: str = "memory", pins: Mapping[str, int] | None = None) -> Outcome:
    return search(make_problem(network, chip, pins, objective, None, True, SEARCH_BUDGET), ALL)  # type: ignore[arg-type]


def assert_valid(found: Allocation, network: NetworkShape, chip: ChipSpec) -> None:
    """By the definitions: each core once, each feature once, memories, shifts, destinations."""
    assert len({part.core for part in found.parts}) == len(found.parts) == len(found.placement)
    parts = {layer.name: [part for part in found.parts if part.layer == layer.name] for layer in network.layers}
    assert [part for some in parts.values() for part in some] == list(found.parts)
    for layer in network.layers:
        some = parts[layer.name]
        assert some[0].first_feature == 0
        assert all(after.first_feature == before.first_feature + before.features for before, after in pairwise(some))
        assert some[-1].first_feature + some[-1].features == layer.features
        assert all(part.features >= 1 and holds(chip.core(part.core), layer, part.features) for part in some)
        shifts = [destination.shift + part.first_feature for destination in layer.links for part in some]
        assert max(shifts, default=0) <= chip.limits.feature_shift
    for targets in (network.sensor_targets, *([destination.target for destination in layer.links] for layer in network.layers)):
        assert sum(len(parts.get(target, [0])) for target in targets) <= chip.limits.destinations


@pytest.mark.parametrize(("objective", "seeds"), [("memory", range(350)), ("speed", range(350, 600))])
def test_all_placements_in_the_order_of_brute_force(objective: str, seeds: range) -> None:
    """Yes or no, the number of parts, the cost of every placement, and, without splits, the placements themselves."""
    kinds = {"whole": 0, "split": 0, "none": 0}
    for seed in seeds:
        network, chip = random_case(seed)
        outcome = searched(network, chip, objective)
        whole = ranked_whole(network, chip, objective)
        split = [] if whole else ranked_split(network, chip, objective)
        kinds["whole" if whole else "split" if split else "none"] += 1
        for found in outcome.found[:10]:
            assert_valid(found, network, chip)
        if whole:
            assert [(found.cost, tuple(found.placement.values())) for found in outcome.found] == whole, seed
        else:
            fewest = [one for one in split if one[0] == split[0][0]]
            assert [(len(found.parts), found.cost) for found in outcome.found] == fewest, seed
        assert outcome.stop == ("solved" if whole or split else "proven impossible")
        assert len({found.parts for found in outcome.found}) == len(outcome.found)
    assert min(kinds.values()) > 20, kinds


def test_pins_against_brute_force() -> None:
    found = {"whole": 0, "split": 0, "none": 0}
    for seed in range(1200):
        network, chip = random_case(seed)
        if not search(make_problem(network, chip, None, "memory", None, True, SEARCH_BUDGET)).found:
            continue
        rng = np.random.default_rng(seed)
        row, core = int(rng.integers(len(network.layers))), int(rng.integers(len(chip.cores)))
        outcome = searched(network, chip, pins={network.layers[row].name: core})
        whole = [one for one in ranked_whole(network, chip, "memory") if one[1][row] == core]
        split = [] if whole else [sets for sets in all_placements(network, chip) if sets[row] == {core}]
        if whole:
            assert [(one.cost, tuple(one.placement.values())) for one in outcome.found] == whole
        else:
            ranked = sorted((sum(map(len, sets)), cost(network, chip, sets, "memory")) for sets in split)
            assert [(len(one.parts), one.cost) for one in outcome.found] == [one for one in ranked if one[0] == ranked[0][0]]
        found["whole" if whole else "split" if split else "none"] += 1
    assert min(found.values()) > 5, found


def test_alternatives_begin_with_the_allocation() -> None:
    both = alternatives(mnist(), SPECK), allocate(mnist(), SPECK)
    assert both[0][0] == both[1]
    assert len(both[0]) == 10
    assert [one.cost for one in both[0]] == sorted(one.cost for one in both[0])
    assert len({tuple(one.placement.values()) for one in both[0]}) == 10
    assert len(alternatives(chain(LayerShape("only", (1, 4, 4), 1, 1)), SPECK, limit=100)) == len(SPECK.cores)


def test_large_memories_and_parallel_cores_stay_free() -> None:
    """conv1 would fit the largest cores, which nobody else can use; fc2 fits all."""
    found = allocate(mnist(), SPECK)
    assert found.placement == {"conv1": 3, "conv2": 4, "conv3": 5, "fc1": 6, "fc2": 7}
    assert found.stop == "solved"
    assert found.splits == {}
    rest = NetworkShape(tuple(replace(layer, links=()) for layer in mnist().layers[-1:]))
    assert allocate(rest, SPECK).placement == {"fc2": 7}


def test_a_hidden_layer_takes_a_parallel_core_last() -> None:
    wide = [LayerShape(f"conv{i}", (8, 64, 64), 16, 3, padding=(1, 1)) for i in range(2)]
    chip = SPECK
    found = allocate(chain(LayerShape("first", (2, 64, 64), 8, 3, padding=(1, 1)), wide[0]), chip)
    assert found.placement["conv0"] == 2
    assert found.placement["conv0"] not in chip.parallel_cores


def test_speed_puts_the_most_operations_on_the_fastest_core() -> None:
    fastest = max(SPECK.cores, key=lambda core: core.synops_per_second).id
    found = allocate(mnist(), SPECK, objective="speed")
    assert found.placement["conv1"] == fastest
    assert max(mnist().layers, key=operations_of).name == "conv2"  # which does not fit there
    measured = allocate(mnist(), SPECK, objective="speed", synops={"conv1": 10, "fc2": 1000})
    assert measured.placement["fc2"] == fastest


def test_a_layer_is_split_over_as_few_cores_as_possible() -> None:
    wide = LayerShape("conv1", (2, 64, 64), 40, 3, padding=(1, 1))
    found = allocate(NetworkShape((wide,)), SPECK)
    assert [(part.name, part.features) for part in found.parts] == [
        ("conv1[0:16]", 16),
        ("conv1[16:32]", 16),
        ("conv1[32:40]", 8),  # on a core that holds no more, but leaves a larger one free
    ]
    assert found.splits == {"conv1": found.parts}
    assert_valid(found, NetworkShape((wide,)), SPECK)


def test_the_sensor_and_its_targets_limit_the_parts() -> None:
    wide = LayerShape("conv1", (2, 64, 64), 40, 3, padding=(1, 1))
    with pytest.raises(MappingError, match="conv1"):
        allocate(NetworkShape((wide,), ("conv1",)), SPECK)
    assert len(allocate(NetworkShape((replace(wide, features=32),), ("conv1",)), SPECK).parts) == 2


def test_the_parts_of_a_source_feed_the_parts_of_a_target() -> None:
    layers = [LayerShape(name, (32, 64, 64), 32, 1) for name in ("a", "b")]
    found = allocate(chain(LayerShape("in", (1, 64, 64), 1, 1), *layers), synthetic_chip([(1 << 14, 1 << 16, 0)] * 5))
    assert [part.name for part in found.parts] == ["in", "a[0:16]", "a[16:32]", "b[0:16]", "b[16:32]"]


def test_no_split_where_it_is_not_allowed_or_not_needed() -> None:
    wide = NetworkShape((LayerShape("conv1", (2, 64, 64), 32, 3, padding=(1, 1)),))
    assert len(allocate(wide, SPECK).parts) == 2
    with pytest.raises(MappingError):
        allocate(wide, SPECK, split=False)


def test_a_layer_split_over_the_cores_that_the_user_names() -> None:
    found = allocate(mnist(), SPECK, {"conv1": [8, 7], "fc2": 6})
    assert [(part.name, part.core) for part in found.parts[:2]] == [("conv1[0:10]", 8), ("conv1[10:20]", 7)]
    assert found.placement["fc2"] == 6
    assert_valid(found, mnist(), SPECK)
    with pytest.raises(MappingError, match=r"conv1.*\n") as caught:
        allocate(mnist(), synthetic_chip([(1 << 16, 4096, 0)] * 9), {"conv1": (0, 1)})
    assert caught.value.report.stop == "proven impossible"


def test_shifts_of_parts_stay_within_the_limit() -> None:
    """With 3 as the largest shift the last part has to begin at feature 3 at most, and so on the larger core."""
    chip = synthetic_chip([(1 << 10, 32, 0), (1 << 10, 48, 0)], limits={"feature_shift": 3})
    layer = LayerShape("a", (1, 1, 8), 9, 1, links=(Link(""),))
    found = allocate(NetworkShape((layer,)), chip)
    assert [(part.features, part.core) for part in found.parts] == [(3, 0), (6, 1)]
    with pytest.raises(MappingError, match="shift"):
        allocate(NetworkShape((replace(layer, links=(Link("", shift=1),)),)), chip)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"pins": {"conv9": 1}}, "'conv9'; the layers are conv1"),
        ({"pins": {"conv1": 9}}, "core 9; speck2f has cores"),
        ({"pins": {"conv1": 3, "conv2": 3}}, "core 3 2 times"),
        ({"pins": {"conv1": [3, 3]}}, "core 3 2 times"),
        ({"pins": {"conv1": []}}, "no core"),
        ({"objective": "beauty"}, "one of memory, speed"),
        ({"synops": {"x": 1}}, "synops names layer 'x'"),
        ({"synops": {"conv1": -1}}, "0 or more"),
    ],
)
def test_wishes_that_make_no_sense(options: dict[str, object], words: str) -> None:
    with pytest.raises(MappingError, match=words) as caught:
        allocate(mnist(), SPECK, **options)  # type: ignore[arg-type]
    assert caught.value.report is None


def test_an_empty_network_needs_nothing() -> None:
    assert allocate(NetworkShape(()), SPECK).parts == ()


def uneven() -> tuple[NetworkShape, ChipSpec]:
    """Fits only in parts of different sizes, which the search for equal parts does not find."""
    chip = synthetic_chip([(1 << 10, words, 0) for words in (40, 24, 24, 8)])
    return NetworkShape(tuple(LayerShape(f"l{i}", (1, 1, 8), 6, 1) for i in range(2))), chip


def test_a_budget_that_is_spent_is_told() -> None:
    network, chip = uneven()
    assert [found.stop for found in alternatives(network, chip, limit=1)] == ["solved"]
    with pytest.raises(MappingError, match="budget") as caught:
        allocate(network, chip, budget=1)
    assert caught.value.report.stop == "budget spent"


def test_equal_parts_where_exhaustion_is_too_much() -> None:
    """Valid, with as many parts as the exact search has, if the sizes allow it."""
    wide = chain(*(LayerShape(f"l{i}", (32, 64, 64), 32, 1) for i in range(3)))
    chip = synthetic_chip([(1 << 14, 1 << 16, 0)] * 7)
    found = allocate(wide, chip, budget=1)
    exact = allocate(wide, chip)
    assert (found.stop, exact.stop) == ("budget spent", "solved")
    assert len(found.parts) == len(exact.parts) == 6
    assert_valid(found, wide, chip)


def layers_of(count: int, features: int) -> Sequence[LayerShape]:
    rng = np.random.default_rng(0)
    sizes = [2, *(int(size) for size in rng.integers(8, features, count))]
    return [LayerShape(f"l{i}", (sizes[i], 32, 32), sizes[i + 1], 3, padding=(1, 1)) for i in range(count)]


def test_large_chips() -> None:
    kinds = [(core.kernel_words, core.neuron_words, core.bias_words) for core in SPECK.cores]
    chip = synthetic_chip([kinds[i % len(kinds)] for i in range(300)])
    network = chain(*layers_of(150, 20))
    assert_valid(allocate(network, chip), network, chip)
    with pytest.raises(MappingError, match=r"compete|fit no core|takes"):
        allocate(chain(*layers_of(301, 20)), chip)


def hashed(code: str, seed: str) -> str:
    """What the code prints where sets and dicts are hashed with this seed."""
    environment = {**os.environ, "PYTHONHASHSEED": seed}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return done.stdout


SCRIPT = """
from tests.allocation.networks import mnist, random_case, SPECK
from chipflow.allocation import alternatives
from chipflow.errors import MappingError
from hwconfig import get_chip
print(alternatives(mnist(), SPECK, objective="speed"))
for seed in range(12):
    try:
        print(alternatives(*random_case(seed)))
    except MappingError as error:
        print(error, error.report.model_dump_json())
"""


def test_the_same_bytes_under_any_hash_seed() -> None:
    outputs = [hashed(SCRIPT, seed) for seed in ("1", "2")]
    assert outputs[0] == outputs[1]
    assert len(outputs[0]) > 1000


@pytest.mark.parametrize("name", ["speck2cmini", "speck2e", "dynapcnn"])
def test_other_chips(name: str) -> None:
    chip = get_chip(name)
    small = chain(*(replace(layer, has_bias=False) for layer in mnist().layers[:3]))
    found = allocate(small, chip)
    assert_valid(found, small, chip)
