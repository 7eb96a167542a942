"""The examples do what they say, run as a user runs them; `slow` where real data is trained on."""

from __future__ import annotations

import gzip
import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from chipflow import Program, compile
from chipflow.cli import app
from tests.emulator.silicon import data_folder

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
MNIST_FILES = [
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
]


def run_example(name: str, *options: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """An example in a process of its own, where a warning is an error.

    With one thread: two would wait for each other whenever another test needs a core.
    """
    command = [sys.executable, "-W", "error", str(EXAMPLES / name), *map(str, options)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"} | environment
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def printed(name: str, *options: object) -> str:
    """What an example prints when all goes well; nothing else, since no terminal is there for progress bars."""
    done = run_example(name, *options)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def figure(text: str, name: str) -> float:
    """The number behind a name."""
    (number,) = re.findall(rf"^{re.escape(name)}\s+(-?[\d,.]+)", text, re.MULTILINE)
    return float(number.replace(",", ""))


@pytest.mark.slow
def test_mnist_keeps_its_accuracy_on_the_emulated_chip(tmp_path: Path) -> None:
    data = data_folder("mnist")
    text = printed("mnist.py", "--data", data, "--output", tmp_path)
    stages = ("ANN", "spiking network", "emulated chip")
    ann, snn, chip = (figure(text, f"accuracy of the {which}, first 1,000") for which in stages)
    assert figure(text, "accuracy of the ANN, all 10,000 test images") >= 98.5
    assert figure(text, "lost by spikes") == pytest.approx(ann - snn, abs=0.011)
    assert figure(text, "lost by spikes") <= 0.5
    assert figure(text, "lost on the chip") == pytest.approx(ann - chip, abs=0.011)
    assert figure(text, "lost on the chip") <= 1.0
    program = Program.load(tmp_path / "mnist.chipflow")
    assert program.summary() in text
    assert program.config.violations().ok

    again = printed(
        "mnist.py", "--data", data, "--weights", tmp_path / "weights.pt", "--images", 5, "--output", tmp_path / "again"
    )
    assert figure(again, "accuracy of the ANN, all 10,000 test images") == figure(
        text, "accuracy of the ANN, all 10,000 test images"
    )
    assert Program.load(tmp_path / "again" / "mnist.chipflow") == program


@pytest.mark.slow
def test_rows_are_learnt_through_time() -> None:
    text = printed("mnist_rows.py", "--data", data_folder("mnist"), "--images", 6400, "--epochs", 1)
    ann, spiking = figure(text, "accuracy of the ordinary network"), figure(text, "accuracy of the spiking network")
    assert spiking > ann > 10
    assert spiking >= 50  # 59 where this was written, and 96 after all images and epochs


@pytest.mark.slow
def test_what_is_trained_with_the_rules_of_the_chip_runs_there_spike_for_spike() -> None:
    text = printed("nmnist.py", "--data", data_folder("nmnist_small"), "--recordings", 250, "--epochs", 3)
    assert "5 layers on speck2f" in text
    simulated, emulated = figure(text, "accuracy in training simulation"), figure(text, "accuracy on the emulated chip")
    assert figure(text, "recordings with equal output spikes") == 100
    assert simulated == emulated
    assert emulated >= 45  # of 100; 56 where this was written, and 97 after all recordings and epochs


def test_the_rate_of_a_neuron_is_drawn(tmp_path: Path) -> None:
    text = printed("iaf_is_relu.py", "--output", tmp_path / "relu.png")
    found = [float(number) for number in re.findall(r"(\d\.\d+) spikes a step", text)]
    assert found == [0.1, 0.02, 0.005, 0.005]  # one spike, spread over the window
    assert (tmp_path / "relu.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "content", ["", "#sample #class\n", "text\n", "3\n", "3\t7\t1\n", "3\t7\n3\n", "3\t-7\n", "3 7.5\n", "\xff\xfe\n"]
)
def test_damaged_lists_of_recordings_are_refused(example: Any, tmp_path: Path, content: str) -> None:
    (tmp_path / "3.bs2").write_bytes(bytes([33, 1, 0x80, 0, 7]))
    (tmp_path / "train1K.txt").write_bytes(content.encode("latin-1"))
    with pytest.raises(
        example("mnist_data").DataError, match=r"train1K\.txt is damaged: expected lines of two numbers.*Get it again"
    ):
        example("nmnist_data").read_list(tmp_path / "train1K.txt")


@pytest.mark.parametrize("damage", ["no list", "no recording", "half an event"])
def test_missing_or_damaged_recordings(example: Any, tmp_path: Path, damage: str) -> None:
    (tmp_path / "3.bs2").write_bytes(bytes([33, 1, 0x80, 0, 7, 2, 5, 0, 0, 4]))
    for name in ("train1K.txt", "test100.txt"):
        (tmp_path / name).write_bytes(b"#sample #class\r\n3\t7\r\n")
    data = example("nmnist_data").load_nmnist(tmp_path)
    assert [tuple(event) for event in data.test.events[0]] == [(2, 5, 4, 0), (33, 1, 7, 1)]
    assert data.train.labels.tolist() == [7]
    if damage == "no list":
        (tmp_path / "test100.txt").unlink()
    elif damage == "no recording":
        (tmp_path / "3.bs2").unlink()
    else:
        (tmp_path / "3.bs2").write_bytes(bytes(7))
    with pytest.raises(example("options").DataError, match=r"Get (the files|it again)"):
        example("nmnist_data").load_nmnist(tmp_path)


def test_the_command_line_compiles_the_model_as_the_example_does(example: Any, tmp_path: Path) -> None:
    import torch

    ann = example("mnist_model").make_model()
    images = torch.rand(20, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    torch.save(ann.state_dict(), tmp_path / "weights.pt")
    np.save(tmp_path / "images.npy", images.numpy())
    command = ["compile", f"{EXAMPLES / 'mnist_model.py'}:make_model", "--weights", tmp_path / "weights.pt", "--chip", "speck2f"]
    options = ["--input-shape", "1,28,28", "--calibration", tmp_path / "images.npy", "-o", tmp_path / "mnist.chipflow"]
    done = CliRunner().invoke(app, [str(part) for part in (*command, *options)])
    assert done.exit_code == 0, done.output
    assert Program.load(tmp_path / "mnist.chipflow") == compile(example("mnist").to_spikes(ann, images), chip="speck2f")


def test_without_recordings_the_example_says_what_to_do(tmp_path: Path) -> None:
    done = run_example("nmnist.py", CHIPFLOW_DATA=str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    for part in (str(tmp_path / "nmnist_small"), "no train1K.txt", "--data DIR", "CHIPFLOW_DATA", "https://"):
        assert part in done.stderr


@pytest.mark.parametrize("name", ["mnist.py", "mnist_rows.py"])
def test_without_data_an_example_says_what_to_do(name: str, tmp_path: Path) -> None:
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / MNIST_FILES[0]).touch()
    done = run_example(name, CHIPFLOW_DATA=str(tmp_path))
    assert done.returncode == 2
    assert done.stdout == ""
    for part in (str(tmp_path / "mnist"), *MNIST_FILES[1:], "--data DIR", "CHIPFLOW_DATA", "https://"):
        assert part in done.stderr
    assert f"no {MNIST_FILES[1]}" in done.stderr


@pytest.mark.parametrize(
    ("name", "option", "value", "why"),
    [
        ("mnist", "--images", "0", "'0' is not a whole number from 1"),
        ("mnist", "--images", "many", "'many' is not a whole number from 1"),
        ("mnist", "--weights", "nowhere.pt", "there is no file nowhere.pt"),
        ("mnist_rows", "--images", "63", "'63' is not a whole number from 64"),
        ("mnist_rows", "--epochs", "-1", "'-1' is not a whole number from 1"),
        ("nmnist", "--recordings", "24", "'24' is not a whole number from 25"),
        ("nmnist", "--epochs", "0", "'0' is not a whole number from 1"),
    ],
)
def test_wrong_options_are_refused(
    example: Any, capsys: pytest.CaptureFixture[str], name: str, option: str, value: str, why: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        example(name).main([option, value])
    assert caught.value.code == 2
    assert f"argument {option}: {why}" in capsys.readouterr().err


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Imports an example, which finds its neighbours as it does when it is run."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return import_module


def idx(values: np.ndarray[Any, Any]) -> bytes:
    return b"\0\0\x08" + bytes([values.ndim]) + np.array(values.shape, ">i4").tobytes() + values.astype(np.uint8).tobytes()


def test_idx_files(example: Any, tmp_path: Path) -> None:
    images, labels = np.arange(3 * 28 * 28).reshape(3, 28, 28) % 256, np.array([7, 0, 9])
    for name, values in zip(MNIST_FILES, (images, labels) * 2, strict=True):
        (tmp_path / name).write_bytes(gzip.compress(idx(values)))
    data = example("mnist_data").load_mnist(tmp_path)
    np.testing.assert_array_equal((data.train_images * 255).round().numpy(), images[:, None])
    assert data.test_images.max() == 1
    assert data.test_labels.tolist() == [7, 0, 9]


def damaged_files() -> dict[str, tuple[bytes, str]]:
    """What is in the file, and what the error calls it."""
    values = idx(np.arange(10))
    return {
        "empty": (b"", "no complete idx1 file"),
        "cut": (gzip.compress(values)[:-12], "damaged"),
        "not gzip": (b"<html>", "damaged"),
        "header cut": (gzip.compress(values[:6]), "no complete idx1 file"),
        "of floats": (gzip.compress(b"\0\0\x0d" + values[3:]), "no complete idx1 file"),
        "of images": (gzip.compress(idx(np.zeros((2, 5, 1)))), "no complete idx1 file"),
        "a value missing": (gzip.compress(values[:-1]), "no complete idx1 file"),
        "a value too many": (gzip.compress(values + b"1"), "no complete idx1 file"),
    }


@pytest.mark.parametrize("kind", damaged_files())
def test_damaged_files_are_refused(example: Any, tmp_path: Path, kind: str) -> None:
    content, why = damaged_files()[kind]
    (tmp_path / "labels.gz").write_bytes(content)
    mnist_data = example("mnist_data")
    with pytest.raises(example("options").DataError, match=rf"labels\.gz is {why}.*https://"):
        mnist_data.read_idx(tmp_path / "labels.gz", axes=1)
