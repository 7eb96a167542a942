"""The main job on a data set that needs no download: train, convert, quantise, place, emulate, compare."""

from __future__ import annotations

import json
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chipflow.compiler import compile, lower
from chipflow.events.array import EventArray, raster_to_events
from chipflow.events.files import save_events
from chipflow.ir.graph import Graph
from chipflow.ir.interpret import interpret
from chipflow.program import Program, share
from chipflow.progress import progress
from chipflow.tables import table
from hwconfig.files import write_text
from hwconfig.memory import KINDS

STEPS = 100
STEP_US = 1000
EPOCHS = 20


@dataclass(frozen=True)
class DemoOutcome:
    """Accuracy of each stage in percent, one row per layer, and the files written."""

    accuracy: dict[str, float]
    layers: list[dict[str, Any]]
    images: int
    files: list[str]

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return {"images": self.images, "accuracy": self.accuracy, "layers": self.layers, "files": self.files}

    def text(self) -> str:
        """One table: accuracies, then layers; the files at the end."""
        stages = "   ".join(f"{name} {value:.1f} %" for name, value in self.accuracy.items())
        header = ["layer", "core", *(f"{kind} words" for kind in KINDS), "synops / image", "spikes / image"]
        rows = [
            [
                row["layer"],
                str(row["core"]),
                *(share(*row[kind]) for kind in KINDS),
                f"{row['synops']:,.0f}",
                f"{row['spikes']:,.0f}",
            ]
            for row in self.layers
        ]
        title = f"accuracy on {self.images} test images:   {stages}"
        program, recording, _ = self.files
        wrote = f"wrote {', '.join(self.files)}\nnext: chipflow check {program}; chipflow run {program} {recording}"
        return f"{table(title, header, rows)}\n{wrote}"


def run_demo(folder: Path, images: int) -> DemoOutcome:
    """Trains on scikit-learn's digits, compiles for speck2f, runs `images` test images, writes into the existing `folder`."""
    from chipflow.snn import bernoulli, from_model

    train_x, train_y, test_x, test_y = digits(images)
    ann = train(train_x, train_y)
    network = from_model(ann, input_shape=(1, 8, 8), add_spiking_output=True, calibration=train_x[:500])
    program = compile(network, chip="speck2f", time_step_us=STEP_US)
    rasters = np.asarray(bernoulli(test_x, STEPS, seed=0))
    predicted = {
        "ANN": ann(test_x).argmax(1).numpy(force=True),
        "spiking": interpreted(lower(network), rasters, "spiking network"),
        "quantised": interpreted(program.graph, rasters, "quantised network"),
    }
    predicted["emulated chip"], layers = emulated(program, rasters)
    accuracy = {name: float(100 * np.mean(classes == test_y)) for name, classes in predicted.items()}
    files = [str(folder / name) for name in ("digits.chipflow", "first-digit.npz", "results.json")]
    outcome = DemoOutcome(accuracy, layers, len(test_x), files)
    write(outcome, program, raster_to_events(rasters[0], STEP_US))
    return outcome


def write(outcome: DemoOutcome, program: Program, recording: EventArray) -> None:
    """The three files that the outcome names."""
    program_path, recording_path, results_path = map(Path, outcome.files)
    program.save(program_path)
    save_events(recording_path, recording)
    write_text(results_path, json.dumps(outcome.as_dict(), indent=1) + "\n")


def digits(images: int) -> tuple[Any, Any, Any, Any]:
    """Training images and labels as tensors, test images and labels; intensities in 0..1."""
    import torch
    from sklearn.datasets import load_digits

    data: Any = load_digits()
    order = np.random.default_rng(0).permutation(len(data.target))
    x = torch.tensor(data.images[order] / 16, dtype=torch.float32)[:, None]
    y = data.target[order]
    first = 1300
    return x[:first], torch.tensor(y[:first]), x[first : first + images], y[first : first + images]


def train(x: Any, y: Any) -> Any:
    """A small CNN without biases, trained for a few seconds."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as fast for layers this small, and not slowed down by what else the machine does
    model = nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(1, 16, 3, padding=1, bias=False),
            relu1=nn.ReLU(),
            pool1=nn.AvgPool2d(2),
            conv2=nn.Conv2d(16, 32, 3, padding=1, bias=False),
            relu2=nn.ReLU(),
            pool2=nn.AvgPool2d(2),
            flatten=nn.Flatten(),
            dense1=nn.Linear(128, 64, bias=False),
            relu3=nn.ReLU(),
            dense2=nn.Linear(64, 10, bias=False),
        )
    )
    optimiser = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in progress(range(EPOCHS), "training"):
        for batch in torch.randperm(len(x)).split(64):
            optimiser.zero_grad()
            nn.functional.cross_entropy(model(x[batch]), y[batch]).backward()
            optimiser.step()
    torch.set_num_threads(threads)
    return model.eval()


def interpreted(graph: Graph, rasters: Any, what: str) -> Any:
    """The class with most output spikes, for each raster, by the time-stepped interpreter."""
    last = graph.names[-1]
    return np.array([interpret(graph, raster)[last].sum(0).ravel().argmax() for raster in progress(rasters, what)])


def emulated(program: Program, rasters: Any) -> tuple[Any, list[dict[str, Any]]]:
    """Classes by the emulated chip, and the program's memory rows with synaptic operations and spikes per image."""
    from chipflow.backends.opening import open_device

    rows: list[dict[str, Any]] = [row | {"synops": 0.0, "spikes": 0.0} for row in program.memory_rows()]
    classes: list[int] = []
    with open_device("emulator:speck2f") as device:
        for raster in progress(rasters, "emulated chip"):
            result = device.run(program, raster_to_events(raster, STEP_US), duration=STEPS * STEP_US)
            classes.append(result.prediction())
            for row in rows:
                row["synops"] += result.counters[row["core"]].synops / len(rasters)
                row["spikes"] += result.counters[row["core"]].spikes / len(rasters)
    return np.array(classes), rows
