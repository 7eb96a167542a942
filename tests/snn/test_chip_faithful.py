"""The chip-faithful mode against the emulator: spikes, states and operations of every layer, event by event."""

import numpy as np
import pytest
import torch
from torch import nn

from chipflow import compile
from chipflow.events import make_events, raster_to_events
from chipflow.snn import IAF, SumPool2d
from chipflow.snn.chip import ChipFaithful
from tests.emulator.silicon import data_folder, read_nmnist
from tests.nmnist import INPUT_SHAPE, nmnist_network
from tests.snn.chip_networks import (
    STEP_US,
    assert_same_run,
    compiled,
    random_chain,
    random_events,
    random_raster,
)

STEPS, BATCH = 7, 3


@pytest.mark.parametrize("seed", range(24))
def test_rasters_as_on_the_emulator_and_states_go_on(seed):
    chain = random_chain(seed)
    faithful = ChipFaithful(chain.model, chain.shape)
    emulators = [chain.emulator for _ in range(BATCH)]
    for call in range(2):
        raster = random_raster(chain.shape, BATCH, STEPS, seed=10 * seed + call)
        run = faithful.run(raster)
        results = [
            emulator.run(raster_to_events(sample.numpy(), STEP_US), duration=STEPS * STEP_US)
            for sample, emulator in zip(raster, emulators, strict=True)
        ]
        for sample, (emulator, result) in enumerate(zip(emulators, results, strict=True)):
            assert_same_run(faithful, run, sample, chain, emulator, result)
        assert run.clipped == {name: sum(cut_off(chain, result, name) for result in results) for name in run.counts}


def cut_off(chain, result, name):
    counters = result.counters[chain.core(name)]
    unbounded = chain.program.config.core(chain.core(name)).threshold_low == -32768
    return counters.upper_clamped + (counters.lower_clamped if unbounded else 0)


@pytest.mark.parametrize("seed", range(100, 116))
@pytest.mark.parametrize("ticks_per_step", [1, 3])
def test_recordings_as_on_the_emulator_step_by_step(seed, ticks_per_step):
    chain = random_chain(seed)
    dt_us = ticks_per_step * STEP_US
    recordings = [random_events(chain.shape, count, 5 * dt_us, seed) for count in (300, 0, 40)]
    faithful = ChipFaithful(chain.model, chain.shape)
    run = faithful.run(recordings, dt_us=dt_us, num_steps=5, time_step_us=STEP_US)
    for sample, events in enumerate(recordings):
        emulator = chain.emulator
        result = emulator.run(events, duration=5 * dt_us)
        assert_same_run(faithful, run, sample, chain, emulator, result, per_step=dt_us)


def test_random_chains_are_busy():
    """What is compared above: most layers spike, and there are all kinds of them."""
    counts, biases, zero, several = [], 0, 0, 0
    for seed in range(24):
        chain = random_chain(seed)
        found = ChipFaithful(chain.model).run(random_raster(chain.shape, 1, STEPS, seed)).counts
        counts += [one.sum().item() for one in found.values()]
        several += any(bool((one > 1).any()) for one in found.values())
        biases += chain.program.slow_clock_period_us is not None
        zero += any(module.reset == "zero" for module in chain.model if isinstance(module, IAF))
    assert np.mean(np.array(counts) > 0) > 0.8
    assert min(biases, zero, several) >= 6


def test_an_event_at_the_time_of_a_tick_comes_after_it():
    conv = nn.Conv2d(1, 1, 1)
    with torch.no_grad():
        conv.weight.fill_(0.5)
        conv.bias.fill_(0.5)
    chain = compiled(nn.Sequential(conv, IAF()), (1, 1, 1))
    events = make_events(0, 0, [0, STEP_US, STEP_US, 3 * STEP_US - 1], 0)
    run = ChipFaithful(chain.model, chain.shape).run([events], dt_us=STEP_US, num_steps=3)
    assert run.output.flatten().tolist() == [1.0, 1.0, 1.0]  # event + tick, event + event (then a tick), event (then a tick)
    emulator = chain.emulator
    result = emulator.run(events, duration=3 * STEP_US)
    assert result.events["t"].tolist() == [STEP_US, STEP_US, 3 * STEP_US - 1]


def test_one_spike_an_event_and_the_next_update_fires_again():
    """A neuron far above its threshold fires at the next synapse, also one that is inhibitory; no synapse, no spike."""
    conv = nn.Conv2d(3, 1, 1, bias=False)
    with torch.no_grad():
        conv.weight.copy_(torch.tensor([1.0, 0.0, -0.01]).reshape(1, 3, 1, 1))
    model = nn.Sequential(conv, IAF(threshold=0.3))
    raster = torch.zeros(1, 4, 3, 1, 1)
    raster[0, [0, 1, 2, 3], [0, 1, 2, 2]] = 1
    assert ChipFaithful(model)(raster).flatten().tolist() == [1.0, 0.0, 1.0, 1.0]


