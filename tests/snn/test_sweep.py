"""Accuracy and synaptic operations against the time window."""

import sys
from dataclasses import FrozenInstanceError
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from chipflow.errors import ChipflowError
from chipflow.snn import IAF, from_model
from chipflow.snn.encoding import bernoulli, constant_current, latency, poisson
from chipflow.snn.sweep import WindowPoint, WindowSweep, sweep_time_windows


def pixel_network():
    """Class k counts the spikes of pixel k; three synaptic operations for each spike."""
    linear = nn.Linear(3, 3, bias=False)
    with torch.no_grad():
        linear.weight.copy_(torch.eye(3))
    return from_model(nn.Sequential(nn.Flatten(), linear, nn.ReLU()), input_shape=(1, 1, 3))


def random_network(seed=0):
    torch.manual_seed(seed)
    layers = nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(16, 5), nn.ReLU()
    return from_model(nn.Sequential(*layers), input_shape=(1, 6, 6))


def grey(number):
    return torch.rand((number, 1, 6, 6), generator=torch.Generator().manual_seed(number))


def test_a_network_that_counts_pixels():
    images = torch.cat([torch.eye(3), torch.zeros(1, 3)]).reshape(4, 1, 1, 3)
    sweep = sweep_time_windows(pixel_network(), images, [0, 1, 1, 0], windows=(8, 2, 8))
    assert [point.num_steps for point in sweep.points] == [2, 8]
    for point in sweep.points:
        assert point.accuracy == 75, "of the classes of a silent sample, the first counts"
        assert point.ties == 25
        assert point.synops == pytest.approx(3 * point.num_steps * 3 / 4)
    assert sweep.num_samples == 4
    assert sweep.encoding == "bernoulli"


@pytest.mark.parametrize("encode", [bernoulli, partial(poisson, max_rate=2.0), latency, constant_current])
def test_equals_one_sample_after_the_other(encode):
    network, images = random_network(), grey(7)
    labels = torch.tensor([0, 1, 2, 3, 4, 0, 1])
    sweep = sweep_time_windows(network, images, labels, (3, 12), encode=encode, batch_size=3, seed=10)
    for point in sweep.points:
        right = ties = 0
        for number, image in enumerate(images):
            random = {"seed": 10 + number} if encode not in (latency, constant_current) else {}
            network.reset_states()
            counts = network(encode(image, point.num_steps, **random).float())[0].sum(0).tolist()
            right += counts.index(max(counts)) == labels[number]
            ties += counts.count(max(counts)) > 1
        assert point.accuracy == pytest.approx(100 * right / 7)
        assert point.ties == pytest.approx(100 * ties / 7)


def test_synaptic_operations_are_those_of_plain_loops():
    """Every input spike reaches the outputs of its 3 x 3 neighbourhood that lie in the map, in four channels."""
    network, images = random_network(), grey(5)
    (point,) = sweep_time_windows(network, images, [0] * 5, (9,), batch_size=2).points
    assert list(point.layer_synops) == ["0", "4"]
    taps = sum(
        4
        for number, image in enumerate(images)
        for _, _, y, x in bernoulli(image, 9, seed=number)[0].nonzero().tolist()
        for ky in range(3)
        for kx in range(3)
        if 0 <= y - ky < 4 and 0 <= x - kx < 4
    )
    assert point.layer_synops["0"] == pytest.approx(taps / 5)
    assert point.synops == pytest.approx(sum(point.layer_synops.values()))


def test_the_same_again_and_in_other_batches():
    network, images, labels = random_network(), grey(6), [0, 1, 2, 3, 4, 0]
    sweep = partial(sweep_time_windows, network, images, labels, (4, 9))
    assert sweep() == sweep()
    assert sweep(batch_size=1).points == sweep(batch_size=6).points == sweep(batch_size=4).points
    assert sweep(seed=1) != sweep()
    assert sweep_time_windows(network, images.numpy(), np.array(labels), (4, 9)) == sweep()


def test_any_model_of_layers_with_states():
    network = pixel_network()
    layers = nn.Sequential(nn.Flatten(2), network.spiking_model[1], IAF())
    images = torch.eye(3).reshape(3, 1, 1, 3)
    one, other = (sweep_time_windows(model, images, [0, 1, 2], (2, 5)) for model in (network, layers.double()))
    assert [point.accuracy for point in one.points] == [point.accuracy for point in other.points] == [100, 100]
    assert [point.synops for point in one.points] == pytest.approx([point.synops for point in other.points])


def test_leaves_the_model_as_it_was_with_states_reset():
    model = nn.Sequential(nn.Flatten(2), nn.Dropout(0.9), nn.Linear(3, 3), IAF())
    model.train()
    model[2].eval()
    images = torch.eye(3).reshape(3, 1, 1, 3)
    before = [module.training for module in model.modules()]
    sweep = partial(sweep_time_windows, model, images, [0, 1, 2])
    assert sweep((5,)) == sweep((5,)), "dropout was off"

    def stop(items, what):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep((5,), progress=stop)
    assert [module.training for module in model.modules()] == before
    assert not model[3].states
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert torch.is_grad_enabled()


