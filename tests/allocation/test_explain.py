"""Why not, and what would help: reports against brute force, levers by using them."""

from __future__ import annotations

import pickle
from dataclasses import replace

import pytest

from chipflow.allocation import MappingReport, allocate, apply_lever
from chipflow.allocation.edits import with_layers
from chipflow.allocation.report import Lever
from chipflow.errors import MappingError
from chipflow.ir.plan import LayerShape, Link, NetworkShape
from hwconfig import ChipSpec, get_chip, memory_need, synthetic_chip
from tests.allocation.brute import all_placements, holds, legal, smallest_competing
from tests.allocation.networks import SPECK, chain, link, mnist, random_case

MINI = get_chip("speck2cmini")


def refused(network: NetworkShape, chip: ChipSpec, pins: dict[str, int] | None = None, **options: object) -> MappingError:
    with pytest.raises(MappingError) as caught:
        allocate(network, chip, pins, **options)  # type: ignore[arg-type]
    return caught.value


def possible(network: NetworkShape, chip: ChipSpec) -> bool:
    """By brute force, limits that the random networks cannot break apart."""
    return all(min(layer.output_shape) >= 1 for layer in network.layers) and next(all_placements(network, chip), None) is not None


CASES = [case for case in map(random_case, range(220)) if not possible(*case)]


@pytest.fixture(scope="module")
def refusals() -> list[tuple[NetworkShape, ChipSpec, MappingError]]:
    return [(network, chip, refused(network, chip)) for network, chip in CASES]


def test_reports_survive_json_and_pickle(refusals: list[tuple[NetworkShape, ChipSpec, MappingError]]) -> None:
    for _, _, error in refusals:
        report = error.report
        assert str(error).splitlines()[0] == report.headline
        assert MappingReport.model_validate_json(report.model_dump_json()) == report
        again = pickle.loads(pickle.dumps(error))
        assert (str(again), again.report) == (str(error), report)
    assert MappingError("alone").report is None


def test_the_competing_set_is_a_smallest_one(refusals: list[tuple[NetworkShape, ChipSpec, MappingError]]) -> None:
    sizes = set()
    for network, chip, error in refusals:
        able = [frozenset(core.id for core in chip.cores if holds(core, layer, layer.features)) for layer in network.layers]
        smallest, competing = smallest_competing(able), error.report.competing
        assert (competing is None) == (smallest is None)
        if competing is not None:
            names = [layer.name for layer in network.layers]
            assert len(competing.layers) == smallest
            assert frozenset(competing.cores) == frozenset().union(*(able[names.index(name)] for name in competing.layers))
            assert len(competing.cores) < len(competing.layers)
            assert competing.smallest
            sizes.add(smallest)
    assert {1, 2, 3} <= sizes


def test_every_lever_does_what_it_says(refusals: list[tuple[NetworkShape, ChipSpec, MappingError]]) -> None:
    """Sufficient or not, and features at most: one more would not do. By brute force."""
    enough = together = 0
    for network, chip, error in refusals:
        levers = error.report.levers
        assert [lever.sufficient for lever in levers] == sorted((lever.sufficient for lever in levers), reverse=True)
        for lever in levers:
            assert possible(apply_lever(network, lever), chip) == lever.sufficient, lever
            enough += lever.sufficient
            if lever.kind == "features" and lever.sufficient and isinstance(lever.value, int):
                assert not possible(apply_lever(network, lever.model_copy(update={"value": lever.value + 1})), chip)
        changed = network
        for lever in error.report.together:
            assert not possible(changed, chip)
            changed = apply_lever(changed, lever)
        if error.report.together:
            together += 1
            assert possible(changed, chip)
            assert not any(lever.sufficient for lever in levers)
            assert [lever.sufficient for lever in error.report.together].index(True) == len(error.report.together) - 1
    assert enough > 50
    assert together > 20


def test_needs_and_capacities_are_those_of_the_formulas(refusals: list[tuple[NetworkShape, ChipSpec, MappingError]]) -> None:
    for network, chip, error in refusals:
        for layer, told in zip(network.layers, error.report.layers, strict=True):
            need = memory_need(layer.input_shape, layer.output_shape, layer.kernel_size, has_bias=layer.has_bias)
            assert told.need.model_dump() == {"kernel": need.kernel, "neuron": need.neuron, "bias": need.bias}
            assert told.cores == tuple(core.id for core in chip.cores if holds(core, layer, layer.features))
            for fit in told.fits:
                core = chip.core(error.report.kinds[fit.kind].cores[0])
                most = max((n for n in range(layer.features + 1) if n == 0 or holds(core, layer, n)), default=0)
                assert fit.most_features == most
                assert (not fit.overflow) == (core.id in told.cores)
        assert bool(error.report.limits) == (not legal(network, chip))


