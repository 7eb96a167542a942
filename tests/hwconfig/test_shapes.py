"""Limits without weights: the same rules as with them."""

from __future__ import annotations

import numpy as np

from hwconfig import (
    CoreShape,
    Destination,
    Dimensions,
    MemoryNeed,
    ShapeDestination,
    check_core,
    check_sensor_targets,
    check_shape,
    get_chip,
    memory_need,
    most_features,
)
from hwconfig.rules import RULES
from hwconfig.rules.catalogue import ShapeRule
from tests.hwconfig.builders import small_core

CHIP = get_chip("speck2f")
ABOUT_SHAPES = [rule.name for rule in RULES.values() if isinstance(rule, ShapeRule)]


def test_a_shape_is_judged_as_the_core_that_it_becomes() -> None:
    wrong = Dimensions(kernel_size=20, stride=(3, 1), padding=(9, 0), input_shape=(2, 200, 4), output_shape=(3, 4, 4))
    targets = tuple(Destination(layer=i, pooling=3, feature_shift=-1) for i in range(3))
    core = small_core(dimensions=wrong, destinations=targets)
    by_core = [found for found in check_core(core, CHIP, "it").errors if found.rule in ABOUT_SHAPES]
    assert check_shape(core, CHIP, "it").errors == tuple(by_core)
    shape = CoreShape(wrong, tuple(ShapeDestination(f"layer{i}", 3, -1) for i in range(3)))
    found = check_shape(shape, CHIP, "it").errors
    assert [(one.rule, one.needed, one.available) for one in found] == [(one.rule, one.needed, one.available) for one in by_core]
    assert {one.rule for one in found} == set(ABOUT_SHAPES) - {"features"}


def test_targets_are_named_before_there_are_cores() -> None:
    size = Dimensions.convolution((1, 4, 4), 2, 1)
    shape = CoreShape(size, (ShapeDestination("conv2", pooling=3), ShapeDestination("", pooling=5)))
    problems = [found.problem for found in check_shape(shape, CHIP, "it").errors]
    assert ["towards layer 'conv2'" in problems[0], "towards the readout block" in problems[1]] == [True, True]
    assert not check_shape(CoreShape(size, (ShapeDestination("conv2", pooling=3, enable=False),)), CHIP, "it").errors


def test_the_sensor_has_as_many_destinations_as_a_core() -> None:
    most = CHIP.limits.destinations
    assert check_sensor_targets(most, CHIP).ok
    assert [found.rule for found in check_sensor_targets(most + 1, CHIP).errors] == ["sensor-fan-out"]


def test_most_features_is_where_the_formulas_end() -> None:
    rng = np.random.default_rng(0)
    for _ in range(500):
        memories = MemoryNeed(*(int(2 ** rng.uniform(0, 14)) for _ in range(2)), bias=int(rng.integers(0, 40)))
        features, height, width, kernel = (int(rng.integers(1, most)) for most in (20, 20, 20, 6))
        biased = bool(rng.random() < 0.5)
        most = most_features(memories, features, height, width, kernel, has_bias=biased)

        def fits(count: int) -> bool:
            need = memory_need((features, 1, 1), (count, height, width), kernel, has_bias=biased)  # noqa: B023
            return need.kernel <= memories.kernel and need.neuron <= memories.neuron and need.bias <= memories.bias  # noqa: B023

        assert most == 0 or fits(most)
        assert not fits(most + 1)
