"""The program file: one JSON document that holds the configuration's document, the graph and the records."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import TypeAdapter

from chipflow.errors import ChipflowError, ProgramFileError
from chipflow.ir import nodes
from chipflow.ir.graph import Graph
from hwconfig.arrays import decode_array, encode_array
from hwconfig.files import HEAD, checked_version, parse, read_document, to_document
from hwconfig.hashing import canonical_hash

if TYPE_CHECKING:
    from chipflow.program import LayerRecord, Program
    from hwconfig import ChipConfig

FORMAT = "chipflow-program"
SCHEMA_VERSION = 2
NODE_KINDS = {
    kind.__name__: kind
    for kind in (
        nodes.Input,
        nodes.Sensor,
        nodes.Conv2d,
        nodes.Iaf,
        nodes.SumPool2d,
        nodes.Add,
        nodes.Concat,
        nodes.ChannelShift,
    )
}  # all that a quantised graph has


def to_json(program: Program) -> str:
    """The file's text."""
    contents = _contents(program)
    head = {"format": FORMAT, "schema_version": SCHEMA_VERSION, "hash": canonical_hash(contents)}
    return json.dumps(head | _encoded(contents) | {"config": to_document(program.config)}, indent=1) + "\n"


def from_json(text: str) -> tuple[Program, str]:
    """The program in a file's text, and how its hashes are stale or its records contradict its configuration ("": neither).

    Raises:
        ConfigFileError, ProgramFileError: truncated, foreign, of a newer version, or with wrong fields.
    """
    document = parse(text, "program")
    written = checked_version(document, FORMAT, SCHEMA_VERSION)
    if not isinstance(document.get("config"), dict):
        raise ProgramFileError("the program file has no configuration")
    config, stale = read_document(document["config"])
    try:
        edited = ""
        if written == 1:
            document, edited = _migrated_1(document)
        program = _build(document, config)
    except KeyError as error:
        raise ProgramFileError(f"not a valid program file: it has no field {error}") from None
    except (IndexError, ArithmeticError, TypeError, ValueError, AttributeError) as error:
        detail = str(error) if isinstance(error, ChipflowError) else f"{type(error).__name__}: {error}"
        raise ProgramFileError(f"not a valid program file: {detail}") from None
    _refuse_unknown_fields(document, program)
    if written == SCHEMA_VERSION:
        edited = _edited(document, _contents(program))
    return program, "; ".join([*filter(None, [stale or edited]), *contradictions(program)])


def _edited(document: Mapping[str, Any], contents: dict[str, Any]) -> str:
    actual = canonical_hash(contents)
    return "" if document.get("hash") == actual else f"the program's records were edited by hand: their hash is {actual}"


