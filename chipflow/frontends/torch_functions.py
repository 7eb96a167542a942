"""Functions, methods and operators of torch as nodes: what stands between the modules of a network."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from chipflow.errors import UnsupportedModelError
from chipflow.frontends.torch_modules import KNOWN, adaptive_pool, flatten, pair, refusal, window
from chipflow.ir.nodes import Add, AvgPool2d, Concat, Flatten, Node, Relu, Scale, Shape

ADVICE = {
    "max_pool2d": "use avg_pool2d, or a convolution with stride: the chip sums when it pools",
    "conv2d": "use an nn.Conv2d, so that the layer has a name",
    "linear": "use an nn.Linear, so that the layer has a name",
    "batch_norm": "use an nn.BatchNorm2d",
    "matmul": "use an nn.Linear",
    "interpolate": "the chip cannot enlarge maps: let earlier layers have smaller strides and pools",
    "getitem": "a layer reads whole maps: use a convolution whose weights for the rest are 0",
    **dict.fromkeys(
        ("squeeze", "unsqueeze", "permute", "transpose", "unflatten"), "only flattening is possible: use torch.flatten(x, 1)"
    ),
    **dict.fromkeys(("softmax", "log_softmax"), "leave it out, and compare spike counts"),
    **dict.fromkeys(
        ("sigmoid", "tanh", "leaky_relu", "relu6", "elu", "gelu", "silu", "hardtanh", "softplus", "clamp"),
        "use relu, which converts to a spiking neuron",
    ),
}


@dataclass(frozen=True)
class Value:
    """A tensor of the network: the node that makes it; without name and shape if that was refused."""

    name: str
    shape: Shape


BATCH = object()
"""The first axis of a tensor, which no layer of a chip has."""

IN_PLACE = (operator.iadd, operator.isub, operator.imul, operator.itruediv)
"""Operators that write over what they read first."""

Made = Node | None


def is_in_place(target: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Whether the call writes over what it reads first."""
    called = _name_of(target)
    inplace = kwargs.get("inplace", called == "relu" and len(args) > 1 and args[1])
    return bool(inplace) or target in IN_PLACE or (called.endswith("_") and not called.endswith("__"))


def not_a_tensor(name: str, target: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """What a call gives that is about sizes of tensors, and numbers; None if it gives a tensor.

    Raises:
        UnsupportedModelError: an attribute that is no size, or a number that depends on the batch.
    """
    called, given = _name_of(target), list(_flat((*args, *kwargs.values())))
    if args and isinstance(args[0], Value):
        return _size(name, called, (BATCH, *args[0].shape), *args[1:], **kwargs)
    if any(isinstance(value, Value) for value in given):
        return None
    if called == "getitem":
        return args[0][args[1]]
    if BATCH in given:
        raise refusal(name, f"{called} computes with the size of the batch: a layer sees one sample at one time step")
    if called == "numel":
        return math.prod(args[0])
    if getattr(target, "__module__", "") in ("_operator", "math", "builtins"):
        return target(*args, **kwargs)
    raise refusal(name, f"{called} makes a tensor of numbers; only the outputs of layers can be computed with")


def _size(name: str, called: str, sizes: Sequence[Any], *args: Any, **kwargs: Any) -> Any:
    if called == "size":
        axes = (*args, *kwargs.values())
        return sizes[axes[0]] if axes else sizes
    if called in ("dim", "ndimension"):
        return len(sizes)
    if called == "getattr":
        if args[0] not in ("shape", "ndim"):
            raise refusal(name, f"reads the attribute {args[0]} of a tensor; only its shape is known")
        return sizes if args[0] == "shape" else len(sizes)
    return None


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, tuple | list):
        for item in value:
            yield from _flat(item)
    else:
        yield value


def _name_of(target: Any) -> str:
    return target if isinstance(target, str) else getattr(target, "__name__", str(target))


def function_node(name: str, target: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Made, list[Value]]:
    """The node of a call, and what it reads; (None, [x]) where it changes nothing.

    Args:
        name: the node's.
        target: a function, or the name of a method.
        args, kwargs: of the call, tensors as `Value`.

    Raises:
        UnsupportedModelError: a function that no core can do.
    """
    called = _name_of(target)
    if called not in _FUNCTIONS:
        advice = ADVICE.get(called, "write it with layers")
        raise refusal(name, f"the function {called} is not supported, {advice} ({KNOWN})")
    try:
        return _FUNCTIONS[called](name, *args, **kwargs)
    except UnsupportedModelError:
        raise
    except (TypeError, AttributeError, IndexError, ValueError):
        raise refusal(name, f"arguments of {called} are not understood ({KNOWN})") from None


def _relu(name: str, input: Value, inplace: bool = False) -> tuple[Made, list[Value]]:
    return Relu(name), [input]


def _same(name: str, x: Value, *args: Any, **kwargs: Any) -> tuple[Made, list[Value]]:
    return None, [x]


