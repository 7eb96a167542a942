"""Where layers are placed, by what the user wants; and that it makes no difference to what they compute."""

from __future__ import annotations

import numpy as np
import pytest

from chipflow import Program, alternatives, compile, fit
from chipflow.errors import CompileError, MappingError
from chipflow.events import make_events
from hwconfig import get_chip
from tests.compiler.networks import mnist_cnn, small_cnn


def recording(shape: tuple[int, int, int], count: int = 400):
    rng = np.random.default_rng(0)
    p, y, x = (rng.integers(0, side, count) for side in shape)
    return make_events(x, y, np.arange(count) * 10, p)


def total_time(program: Program, synops: dict[str, int]) -> float:
    """Seconds of all layers' operations at their cores' ratings."""
    ratings = {core.id: core.synops_per_second for core in program.config.chip.cores}
    return sum(synops[name] / ratings[core] for name, core in program.placement.items())


def test_speed_puts_the_layer_with_most_operations_on_the_fastest_core() -> None:
    chip = get_chip("speck2f")
    fastest = max(chip.cores, key=lambda core: core.synops_per_second).id
    for events in (recording((2, 8, 8)), None):
        program = compile(small_cnn(), chip, (2, 8, 8), objective="speed", recording=events)
        counters = program.run(recording((2, 8, 8))).counters
        synops = {name: counters[core].synops for name, core in program.placement.items()}
        assert program.placement[max(synops, key=synops.__getitem__)] == fastest
    default = compile(small_cnn(), chip, (2, 8, 8))
    assert fastest not in default.placement.values()
    assert total_time(program, synops) < total_time(default, synops)


def test_memory_keeps_the_large_cores_free() -> None:
    program = compile(small_cnn(), "speck2f", (2, 8, 8))
    words = {core.id: core.kernel_words + core.neuron_words for core in program.config.chip.cores}
    free = sorted(words[core] for core in words if core not in program.placement.values())
    assert free == sorted(words.values())[len(program.placement) :]


def test_alternatives_are_distinct_legal_and_compute_the_same() -> None:
    found = alternatives(small_cnn(), "speck2f", (2, 8, 8), limit=12)
    assert len({tuple(each.placement.items()) for each in found}) == 12
    assert found[0].placement == compile(small_cnn(), "speck2f", (2, 8, 8)).placement
    events = recording((2, 8, 8))
    expected = compile(small_cnn(), "speck2f", (2, 8, 8)).run(events)
    for each in found:
        program = compile(small_cnn(), "speck2f", (2, 8, 8), layer2core_map=each.layer2core_map)
        assert program.placement == each.placement
        result = program.run(events)
        np.testing.assert_array_equal(result.counts(), expected.counts())
        assert result.events["t"].tolist() == expected.events["t"].tolist()


def test_an_untrained_network_is_placed_by_its_sizes_alone() -> None:
    model = mnist_cnn()
    for parameter in model.parameters():
        parameter.data.zero_()  # no layer could fire
    placed = fit(model, "speck2f", (1, 28, 28))
    assert placed.placement == compile(mnist_cnn(), "speck2f", (1, 28, 28)).placement
    assert placed.rows() == compile(mnist_cnn(), "speck2f", (1, 28, 28)).memory_rows()
    assert "fits" in placed.summary()


def test_what_is_wanted_must_exist() -> None:
    with pytest.raises(MappingError, match="objective"):
        compile(small_cnn(), input_shape=(2, 8, 8), objective="beauty")  # type: ignore[arg-type]
    with pytest.raises(CompileError, match="monitor"):
        compile(small_cnn(), input_shape=(2, 8, 8), monitor=["nothing"])
    with pytest.raises(CompileError, match="layer2core_map"):
        compile(small_cnn(), input_shape=(2, 8, 8), layer2core_map="best")
