"""A model in which every relu is a module of its own, so that each place can become neurons.

torch.fx traces each module that somebody has written by itself, with its children as black boxes. F.relu, torch.relu, x.relu() and their
in-place forms in its `forward` become nn.ReLU modules, named `relu`, `relu_1`, ... as torch.fx would name them; a child that holds ReLUs and is
called again gets a copy that shares its parameters. Such a module keeps its class (it becomes an object of a subclass), its
attributes and hooks; only `forward` is exchanged for the rewritten one. All others stay what they are.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any, cast

import torch
import torch.fx
from torch import Tensor, nn
from torch.nn import functional as F

from chipflow.errors import UnsupportedModelError
from chipflow.snn.trace import refusing, sharing_copy

RELU_FUNCTIONS = (F.relu, torch.relu, torch.relu_)
RELU_METHODS = ("relu", "relu_")

LIBRARIES = ("torch.nn.", "torch.ao.", "chipflow.snn", "sinabs.")
"""Whose modules are not looked into: their `forward` calls no relu, but for that of nn.ReLU."""


@dataclass(frozen=True)
class Place:
    """A call in a traced `forward` that runs a layer of its own.

    Attributes:
        layer: path of the layer, seen from the module.
        in_place: whether it writes over its input, which is read again later: that reads the output instead.
    """

    layer: str
    in_place: bool


@dataclass
class Modular:
    """A model whose relus are modules.

    Attributes:
        model: the model.
        untraced: dotted names of the modules that torch.fx could not trace, and why; they are as they were.
    """

    model: nn.Module
    untraced: dict[str, str] = field(default_factory=dict)


def with_relu_modules(model: nn.Module) -> Modular:
    """Make modules of all relus, which write over nothing, as neurons do not.

    Args:
        model: a copy that nobody else uses (`trace.eval_copy`); it is changed.
    """
    result = Modular(model)
    result.model = _visit(model, "", result)
    for layer in result.model.modules():
        if isinstance(layer, nn.ReLU):
            layer.inplace = False
    return result


def check_same(before: nn.Module, after: nn.Module, sample: Tensor) -> None:
    """Compare a model with its form with modules on `sample` [batch, ...]; both in evaluation mode.

    Raises:
        UnsupportedModelError: if they differ, or cannot run.
    """
    outputs: list[Any] = []
    for model in (before, after):
        drawing = torch.random.fork_rng([sample.device] if sample.is_cuda else [])  # both draw the same numbers
        with drawing, torch.no_grad(), refusing(lambda: f"The model cannot run on a batch of shape {list(sample.shape)}"):
            outputs.append(model(sample.clone()))
    try:
        torch.testing.assert_close(*outputs, equal_nan=True)
    except AssertionError:
        raise UnsupportedModelError(
            f"{type(before).__name__} gives another output once each relu is a layer that writes to memory of its own, as neurons do. Use "
            "relus that are not in place, and nn.ReLU modules, one for each place, where forward computes with sizes or numbers."
        ) from None


class _Tracer(torch.fx.Tracer):
    """Looks into one module only; `self.training` stays what it is when the module runs."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return True

    def create_args_for_root(self, root_fn: Any, is_module: bool, concrete_args: Any = None) -> Any:
        found = super().create_args_for_root(root_fn, is_module, concrete_args)
        self.root.training = self.create_proxy("get_attr", "training", (), {})  # pyright: ignore[reportAttributeAccessIssue]
        return found


def _traced(module: nn.Module) -> torch.fx.Graph:
    training = module.training
    try:
        graph = _Tracer().trace(module)
    finally:
        module.training = training
    for node in list(graph.nodes):
        if node.op == "get_attr" and node.target == "training" and not node.users:
            graph.erase_node(node)
    return graph


def _visit(module: nn.Module, name: str, result: Modular) -> nn.Module:
    for child_name, child in list(module._modules.items()):
        if child is not None:
            module._modules[child_name] = _visit(child, f"{name}.{child_name}".lstrip("."), result)
    return module if _is_from_a_library(module) else _rewrite(module, name, result)


def _is_from_a_library(module: nn.Module) -> bool:
    owner = next(kind for kind in type(module).__mro__ if "forward" in vars(kind))
    return owner.__module__.startswith(LIBRARIES)


def _rewrite(module: nn.Module, name: str, result: Modular) -> nn.Module:
    """The module, or a copy that shares its parameters if `forward` has to be another one."""
    own = sharing_copy(module)  # forward may write to its attributes while it is traced
    try:
        graph = _traced(own)
    except Exception as error:  # whatever the user's code does with torch.fx's stand-ins for tensors
        result.untraced[name] = str(error).strip().split("\n")[0] or type(error).__name__
        return module
    places = _find_places(own, graph)
    if not places:
        return module
    _exchange_forward(own, graph, places)
    return own


