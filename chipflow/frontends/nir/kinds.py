"""One NIR node to one of ours, by its kind."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from chipflow.frontends.nir.fields import Fields, kind_of, numbers, shown, text
from chipflow.frontends.nir.neurons import Neurons, read_if
from chipflow.ir.nodes import AvgPool2d, BatchNorm, Conv2d, Flatten, Linear, Node, Pair, Scale, Shape, SumPool2d

KNOWN = "known are Input, Output, Conv2d, Affine, Linear, IF, SumPool2d, AvgPool2d, Flatten, Scale and NIRGraph"

_LEAK = (
    "no neuron of a core leaks with a time constant, and with tau = inf it would not integrate either, as its input is divided "
    "by tau too: use IF"
)
_GRADED = "a core's neurons give spikes only: use IF"

# Kinds that no core can do: the field that says so, and what to use.
REFUSED: dict[str, tuple[str, str]] = {
    "LIF": ("tau", _LEAK),
    "CubaLIF": ("tau_mem", _LEAK),
    "LI": ("tau", _GRADED),
    "CubaLI": ("tau_mem", _GRADED),
    "I": ("r", _GRADED),
    "Threshold": ("threshold", "a core's neurons keep a state: use IF"),
    "Delay": ("delay", "a core hands events on at once: leave the delay out and train without it"),
    "Conv1d": ("weight", "a core has two spatial axes: use Conv2d on a map of height 1, with weights [f, c, 1, k]"),
    "SumPool1d": ("kernel_size", "a core has two spatial axes: use SumPool2d on a map of height 1"),
    "AvgPool1d": ("kernel_size", "a core has two spatial axes: use AvgPool2d on a map of height 1"),
}


def convert(fields: Fields, shape: Shape | None, neurons: Neurons) -> Node | None:
    """The node, or None with the reasons in `fields.problems`.

    Args:
        fields: of the NIR node.
        shape: of its input; None where that is unknown, because of a problem noted elsewhere.
        neurons: what IF nodes do that do not say.
    """
    kind = kind_of(fields.node)
    if kind == "IF":
        return read_if(fields, shape, neurons)
    if kind in _CONVERTERS:
        return _CONVERTERS[kind](fields, shape)
    if kind in REFUSED:
        field, advice = REFUSED[kind]
        array = numbers(fields.get(field))
        fields.note(field, f"{'missing' if array is None else shown(array)}; {advice}")
    else:
        fields.note("type", f"{kind} is not supported ({KNOWN})")
    return None


def _conv(fields: Fields, shape: Shape | None) -> Node | None:
    weight, stride = fields.weight(4), fields.pair("stride", 1, default=1)
    dilation, groups = fields.pair("dilation", 1, default=1), fields.whole("groups", 1)
    if dilation not in (None, (1, 1)):
        fields.note("dilation", f"{dilation}; a core has none: use dilation 1 and a larger kernel with zeros in it")
    if groups not in (None, 1):
        fields.note("groups", f"{groups}; a core has dense kernels: use groups 1, with zeros between the groups")
    stated = fields.stated_shape("input_shape")
    if stated is not None and shape is not None and stated != shape[1:]:
        fields.note("input_shape", f"{stated}, but its input has shape {shape}; export again, or leave it out")
    if weight is None or stride is None:
        return None
    padding, bias = _padding(fields, (weight.shape[2], weight.shape[3]), stride), fields.bias(weight.shape[0])
    return None if padding is None else Conv2d(fields.name, weight, bias, stride, padding)


def _padding(fields: Fields, kernel: Pair, stride: Pair) -> Pair | None:
    """In numbers; 'same' is exact with stride 1 and odd kernels only."""
    found = text(fields.get("padding", 0))
    if not isinstance(found, str):
        return fields.pair("padding", 0, default=0)
    if found == "valid":
        return (0, 0)
    if found != "same":
        fields.note("padding", f"{found!r}; use 'valid', 'same', or numbers")
        return None
    if stride != (1, 1):
        fields.note("padding", f"'same' with stride {stride}; write it in numbers")
        return None
    if kernel[0] % 2 == 0 or kernel[1] % 2 == 0:
        fields.note(
            "padding", f"'same' with kernel {kernel} pads one side more than the other; use an odd kernel, with zeros added"
        )
        return None
    return (kernel[0] // 2, kernel[1] // 2)


def _affine(fields: Fields, shape: Shape | None) -> Node | None:
    weight = fields.weight(2)
    return None if weight is None else Linear(fields.name, weight, fields.bias(weight.shape[0]))


def _pool(kind: type[SumPool2d]) -> Callable[[Fields, Shape | None], Node | None]:
    def convert_pool(fields: Fields, shape: Shape | None) -> Node | None:
        size, padding = fields.pair("kernel_size", 1), fields.pair("padding", 0, default=0)
        stride = fields.pair("stride", 1, default=size or 1)
        if size is not None and stride not in (None, size):
            fields.note("stride", f"{stride}; windows of a core do not overlap and leave no gap: use kernel_size {size}")
        if padding not in (None, (0, 0)):
            fields.note("padding", f"{padding}; a core pools without padding: use 0")
        return None if size is None else kind(fields.name, size)

    return convert_pool


def _flatten(fields: Fields, shape: Shape | None) -> Node | None:
    """NIR counts axes without batch and time: 0 is the features."""
    start, end = fields.whole("start_dim", 1), fields.whole("end_dim", -1)
    stated = fields.stated_shape("input_type")
    if stated is not None and shape is not None and stated != shape:
        fields.note("input_type", f"{stated}, but its input has shape {shape}; export again, or leave it out")
    axes = shape or stated
    if start is None or end is None or (axes is None and (start, end) != (0, -1)):
        return None
    last = -1 if axes is None else len(axes) - 1
    if start not in (0, -last - 1):
        fields.note("start_dim", f"{start} of input shape {axes}; NIR counts without a batch axis: use 0, which flattens all")
    if end not in (-1, last):
        fields.note("end_dim", f"{end} of input shape {axes}; use -1, which flattens all")
    return Flatten(fields.name)


def _scale(fields: Fields, shape: Shape | None) -> Node | None:
    """One factor, or one for each feature, which then is a batch normalisation without shift."""
    array = fields.array("scale")
    if array is None:
        return None
    if (array == array.flat[0]).all():
        return Scale(fields.name, float(array.flat[0]))
    if shape is None:
        return None
    if array.ndim != len(shape) or any(size not in (1, full) for size, full in zip(array.shape, shape, strict=True)):
        fields.note("scale", f"shape {array.shape}, but its input has shape {shape}; give one value, or one for each feature")
        return None
    rows = np.broadcast_to(array, shape).reshape(shape[0], -1)
    if (rows != rows[:, :1]).any():
        fields.note(
            "scale",
            f"{shown(array)} differ within a feature; a kernel is the same at every pixel: use one value for each feature",
        )
        return None
    return BatchNorm(fields.name, rows[:, 0].copy(), np.zeros(shape[0]))


_CONVERTERS: dict[str, Callable[[Fields, Shape | None], Node | None]] = {
    "Conv2d": _conv,
    "Affine": _affine,
    "Linear": _affine,
    "SumPool2d": _pool(SumPool2d),
    "AvgPool2d": _pool(AvgPool2d),
    "Flatten": _flatten,
    "Scale": _scale,
}