def _migrated_1(document: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """A document of schema version 1, of a chain of layers with one input, as one of today; and how it was edited by hand."""
    graph = {
        "nodes": [{name: _decoded(value) for name, value in node.items()} for node in document["graph"]["nodes"]],
        "edges": document["graph"]["edges"],
    }
    kept = {name: document[name] for name in ("layers", "slow_clock_period_us")}
    edited = _edited(document, kept | {"entries": document["entries"], "graph": graph})
    new = dict(document) | {
        "inputs": {document["graph"]["nodes"][0]["name"]: document["entries"]},
        "layers": [layer | {"layer": layer["name"]} for layer in document["layers"]],
        "graph": document["graph"] | {"outputs": [document["graph"]["nodes"][-1]["name"]]},
    }
    del new["entries"]
    return new, edited


def _refuse_unknown_fields(document: Mapping[str, Any], program: Program) -> None:
    unknown = sorted(set(document) - {*HEAD, "config", *_contents(program)})
    if unknown:
        raise ProgramFileError(f"not a valid program file: unknown fields {', '.join(unknown)}")


def contradictions(program: Program) -> list[str]:
    """Where the records of a program do not belong to its configuration, as after an edit by hand."""
    cores, placed = program.config.active_cores, sorted(layer.core for layer in program.layers)
    found: list[str] = []
    if placed != list(cores):
        found.append(f"layers are on cores {placed}, configured are {list(cores)}: compile again")
    fed = bool(program.entries or program.config.dvs_layer.enabled_destinations)
    if not fed or not set(program.entries) <= set(cores):
        found.append(f"inputs enter cores {list(program.entries)}, configured cores are {list(cores)}: name one of these")
    named = {layer.core: layer.name for layer in program.layers}
    if found == [] and named != program.config.layer_names:
        found.append(f"layers are {named}, the configuration names {program.config.layer_names}: compile again")
    chip = program.config.chip
    for layer in program.layers:
        if not 0 <= layer.first_feature < chip.limits.features or layer.feature_step not in (1, chip.readout.feature_stride):
            found.append(f"{layer.name} begins at feature {layer.first_feature} in steps of {layer.feature_step}: compile again")
    period = program.slow_clock_period_us
    if period is not None and period < 1:
        found.append(f"slow_clock_period_us is {period}: give 1 or more, or null")
    return found


def _contents(program: Program) -> dict[str, Any]:
    """All but the configuration, arrays as arrays."""
    return {
        "layers": [asdict(layer) for layer in program.layers],
        "inputs": {name: list(cores) for name, cores in program.inputs.items()},
        "slow_clock_period_us": program.slow_clock_period_us,
        "graph": _graph_contents(program.graph),
    }


def _graph_contents(graph: Graph) -> dict[str, Any]:
    return {
        "nodes": [_node_fields(node) for node in graph.nodes],
        "edges": [list(edge) for edge in graph.edges],
        "outputs": list(graph.outputs),
    }


def graph_hash(graph: Graph) -> str:
    """SHA-256 of a network at any level: kinds, names, parameters and edges."""
    return canonical_hash(_graph_contents(graph))


def _node_fields(node: nodes.Node) -> dict[str, Any]:
    return {"kind": type(node).__name__} | {field.name: getattr(node, field.name) for field in fields(node)}


def _encoded(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return encode_array(value)
    if isinstance(value, Mapping):
        return {key: _encoded(item) for key, item in value.items()}
    return [_encoded(item) for item in value] if isinstance(value, list | tuple) else value


def _build(document: Mapping[str, Any], config: ChipConfig) -> Program:
    from chipflow.program import Program

    period = document["slow_clock_period_us"]
    layers = tuple(_record(layer) for layer in document["layers"])
    return Program(
        config=_named(config, layers),
        graph=_graph(document["graph"]),
        layers=layers,
        inputs={name: tuple(int(core) for core in cores) for name, cores in document["inputs"].items()},
        slow_clock_period_us=None if period is None else int(period),
    )


def _named(config: ChipConfig, layers: tuple[LayerRecord, ...]) -> ChipConfig:
    """Configurations of schema version 1 did not have the layers' names; the records did."""
    if config.layer_names:
        return config
    names = {layer.core: layer.name for layer in layers}
    cores = {core_id: core.with_changes(layer_name=names.get(core_id, "")) for core_id, core in config.cnn_layers.items()}
    return config.with_changes(cnn_layers=cores)


def _record(layer: Mapping[str, Any]) -> LayerRecord:
    from chipflow.program import LayerRecord

    return TypeAdapter(LayerRecord).validate_json(json.dumps(layer), strict=True)


def _graph(document: Mapping[str, Any]) -> Graph:
    made = [_node(dict(fields_)) for fields_ in document["nodes"]]
    return Graph(made, [(a, b) for a, b in document["edges"]], document["outputs"])


def _node(document: dict[str, Any]) -> nodes.Node:
    kind = NODE_KINDS[document.pop("kind")]
    return kind(**{name: _decoded(value) for name, value in document.items()})


def _decoded(value: Any) -> Any:
    if isinstance(value, dict):
        return decode_array(value)
    return tuple(value) if isinstance(value, list) else value
