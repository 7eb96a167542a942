"""A torch module, traced with torch.fx, as a graph. Sequential networks, nested as deep as they like."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from chipflow.errors import UnsupportedModelError
from chipflow.ir.graph import Graph
from chipflow.ir.nodes import AvgPool2d, BatchNorm, Conv2d, Flatten, Iaf, Input, Linear, Node, Pair, Shape, SumPool2d

if TYPE_CHECKING:
    from torch import nn

ADVICE = {
    "MaxPool2d": "use AvgPool2d, or a convolution with stride: the chip sums when it pools",
    "AdaptiveAvgPool2d": "use AvgPool2d with the size written out",
    "Conv1d": "use Conv2d on a map of height 1",
    "Conv3d": "use Conv2d; the chip has two spatial axes",
    "ConvTranspose2d": "the chip has no transposed convolution; enlarge earlier maps instead",
    "ReLU": "convert the network with chipflow.from_model first",
    "LayerNorm": "use BatchNorm2d: it can be folded into weights",
    "GroupNorm": "use BatchNorm2d: it can be folded into weights",
}
DEFAULT_ADVICE = "use ReLU, which converts to a spiking neuron"
KNOWN = "known are Conv2d, Linear, BatchNorm, ReLU/IAF, AvgPool2d, SumPool2d, Flatten, Dropout and Identity"


def from_torch(model: nn.Module, input_shape: Shape) -> Graph:
    """The graph of a spiking model (IAF neurons), layer names kept.

    Args:
        model: modules applied one after the other; batch normalisations with their trained statistics.
        input_shape: (features, y, x), or (n,) for a network that starts with a linear layer.

    Raises:
        UnsupportedModelError: every layer that no core can do, with what to use instead.
    """
    nodes: list[Node] = [Input("input", input_shape)]
    refusals: list[str] = []
    for name, module in _layers(model):
        try:
            node = convert(name, module)
        except UnsupportedModelError as error:
            refusals.append(str(error))
            continue
        if node is not None:
            nodes.append(node)
    if refusals:
        raise UnsupportedModelError("\n".join(refusals))
    return Graph.chain(nodes)


def _layers(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """Leaf modules in the order of their calls; each must read the one before."""
    graph_module = _trace(model)
    modules = dict(graph_module.named_modules())
    layers: list[tuple[str, nn.Module]] = []
    refusals: list[str] = []
    last: Any = None
    for node in graph_module.graph.nodes:
        if node.op == "output":
            if node.args[0] is not last:
                refusals.append("the network's output is not its last layer; this version compiles sequential networks")
        elif node.op == "placeholder":
            if last is not None:
                refusals.append(f"the network reads a second input {node.name!r}; this version compiles networks with one")
            last = node
        elif node.op == "call_module":
            if list(node.all_input_nodes) != [last]:
                refusals.append(
                    f"layer {node.target!r} does not read the layer before it; this version compiles sequential networks"
                )
            layers.append((str(node.target), modules[str(node.target)]))
            last = node
        else:
            refusals.append(f"operation {node.name!r} ({node.target}) is no module; use one instead ({KNOWN})")
            last = node
    repeated = sorted({name for name, _ in layers if [other for other, _ in layers].count(name) > 1})
    refusals.extend(f"layer {name!r} is used twice: a core holds one use, give each its own module" for name in repeated)
    if refusals:
        raise UnsupportedModelError("\n".join(refusals))
    return layers


def _trace(model: nn.Module) -> Any:
    import torch.fx
    from torch import nn

    from chipflow.snn import IAF

    class Tracer(torch.fx.Tracer):
        def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
            return (
                isinstance(m, IAF)
                or (not isinstance(m, nn.Sequential) and super().is_leaf_module(m, module_qualified_name))
                or not list(m.children())
            )

    root = model if list(model.children()) else nn.Sequential(model)
    try:
        graph = Tracer().trace(root)
    except Exception as error:
        raise UnsupportedModelError(f"torch.fx cannot trace {type(model).__name__}: {error}") from error
    return torch.fx.GraphModule(root, graph)


def convert(name: str, module: nn.Module) -> Node | None:
    """The node of one module, None where it does nothing at inference; UnsupportedModelError names it and what to use."""
    from torch import nn

    from chipflow.snn import IAF
    from chipflow.snn import SumPool2d as SpikingSumPool

    converters: list[tuple[type[nn.Module] | tuple[type[nn.Module], ...], Callable[[str, Any], Node | None]]] = [
        (nn.Conv2d, _conv),
        (nn.Linear, _linear),
        ((nn.BatchNorm2d, nn.BatchNorm1d), _batchnorm),
        (IAF, _iaf),
        (nn.AvgPool2d, _avgpool),
        (SpikingSumPool, _sumpool),
        (nn.Flatten, _flatten),
        ((nn.Dropout, nn.Dropout2d, nn.Identity), lambda name, module: None),
    ]
    for kind, function in converters:
        if isinstance(module, kind):
            return function(name, module)
    found = type(module).__name__
    raise _refusal(name, f"{found} is not supported, {ADVICE.get(found, DEFAULT_ADVICE)} ({KNOWN})")


def _refusal(name: str, problem: str) -> UnsupportedModelError:
    return UnsupportedModelError(f"layer {name!r}: {problem}")


def _conv(name: str, module: Any) -> Node:
    problems = [
        (module.groups != 1, f"groups is {module.groups}, the chip has dense kernels: use groups=1"),
        (
            tuple(module.dilation) != (1, 1),
            f"dilation is {module.dilation}, the chip has none: use dilation=1 and a larger kernel",
        ),
        (module.padding_mode != "zeros", f"padding_mode is {module.padding_mode!r}: use 'zeros'"),
        (isinstance(module.padding, str), f"padding is {module.padding!r}: write it in numbers"),
        (len(set(module.kernel_size)) != 1, f"kernel {module.kernel_size} is not square: pad its weights with zeros"),
    ]
    wrong = [text for is_wrong, text in problems if is_wrong]
    if wrong:
        raise _refusal(name, "; ".join(wrong))
    return Conv2d(name, _array(module.weight), _array(module.bias), tuple(module.stride), tuple(module.padding))


def _linear(name: str, module: Any) -> Node:
    return Linear(name, _array(module.weight), _array(module.bias))


def _batchnorm(name: str, module: Any) -> Node:
    if module.running_var is None:
        raise _refusal(name, "the batch normalisation tracks no statistics: train it with track_running_stats=True")
    variance, mean = _array(module.running_var), _array(module.running_mean)
    gamma = np.ones_like(variance) if module.weight is None else _array(module.weight)
    beta = np.zeros_like(variance) if module.bias is None else _array(module.bias)
    scale = gamma / np.sqrt(variance + module.eps)
    return BatchNorm(name, scale, beta - mean * scale)


def _iaf(name: str, module: Any) -> Node:
    low = None if module.min_v_mem is None else float(module.min_v_mem)
    return Iaf(name, float(module.threshold), low, module.reset == "zero")


def _avgpool(name: str, module: Any) -> Node:
    if module.divisor_override is not None:
        raise _refusal(name, f"divisor_override is {module.divisor_override}: leave it out, or use chipflow.snn.SumPool2d")
    return AvgPool2d(name, _window(name, module))


def _sumpool(name: str, module: Any) -> Node:
    return SumPool2d(name, _window(name, module))


def _window(name: str, module: Any) -> Pair:
    size = _pair(module.kernel_size)
    step = size if module.stride is None else _pair(module.stride)
    if step != size:
        raise _refusal(name, f"kernel {size} and stride {step} differ: windows of the chip do not overlap, use equal ones")
    if size[0] != size[1]:
        raise _refusal(name, f"window {size} is not square: use equal sides")
    if any(_pair(getattr(module, "padding", 0))) or getattr(module, "ceil_mode", False):
        raise _refusal(name, "padding and ceil_mode do not exist on the chip: use padding=0 and ceil_mode=False")
    return size


def _flatten(name: str, module: Any) -> Node:
    if module.start_dim != 1 or module.end_dim != -1:
        raise _refusal(name, f"flattens axes {module.start_dim} to {module.end_dim}: use start_dim=1, end_dim=-1")
    return Flatten(name)


def _pair(value: Any) -> Pair:
    return (int(value), int(value)) if isinstance(value, int) else (int(value[0]), int(value[1]))


def _array(value: Any) -> Any:
    """float64, as quantisation works in it."""
    return None if value is None else value.detach().cpu().double().numpy()


def load(model: Any, input_shape: Shape | None, calibration: Any = None) -> Graph:
    """The graph of a chipflow `Network`, of a spiking module, or of an ANN, which is converted first.

    Args:
        model: a Network (its spiking model is read, and its input shape where none is given) or an nn.Module.
        input_shape: (features, y, x) or (n,).
        calibration: images or recordings for the conversion of an ANN, see `chipflow.snn.from_model`.

    Raises:
        UnsupportedModelError: no input shape, or layers that no core can do.
    """
    from chipflow.snn import IAF, Network, from_model

    network = model if isinstance(model, Network) else None
    shape = input_shape or (network.input_shape if network else None)
    if shape is None:
        raise UnsupportedModelError("input_shape is not known: give it as (features, y, x)")
    if network is None and not any(isinstance(module, IAF) for module in model.modules()):
        network = from_model(model, tuple(shape), add_spiking_output=True, calibration=calibration)
    return from_torch(network.spiking_model if network else model, tuple(shape))
