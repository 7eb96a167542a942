"""Models as they are named on the command line: a function in a Python file, or a NIR file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from chipflow.cli.output import existing, fail

NIR_ENDING = ".nir"


def is_model(spec: str) -> bool:
    """Whether the argument names a model, and not a program or a configuration."""
    return spec.endswith((NIR_ENDING, ".py")) or (":" in spec and not Path(spec).exists())


def input_shape(text: str | None, model: str) -> tuple[int, ...] | None:
    """features,y,x in numbers; None where a NIR file has its own."""
    if text is None:
        if model.endswith(NIR_ENDING):
            return None
        raise typer.BadParameter("give features,y,x: a Python model does not say what it reads", param_hint="--input-shape")
    parts = text.split(",")
    if not all(part.strip().isdecimal() and int(part) > 0 for part in parts):
        raise typer.BadParameter(f"{text!r} is not features,y,x in whole numbers from 1", param_hint="--input-shape")
    return tuple(map(int, parts))


def load_model(spec: str, weights: Path | None, as_json: bool) -> Any:
    """The path of a NIR file, or the module that model.py:function returns, with the weights loaded."""
    if spec.endswith(NIR_ENDING):
        if weights is not None:
            raise typer.BadParameter("a NIR file has its own weights", param_hint="--weights")
        return existing(Path(spec))
    file, _, function = spec.partition(":")
    if not function or not Path(file).is_file():
        raise typer.BadParameter(
            f"{spec!r}: give the path of a Python file and a function in it, as model.py:make_model, or that of a NIR file",
            param_hint="MODEL",
        )
    module = _made(file, function, spec, as_json)
    if weights is not None:
        _load_weights(module, existing(weights), as_json)
    return module.eval()


def _made(file: str, function: str, spec: str, as_json: bool) -> Any:
    """What the function returns, which must be a module."""
    import runpy

    try:
        make = runpy.run_path(file).get(function)
    except Exception as error:
        fail(f"{file}: {type(error).__name__}: {error}", as_json)
    if not callable(make):
        raise typer.BadParameter(f"{file} has no function {function!r}", param_hint="MODEL")
    from torch import nn

    try:
        module: Any = make()
    except Exception as error:
        fail(f"{spec}: {type(error).__name__}: {error}", as_json)
    if not isinstance(module, nn.Module):
        fail(f"{spec} returned {type(module).__name__}, an nn.Module is needed", as_json)
    return module


def _load_weights(module: Any, path: Path, as_json: bool) -> None:
    import torch

    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # torch's own advice would be to load it unsafely
        fail(f"{path}: no state dict: save one with torch.save(model.state_dict(), ...)", as_json)
    try:
        module.load_state_dict(state)
    except Exception as error:
        fail(f"{path}: no state dict for this model: {error}", as_json)


def load_array(path: Path, option: str) -> Any:
    """The array of an npy file."""
    import numpy as np

    try:
        with existing(path).open("rb") as file:
            return np.lib.format.read_array(file, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        raise typer.BadParameter(f"{path}: no array of numbers: save one with numpy.save", param_hint=option) from None
