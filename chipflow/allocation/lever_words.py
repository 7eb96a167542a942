"""Levers in words: what to do, and what it changes."""

from __future__ import annotations

from collections.abc import Iterator

from chipflow.allocation.apply import Value
from chipflow.allocation.demand import layer_need
from chipflow.allocation.edits import added_with, sources_of
from chipflow.allocation.limits import limits_broken
from chipflow.allocation.problem import Problem
from chipflow.allocation.report import Lever, LeverKind, Words
from chipflow.allocation.trial import Trial
from chipflow.ir.plan import LayerShape
from hwconfig.memory import KINDS, MemoryNeed

SHOWN = 3
"""Layers whose changes are put into words."""
RUNS = 6
"""Runs of core ids that are put into words."""


def lever_of(before: Problem, trial: Trial, kind: LeverKind, layer: str, value: Value) -> Lever:
    """The record of a lever that was tried."""
    after = trial.problem
    row, then = before.row_of.get(layer), after.row_of.get(layer)
    return Lever(
        kind=kind,
        layer=layer,
        value=value,
        words=_words(before, kind, layer, value),
        effect="; ".join(_effects(before, trial, kind)),
        before=None if row is None else words_of(before.demands[row].need),
        after=None if then is None else words_of(after.demands[then].need),
        cores=() if then is None else after.demands[then].cores,
        sufficient=trial.solved,
    )


def words_of(need: MemoryNeed) -> Words:
    """For the report."""
    return Words(kernel=need.kernel, neuron=need.neuron, bias=need.bias)


def _words(problem: Problem, kind: LeverKind, name: str, value: Value) -> str:
    if kind == "split":
        return "allow layers to be split over several cores (split=True)"
    if kind == "chip":
        return f"take the chip {value}"
    if kind == "unpin":
        return f"do not pin {name!r} to {cores_in_words(problem.pins[name])}"
    if kind == "relay":
        what = f"the spikes of {name!r}" if name else "the sensor's events"
        copies = "a layer that copies them" if value == 1 else f"{value} layers in a row that copy them"
        return f"send {what} to some readers through {copies} (1 x 1, identity, and neurons)"
    layer = problem.network.layers[problem.row_of[name]]
    if kind == "features":
        others = [other for other in added_with(problem.network, name) if other != name]
        also = f", and in {', '.join(map(repr, others))}, which it is added to" if others else ""
        return f"at most {value} features in {name!r} (now {layer.users_features}){also}"
    if kind == "pooling":
        sources = dict.fromkeys(source.name for source, _ in sources_of(problem.network, name))
        now = next(source.links[i].pooling for source, i in sources_of(problem.network, name))
        return f"pool by {value} between {', '.join(map(repr, sources))} and {name!r} (now {now})"
    if kind == "bias":
        return f"train {name!r} without biases"
    if kind == "leave_out":
        return f"leave {name!r} out"
    if kind == "crop":
        return f"crop the input of {name!r} to {value} (y, x)"
    return _geometry(layer, kind, value)


def _geometry(layer: LayerShape, kind: LeverKind, value: Value) -> str:
    now = {"kernel": layer.kernel_size, "padding": layer.padding, "stride": layer.stride}[kind]
    return f"{kind} {_short(value)} in {layer.name!r} (now {_short(now)})"


def _short(value: Value) -> str:
    """A pair of equal numbers as one."""
    return str(value[0]) if isinstance(value, tuple) and value[0] == value[1] else str(value)


def cores_in_words(cores: tuple[int, ...]) -> str:
    """'core 3', 'cores 0 to 2, 5', 'no core'."""
    if not cores:
        return "no core"
    runs: list[list[int]] = []
    for core in cores:
        if runs and core == runs[-1][-1] + 1:
            runs[-1].append(core)
        else:
            runs.append([core])
    named = ", ".join(f"{run[0]} to {run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs[:RUNS])
    more = f" ... ({len(cores)} cores)" if len(runs) > RUNS else ""
    return f"core{'s' if len(cores) > 1 else ''} {named}{more}"


def _effects(before: Problem, trial: Trial, kind: LeverKind) -> Iterator[str]:
    """Limits that are met, layers whose needs or cores change, and which are split."""
    left = {(layer, broken.rule) for layer, broken in limits_broken(trial.problem)}
    for layer, broken in limits_broken(before):
        if (layer, broken.rule) not in left:
            yield (
                f"{layer!r} is within the limit of {broken.rule}" if layer else f"the sensor is within the limit of {broken.rule}"
            )
    same_chip = kind != "chip"
    changes = [_change(before, trial.problem, name) for name in trial.problem.names if same_chip and name in before.row_of]
    told = [change for change in changes if change]
    yield from told[:SHOWN]
    if len(told) > SHOWN:
        yield f"{len(told) - SHOWN} more layer{'s' if len(told) > SHOWN + 1 else ''} change{'s' if len(told) == SHOWN + 1 else ''}"
    for allocation in trial.outcome.found:
        for layer, parts in allocation.splits.items():
            if len(before.pins.get(layer, ())) < 2:
                yield f"{layer!r} is split over {cores_in_words(tuple(sorted(part.core for part in parts)))}"


def _change(before: Problem, after: Problem, name: str) -> str:
    then, now = before.row_of[name], after.row_of[name]
    old, new = layer_need(before.network.layers[then]), layer_need(after.network.layers[now])
    needs = [
        f"{kind} {getattr(old, kind):,} -> {getattr(new, kind):,} words"
        for kind in KINDS
        if getattr(old, kind) != getattr(new, kind)
    ]
    had, has = before.demands[then].cores, after.demands[now].cores
    if not needs and had == has:
        return ""
    fits = f"fits {cores_in_words(has)}" if had != has or not needs else ""
    return f"{name!r}: {', '.join(filter(None, [*needs, fits]))}"