def test_pools_that_the_compiler_folds_into_kernels_and_kernels_that_are_not_square():
    torch.manual_seed(5)
    model = nn.Sequential(
        nn.AvgPool2d(2),
        SumPool2d(2),
        nn.Conv2d(1, 3, (3, 1), padding=(1, 0), bias=False),
        IAF(0.2),
        nn.AvgPool2d(1),
        nn.Conv2d(3, 2, 3, bias=False),
        IAF(),
        nn.Flatten(),
    )
    chain = compiled(model, (1, 16, 19))
    faithful = ChipFaithful(model)
    raster = random_raster(chain.shape, 1, 10, 0)
    run = faithful.run(raster)
    assert run.output.shape == (1, 10, 2 * 2 * 2)
    emulator = chain.emulator
    result = emulator.run(raster_to_events(raster[0].numpy(), STEP_US))
    for name, counts in run.counts.items():
        core = chain.core(name)
        np.testing.assert_array_equal(counts[0].sum(0).detach().numpy(), result.counts(core))
        np.testing.assert_array_equal(faithful.integer_states()[name][0], emulator.state(core))
    assert sum(counts.sum().item() for counts in run.counts.values()) > 50


def test_rows_through_linear_layers():
    torch.manual_seed(3)
    model = nn.Sequential(nn.Linear(28, 16), IAF(), nn.Linear(16, 10), IAF(0.5))
    chain = compiled(model, (28,))
    faithful = ChipFaithful(model)
    raster = random_raster((28,), 2, 28, 1)
    run = faithful.run(raster)
    assert run.output.shape == (2, 28, 10)
    for sample in range(2):
        emulator = chain.emulator
        result = emulator.run(raster_to_events(raster[sample, :, :, None, None].numpy(), STEP_US), duration=28 * STEP_US)
        assert_same_run(faithful, run, sample, chain, emulator, result)


@pytest.mark.parametrize("mode", ["default", "sinabs"])
def test_integers_are_those_of_the_compiler(mode):
    torch.manual_seed(4)
    model = nn.Sequential(nn.Conv2d(2, 3, 3), IAF(), nn.AvgPool2d(3), nn.Flatten(), nn.Linear(12, 4), IAF(0.7, -0.2))
    chain = compiled(model, (2, 8, 8), quantization=mode)
    for name, numbers in ChipFaithful(model, quantization=mode).quantised().items():
        core = chain.program.config.core(chain.core(name))
        np.testing.assert_array_equal(numbers.weights.reshape(core.weights.shape), core.weights)
        np.testing.assert_array_equal(numbers.biases, core.biases)
        assert (numbers.threshold, numbers.lower_bound) == (core.threshold_high, core.threshold_low)


def test_states_beyond_16_bits_are_cut_off_and_counted():
    conv = nn.Conv2d(1, 1, 1, bias=False)
    with torch.no_grad():
        conv.weight.fill_(1.0)
    chain = compiled(nn.Sequential(conv, IAF(threshold=0.01, min_v_mem=None)), (1, 1, 1))
    faithful = ChipFaithful(chain.model)
    run = faithful.run(torch.full((1, 1, 1, 1, 1), 300.0))
    emulator = chain.emulator
    result = emulator.run(make_events(0, 0, np.zeros(300, int), 0))
    assert run.clipped["0"] == result.counters[chain.core("0")].upper_clamped > 0
    assert faithful.integer_states()["0"].item() == emulator.state(chain.core("0")).item()


def test_samples_in_threads_give_the_same():
    chain = random_chain(7)
    raster = random_raster(chain.shape, 16, 40, 0, rate=0.9)
    threads = torch.get_num_threads()
    found = []
    try:
        for number in (1, 3):
            torch.set_num_threads(number)
            found.append(ChipFaithful(chain.model)(raster))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(*found)


def test_what_was_trained_runs_on_the_emulator_as_in_training():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3, bias=False), IAF(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(16, 2), IAF())
    faithful = ChipFaithful(model)
    raster, labels = random_raster((1, 6, 6), 8, 10, 0, rate=0.1), torch.arange(8) % 2
    raster[labels == 1, :, :, :3] = 0
    raster[labels == 0, :, :, 3:] = 0
    optimizer = torch.optim.Adam(faithful.parameters(), 0.02)
    losses = []
    for _ in range(25):
        faithful.reset_states()
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(faithful(raster).sum(1), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    faithful.reset_states()
    counts = faithful(raster).sum(1)
    assert (counts.argmax(1) == labels).all()
    program = compile(model, "speck2f", (1, 6, 6), time_step_us=STEP_US)
    for sample, events in enumerate(raster):
        result = program.run(raster_to_events(events.numpy(), STEP_US), duration=10 * STEP_US)
        assert result.counts().ravel().tolist() == counts[sample].tolist()


def test_real_recordings_through_the_network_of_the_silicon():
    pytest.importorskip("nir")
    network = nmnist_network(data_folder("silicon") / "cnn_sinabs.nir")
    folder = data_folder("nmnist_small")
    recordings = [read_nmnist(folder / f"{number}.bs2") for number in (1, 2, 3, 60001)]
    chain = compiled(network, INPUT_SHAPE)
    faithful = ChipFaithful(network, INPUT_SHAPE)
    with torch.no_grad():
        run = faithful.run(recordings, dt_us=10_000)
    for sample, events in enumerate(recordings):
        emulator = chain.emulator
        assert_same_run(faithful, run, sample, chain, emulator, emulator.run(events), per_step=10_000)
    assert all(counts.sum() > 1000 for counts in run.counts.values())