def _find_places(module: nn.Module, graph: torch.fx.Graph) -> dict[str, Place]:
    """By the names of nodes: the calls that have to change. Adds the layers that they need to `module`."""
    places: dict[str, Place] = {}
    taken: set[str] = set()
    ran: set[str] = set()
    for node in graph.nodes:
        if node.op == "call_module":
            ran.add(str(node.target).partition(".")[0])
        call = _relu_call(module, node)
        if call is None:
            continue
        layer = call.layer
        if layer is None or layer in taken:
            again = nn.ReLU() if layer is None else sharing_copy(module.get_submodule(layer))
            layer = _free_name(module, "relu" if layer is None else node.name)
            _insert(module, layer, again, ran)
            ran.add(layer)
        taken.add(layer)
        in_place = call.in_place and bool(_later_users(graph, node))
        if layer != call.layer or in_place:
            places[node.name] = Place(layer, in_place)
    return places


@dataclass(frozen=True)
class _ReluCall:
    layer: str | None
    """Path of the layer that runs, a ReLU or one with ReLUs inside; None for a function."""
    in_place: bool


def _relu_call(module: nn.Module, node: torch.fx.Node) -> _ReluCall | None:
    """None for a node that runs no relu."""
    if node.op == "call_module":
        layer = module.get_submodule(str(node.target))
        return _ReluCall(str(node.target), isinstance(layer, nn.ReLU) and layer.inplace) if _holds_relu(layer) else None
    is_function = node.op == "call_function" and any(node.target is function for function in RELU_FUNCTIONS)
    if not is_function and not (node.op == "call_method" and node.target in RELU_METHODS):
        return None
    flag = node.kwargs.get("inplace", len(node.args) > 1 and node.args[1])
    return _ReluCall(None, bool(flag) or node.target in (torch.relu_, "relu_"))


def _holds_relu(module: nn.Module) -> bool:
    return any(isinstance(layer, nn.ReLU) for layer in module.modules())


def _free_name(module: nn.Module, wanted: str) -> str:
    """The name, or the first of name_1, name_2, ... that the module has no attribute of."""
    name, number = wanted, 0
    while hasattr(module, name):
        number += 1
        name = f"{wanted}_{number}"
    return name


def _insert(module: nn.Module, name: str, layer: nn.Module, ran: set[str]) -> None:
    """Register a layer behind those that have run before it, so that the module prints about in the order in which it runs."""
    names = list(module._modules)
    names.insert(max((names.index(other) + 1 for other in ran), default=0), name)
    module.add_module(name, layer)
    ordered = {other: module._modules[other] for other in names}
    module._modules.clear()
    module._modules.update(ordered)


def _input_of(node: torch.fx.Node) -> torch.fx.Node:
    return cast(torch.fx.Node, node.args[0] if node.args else node.kwargs["input"])


def _later_users(graph: torch.fx.Graph, node: torch.fx.Node) -> set[torch.fx.Node]:
    """What reads the input of a node after it has run."""
    order = {other: index for index, other in enumerate(graph.nodes)}
    return {user for user in _input_of(node).users if order[user] > order[node]}


def _exchange_forward(module: nn.Module, graph: torch.fx.Graph, places: dict[str, Place]) -> None:
    """Let the calls run their layers, in `graph` and as the module's `forward`."""
    for node in list(graph.nodes):
        place = places.get(node.name)
        if place is not None:
            _exchange_call(graph, node, place)
    graph.lint()
    forward = type(torch.fx.GraphModule(module, graph)).forward
    kind = type(module)
    members = {"forward": forward, "__module__": kind.__module__, "__qualname__": kind.__qualname__, "__doc__": kind.__doc__}
    module.__class__ = type(kind.__name__, (Rewritten, kind), members)
    module.__dict__["relu_places"] = places


def _exchange_call(graph: torch.fx.Graph, node: torch.fx.Node, place: Place) -> None:
    source = _input_of(node)
    later = _later_users(graph, node) if place.in_place else set[torch.fx.Node]()
    args, kwargs = (node.args, node.kwargs) if node.op == "call_module" else ((source,), {})
    with graph.inserting_before(node):
        new = graph.call_module(place.layer, args, kwargs)
    node.replace_all_uses_with(new)
    source.replace_all_uses_with(new, delete_user_cb=lambda user: user in later)
    graph.erase_node(node)


class Rewritten(nn.Module):
    """What modules with another `forward` have besides their own class: copies and pickles.

    Attributes:
        relu_places: the calls that run layers of their own, by torch.fx's names for them.
    """

    relu_places: dict[str, Place]

    def __deepcopy__(self, memo: dict[int, Any]) -> Rewritten:
        copied = type(self).__new__(type(self))
        memo[id(self)] = copied
        copied.__dict__.update(copy.deepcopy(self.__dict__, memo))
        return copied

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        """A pickle names the user's class, whose `forward` is traced and rewritten again."""
        kind = next(kind for kind in type(self).__mro__ if not issubclass(kind, Rewritten))
        return _restored, (kind, self.__dict__.copy())


def _restored(kind: type[nn.Module], attributes: dict[str, Any]) -> nn.Module:
    module = kind.__new__(kind)
    module.__dict__.update(attributes)
    _exchange_forward(module, _traced(module), attributes["relu_places"])
    return module