def test_the_counter_of_the_network_knows_nothing_of_it():
    network, images = random_network(), grey(3)
    network(bernoulli(images, 5).float())
    before = network.get_synops()
    sweep_time_windows(network, images, [0, 1, 2], (3, 8))
    assert network.get_synops() == before
    network.reset_states()
    network(torch.zeros(3, 5, 1, 6, 6))
    assert network.get_synops()["0"] == before["0"] / 2  # it counts again


def test_a_chip_faithful_network_counts_by_itself():
    network, images = random_network(), grey(5)
    with torch.no_grad():
        for index in (0, 4):
            network.spiking_model[index].weight.abs_()
    faithful = network.chip_faithful()
    (point,) = sweep_time_windows(faithful, images, [0, 1, 2, 3, 4], (9,), batch_size=2, seed=3).points
    faithful.reset_states()
    run = faithful.run(torch.cat([bernoulli(image, 9, seed=3 + number) for number, image in enumerate(images)]))
    assert point.layer_synops == pytest.approx({name: synops.mean().item() for name, synops in run.synops.items()})
    assert list(point.layer_synops) == ["0", "4"]
    assert point.layer_synops["4"] > 0
    assert point.accuracy == pytest.approx(20 * (run.output.sum(1).argmax(1) == torch.arange(5)).sum().item())
    with pytest.raises(ChipflowError, match="values that are no spike counts"):
        sweep_time_windows(faithful, images, [0, 1, 2, 3, 4], (9,), encode=constant_current)


def test_half_precision_counts_as_far_as_it_takes():
    """2,049 spikes are more than 2,048, which float16 cannot tell apart."""

    def encode(images, num_steps):
        raster = torch.zeros(len(images), num_steps, 1, 1, 3)
        raster[:, 1:, ..., 0] = 1
        raster[..., 1] = 1
        return raster

    (point,) = sweep_time_windows(
        pixel_network().spiking_model.half(), torch.zeros(1, 1, 1, 3), [1], (2049,), encode=encode
    ).points
    assert (point.accuracy, point.ties) == (100, 0)


def test_analog_input_is_marked():
    sweep = partial(sweep_time_windows, random_network(), grey(3), [0, 1, 2], (3,))
    assert [point.analog for point in sweep(encode=constant_current).points] == [("0",)]
    assert "no spikes: operations of 0" in sweep(encode=constant_current).summary()
    assert "no spikes" not in sweep().summary()


def test_progress_wraps_the_batches_of_each_window():
    seen = []

    def progress(items, what):
        seen.append((len(items), what))
        yield from items

    sweep_time_windows(random_network(), grey(5), [0] * 5, (1, 3), batch_size=2, progress=progress)
    assert seen == [(3, "window of 1 steps"), (3, "window of 3 steps")]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"windows": ()}, "windows is empty"),
        ({"windows": (10, 0)}, "a window is 0, it must be a whole number of at least 1"),
        ({"windows": (2.5,)}, "a window is 2.5"),
        ({"windows": 20}, r"windows is 20, expected several numbers of time steps, or one in brackets: \[20\]"),
        ({"seed": 1.5}, "seed is 1.5, it must be a whole number of at least 0"),
        ({"seed": -1}, "seed is -1"),
        (
            {"encode": partial(bernoulli, seed=7)},
            "encode is a functools.partial with a seed: take it out, and give seed= to sweep_time_windows",
        ),
        (
            {"encode": partial(partial(poisson, generator=torch.Generator()), max_rate=0.5)},
            "with a generator: .* give seed= to sweep",
        ),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"labels": [0, 1]}, r"labels have shape \[2\] .*for each of the 3 images"),
        ({"labels": [0.0, 1.0, 2.0]}, "dtype torch.float64"),
        ({"labels": [1, 2, 3]}, "labels run from 1 to 3, but the model has the classes 0 to 2"),
        ({"labels": [], "images": torch.zeros(0, 1, 1, 3)}, "for each of the 0 images"),
        ({"model": nn.Linear(3, 3)}, "no spiking neurons"),
        ({"images": torch.full((3, 1, 1, 3), 2.0)}, "intensities run from 2 to 2"),
        (
            {"encode": lambda images, num_steps: images},
            r"the raster of `encode` has shape \[3, 1, 1, 3\], expected \[batch = 3, time = 4",
        ),
        (
            {"model": nn.Sequential(nn.Flatten(0, 1), nn.Flatten(), nn.Linear(3, 3), IAF(num_timesteps=4))},
            r"the output of the model has shape \[12, 3\]",
        ),
    ],
)
def test_wrong_arguments(change, message):
    arguments = {"model": pixel_network(), "images": torch.zeros(3, 1, 1, 3), "labels": [0, 1, 2], "windows": (4,)} | change
    with pytest.raises(ChipflowError, match=message):
        sweep_time_windows(**arguments)


