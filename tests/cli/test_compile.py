"""chipflow compile: from a model file to a program file, and what it refuses."""

from __future__ import annotations

import os
import pickle
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import torch

from chipflow import Program, compile
from tests.cli.command_line import OK, WANTING, WRONG_USE, chipflow, refused
from tests.cli.model import make_model


def compiled(**options: str) -> tuple[str, ...]:
    """The arguments of a good call, with some replaced or added."""
    given = {"model": "model.py:make_model", "input_shape": "2,8,8", "output": "out.chipflow"} | options
    model = given.pop("model")
    return ("compile", model, *(part for name, value in given.items() for part in (f"--{name.replace('_', '-')}", value)))


def test_the_program_is_that_of_the_python_call(folder: Path):
    before = set(folder.iterdir())
    outcome = chipflow(*compiled(weights="weights.pt"))
    assert {path.name for path in set(folder.iterdir()) - before} == {"out.chipflow"}
    model = make_model()
    model.load_state_dict(torch.load("weights.pt", weights_only=True))
    program = Program.load("out.chipflow")
    assert program == compile(model, "speck2f", (2, 8, 8)) != compile(make_model(), "speck2f", (2, 8, 8))
    assert outcome.code == OK
    assert program.summary() in outcome.out
    assert outcome.out.rstrip().endswith("wrote out.chipflow")


def test_json_names_the_file_its_hash_and_the_memory_of_every_layer():
    found = chipflow(*compiled(), "--json").document
    program = Program.load("out.chipflow")
    assert (found["program"], found["hash"]) == ("out.chipflow", program.config.hash)
    assert [layer["layer"] for layer in found["layers"]] == ["0", "4"]
    for layer, row in zip(found["layers"], program.memory_rows(), strict=True):
        assert layer == {key: list(value) if isinstance(value, tuple) else value for key, value in row.items()}


def test_quantization_and_chip_are_passed_on():
    chipflow(*compiled(quantization="sinabs", chip="speck2e"))
    program = Program.load("out.chipflow")
    assert program == compile(make_model(), "speck2e", (2, 8, 8), quantization="sinabs")
    assert program.config.chip.name == "speck2e"


def test_a_chip_of_ones_own_is_given_by_its_file(folder: Path):
    text = (resources.files("hwconfig") / "chips" / "speck2f.toml").read_text()
    (folder / "mine.toml").write_text(text.replace('name = "speck2f"', 'name = "mine"'))
    chipflow(*compiled(chip="mine.toml"))
    assert Program.load("out.chipflow").config.chip.name == "mine"


def test_calibration_images_are_passed_on():
    images = np.random.default_rng(0).random((20, 2, 8, 8), dtype=np.float32)
    np.save("images.npy", images)
    chipflow(*compiled(calibration="images.npy"))
    program = Program.load("out.chipflow")
    assert program == compile(make_model(), "speck2f", (2, 8, 8), calibration=images)
    assert program != compile(make_model(), "speck2f", (2, 8, 8))


