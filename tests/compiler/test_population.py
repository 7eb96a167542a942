"""The compiler's yes and no, and its first advice, on a population of random networks."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chipflow import compile
from chipflow.allocation.report import Lever
from chipflow.errors import CompileError, MappingError
from hwconfig import get_chip
from tests.compiler.population import Case, has_placement, is_legal, model, neurons, random_case, shapes

SEEDS = range(320)
BLOCK = 20


def compiles(case: Case) -> CompileError | None:
    """None if it does."""
    try:
        program = compile(model(case), case.chip, case.input_shape, split=case.split)
    except CompileError as error:
        return error
    assert program.violations().ok
    return None


def pulled(case: Case, lever: Lever) -> Case | None:
    """The user's network after what a lever says; None where a chain of this kind cannot say it."""
    if lever.kind == "split":
        return replace(case, split=True)
    if lever.kind == "chip":
        return replace(case, chip=get_chip(str(lever.value)))
    at = int(lever.layer.removeprefix("layer"))
    layers = list(case.layers)
    if lever.kind == "leave_out":
        layers[at - 1] = replace(layers[at - 1], pool=layers[at - 1].pool * layers[at].pool)
        del layers[at]
    elif lever.kind == "crop":
        height, width = lever.value  # type: ignore[misc]
        return replace(case, input_shape=(case.input_shape[0], int(height), int(width)))
    elif lever.kind == "pooling":
        if at == 0:
            return None  # an input is pooled by the sensor
        layers[at - 1] = replace(layers[at - 1], pool=int(str(lever.value)))
    else:
        value = False if lever.kind == "bias" else lever.value
        layers[at] = replace(layers[at], **{lever.kind: value})
    return replace(case, layers=tuple(layers))


@pytest.mark.parametrize("first", range(0, len(SEEDS), BLOCK))
def test_the_compiler_agrees_with_brute_force_and_its_first_lever_holds(first: int) -> None:
    for seed in SEEDS[first : first + BLOCK]:
        case = random_case(seed)
        error = compiles(case)
        assert (error is None) == has_placement(case), seed
        if error is None:
            continue
        assert isinstance(error, MappingError)
        report = error.report
        assert report is not None
        assert str(error).splitlines()[0] == report.headline
        levers = report.levers or report.together
        assert levers, f"{seed}: {error}"
        changed = pulled(case, levers[0])
        if changed is not None and not _linear_with_kernel(case, levers[0]):
            assert (compiles(changed) is None) == levers[0].sufficient, f"{seed}: {error}"


def test_levers_that_are_enough_together_are() -> None:
    checked = 0
    for seed in SEEDS[:150]:
        case = random_case(seed)
        error = None if has_placement(case) else compiles(case)
        steps = error.report.together if isinstance(error, MappingError) and error.report is not None else ()
        for lever in steps:
            if (
                case is None or _linear_with_kernel(case, lever) or lever.kind == "leave_out"
            ):  # after which layers have other names
                break
            case = pulled(case, lever)
        else:
            if steps and case is not None:
                assert compiles(case) is None, seed
                checked += 1
    assert checked >= 3


def _linear_with_kernel(case: Case, lever: Lever) -> bool:
    """Advice about kernel, stride or padding of what the user wrote as a linear layer."""
    return lever.kind in ("kernel", "stride", "padding") and not case.layers[int(lever.layer.removeprefix("layer"))].kernel


def test_the_population_has_both_kinds_in_plenty() -> None:
    found = [has_placement(random_case(seed)) for seed in SEEDS]
    assert 0.3 < sum(found) / len(found) < 0.8
    beyond = [not is_legal(random_case(seed)) for seed in SEEDS]
    assert sum(beyond) > 25
    split = [
        case
        for case in map(random_case, SEEDS)
        if case.split and has_placement(case) and not has_placement(replace(case, split=False))
    ]
    assert len(split) >= 5
    assert any(min(neurons(shapes(case)[i], layer)[1]) > 1 for case in split for i, layer in enumerate(case.layers))
