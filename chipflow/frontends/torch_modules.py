"""Modules of torch and of `chipflow.snn` as nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from chipflow.errors import UnsupportedModelError
from chipflow.ir.nodes import AvgPool2d, BatchNorm, Conv2d, Flatten, Iaf, Linear, Node, Pair, Relu, Shape, SumPool2d

if TYPE_CHECKING:
    from torch import nn

ADVICE = {
    "MaxPool2d": "use AvgPool2d, or a convolution with stride: the chip sums when it pools",
    "AdaptiveMaxPool2d": "use AdaptiveAvgPool2d: the chip sums when it pools",
    "Conv1d": "use Conv2d on a map of height 1",
    "Conv3d": "use Conv2d; the chip has two spatial axes",
    "ConvTranspose2d": "the chip has no transposed convolution; enlarge earlier maps instead",
    "LayerNorm": "use BatchNorm2d: it can be folded into weights",
    "GroupNorm": "use BatchNorm2d: it can be folded into weights",
    "InstanceNorm2d": "use BatchNorm2d: it can be folded into weights",
    "Upsample": "the chip cannot enlarge maps: let earlier layers have smaller strides and pools",
    **dict.fromkeys(("Softmax", "Softmax2d", "LogSoftmax"), "leave it out, and compare spike counts"),
    "MultiheadAttention": "use layers that are known",
    **dict.fromkeys(("RNN", "LSTM", "GRU"), "no layer reads its own output: use Linear and IAF, whose neurons keep a state"),
}
ACTIVATION = "use ReLU, which converts to a spiking neuron"
KNOWN = "known are Conv2d, Linear, BatchNorm, ReLU/IAF, AvgPool2d, SumPool2d, Flatten, sums, concatenations, Dropout and Identity"

Converter = Callable[[str, Any, tuple[Shape, ...]], Node | None]


def convert(name: str, module: nn.Module, shapes: tuple[Shape, ...]) -> Node | None:
    """The node of one module, None where it does nothing at inference.

    Args:
        name: the node's.
        module: of torch or of `chipflow.snn`.
        shapes: of what it reads.

    Raises:
        UnsupportedModelError: a module that no core can do; the message names it and what to use.
    """
    for kinds, function in _converters():
        if isinstance(module, kinds):
            return function(name, module, shapes)
    found = type(module).__name__
    advice = ADVICE.get(
        found, ACTIVATION if type(module).__module__ == "torch.nn.modules.activation" else "use layers that are known"
    )
    raise refusal(name, f"{found} is not supported, {advice} ({KNOWN})")


def _converters() -> list[tuple[tuple[type[nn.Module], ...], Converter]]:
    from torch import nn

    from chipflow.snn import IAF
    from chipflow.snn import SumPool2d as SpikingSumPool

    return [
        ((nn.Conv2d,), _conv),
        ((nn.Linear,), _linear),
        ((nn.BatchNorm2d, nn.BatchNorm1d), _batchnorm),
        ((nn.ReLU,), lambda name, module, shapes: Relu(name)),
        ((IAF,), _iaf),
        ((nn.AvgPool2d,), _avgpool),
        ((nn.AdaptiveAvgPool2d,), lambda name, module, shapes: adaptive_pool(name, module.output_size, shapes[0])),
        ((SpikingSumPool,), sum_pool),
        ((nn.Flatten,), lambda name, module, shapes: flatten(name, module.start_dim, module.end_dim)),
        ((nn.Dropout, nn.Dropout2d, nn.Identity), lambda name, module, shapes: None),
    ]


def refusal(name: str, problem: str) -> UnsupportedModelError:
    """The error for one layer."""
    return UnsupportedModelError(f"layer {name!r}: {problem}")


def _conv(name: str, module: Any, shapes: tuple[Shape, ...]) -> Node:
    problems = [
        (module.groups != 1, f"groups is {module.groups}, the chip has dense kernels: use groups=1"),
        (
            tuple(module.dilation) != (1, 1),
            f"dilation is {module.dilation}, the chip has none: use dilation=1 and a larger kernel",
        ),
        (module.padding_mode != "zeros", f"padding_mode is {module.padding_mode!r}: use 'zeros'"),
        (
            _same_padding(module) is None,
            f"padding is {module.padding!r}, which is not the same on both sides: write it in numbers",
        ),
    ]
    wrong = [text for is_wrong, text in problems if is_wrong]
    if wrong:
        raise refusal(name, "; ".join(wrong))
    return Conv2d(name, array(module.weight), array(module.bias), tuple(module.stride), _same_padding(module) or (0, 0))


def _same_padding(module: Any) -> Pair | None:
    """Padding of each axis in numbers; None where torch would pad one side more."""
    if not isinstance(module.padding, str):
        return pair(module.padding)
    if module.padding == "valid":
        return (0, 0)
    height, width = module.kernel_size
    return (height // 2, width // 2) if height % 2 and width % 2 else None


def _linear(name: str, module: Any, shapes: tuple[Shape, ...]) -> Node:
    return Linear(name, array(module.weight), array(module.bias))


def _batchnorm(name: str, module: Any, shapes: tuple[Shape, ...]) -> Node:
    if module.running_var is None:
        raise refusal(name, "the batch normalisation tracks no statistics: train it with track_running_stats=True")
    variance, mean = array(module.running_var), array(module.running_mean)
    gamma = np.ones_like(variance) if module.weight is None else array(module.weight)
    beta = np.zeros_like(variance) if module.bias is None else array(module.bias)
    scale = gamma / np.sqrt(variance + module.eps)
    return BatchNorm(name, scale, beta - mean * scale)


def _iaf(name: str, module: Any, shapes: tuple[Shape, ...]) -> Node:
    low = None if module.min_v_mem is None else float(module.min_v_mem)
    return Iaf(name, float(module.threshold), low, module.reset == "zero")


def _avgpool(name: str, module: Any, shapes: tuple[Shape, ...]) -> Node:
    if module.divisor_override is not None:
        raise refusal(name, f"divisor_override is {module.divisor_override}: leave it out, or use chipflow.snn.SumPool2d")
    return AvgPool2d(name, window(name, module.kernel_size, module.stride, module.padding, module.ceil_mode))


def sum_pool(name: str, module: Any, shapes: tuple[Shape, ...]) -> Node:
    """A module with kernel_size, stride and, perhaps, padding and ceil_mode, that sums over its windows."""
    padding, ceil_mode = getattr(module, "padding", 0), getattr(module, "ceil_mode", False)
    return SumPool2d(name, window(name, module.kernel_size, module.stride, padding, ceil_mode))


def window(name: str, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False) -> Pair:
    """(y, x) of windows that do not overlap; others are refused."""
    size = pair(kernel_size)
    step = size if stride is None or stride == [] else pair(stride)
    if step != size:
        raise refusal(name, f"kernel {size} and stride {step} differ: windows of the chip do not overlap, use equal ones")
    if any(pair(padding)) or ceil_mode:
        raise refusal(name, "padding and ceil_mode do not exist on the chip: use padding=0 and ceil_mode=False")
    return size


def adaptive_pool(name: str, output_size: Any, shape: Shape) -> Node:
    """An average pool to a fixed size: windows of equal size, or it is refused."""
    wanted = tuple(output_size) if isinstance(output_size, tuple | list) else (output_size, output_size)
    sides = shape[-2:]
    if len(shape) == 1:
        raise refusal(name, f"pools what is flattened, {shape}: pool before flattening")
    out = [side if size is None else int(size) for size, side in zip(wanted, sides, strict=True)]
    if any(side % size for side, size in zip(sides, out, strict=True)):
        raise refusal(
            name,
            f"a map of {sides} does not divide into {tuple(out)} windows of equal size: use AvgPool2d with its size written out",
        )
    return AvgPool2d(name, (sides[0] // out[0], sides[1] // out[1]))


def flatten(name: str, start_dim: int, end_dim: int) -> Node:
    """All axes but the batch become one."""
    if start_dim != 1 or end_dim != -1:
        raise refusal(name, f"flattens axes {start_dim} to {end_dim}: use start_dim=1, end_dim=-1")
    return Flatten(name)


def pair(value: Any) -> Pair:
    """One number for both axes, or (y, x)."""
    return (int(value), int(value)) if isinstance(value, int) or len(value) == 1 else (int(value[0]), int(value[1]))


def array(value: Any) -> Any:
    """float64, as quantisation works in it; None stays None."""
    return None if value is None else value.detach().cpu().double().numpy()