def test_an_old_program_is_replaced():
    chipflow(*compiled(output="program.chipflow", quantization="sinabs"))
    assert Program.load("program.chipflow") == compile(make_model(), "speck2f", (2, 8, 8), quantization="sinabs")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"model": "model.py"}, ["model.py", "make_model"]),
        ({"model": "nowhere.py:make_model"}, ["nowhere.py"]),
        ({"model": "model.py:make_nothing"}, ["model.py", "make_nothing"]),
        ({"model": "model.py:not_a_function"}, ["model.py", "not_a_function"]),
        ({"input_shape": "2,8,x"}, ["2,8,x", "--input-shape"]),
        ({"input_shape": ""}, ["--input-shape"]),
        ({"input_shape": "-1,8,8"}, ["-1"]),
        ({"input_shape": "0,8,8"}, ["0"]),
        ({"quantization": "exact"}, ["exact", "default", "sinabs"]),
        ({"chip": "speck9"}, ["speck9", "speck2e, speck2f", "TOML"]),
        ({"weights": "nowhere.pt"}, ["nowhere.pt"]),
        ({"calibration": "nowhere.npy"}, ["nowhere.npy"]),
        ({"output": "nowhere/out.chipflow"}, ["nowhere/out.chipflow", "No such file or directory"]),
    ],
)
def test_wrong_use_says_what_to_give(options, words):
    message = refused(*compiled(**options), code=WRONG_USE)
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"model": "model.py:make_max_pool"}, ["'2'", "MaxPool2d", "AvgPool2d"]),
        ({"input_shape": "3,8,8"}, ["'0'", "3"]),
        ({"input_shape": "2,8"}, ["input_shape", "2, 8", "(features, y, x)"]),
        ({"input_shape": "2,10,10"}, ["'4'", "64"]),
    ],
)
def test_a_model_that_cannot_be_compiled_names_the_layer(options, words):
    message = refused(*compiled(output="program.chipflow", **options), code=WANTING)
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("make_trouble", ["RuntimeError", "the data set is not mounted"]),
        ("make_number", ["Module", "int"]),
        ("make_with_argument", ["width"]),
    ],
)
def test_a_function_that_makes_no_model_is_named(function, words):
    message = refused(*compiled(model=f"model.py:{function}"), code=(WANTING, WRONG_USE))
    for word in ["model.py", function, *words]:
        assert word in message


@pytest.mark.parametrize(("text", "word"), [("def make_model(:\n", "syntax"), ("import not_there_at_all\n", "not_there_at_all")])
def test_a_model_file_that_cannot_be_run_is_named(folder: Path, text, word):
    (folder / "broken.py").write_text(text)
    message = refused(*compiled(model="broken.py:make_model"), code=(WANTING, WRONG_USE))
    assert "broken.py" in message
    assert word in message


def test_weights_of_another_model_are_refused_with_the_names_that_differ(folder: Path):
    torch.save(torch.nn.Linear(3, 3).state_dict(), "other.pt")
    message = refused(*compiled(weights="other.pt"), code=(WANTING, WRONG_USE))
    for word in ("other.pt", "0.weight", "4.weight"):
        assert word in message


def test_a_file_that_holds_no_weights_is_refused():
    message = refused(*compiled(weights="recording.npz"), code=(WANTING, WRONG_USE))
    assert "recording.npz" in message


@pytest.mark.parametrize("content", ["", "no images", np.zeros((4, 3, 5, 5)), np.zeros(0), np.array([{}], dtype=object)])
def test_a_file_that_holds_no_calibration_images_is_refused(content):
    Path("images.npy").write_text(content) if isinstance(content, str) else np.save("images.npy", content)
    message = refused(*compiled(calibration="images.npy"), code=(WANTING, WRONG_USE))
    assert "images.npy" in message or "calibration" in message
    assert "allow_pickle" not in message


def test_an_archive_of_events_is_no_array_of_images():
    assert "recording.npz" in refused(*compiled(calibration="recording.npz"), code=(WANTING, WRONG_USE))


class Evil:
    """Unpickling it makes a folder."""

    def __reduce__(self):
        return os.mkdir, ("executed",)


@pytest.mark.parametrize(
    "save", [torch.save, lambda evil, path: Path(path).write_bytes(pickle.dumps(evil))], ids=["torch", "pickle"]
)
def test_code_in_a_file_of_weights_is_not_executed(save):
    save({"0.weight": Evil()}, "evil.pt")
    message = refused(*compiled(weights="evil.pt"), code=(WANTING, WRONG_USE))
    assert "evil.pt" in message
    assert "weights_only=False" not in message.replace("`", "").replace(" set to ", "="), "advises to execute the code"
    torch.load("evil.pt", weights_only=False) if save is torch.save else pickle.loads(Path("evil.pt").read_bytes())
    assert Path("executed").is_dir()  # the file was dangerous
