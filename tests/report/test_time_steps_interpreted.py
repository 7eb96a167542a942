"""Without causes, the simulator of a configuration gives what the interpreter gives of the network that it was compiled from."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from chipflow.compiler import compile, lower
from chipflow.emulator.time_steps import Causes, TimeSteps
from chipflow.events import events_to_raster, make_events
from chipflow.ir.interpret import interpret
from chipflow.report.float_numbers import float_numbers
from chipflow.snn import IAF, SumPool2d


def test_without_causes_it_is_the_time_stepped_interpreter() -> None:
    """Pools, strides and biases, in integers and in floats that add without rounding."""
    torch.manual_seed(1)
    layers = [nn.Conv2d(2, 4, 3, padding=1), IAF(), SumPool2d(2), nn.Conv2d(4, 5, 3, stride=2), IAF(), nn.Flatten()]
    model = nn.Sequential(*layers, nn.Linear(20, 3), IAF())
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_((parameter * 64 + 4).round() / 64)
    shape = (2, 12, 12)
    program = compile(model, "speck2f", shape, time_step_us=1000)
    rng = np.random.default_rng(0)
    t = np.sort(rng.integers(0, 20_000, 1500))
    events = make_events(rng.integers(0, 12, 1500), rng.integers(0, 12, 1500), t, rng.integers(0, 2, 1500))
    raster = events_to_raster(events, shape, 1000, 20_000)
    simulator = TimeSteps(
        program.config, time_step_us=1000, entries=program.entries, slow_clock_period_us=1000,
        floats=float_numbers(program, lower(model, shape)),
    )  # fmt: skip
    for causes, graph in ((Causes(rounding=True), program.graph), (Causes(), lower(model, shape))):
        run = simulator.run(events, causes, duration=20_000)
        values = interpret(graph, raster)
        for record in program.layers:
            (neuron,) = graph.targets(record.name)
            wanted = values[neuron].reshape(len(raster), *run.spikes[record.core].shape)
            steps = run.spikes[record.core].steps(1000)
            mine = np.zeros(wanted.shape)
            np.add.at(mine, (steps, *np.unravel_index(run.spikes[record.core].neurons, wanted.shape[1:])), 1)
            np.testing.assert_array_equal(mine, wanted)
            assert wanted.any()
