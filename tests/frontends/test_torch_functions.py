"""Functions, methods and operators of torch: they compute the same in the graph, or are refused by name."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from chipflow.errors import UnsupportedModelError
from chipflow.frontends.load import load
from chipflow.frontends.torch_functions import _FUNCTIONS, ADVICE
from tests.frontends.torch_networks import SHAPE, Calls, assert_same, conv


def _iadd(net: Any, x: Tensor) -> Tensor:
    y = net.conv(x)
    y += net.other(x)
    return y


def _methods_in_place(net: Any, x: Tensor) -> Tensor:
    y = net.conv(x)
    y.relu_().mul_(2.0).div_(3.0)
    y.add_(net.other(x))
    return y


def _unpacked(net: Any, x: Tensor) -> Tensor:
    y = net.conv(x)
    b, c, h, w = y.shape
    return y.view(b, c * h * w)


ACCEPTED: dict[str, Callable[[Any, Tensor], Any]] = {
    "F.relu": lambda net, x: F.relu(net.conv(x)),
    "F.relu in place": lambda net, x: F.relu(net.conv(x), inplace=True),
    "F.relu_": lambda net, x: F.relu_(net.conv(x)),
    "torch.relu": lambda net, x: torch.relu(net.conv(x)),
    "torch.relu_": lambda net, x: torch.relu_(net.conv(x)),
    "x.relu": lambda net, x: net.conv(x).relu(),
    "x.relu_": lambda net, x: net.conv(x).relu_(),
    "F.avg_pool2d": lambda net, x: F.avg_pool2d(net.conv(x), 2),
    "F.avg_pool2d with options": lambda net, x: F.avg_pool2d(net.conv(x), kernel_size=(2, 3), stride=(2, 3), padding=0),
    "F.adaptive_avg_pool2d": lambda net, x: F.adaptive_avg_pool2d(net.conv(x), 1),
    "F.adaptive_avg_pool2d of two sides": lambda net, x: F.adaptive_avg_pool2d(net.conv(x), output_size=(3, None)),
    "x.mean": lambda net, x: net.conv(x).mean((2, 3), keepdim=True),
    "torch.mean": lambda net, x: torch.mean(net.conv(x), dim=[-1, -2], keepdim=True),
    "torch.flatten": lambda net, x: torch.flatten(net.conv(x), 1),
    "torch.flatten with names": lambda net, x: torch.flatten(net.conv(x), start_dim=1, end_dim=-1),
    "x.flatten": lambda net, x: net.conv(x).flatten(1),
    "x.view": lambda net, x: (y := net.conv(x)).view(y.size(0), -1),
    "x.view of all sizes": lambda net, x: (y := net.conv(x)).view(y.size(0), y.size(1) * y.size(2) * y.size(3)),
    "x.view unpacked": _unpacked,
    "x.view of a tuple": lambda net, x: (y := net.conv(x)).view((y.shape[0], -1)),
    "x.view of the known size": lambda net, x: net.conv(x).view(-1, 3 * 6 * 6),
    "x.reshape": lambda net, x: (y := net.conv(x)).reshape(y.shape[0], -1),
    "torch.reshape": lambda net, x: torch.reshape(y := net.conv(x), (y.size()[0], -1)),
    "x + y": lambda net, x: net.conv(x) + net.other(x),
    "x += y": _iadd,
    "torch.add": lambda net, x: torch.add(net.conv(x), net.other(x)),
    "torch.add with names": lambda net, x: torch.add(input=net.conv(x), other=net.other(x)),
    "x.add": lambda net, x: net.conv(x).add(net.other(x)),
    "operator.add": lambda net, x: operator.add(net.conv(x), net.other(x)),
    "operator.iadd": lambda net, x: operator.iadd(net.conv(x), net.other(x)),
    "sum": lambda net, x: sum([net.conv(x), net.other(x)]),
    "x + x": lambda net, x: (y := net.conv(x)) + y,
    "methods in place": _methods_in_place,
    "torch.cat": lambda net, x: torch.cat([net.conv(x), net.other(x)], 1),
    "torch.cat from the end": lambda net, x: torch.cat((net.conv(x), net.other(x)), dim=-3),
    "torch.concat": lambda net, x: torch.concat([net.conv(x), net.other(x)], dim=1),
    "torch.cat of vectors": lambda net, x: torch.cat([net.conv(x).flatten(1), net.other(x).flatten(1)], -1),
    "x * number": lambda net, x: net.conv(x) * 0.5,
    "number * x": lambda net, x: 3 * net.conv(x),
    "x *= number": lambda net, x: operator.imul(net.conv(x), 2),
    "torch.mul": lambda net, x: torch.mul(net.conv(x), 0.25),
    "x / number": lambda net, x: net.conv(x) / 4,
    "torch.div": lambda net, x: torch.div(net.conv(x), 4),
    "x / size": lambda net, x: (y := net.conv(x)) / y.size(1),
    "F.dropout": lambda net, x: F.dropout(net.conv(x), training=net.training),
    "F.dropout2d": lambda net, x: F.dropout2d(net.conv(x), 0.5, net.training),
    "x.contiguous": lambda net, x: net.conv(x).contiguous().flatten(1),
    "x.clone and x.detach": lambda net, x: net.conv(x).clone().detach(),
    "x.dim": lambda net, x: net.conv(x) / x.dim(),
    "x.ndim": lambda net, x: net.conv(x) / x.ndim,
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_functions_compute_the_same(name: str) -> None:
    assert_same(Calls(ACCEPTED[name], conv=conv(), other=conv()))


REFUSED: dict[str, tuple[Callable[[Any, Tensor], Any], str]] = {
    "max_pool2d": (lambda net, x: F.max_pool2d(net.conv(x), 2), "'max_pool2d'.*avg_pool2d.*the chip sums"),
    "overlap": (lambda net, x: F.avg_pool2d(net.conv(x), 3, 1), r"'avg_pool2d': kernel \(3, 3\) and stride \(1, 1\) differ"),
    "padding": (lambda net, x: F.avg_pool2d(net.conv(x), 2, padding=1), "'avg_pool2d': padding and ceil_mode"),
    "ceil_mode": (lambda net, x: F.avg_pool2d(net.conv(x), 2, ceil_mode=True), "'avg_pool2d': padding and ceil_mode"),
    "divisor": (lambda net, x: F.avg_pool2d(net.conv(x), 2, divisor_override=1), "'avg_pool2d': divisor_override is 1"),
    "pool of a vector": (lambda net, x: F.avg_pool2d(net.conv(x).flatten(1), 2), "'avg_pool2d': pooling needs"),
    "adaptive": (lambda net, x: F.adaptive_avg_pool2d(net.conv(x), 4), r"'adaptive_avg_pool2d': a map of \(6, 6\) does not divide into \(4, 4\)"),
    "adaptive of a vector": (lambda net, x: F.adaptive_avg_pool2d(net.conv(x).flatten(1), 1), "pool before flattening"),
    "mean over features": (lambda net, x: net.conv(x).mean(1), r"'mean': a mean over axes 1.*dim=\(2, 3\), keepdim=True"),
    "mean of all": (lambda net, x: net.conv(x).mean(), "'mean': a mean over axes None"),
    "mean without keepdim": (lambda net, x: net.conv(x).mean((2, 3)), "'mean': .*keepdim=True"),
    "flatten with batch": (lambda net, x: torch.flatten(net.conv(x)), "'flatten': .*start_dim=1"),
    "flatten of two axes": (lambda net, x: net.conv(x).flatten(2), "'flatten': .*start_dim=1"),
    "view": (lambda net, x: (y := net.conv(x)).view(y.size(0), 6, 18), r"'view': a change of shape to \('batch', 6, 18\).*flatten"),
    "view of one": (lambda net, x: net.conv(x).view(1, -1), r"'view': a change of shape to \(1, -1\)"),
    "size of the batch": (lambda net, x: (y := net.conv(x)).view(y.size(0) // 2, -1), "floordiv computes with the size of the batch"),
    "plus number": (lambda net, x: net.conv(x) + 1.5, "'add': adds a number"),
    "plus alpha": (lambda net, x: torch.add(net.conv(x), net.other(x), alpha=2), "'add': adds a number, or with a factor"),
    "minus": (lambda net, x: net.conv(x) - net.other(x), "'sub': subtracts"),
    "negative": (lambda net, x: -net.conv(x), "'neg': subtracts"),
    "times tensor": (lambda net, x: net.conv(x) * net.other(x), "'mul': multiplies by something"),
    "times negative": (lambda net, x: net.conv(x) * -1, "'mul': multiplies by something"),
    "by zero": (lambda net, x: net.conv(x) / 0, "'truediv': divides by something"),
    "number by": (lambda net, x: 1 / net.conv(x), "'truediv': divides by something"),
    "power": (lambda net, x: net.conv(x) ** 2, "'pow_1?'|'pow': the function pow is not supported"),
    "cat of maps": (lambda net, x: torch.cat([net.conv(x), net.other(x)], 2), "'cat': concatenates along axis 2: use dim=1"),
    "cat of time": (lambda net, x: torch.cat([net.conv(x), net.other(x)]), "'cat': concatenates along axis 0: use dim=1"),
    "cat of unequal maps": (lambda net, x: torch.cat([net.conv(x), x], 1), r"'cat': concatenates maps of shapes \(3, 6, 6\) and \(2, 8, 8\)"),
    "add of unequal maps": (lambda net, x: net.conv(x) + x, r"'add': adds inputs of shapes \(3, 6, 6\) and \(2, 8, 8\)"),
    "part": (lambda net, x: net.conv(x)[:, :2], "'getitem': the function getitem is not supported, a layer reads whole maps"),
    "transposed": (lambda net, x: net.conv(x).T, "'getattr.*': reads the attribute T"),
    "permute": (lambda net, x: net.conv(x).permute(0, 2, 1, 3), "'permute': .*flatten"),
    "squeeze": (lambda net, x: F.adaptive_avg_pool2d(net.conv(x), 1).squeeze(-1), "'squeeze': .*flatten"),
    "sigmoid": (lambda net, x: torch.sigmoid(net.conv(x)), "'sigmoid': .*use relu"),
    "tanh": (lambda net, x: net.conv(x).tanh(), "'tanh': .*use relu"),
    "softmax": (lambda net, x: F.softmax(net.conv(x), 1), "'softmax': .*compare spike counts"),
    "interpolate": (lambda net, x: F.interpolate(net.conv(x), scale_factor=2), "'interpolate': .*cannot enlarge maps"),
    "matmul": (lambda net, x: net.conv(x) @ net.other(x), "'matmul': .*nn.Linear"),
    "stack": (lambda net, x: torch.stack([net.conv(x), net.other(x)]), "'stack': .*not supported.*known are"),
    "zeros": (lambda net, x: net.conv(x) + torch.zeros(x.size(1)), "zeros makes a tensor of numbers"),
    "unknown arguments": (lambda net, x: torch.cat(net.conv(x), 1), "'cat': arguments of cat are not understood"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_functions_are_refused_by_name_and_with_what_to_use(name: str) -> None:
    function, message = REFUSED[name]
    with pytest.raises(UnsupportedModelError, match=message):
        load(Calls(function, conv=conv(), other=conv()), SHAPE)


def test_every_function_is_tried_above() -> None:
    """Of those that have a spelling of their own."""
    tried = (
        " ".join(ACCEPTED)
        + " "
        + " ".join(str(function.__code__.co_names) for function in (*ACCEPTED.values(), *(f for f, _ in REFUSED.values())))
    )
    same = {
        "dropout_",
        "feature_dropout",
        "float",
        "concatenate",
        "isub",
        "sub_",
        "truediv",
        "itruediv",
        "sub",
        "neg",
        "add",
        "mul",
        "div",
    }
    assert [name for name in _FUNCTIONS if name not in tried and name not in same] == []
    assert set(_FUNCTIONS) & set(ADVICE) == set()


# Operations in place change what others read.


def _read_after(net: Any, x: Tensor) -> Tensor:
    y = net.conv(x)
    z = F.relu(y, inplace=True)
    return z + y


def _statement(net: Any, x: Tensor) -> Tensor:
    y = net.conv(x)
    y.relu_()
    net.relu(y)
    return y


def _alias(net: Any, x: Tensor) -> Tensor:
    y = net.conv(x)
    z = F.dropout(y, training=False)
    z += net.other(x)
    return torch.cat([y, z], 1)


def _copied(net: Any, x: Tensor) -> Tensor:
    y = net.conv(x)
    z = y.clone()
    z += net.other(x)
    return torch.cat([y, z], 1)


def _module(net: Any, x: Tensor) -> Tensor:
    y = net.conv(x)
    return net.relu(y) + y


@pytest.mark.parametrize("function", [_read_after, _statement, _alias, _copied, _module])
def test_what_is_overwritten_reads_as_in_torch(function: Callable[..., Any]) -> None:
    assert_same(Calls(function, conv=conv(), other=conv(), relu=nn.ReLU(inplace=True)))
