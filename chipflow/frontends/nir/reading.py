"""NIR to our graph."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from chipflow.errors import UnsupportedModelError
from chipflow.frontends.nir.fields import Fields, kind_of, mapping, numbers, own_metadata, text
from chipflow.frontends.nir.files import read_file
from chipflow.frontends.nir.flat import Edge, Flat, lay_flat
from chipflow.frontends.nir.kinds import convert
from chipflow.frontends.nir.neurons import LowerBound, Neurons, Reset
from chipflow.ir.graph import Graph, topological
from chipflow.ir.nodes import Add, Input, Node, Shape


def from_nir(
    source: Any,
    input_shape: Shape | None = None,
    *,
    reset: Reset = "subtract",
    min_v_mem: LowerBound = "-threshold",
) -> Graph:
    """The graph of a NIR network; node names are kept, those in nested graphs with dots between.

    Several edges into a node are their sum: an Add named '<node>.sum', or as `to_nir` found it. Everything that a core cannot
    compute exactly is refused.

    Args:
        source: a nir.NIRGraph, or the path of a file.
        input_shape: (features, y, x) or (n,); what the Input nodes state where it is not given, and must agree with them.
        reset: "subtract" or "zero", for IF nodes whose metadata (of `to_nir`) does not say: NIR leaves it open.
        min_v_mem: lower bound of their state, in units of v; None for none.

    Raises:
        UnsupportedModelError: each node and field that no core can do, with the value found and what to use, all at once; or a
            file that is not NIR.
        ChipflowError: options out of range; a path is given and the `nir` package is missing.
    """
    neurons = Neurons(reset, min_v_mem)
    graph = read_file(source) if isinstance(source, str | Path) else source
    if kind_of(graph) != "NIRGraph":
        where = f"{source}: holds" if isinstance(source, str | Path) else "source is"
        raise UnsupportedModelError(f"{where} a {kind_of(graph)}, a NIRGraph is needed")
    own = own_metadata(graph)
    flat = lay_flat(graph)
    sums = _name_sums(flat, own)
    found = _convert_all(flat, sums, None if input_shape is None else tuple(map(int, input_shape)), neurons)
    if flat.problems:
        raise UnsupportedModelError("\n".join(flat.problems))
    return _in_order(found, flat, own)


def load(
    path: str | Path, input_shape: Shape | None = None, *, reset: Reset = "subtract", min_v_mem: LowerBound = "-threshold"
) -> Graph:
    """The graph of a NIR file; arguments and errors as of `from_nir`."""
    return from_nir(Path(path), input_shape, reset=reset, min_v_mem=min_v_mem)


def _name_sums(flat: Flat, own: Mapping[str, Any]) -> dict[str, Node]:
    """Puts an Add before each node that reads several, and returns these by name.

    A Scale by 1 that reads several is the sum itself: so `to_nir` writes sums that several nodes read.
    """
    names = mapping(own.get("sums"))
    sums: dict[str, Node] = {}
    for target in [name for name in flat.nodes if _reads_several(name, flat.edges)]:
        if _is_identity(flat.nodes[target]):
            sums[target] = Add(target)
            continue
        name = str(text(names.get(target)) or f"{target}.sum")
        while name in flat.nodes or name in sums:
            name += "_"
        sums[name] = Add(name)
        flat.edges = [(a, name if b == target else b) for a, b in flat.edges] + [(name, target)]
    return sums


def _reads_several(name: str, edges: list[Edge]) -> bool:
    return sum(target == name for _, target in edges) > 1


def _is_identity(node: Any) -> bool:
    array = numbers(getattr(node, "scale", None)) if kind_of(node) == "Scale" else None
    return array is not None and bool((array == 1).all())


def _convert_all(flat: Flat, sums: dict[str, Node], input_shape: Shape | None, neurons: Neurons) -> dict[str, Node]:
    """The nodes that can be converted; the reasons of the others go to `flat.problems`."""
    is_whole = not flat.problems  # else a node may read nothing because its edge was refused
    nodes: dict[str, Node] = {}
    shapes: dict[str, Shape] = {}
    for name in topological((*flat.nodes, *(name for name in sums if name not in flat.nodes)), tuple(flat.edges)):
        sources = [source for source, target in flat.edges if target == name]
        inputs = [shapes[source] for source in sources if source in shapes]
        known = len(inputs) == len(sources)
        fields = Fields(name, flat.nodes.get(name))
        node = sums.get(name) or _convert_one(fields, inputs[0] if inputs and known else None, input_shape, neurons)
        if is_whole:
            _check_edges(fields, sources, flat)
        flat.problems.extend(fields.problems)
        if node is None or fields.problems:
            continue
        nodes[name] = node
        if known and (inputs or isinstance(node, Input)):
            try:
                shapes[name] = node.output_shape(*inputs)
            except ValueError as error:
                flat.problems.append(f"layer {name!r} ({kind_of(flat.nodes.get(name, node))}): {error}")
    return nodes


def _convert_one(fields: Fields, shape: Shape | None, input_shape: Shape | None, neurons: Neurons) -> Node | None:
    kind = kind_of(fields.node)
    if kind == "Input":
        return _input(fields, input_shape)
    return None if kind == "Output" else convert(fields, shape, neurons)


def _input(fields: Fields, given: Shape | None) -> Node | None:
    stated = fields.stated_shape("input_type")
    if fields.problems:
        return None
    if given is not None and stated is not None and given != stated:
        fields.note("input_type", f"{stated}, but input_shape is {given}; give the shape without batch and time, or leave it out")
    shape = stated or given
    if shape is None:
        fields.note("input_type", "states no shape; give input_shape")
        return None
    return Input(fields.name, shape)


def _check_edges(fields: Fields, sources: list[str], flat: Flat) -> None:
    kind = kind_of(fields.node)
    if kind == "Input" and sources:
        fields.note("edges", f"reads {sources[0]!r}; an Input reads nothing: remove the edge")
    if kind == "Output" and any(source == fields.name for source, _ in flat.edges):
        fields.note("edges", "is read by another node; let that one read what the Output reads")
    if fields.node is not None and kind != "Input" and not sources:
        fields.note("edges", "reads nothing; add an edge into it, or remove it")


def _in_order(nodes: dict[str, Node], flat: Flat, own: Mapping[str, Any]) -> Graph:
    """The graph, in the order that `to_nir` recorded, else of definition."""
    kinds = {name: kind_of(node) for name, node in flat.nodes.items()}
    outputs = [source for name in kinds for source, target in flat.edges if kinds[name] == "Output" and target == name]
    recorded = own.get("order")
    listed = recorded.tolist() if isinstance(recorded, np.ndarray) else recorded
    position = {str(text(name)): i for i, name in enumerate(listed if isinstance(listed, list) else [])}
    ordered = sorted(nodes.values(), key=lambda node: position.get(node.name, len(position)))
    edges = [edge for edge in flat.edges if kinds.get(edge[1]) != "Output"]
    return Graph(ordered, edges, outputs or None)
