"""A torch module, traced with torch.fx, as a graph: modules and functions, branches, sums, concatenations, several outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from chipflow.errors import UnsupportedModelError
from chipflow.frontends import sinabs
from chipflow.frontends.sinabs_sensor import joined
from chipflow.frontends.torch_functions import IN_PLACE, Value, function_node, is_in_place, not_a_tensor
from chipflow.frontends.torch_modules import convert
from chipflow.ir.graph import Graph
from chipflow.ir.nodes import Add, ChannelShift, Iaf, Input, Node, Shape, Weighted

if TYPE_CHECKING:
    from torch import nn

LEAVES = ("torch.nn.", "torch.ao.", "chipflow.snn", "sinabs.")
"""Where modules come from that are one layer; others are looked into."""


def from_torch(model: nn.Module, input_shape: Shape | Mapping[str, Shape]) -> Graph:
    """The graph of a network, layer names kept: dotted module names; functions have torch.fx's names for them.

    Args:
        model: spiking or with ReLUs; batch normalisations with their trained statistics. A module with a state or weights is
            used once.
        input_shape: (features, y, x), or (n,) for a network that starts with a linear layer; for a network with several inputs
            by the names of `forward`'s arguments.

    Raises:
        UnsupportedModelError: every layer that no core can do, with what to use instead.
    """
    graph_module = _trace(model)
    walk = _Walk(dict(graph_module.named_modules(remove_duplicate=False)), input_shape)
    for node in walk.needed(graph_module.graph.nodes):
        walk.visit(node)
    return walk.graph()


class _Walk:
    """The nodes met so far, and what each torch.fx node stands for."""

    def __init__(self, modules: Mapping[str, nn.Module], input_shape: Shape | Mapping[str, Shape]) -> None:
        self._modules = modules
        self._input_shape = input_shape
        self._nodes: list[Node] = []
        self._edges: list[tuple[str, str]] = []
        self._values: dict[Any, Any] = {}
        self._used: set[Any] = set()
        self._outputs: list[str] = []
        self._refusals: list[str] = []

    def needed(self, fx_nodes: Iterable[Any]) -> list[Any]:
        """Those that the output, or an operation in place, depends on."""
        found: dict[Any, None] = {}
        for fx_node in reversed(list(fx_nodes)):
            if fx_node.op == "output" or self._is_in_place(fx_node) or any(user in found for user in fx_node.users):
                found[fx_node] = None
        return list(reversed(found))

    def visit(self, fx_node: Any) -> None:
        """One node of the trace; a refusal is noted, and what depends on it is looked at as far as that goes without its shape."""
        read = _flat(self._known((fx_node.args, dict(fx_node.kwargs))))
        in_the_dark = any(isinstance(value, Value) and not value.shape for value in read)
        self._values[fx_node] = Value("", ())
        try:
            self._values[fx_node] = getattr(self, f"_{fx_node.op}")(fx_node)
        except UnsupportedModelError as error:
            self._refusals.append(str(error))
        except (ValueError, IndexError):
            if not in_the_dark:
                raise
        if self._is_in_place(fx_node):
            self._overwrite(self._values[fx_node.all_input_nodes[0]], self._values[fx_node])

    def _is_in_place(self, fx_node: Any) -> bool:
        if fx_node.op == "call_module":
            return bool(getattr(self._modules[fx_node.target], "inplace", False))
        return fx_node.op in ("call_function", "call_method") and is_in_place(fx_node.target, fx_node.args, fx_node.kwargs)

    def _overwrite(self, old: Any, new: Any) -> None:
        """What an operation in place wrote over, and what is the same memory, stands for its result from now on."""
        self._values.update({fx_node: new for fx_node, value in self._values.items() if value is old})

    def graph(self) -> Graph:
        """What was met, if nothing was refused."""
        if self._refusals:
            raise UnsupportedModelError("\n".join(self._refusals))
        inputs = [node.name for node in self._nodes if isinstance(node, Input)]
        unread = [name for name in inputs if all(source != name for source, _ in self._edges)]
        if unread or not inputs:
            raise UnsupportedModelError(
                f"the network does not read its input {unread[0]!r}" if unread else "the network has no input"
            )
        if not self._outputs:
            raise UnsupportedModelError("the network's answer is no layer's output")
        if isinstance(self._input_shape, Mapping) and len(self._input_shape) > len(inputs):
            unknown = next(name for name in self._input_shape if name not in inputs)
            raise UnsupportedModelError(f"input_shape names {unknown!r}, the network's inputs are {', '.join(inputs)}")
        return joined(Graph(self._nodes, self._edges, dict.fromkeys(self._outputs)))

    def _placeholder(self, fx_node: Any) -> Value:
        shape = self._input_shape
        name = self._free("input")
        if isinstance(shape, Mapping):
            name = str(fx_node.target)
            if name not in shape:
                raise UnsupportedModelError(f"input_shape names inputs {', '.join(shape)}, and not {name!r}")
            shape = shape[name]
        elif any(isinstance(node, Input) for node in self._nodes):
            raise UnsupportedModelError(
                f"the network reads a second input {fx_node.target!r}: give input_shape as a mapping from the names of its inputs to shapes"
            )
        return self._add(Input(name, tuple(shape)), [])

    def _get_attr(self, fx_node: Any) -> None:
        raise UnsupportedModelError(
            f"layer {fx_node.name!r}: the parameter {fx_node.target!r} is used outside of a module; use a layer for it"
        )

    def _call_module(self, fx_node: Any) -> Value:
        module = self._modules[fx_node.target]
        read = self._tensors(fx_node)
        used = fx_node.target in self._used
        self._used.add(fx_node.target)
        name = self._free(fx_node.name) if used else str(fx_node.target)
        shapes = tuple(value.shape for value in read)
        node = sinabs.convert(name, module, shapes) if sinabs.is_from_sinabs(module) else convert(name, module, shapes)
        if used and isinstance(node, Weighted | Iaf):
            raise UnsupportedModelError(f"layer {fx_node.target!r} is used twice: a core holds one use, give each its own module")
        if isinstance(node, Add):
            read = self._filled_up(name, read)
        return read[0] if node is None else self._add(node, read)

    def _call_function(self, fx_node: Any) -> Any:
        name, args, kwargs = self._free(fx_node.name), self._known(fx_node.args), self._known(dict(fx_node.kwargs))
        known = not_a_tensor(name, fx_node.target, args, kwargs)
        if known is not None:
            return known
        node, read = function_node(name, fx_node.target, args, kwargs)
        return read[0] if node is None else self._add(node, read)

    _call_method = _call_function

    def _output(self, fx_node: Any) -> None:
        self._outputs = [value.name for value in _flat(self._known(fx_node.args[0])) if isinstance(value, Value)]

    def _free(self, name: str) -> str:
        """The name, or one like it where a module has it."""
        while name in self._modules or any(node.name == name for node in self._nodes):
            name += "_"
        return name

    def _known(self, arguments: Any) -> Any:
        """Arguments with torch.fx nodes replaced by what they stand for."""
        from torch.fx.node import map_arg

        return map_arg(arguments, self._values.__getitem__)

    def _tensors(self, fx_node: Any) -> list[Value]:
        read = [value for value in _flat(self._known((fx_node.args, dict(fx_node.kwargs)))) if isinstance(value, Value)]
        if not read:
            raise UnsupportedModelError(f"layer {fx_node.target!r} reads no layer")
        return read

    def _add(self, node: Node, read: list[Value]) -> Value:
        if not all(value.shape for value in read):
            return Value("", ())
        try:
            shape = node.output_shape(*(value.shape for value in read))
        except ValueError as error:
            raise UnsupportedModelError(f"layer {node.name!r}: {error}") from None
        self._nodes.append(node)
        self._edges.extend((value.name, node.name) for value in read)
        return Value(node.name, shape)

    def _filled_up(self, name: str, read: list[Value]) -> list[Value]:
        """Summands of fewer features than others, as `Merge` of sinabs takes them: the missing ones are 0."""
        if not all(value.shape for value in read):
            return read
        most = max(value.shape[0] for value in read)
        return [
            value if value.shape[0] == most else self._add(ChannelShift(f"{name}.{i}", 0, most), [value])
            for i, value in enumerate(read)
        ]


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, tuple | list):
        for item in value:
            yield from _flat(item)
    else:
        yield value


def _trace(model: nn.Module) -> Any:
    import torch.fx
    from torch import nn

    class Proxy(torch.fx.Proxy):
        """Notes that x += y writes over x, which torch.fx takes for x + y."""

    for called in IN_PLACE:
        setattr(Proxy, f"__{called.__name__}__", _in_place(called))

    class Tracer(torch.fx.Tracer):
        def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
            return _is_one_layer(m)

        def proxy(self, node: torch.fx.Node) -> torch.fx.Proxy:
            return Proxy(node, self)

    root = nn.Sequential(model) if _is_one_layer(model) else model
    try:
        graph = Tracer().trace(root)
    except Exception as error:
        raise UnsupportedModelError(
            f"torch.fx cannot trace {type(model).__name__}: {error}; let `forward` call layers without conditions that depend on data"
        ) from error
    return torch.fx.GraphModule(root, graph)


def _in_place(called: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda x, other: x.tracer.create_proxy("call_function", called, (x, other), {})


def _is_one_layer(module: nn.Module) -> bool:
    """Whether a library of layers has made it, and its `forward` is that library's."""
    from torch import nn

    if (
        isinstance(module, nn.Sequential | nn.ModuleList | nn.ModuleDict)
        or "forward" in vars(module)
        or sinabs.is_network(module)
    ):
        return False
    owner = next(kind for kind in type(module).__mro__ if "forward" in vars(kind))
    return owner.__module__.startswith(LEAVES)