def kinds(error: MappingError) -> list[tuple[str, str]]:
    return [(lever.kind, lever.layer) for lever in error.report.levers if lever.sufficient]


def test_too_large_for_any_core() -> None:
    network = chain(
        LayerShape("conv1", (2, 64, 64), 32, 3, padding=(1, 1), links=link("x", pooling=2)),
        LayerShape("fc", (32, 32, 32), 10, 32, whole_map=True),
    )
    error = refused(network, SPECK)
    text = str(error)
    assert error.report.headline == "layer 'fc' is beyond what speck2f allows: kernel size 32, allowed is 1 to 16"
    assert "[kernel-size] 'fc'" in text
    assert ("stride", "conv1") in kinds(error)
    assert ("pooling", "fc") in kinds(error)
    stride = next(lever for lever in error.report.levers if lever.kind == "stride")
    assert "stride 2 in 'conv1' (now 1)" in text
    changed = apply_lever(network, stride)
    assert changed.layers[1].input_shape == (32, 16, 16)
    assert changed.layers[1].kernel_size == 16


def test_pins_are_named_and_can_be_removed() -> None:
    error = refused(mnist(), SPECK, {"conv1": 7})
    assert error.report.headline == "layer 'conv1' does not fit core 7 of speck2f, to which it is pinned"
    assert kinds(error)[0] == ("unpin", "conv1")
    assert error.report.unsplit[0].reason == "it is pinned to core 7; of its 20 features core 7 holds 16"
    blocked = refused(mnist(), SPECK, {"fc2": 6, "conv2": 5})
    assert "'conv2', 'conv3', 'fc1' fit only cores 5, 6" in blocked.report.headline
    assert [pin.layer for pin in blocked.report.pins] == ["fc2", "conv2"]


def test_another_chip_and_splitting_are_proposed() -> None:
    error = refused(mnist(), MINI, other_chips=[SPECK, MINI])
    assert kinds(error)[0] == ("chip", "")
    assert error.report.levers[0].value == "speck2f"
    wide = chain(LayerShape("a", (2, 64, 64), 32, 3, padding=(1, 1)), LayerShape("b", (32, 64, 64), 8, 1))
    split = refused(wide, SPECK, split=False)
    assert kinds(split)[0] == ("split", "")
    assert "'a' is split over cores 0, 2" in split.report.levers[0].effect
    assert "splitting was not allowed" in str(split)


def test_bias_memory_is_named() -> None:
    biased = chain(*(LayerShape(f"c{i}", (8, 8, 8), 8, 3, padding=(1, 1), has_bias=True) for i in range(3)))
    error = refused(biased, MINI)
    assert error.report.headline == "3 layers compete for 2 cores of speck2cmini: 'c0', 'c1', 'c2' fit only cores 3, 4"
    assert kinds(error)[:3] == [("bias", "c0"), ("bias", "c1"), ("bias", "c2")]
    assert "bias +8" in str(error)


def test_what_is_illegal_is_made_legal() -> None:
    layer = LayerShape("conv", (1, 32, 32), 2, 3, stride=(3, 3), padding=(1, 1))
    assert [lever.value for lever in refused(NetworkShape((layer,)), SPECK).report.levers if lever.kind == "stride"] == [(4, 4)]
    padded = LayerShape("conv", (1, 32, 32), 2, 16, padding=(9, 9))
    assert [lever.value for lever in refused(NetworkShape((padded,)), SPECK).report.levers if lever.kind == "padding"] == [(7, 7)]
    large = LayerShape("conv", (1, 32, 32), 2, 21, padding=(10, 10))
    found = [lever for lever in refused(NetworkShape((large,)), SPECK).report.levers if lever.sufficient]
    assert [(lever.kind, lever.value) for lever in found] == [("kernel", 15)]
    assert apply_lever(NetworkShape((large,)), found[0]).layers[0].padding == (7, 7)


def test_fan_out_beyond_the_limit() -> None:
    fan = NetworkShape(
        (LayerShape("a", (1, 8, 8), 4, 1, links=link("b", "c", "d")), *(LayerShape(name, (4, 8, 8), 4, 1) for name in "bcd"))
    )
    error = refused(fan, SPECK)
    assert "'a' is beyond what speck2f allows: 3 destinations" in error.report.headline
    assert error.report.fan_out[0].model_dump() == {"source": "a", "targets": ("b", "c", "d"), "needed": 3, "allowed": 2}
    many = NetworkShape(fan.layers[1:], ("b", "c", "d"))
    assert "the sensor is beyond" in refused(many, SPECK).report.headline


