"""States that do not stay, addresses that are not known, clocks and power, on the stand-in."""

from __future__ import annotations

import time
from unittest.mock import patch

import numpy as np
import pytest

from chipflow import open_device
from chipflow.backends.base import ClockedConfig
from chipflow.errors import DeviceBusyError, DeviceError
from chipflow.events import make_events
from hwconfig import ChipConfig, CoreConfig, Dimensions, neuron_address
from tests.backends.standin import standin
from tests.conformance.conftest import LAYERS, program_for

BOARD = "speck2fdevkit:0"
EVENTS = make_events([0, 1, 2], [0, 1, 2], [10, 20, 30], [0, 1, 0])


def one_core(core: int, shape: tuple[int, int, int], **fields: object) -> ChipConfig:
    """Every event is one spike."""
    dimensions = Dimensions(kernel_size=1, input_shape=(1, *shape[1:]), output_shape=shape)
    part = CoreConfig(
        dimensions=dimensions, weights=np.ones((shape[0], 1, 1, 1), int), threshold_high=1, threshold_low=-1, monitor_enable=True, **fields
    )  # fmt: skip
    return ChipConfig(chip="speck2f", cnn_layers={core: part})


def test_states_that_survive_a_configuration_are_written() -> None:
    """As on the chip, where sinabs waits a second and hopes."""
    program = program_for("speck2f")
    many = make_events(*np.tile([[0], [0], [5], [0]], 50))
    with standin(states_survive=True), open_device(BOARD) as device:
        first = device.run(program, many, monitor=LAYERS)
        assert any(device.states(name).any() for name in LAYERS)
        assert device.run(program, many, monitor=LAYERS).events.tolist() == first.events.tolist()
        device.reset_states()
        assert not any(device.states(name).any() for name in LAYERS)


def test_a_reset_that_does_nothing_is_found_where_no_state_looks_wrong() -> None:
    """One neuron in 64 is not at its initial value, and is not in the sample: whether a reset resets has to be tried out."""
    config = one_core(3, (1, 8, 8))
    states = np.zeros((1, 8, 8), int)
    states[0, 0, 3] = -5
    with standin(states_survive=True), open_device(BOARD) as device:
        device.load(config)
        device.set_states(3, states)
        device.reset_states()
        assert not device.states(3).any()


def test_a_reset_that_works_is_tried_out_once() -> None:
    config = one_core(3, (1, 8, 8))
    with standin() as samna, open_device(BOARD) as device:
        model = type(samna.device.open_device("Speck2fDevKit:0").get_model())
        with patch.object(model, "apply_configuration", autospec=True, side_effect=model.apply_configuration) as applied:
            for times in (2, 3, 4):
                device.load(config)
                assert applied.call_count == times


def test_an_answer_that_came_twice_is_not_taken_for_a_new_one() -> None:
    """Those of before are read first, and have all the addresses that are asked for."""
    config = one_core(3, (1, 4, 4))
    with standin() as samna, open_device(BOARD) as device:
        device.load(config)
        board = samna.device.open_device("Speck2fDevKit:0")
        answer = samna.speck2f.event.NeuronValue
        stale = [[answer(layer=3, address=address, neuron_state=99) for address in range(16)]]
        usual = type(board)._read
        with patch.object(type(board), "_read", lambda self: stale.pop() if stale else usual(self)):
            assert not device.states(3).any()


def test_states_are_not_read_while_a_stream_is_under_way() -> None:
    program = program_for("speck2f")
    with standin(), open_device(BOARD) as device:
        stream = device.stream(program, EVENTS, chunk_us=5)
        next(stream)
        with pytest.raises(DeviceError, match="has not ended"):
            device.states("1.5")
        list(stream)
        assert device.states("1.5").shape == (3, 1, 1)


def test_states_that_cannot_be_written_are_an_error() -> None:
    with standin(writes_ignored=True), open_device(BOARD) as device:
        device.load(program_for("speck2f"))
        with pytest.raises(DeviceError, match="does not keep what is written"):
            device.set_states("1.5", np.full((3, 1, 1), 5))


@pytest.mark.parametrize(("core", "warned"), [(0, True), (1, True), (3, False)])
def test_the_event_that_is_lost_after_a_sweep_is_announced(core: int, warned: bool) -> None:
    config = one_core(core, (1, 4, 4))
    with standin(first_event_lost=True), open_device(BOARD) as device:
        device.load(config)
        device.set_states(core, np.zeros((1, 4, 4), int))
        found = device.run(config, make_events([0, 1, 2], 0, [1, 2, 3], 0), reset=False)
        again = device.run(config, make_events([0, 1, 2], 0, [1, 2, 3], 0))
    assert len(found.events) == (2 if warned else 3)
    assert any("first-event-lost" in note for note in found.warnings()) == warned
    assert (len(again.events), again.warnings()) == (3, ())