def _clone(name: str, x: Value, *args: Any, **kwargs: Any) -> tuple[Made, list[Value]]:
    """In other memory."""
    return None, [replace(x)]


def _avg_pool(
    name: str, input: Value, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,
) -> tuple[Made, list[Value]]:  # fmt: skip
    if divisor_override is not None:
        size = window(name, kernel_size, stride, padding, ceil_mode)
        raise refusal(
            name, f"divisor_override is {divisor_override} for windows of {size}: leave it out, or use chipflow.SumPool2d"
        )
    return AvgPool2d(name, window(name, kernel_size, stride, padding, ceil_mode)), [input]


def _adaptive(name: str, input: Value, output_size: Any) -> tuple[Made, list[Value]]:
    return adaptive_pool(name, output_size, input.shape), [input]


def _mean(name: str, input: Value, dim: Any = None, keepdim: bool = False) -> tuple[Made, list[Value]]:
    axes = sorted(axis % 4 for axis in ((dim,) if isinstance(dim, int) else tuple(dim or ())))
    if axes != [2, 3] or not keepdim or len(input.shape) == 1:
        raise refusal(
            name, f"a mean over axes {dim} with keepdim={keepdim}: use dim=(2, 3), keepdim=True, or AdaptiveAvgPool2d(1)"
        )
    return AvgPool2d(name, pair(input.shape[1:])), [input]


def _flatten(name: str, input: Value, start_dim: int = 0, end_dim: int = -1) -> tuple[Made, list[Value]]:
    return flatten(name, start_dim, end_dim), [input]


def _view(name: str, x: Value, *shape: Any) -> tuple[Made, list[Value]]:
    """Flattening, written as a new shape: the batch, then all the rest."""
    sizes = list(shape[0]) if len(shape) == 1 and isinstance(shape[0], tuple | list) else list(shape)
    count = math.prod(x.shape)
    if sizes in ([BATCH, -1], [BATCH, count], [-1, count]):
        return Flatten(name), [x]
    raise refusal(
        name,
        f"a change of shape to {tuple('batch' if size is BATCH else size for size in sizes)}: only flattening is possible, "
        "x.view(x.size(0), -1) or torch.flatten(x, 1)",
    )


def _add(name: str, input: Any, other: Any, *, alpha: Any = 1) -> tuple[Made, list[Value]]:
    read = [value for value in (input, other) if isinstance(value, Value)]
    if len(read) == 1 and (input == 0 or other == 0):
        return None, read  # where sum() starts
    if alpha != 1 or len(read) < 2:
        raise refusal(name, "adds a number, or with a factor; only the outputs of layers can be added")
    return Add(name), read


def _sub(name: str, *args: Any, **kwargs: Any) -> tuple[Made, list[Value]]:
    raise refusal(name, "subtracts; spikes can only be added: let the layer behind have negative weights (torch.cat)")


def _cat(name: str, tensors: Sequence[Value], dim: int = 0) -> tuple[Made, list[Value]]:
    if dim not in (1, -len(tensors[0].shape)):
        raise refusal(name, f"concatenates along axis {dim}: use dim=1, the features")
    return Concat(name), list(tensors)


def _mul(name: str, input: Any, other: Any) -> tuple[Made, list[Value]]:
    x, factor = (input, other) if isinstance(input, Value) else (other, input)
    return _scaled(name, x, factor, "multiplies")


def _div(name: str, input: Any, other: Any) -> tuple[Made, list[Value]]:
    return _scaled(name, input, 1 / other if isinstance(other, int | float) and other else None, "divides")


def _scaled(name: str, x: Any, factor: Any, verb: str) -> tuple[Made, list[Value]]:
    if not isinstance(x, Value) or not isinstance(factor, int | float) or not factor > 0:
        raise refusal(name, f"{verb} by something that is no number above 0")
    return Scale(name, float(factor)), [x]


_FUNCTIONS: dict[str, Callable[..., tuple[Made, list[Value]]]] = {
    **dict.fromkeys(("relu", "relu_"), _relu),
    **dict.fromkeys(("dropout", "dropout_", "dropout2d", "feature_dropout", "contiguous", "detach", "float"), _same),
    "clone": _clone,
    "avg_pool2d": _avg_pool,
    "adaptive_avg_pool2d": _adaptive,
    "mean": _mean,
    "flatten": _flatten,
    **dict.fromkeys(("view", "reshape"), _view),
    **dict.fromkeys(("add", "iadd", "add_"), _add),
    **dict.fromkeys(("sub", "isub", "sub_", "neg"), _sub),
    **dict.fromkeys(("cat", "concat", "concatenate"), _cat),
    **dict.fromkeys(("mul", "imul", "mul_"), _mul),
    **dict.fromkeys(("truediv", "itruediv", "div", "div_"), _div),
}
