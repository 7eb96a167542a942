"""Relus that a converted network still calls when it runs: what could not be seen before."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from chipflow.errors import UnsupportedModelError
from chipflow.snn.stateful import StatefulLayer
from chipflow.snn.trace import refusing

RELUS = frozenset((F.relu, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_))

OUTSIDE = ("torch.", "chipflow.")
"""Modules whose lines are not the user's."""


@dataclass(frozen=True)
class Found:
    """A relu that was called.

    Attributes:
        layer: the module in whose `forward` it happened; None outside of any.
        line: file and number of the user's line.
    """

    layer: nn.Module | None
    line: str


class _Watch(TorchFunctionMode):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[Found] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in RELUS:
            frame = sys._getframe(1)
            layer = _layer_around(frame)
            if not isinstance(layer, StatefulLayer):
                self.found.append(Found(layer, _line_of_user(frame)))
        return func(*args, **(kwargs or {}))


def refuse_relus(model: nn.Module, sample: Tensor, untraced: Mapping[str, str]) -> None:
    """Run a spiking model once, and refuse relus that are still in it.

    Args:
        model: takes [batch, time, ...]; its states are not reset afterwards.
        sample: what it runs on.
        untraced: dotted names of modules that torch.fx cannot trace, with the reason.

    Raises:
        UnsupportedModelError: names layer, line, and why the call was not replaced.
    """
    watch = _Watch()
    with refusing(lambda: f"The spiking model cannot run on input of shape {list(sample.shape)}"), watch, torch.no_grad():
        model(sample)
    if watch.found:
        raise UnsupportedModelError("\n".join(dict.fromkeys(_refusal(found, model, untraced) for found in watch.found)))


def _refusal(found: Found, model: nn.Module, untraced: Mapping[str, str]) -> str:
    names = {id(module): name for name, module in model.named_modules()}
    if isinstance(found.layer, nn.ReLU):
        return f"{found.line}: an nn.ReLU runs that the model does not list among its layers. Hold it in an attribute or an nn.ModuleList."
    name = names.get(id(found.layer), "")
    where = f"layer '{name}' ({type(found.layer).__name__})" if name else type(found.layer or model).__name__
    reason = f"torch.fx cannot trace it ({untraced[name]})" if name in untraced else "torch.fx does not see the call"
    return (
        f"{found.line}: {where} calls a relu function that cannot become neurons: {reason}. Use an nn.ReLU module in this place, or let "
        "forward call layers without conditions that depend on data."
    )


def _layer_around(frame: FrameType | None) -> nn.Module | None:
    while frame is not None:
        candidate = frame.f_locals.get("self")
        if isinstance(candidate, nn.Module):
            return candidate
        frame = frame.f_back
    return None


def _line_of_user(frame: FrameType | None) -> str:
    while frame is not None and frame.f_globals.get("__name__", "").startswith(OUTSIDE):
        frame = frame.f_back
    return "?" if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno}"