def test_why_splitting_does_not_help() -> None:
    fed = chain(LayerShape("a", (1, 64, 64), 4, 1), LayerShape("b", (4, 64, 64), 48, 3, padding=(1, 1)))
    assert "takes at least 3 parts, and its source 'a' has 2 destinations" in refused(fed, SPECK).report.unsplit[0].reason
    single = NetworkShape((LayerShape("a", (1024, 8, 8), 8, 16, padding=(7, 7)),))
    assert "a single feature is already too large" in refused(single, SPECK).report.unsplit[0].reason
    small = synthetic_chip([(1 << 10, 8, 0)] * 3)
    assert (
        "hold 3 of its 4 features" in refused(NetworkShape((LayerShape("a", (1, 1, 8), 4, 1),)), small).report.unsplit[0].reason
    )


def test_too_many_layers() -> None:
    error = refused(chain(*(LayerShape(f"c{i}", (8, 8, 8), 8, 1) for i in range(11))), SPECK)
    assert error.report.headline == "the network takes 11 cores, speck2f has 9"
    assert [lever.kind for lever in error.report.together] == ["leave_out", "leave_out"]
    apart = NetworkShape(tuple(LayerShape(f"c{i}", (8, 8, 8), 8, 1) for i in range(11)))
    assert "use 2 layers fewer" in str(refused(apart, SPECK))
    one = refused(chain(*(LayerShape(f"c{i}", (8, 8, 8), 8, 1) for i in range(10))), SPECK)
    assert kinds(one) == [("leave_out", f"c{i}") for i in range(1, 9)]
    without = apply_lever(chain(*(LayerShape(f"c{i}", (8, 8, 8), 8, 1) for i in range(10))), one.report.levers[0])
    assert [layer.name for layer in without.layers[:2]] == ["c0", "c2"]


def test_an_input_that_is_too_large_can_be_cropped() -> None:
    large = NetworkShape((LayerShape("conv", (2, 200, 130), 8, 3, stride=(4, 4)),))
    (crop,) = [lever for lever in refused(large, SPECK).report.levers if lever.sufficient]
    assert (crop.kind, crop.value) == ("crop", (128, 128))
    assert apply_lever(large, crop).layers[0].input_shape == (2, 128, 128)


def test_lines_are_short_enough_to_read() -> None:
    for network, pins in ((mnist(), {"conv1": 7}), (mnist(), {"fc2": 6, "conv2": 5})):
        assert max(map(len, str(refused(network, SPECK, pins)).splitlines()[1:])) <= 120


def test_added_and_concatenated_layers_change_together() -> None:
    def joined(shift: int) -> NetworkShape:
        reads = (4 + shift, 8, 8)
        return NetworkShape(
            (
                LayerShape("a", (1, 8, 8), 4, 1, links=(Link("b"), Link("c"))),
                LayerShape("b", (4, 8, 8), 4, 1, links=(Link("c", shift=shift),)),
                LayerShape("c", reads, 2, 1),
            )
        )

    fewer = Lever(kind="features", layer="a", value=3, words="", effect="", sufficient=True)
    added, beside = apply_lever(joined(0), fewer), apply_lever(joined(4), fewer)
    assert [layer.features for layer in added.layers] == [3, 3, 2]
    assert added.layers[2].input_shape == (3, 8, 8)
    assert [layer.features for layer in beside.layers] == [3, 4, 2]
    assert beside.layers[1].links == (Link("c", shift=3),)
    assert beside.layers[2].input_shape == (7, 8, 8)
    one_way = Lever(kind="stride", layer="b", value=(2, 2), words="stride 2 in 'b'", effect="", sufficient=True)
    with pytest.raises(MappingError, match="stride 2 in 'b'; layers that are added"):
        apply_lever(joined(0), one_way)
    with pytest.raises(MappingError, match="no layer 'z'"):
        apply_lever(joined(0), fewer.model_copy(update={"layer": "z"}))


def test_a_fully_connected_layer_keeps_seeing_the_whole_map() -> None:
    network = chain(LayerShape("conv", (1, 12, 8), 2, 1), LayerShape("fc", (2, 12, 8), 5, 12, padding=(0, 2), whole_map=True))
    assert network.layers[1].output_shape == (5, 1, 1)
    changed = with_layers(network, {"conv": replace(network.layers[0], stride=(2, 1))})
    assert changed is not None
    assert changed.layers[1].input_shape == (2, 6, 8)
    assert changed.layers[1].output_shape == (5, 1, 1)
    odd = with_layers(network, {"conv": replace(network.layers[0], kernel_size=2)})
    assert odd is not None
    assert odd.layers[1].output_shape == (5, 1, 1)