def test_maps_whose_addresses_are_not_public_run_but_cannot_be_read() -> None:
    config = one_core(3, (2, 2, 8))
    with standin(), open_device(BOARD) as device:
        found = device.run(config, make_events([0, 7], [0, 1], [1, 2], 0))
        assert found.counts().sum() == 4
        assert any("no public addresses" in note for note in found.warnings())
        with pytest.raises(DeviceError, match="wider than high"):
            device.states(3)


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 4, 4), (20, 5, 3), (1, 8, 1)])
def test_addresses_of_a_whole_map_are_those_of_its_neurons(shape: tuple[int, int, int]) -> None:
    from chipflow.backends.board.states import addresses_of

    config = one_core(3, shape)
    found = addresses_of(config, 3)
    for place in np.ndindex(shape):
        assert found[place] == neuron_address(place, shape, config.chip.limits.neuron_address_bits)


def test_a_leak_needs_a_clock_and_gets_it() -> None:
    config = one_core(3, (1, 2, 2), biases=np.array([1]), leak_enable=True)
    with standin(), open_device(BOARD) as device:
        with pytest.raises(DeviceError, match=r"core 3: needs a slow clock.*ClockedConfig"):
            device.run(config, EVENTS[:0], duration=100)
        found = device.run(ClockedConfig(config, slow_clock_period_us=50), EVENTS[:0], duration=100)
    assert found.events["t"].tolist() == [50] * 4 + [100] * 4


@pytest.mark.parametrize("period", [1000, 3000])
def test_the_clock_is_set_in_ticks_per_second(period: int) -> None:
    """Whole numbers where they are whole."""
    config = one_core(3, (1, 2, 2), biases=np.array([1]), leak_enable=True)
    with standin() as samna, open_device(BOARD) as device:
        device.run(ClockedConfig(config, slow_clock_period_us=period), EVENTS[:0], duration=2 * period)
        io = samna.device.open_device("Speck2fDevKit:0").get_io_module()
        assert io._rate == 1e6 / period
        assert type(io._rate) is (int if period == 1000 else float)
        assert not io._on, "the clock stops with the run"


@pytest.mark.parametrize("old_names", [False, True])
def test_power_by_rail(old_names: bool) -> None:
    with standin(old_names=old_names), open_device(BOARD) as device:
        with device.measure_power(100) as readings:
            assert not readings.rails
            time.sleep(0.05)
        assert list(readings.rails) == ["VDD_IO", "VDD_RAM", "VDD_LOGIC", "VDD_PIXEL_DIGITAL", "VDD_PIXEL_ANALOG"]
        assert readings.rails["VDD_LOGIC"].mean_w == pytest.approx(367e-6)
        assert readings.total_w == pytest.approx(1171e-6)
        assert (readings.offset_w, readings.rate_hz) == (5e-5, 100)
        assert all(len(rail.t) >= 4 for rail in readings.rails.values())
        with pytest.raises(DeviceError, match=r"up to 100 samples a second, found 101"), device.measure_power(101):
            pass


def test_power_is_measured_once_at_a_time_and_ends_with_the_device() -> None:
    with standin() as samna, open_device(BOARD) as device:
        monitor = samna.device.open_device("Speck2fDevKit:0").get_power_monitor()
        with device.measure_power(100) as readings:
            with pytest.raises(DeviceBusyError, match="measuring power already"), device.measure_power(10):
                pass
            time.sleep(0.03)
        assert readings.total_w > 0
        with pytest.raises(DeviceError, match="is closed"), device.measure_power(100):
            device.close()
        assert monitor._rate == 0


def test_a_monitor_that_does_not_stop_is_left_after_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chipflow.backends.board.power.LONGEST_DRAIN_S", 0.2)
    with standin() as samna, open_device(BOARD) as device:
        monitor = type(samna.device.open_device("Speck2fDevKit:0").get_power_monitor())
        with patch.object(monitor, "stop_auto_power_measurement", lambda self: None), device.measure_power(100) as readings:
            pass
    assert readings.total_w > 0


def test_older_names_of_the_vendor_do_as_well() -> None:
    program = program_for("speck2f", bias=True)
    results = []
    for old_names in (False, True):
        with standin(old_names=old_names), open_device(BOARD) as device:
            results.append(device.run(program, EVENTS, duration=5000).events.tolist())
    assert results[0] == results[1]
