"""DVSLayer of sinabs and its parts, several in a row too, as the one front end that the sensor has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from chipflow.frontends.torch_modules import refusal, window
from chipflow.ir.graph import Graph
from chipflow.ir.nodes import Input, Node, Pair, Sensor, Shape, SumPool2d
from chipflow.ir.rewrite import Rewrite


def sensor(name: str, module: Any, shapes: tuple[Shape, ...]) -> Node:
    """DVSLayer: merges polarities, pools, crops, mirrors, swaps, in this order."""
    _needs_map(name, shapes)
    pool = module.pool_layer
    pooling = window(name, pool.kernel_size, pool.stride, ceil_mode=pool.ceil_mode)
    mirror, swap = _flips(module.flip_layer)
    pooled = (shapes[0][1] // pooling[0], shapes[0][2] // pooling[1])
    part = module.crop_layer
    origin, size = _region(((part.top_crop, part.bottom_crop), (part.left_crop, part.right_crop)), pooled)
    merge, pixels = bool(module.merge_polarities), not module.disable_pixel_array
    return Sensor(name, merge=merge, pooling=pooling, origin=origin, size=size, mirror=mirror, swap=swap, pixels=pixels)


def crop(name: str, module: Any, shapes: tuple[Shape, ...]) -> Node:
    """Crop2d: ((top, bottom), (left, right)) are rows and columns, as slices have them."""
    _needs_map(name, shapes)
    ends = (module.top_crop, module.bottom_crop), (module.left_crop, module.right_crop)
    origin, size = _region(ends, shapes[0][1:])
    return Sensor(name, origin=origin, size=size, pixels=False)


def cropping(name: str, module: Any, shapes: tuple[Shape, ...]) -> Node:
    """Cropping2dLayer: ((top, bottom), (left, right)) are how much is cut off."""
    _needs_map(name, shapes)
    height, width = shapes[0][1:]
    size = (height - int(module.top_crop) - int(module.bottom_crop), width - int(module.left_crop) - int(module.right_crop))
    return Sensor(name, origin=(int(module.top_crop), int(module.left_crop)), size=size, pixels=False)


def flip(name: str, module: Any, shapes: tuple[Shape, ...]) -> Node:
    """FlipDims: mirrors, then swaps."""
    _needs_map(name, shapes)
    mirror, swap = _flips(module)
    return Sensor(name, mirror=mirror, swap=swap, pixels=False)


def joined(graph: Graph) -> Graph:
    """The graph in which the parts of a front end, and sum pools before them, are one node.

    Raises:
        UnsupportedModelError: parts that stand behind other layers, several front ends, or parts whose order the chip's has not.
    """
    found = [node.name for node in graph.nodes if isinstance(node, Sensor)]
    for name in found:
        graph = _with_what_is_before(graph, name)
    left = [name for name in found if name in graph]
    if len(left) > 1:
        raise refusal(left[1], f"the chip has one front end of its sensor, and {left[0]!r} is another: let all layers read one")
    return graph


def _with_what_is_before(graph: Graph, name: str) -> Graph:
    """The node, with the parts before it in it."""
    while not isinstance(before := graph[graph.sources(name)[0]], Input):
        node = graph[name]
        if not isinstance(node, Sensor) or not (isinstance(before, Sensor) or type(before) is SumPool2d):
            raise refusal(
                name, f"it crops or mirrors behind layer {before.name!r}: only the sensor can, at the start of the network"
            )
        if len(graph.targets(before.name)) > 1 or before.name in graph.outputs:
            raise refusal(before.name, "layers read it and others read more of the sensor's front end: let all read its end")
        change = Rewrite(graph)
        change.replace(_as_one(before, node, graph.shapes[graph.sources(before.name)[0]]))
        change.bypass(before.name)
        graph = change.done()
    return graph


def _as_one(first: Sensor | SumPool2d, second: Sensor, shape: Shape) -> Sensor:
    """Both in one; `shape` is what the first reads."""
    if isinstance(first, SumPool2d):
        first = Sensor(first.name, pooling=first.size, pixels=False)
    untouched = first.size is None and not (any(first.mirror) or first.swap)
    if second.pooling != (1, 1) and not untouched:
        raise refusal(second.name, "it pools behind a crop or mirror: the chip pools first, use one DVSLayer")
    pooling = (first.pooling[0] * second.pooling[0], first.pooling[1] * second.pooling[1])
    made = replace(second, pooling=pooling, merge=first.merge or second.merge, pixels=first.pixels or second.pixels)
    return made if untouched else _behind(first, made, second, shape)


def _behind(first: Sensor, made: Sensor, second: Sensor, shape: Shape) -> Sensor:
    """`made`, whose region, mirrors and swap are counted from the map that `first` makes, counted from the pooled map."""
    rows, columns = second.region(first.output_shape(shape))
    region, mirror = [rows, columns], list(second.mirror)
    if first.swap:
        region.reverse()
        mirror.reverse()
    whole = first.region(shape)
    origin: list[int] = []
    for outer, inner, mirrored in zip(whole, region, first.mirror, strict=True):
        start = outer.stop - outer.start - inner.stop if mirrored else inner.start
        origin.append(outer.start + start)
    size = (region[0].stop - region[0].start, region[1].stop - region[1].start)
    flags = (mirror[0] != first.mirror[0], mirror[1] != first.mirror[1])
    return replace(made, origin=(origin[0], origin[1]), size=size, mirror=flags, swap=second.swap != first.swap)


def _needs_map(name: str, shapes: tuple[Shape, ...]) -> None:
    if shapes[0][0] > 2 or len(shapes[0]) != 3:
        raise refusal(
            name, f"it reads {shapes[0]}: only what the sensor sees, (2, y, x) or (1, y, x), can be cropped, mirrored or merged"
        )


def _flips(module: Any) -> tuple[tuple[bool, bool], bool]:
    return (bool(module.flip_y), bool(module.flip_x)), bool(module.swap_xy)


def _region(ends: Sequence[tuple[Any, Any]], sides: Sequence[int]) -> tuple[Pair, Pair]:
    """Origin and size, (y, x), of what slices take of a map of these sides; numbers beyond it stay, to be refused as such."""
    spans = [(_from_end(first, side, 0), _from_end(last, side, side)) for (first, last), side in zip(ends, sides, strict=True)]
    (top, bottom), (left, right) = spans
    return (top, left), (bottom - top, right - left)


def _from_end(number: Any, side: int, otherwise: int) -> int:
    """A slice's end: None is the map's, negative numbers count from its end."""
    if number is None:
        return otherwise
    return int(number) + side if number < 0 else int(number)