def made_up():
    accuracy, synops = (31.0, 62.5, 90.25, 97.0, 98.5), (41e3, 83e3, 210e3, 420e3, 840e3)
    windows = (10, 20, 50, 100, 200)
    points = [
        WindowPoint(*row[:3], {"conv": row[3] / 4, "dense": row[3] * 3 / 4})
        for row in zip(windows, accuracy, accuracy[::-1], synops, strict=True)
    ]
    return WindowSweep(tuple(points), 1000, "bernoulli")


def test_summary():
    text = made_up().summary()
    assert "time window: 1,000 samples, bernoulli" in text
    assert [line.split() for line in text.splitlines() if "90.25" in line] == [["50", "90.25", "%", "90.25", "%", "210,000"]]
    assert "of several the first" in text
    with pytest.raises(FrozenInstanceError):
        made_up().num_samples = 3


def test_names_of_codes():
    network, image = pixel_network(), torch.eye(3).reshape(3, 1, 1, 3)
    sweep = partial(sweep_time_windows, network, image, [0, 1, 2], (2,))
    assert sweep(encode=partial(poisson, max_rate=0.5)).encoding == "poisson(max_rate=0.5)"
    assert sweep(encode=constant_current).encoding == "constant_current"


def test_plot(tmp_path):
    pytest.importorskip("matplotlib")
    sweep = made_up()
    figure = sweep.plot(tmp_path / "sweep.png")
    assert (tmp_path / "sweep.png").read_bytes().startswith(b"\x89PNG")
    window, synops = figure.axes
    assert (window.get_xlabel(), window.get_ylabel()) == ("time window (steps)", "accuracy (%)")
    assert synops.get_xlabel() == "synaptic operations per sample"
    assert [label.get_text() for label in window.get_xticklabels()] == ["10", "20", "50", "100", "200"]
    accuracy = [point.accuracy for point in sweep.points]
    for panel, along in ((window, [10, 20, 50, 100, 200]), (synops, [point.synops for point in sweep.points])):
        (line,) = panel.get_lines()
        assert list(line.get_xdata()) == along
        assert list(line.get_ydata()) == accuracy
    sweep.plot(tmp_path / "one.svg")
    sweep.plot(tmp_path / "two.svg")
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()


@pytest.mark.parametrize(
    ("synops", "scale", "texts"),
    [
        ((1e3, 1e4, 1e5), "log", ["5", "10", "20"]),
        ((1e3, 2e3, 3e3), "linear", ["5", "10", "20"]),
        ((1e3, 1e3 + 1, 3e3), "linear", ["5 to 10", "20"]),
        ((0.0, 0.0, 0.0), "linear", ["5 to 20"]),
    ],
)
def test_labels_of_the_points(synops, scale, texts):
    pytest.importorskip("matplotlib")
    points = tuple(WindowPoint(window, 90, 0, {"fc": count}) for window, count in zip((5, 10, 20), synops, strict=True))
    _, panel = WindowSweep(points, 10, "bernoulli").plot().axes
    assert panel.get_xscale() == scale
    assert [text.get_text() for text in panel.texts] == texts


def test_plot_into_own_axes():
    pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure

    figure = Figure()
    panels = figure.subplots(1, 3)
    assert made_up().plot(axes=panels[:2]) is figure
    assert [len(panel.get_lines()) for panel in panels] == [1, 1, 0]
    with pytest.raises(ChipflowError, match="axes are 3, expected 2"):
        made_up().plot(axes=panels)


def test_plot_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ChipflowError, match=r"matplotlib, which is not installed: pip install 'chipflow\[plot\]'"):
        made_up().plot()


@pytest.mark.slow
def test_a_longer_window_is_more_accurate():
    pytest.importorskip("sklearn")
    from chipflow.demo import digits, train

    train_x, train_y, test_x, test_y = digits(300)
    ann = train(train_x, train_y)
    network = from_model(ann, input_shape=(1, 8, 8), add_spiking_output=True, calibration=train_x[:500])
    short, middle, long = sweep_time_windows(network, test_x, test_y, (5, 20, 100)).points
    assert short.accuracy < middle.accuracy < long.accuracy
    assert short.ties > middle.ties > long.ties
    assert 15 < long.synops / short.synops < 30, "as many as there are steps, but for spikes that come only after some steps"
    by_ann = 100 * float((ann(test_x).argmax(1) == torch.as_tensor(test_y)).float().mean())
    assert long.accuracy > by_ann - 2
