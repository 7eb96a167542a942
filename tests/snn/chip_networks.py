"""Random chains of cores, and the emulator's answers to the same events, for the tests of the chip-faithful mode."""

from dataclasses import dataclass
from random import Random

import numpy as np
import torch
from torch import nn

from chipflow import Program, compile
from chipflow.emulator import Emulator
from chipflow.errors import QuantizationError
from chipflow.events import make_events
from chipflow.snn import IAF, SumPool2d
from hwconfig import synthetic_chip

LARGE = synthetic_chip([(1 << 20, 1 << 18, 1 << 10)] * 12, limits={"poolings": [1, 2, 3, 4, 6, 8]})
STEP_US = 100


@dataclass(frozen=True)
class Chain:
    """A network, the shape of its input, and its program; all layers are monitored."""

    model: nn.Sequential
    shape: tuple[int, ...]
    program: Program

    @property
    def emulator(self):
        """A new one, which counts what does not fit into 16 bits."""
        clock = self.program.slow_clock_period_us
        return Emulator(self.program.config, entries=self.program.entries, slow_clock_period_us=clock, strict=False)

    def core(self, name):
        return self.program.placement[name]


def compiled(model, shape, **options):
    """The chain of a model."""
    first = compile(model, LARGE, shape, time_step_us=STEP_US, **options)
    return Chain(model, shape, compile(model, LARGE, shape, time_step_us=STEP_US, monitor=list(first.parts), **options))


def random_chain(seed):
    """One to four cores: kernels, strides, paddings, pools, biases, resets, thresholds and bounds of all kinds."""
    rng = Random(seed)
    torch.manual_seed(seed)
    while True:
        model, shape = random_layers(rng)
        try:
            return compiled(model, shape)
        except QuantizationError:
            continue  # a core that cannot fire


def random_layers(rng):
    channels, side = rng.choice([1, 2, 3]), rng.choice([5, 6, 8, 9])
    shape, bias = (channels, side, side + rng.choice([0, 1])), rng.random() < 0.5
    layers, now = [], shape
    for index in range(rng.choice([1, 2, 2, 3])):
        if index:
            now = add_pool(layers, now, rng)
        now = add_conv(layers, now, bias, rng)
    if rng.random() < 0.5:
        now = add_pool(layers, now, rng)
        features = rng.choice([1, 3, 10])
        layers += [nn.Flatten(), nn.Dropout(), nn.Linear(int(np.prod(now)), features, bias=bias), neurons(rng)]
        excite(layers[-2], rng)
    return nn.Sequential(*layers), shape


def add_pool(layers, shape, rng):
    size = rng.choice([1, 1, 2, 2, 3])
    if size == 1 or min(shape[1:]) < size:
        return shape
    layers.append(rng.choice([nn.AvgPool2d, SumPool2d])(size))
    return shape[0], shape[1] // size, shape[2] // size


def add_conv(layers, shape, bias, rng):
    kernel = rng.choice([k for k in (1, 2, 3, 5) if k <= min(shape[1:])])
    stride, padding = (rng.choice([1, 1, 2]), rng.choice([1, 1, 2])), (rng.choice([0, 1]), rng.choice([0, 1]))
    conv = nn.Conv2d(shape[0], rng.choice([1, 2, 5]), kernel, stride, padding, bias=bias)
    excite(conv, rng)
    layers += [conv, neurons(rng)]
    sides = [(n + 2 * p - kernel) // s + 1 for n, p, s in zip(shape[1:], padding, stride, strict=True)]
    return conv.out_channels, *sides


def excite(layer, rng):
    """Weights that make spikes, some 0, and biases of both signs, some of which fire by themselves."""
    with torch.no_grad():
        layer.weight.normal_(0.1, 0.6).mul_(torch.rand_like(layer.weight) > 0.2).mul_(rng.choice([0.5, 1, 3]))
        if layer.bias is not None:
            layer.bias.normal_(0.0, 0.3).mul_(torch.rand_like(layer.bias) > 0.3)


def neurons(rng):
    threshold = rng.choice([0.5, 1.0, 1.7])
    return IAF(threshold, rng.choice([-threshold, -0.3, None]), reset=rng.choice(["subtract", "subtract", "zero"]))


def random_raster(shape, batch, steps, seed, rate=0.3):
    """Counts from 0 to 2."""
    generator = torch.Generator().manual_seed(seed)
    chance = torch.rand(batch, steps, *shape, generator=generator)
    return (chance < rate).float() + (chance < rate / 4)


def random_events(shape, count, until_us, seed):
    """Events in any order within equal times, none at the time of a tick: there, times do not tell what belongs to which step."""
    rng = np.random.default_rng(seed)
    t = np.sort(rng.integers(0, until_us, count))
    t += t % STEP_US == 0
    p, y, x = (rng.integers(0, size, count) for size in (*shape, 1, 1)[:3])
    return make_events(x, y, t, p)


def assert_same_run(faithful, run, sample, chain, emulator, result, per_step=None):
    """Counts of every layer (in every step of this many microseconds), states, synaptic operations and what was cut off."""
    states = faithful.integer_states()
    for name, counts in run.counts.items():
        core = chain.core(name)
        mine, counters = counts[sample].detach().numpy(), result.counters[core]
        shape = result.shapes[core]
        np.testing.assert_array_equal(mine.sum(0).reshape(shape), result.counts(core), err_msg=name)
        np.testing.assert_array_equal(states[name][sample], emulator.state(core), err_msg=name)
        if per_step is not None:
            ticks = chain.program.slow_clock_period_us is not None
            wanted = by_step(result, core, len(mine), per_step, ticks)
            np.testing.assert_array_equal(mine.reshape(wanted.shape), wanted, err_msg=name)
        if not_embedded(chain, name):
            assert run.synops[name][sample].item() == counters.synops, name


def by_step(result, core, steps, dt_us, ticks):
    """Spikes in every step; those of a tick, which are the only ones at its time, belong to the step that it ends."""
    events = result.events[result.events["layer"] == core]
    raster = np.zeros((steps, *result.shapes[core]))
    t = events["t"] - (ticks & (events["t"] % STEP_US == 0))
    np.add.at(raster, (t // dt_us, events["p"], events["y"], events["x"]), 1)
    return raster


def not_embedded(chain, name):
    """Whether the core has the layer's own kernel, and no larger one around it."""
    layer = chain.model.get_submodule(name)
    return (
        isinstance(layer, nn.Linear) or layer.kernel_size[0] == chain.program.config.core(chain.core(name)).dimensions.kernel_size
    )
