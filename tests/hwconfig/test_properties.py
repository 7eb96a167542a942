"""What holds for every configuration that can be held, legal or not."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwconfig import RULES, ChipConfig, chip_names
from tests.hwconfig.strategies import any_configurations, configurations

quick = settings(max_examples=50, deadline=None)


def assert_same(again: ChipConfig, config: ChipConfig) -> None:
    assert again == config
    assert again.hash == config.hash
    assert again.provenance == config.provenance


@pytest.mark.parametrize("readable", [False, True])
@quick
@given(config=any_configurations())
def test_a_file_gives_back_what_was_written(config: ChipConfig, readable: bool) -> None:
    text = config.to_json(readable=readable)
    again = ChipConfig.from_json(text)
    assert_same(again, config)
    assert again.to_json(readable=readable) == text


@quick
@given(config=any_configurations())
def test_copies_are_equal(config: ChipConfig) -> None:
    assert_same(config.with_changes(), config)
    assert_same(ChipConfig.model_validate(config.model_dump()), config)
    assert_same(pickle.loads(pickle.dumps(config)), config)


@quick
@given(config=any_configurations(), data=st.data())
def test_rules_never_crash(config: ChipConfig, data: st.DataObject) -> None:
    """Whatever is wrong becomes a violation, and every violation can be written down."""
    period = data.draw(st.one_of(st.none(), st.integers(1, 100)), "slow clock")
    entries = data.draw(st.one_of(st.none(), st.lists(st.integers(-1, 10), max_size=2)), "entries")
    report = config.violations(slow_clock_period_us=period, entries=entries)
    dicts = report.as_dicts()
    assert json.loads(json.dumps(dicts, allow_nan=False)) == dicts
    for violation in (*report.violations, *report.suppressed):
        assert violation.rule in RULES
        assert violation.problem
        assert violation.fix
        assert violation.subject
    assert report.ok == (not report.errors)
    assert {violation.rule for violation in report.suppressed} <= set(config.suppressed_rules)


@quick
@given(config=configurations(chip_names()))
def test_the_legal_ones_of_the_strategies_are_legal(config: ChipConfig) -> None:
    report = config.violations()
    assert report.ok, str(report)


# --- every single field counts ---


def leaves(contents: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths of all single values in nested dicts and tuples."""
    items = contents.items() if isinstance(contents, dict) else enumerate(contents) if isinstance(contents, tuple) else None
    if items is None:
        yield path
    else:
        for key, value in items:
            yield from leaves(value, (*path, key))


def value_at(contents: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        contents = contents[key]
    return contents


def replaced(contents: Any, path: tuple[Any, ...], value: Any) -> Any:
    """A copy in which one value is another."""
    if not path:
        return value
    if isinstance(contents, tuple):
        items = list(contents)
        items[path[0]] = replaced(items[path[0]], path[1:], value)
        return tuple(items)
    return contents | {path[0]: replaced(contents[path[0]], path[1:], value)}


def different(draw: Any, name: str, value: Any) -> Any:
    """Another value that the field can hold."""
    if name == "chip":
        return next(chip for chip in chip_names() if chip != value)
    if isinstance(value, np.ndarray):
        return _another_array(draw, value)
    if value is None:
        shapes = {"weights_kill_bit": (1, 1, 1, 1), "biases_kill_bit": (1,), "neurons_value_kill_bit": (1, 1, 1)}
        return np.ones(shapes[name], bool) if name in shapes else _another_setting(name)
    if isinstance(value, str):
        return value + "x"
    if isinstance(value, bool):
        return not value
    if name in ("output_mode_sel", "readout_configuration_sel"):
        return (value + 1) % 4
    step = draw(st.sampled_from([1, 300]))
    return value + step if value + step < 2**63 else value - step  # the largest that can be held has nothing above it


def _another_array(draw: Any, value: Any) -> Any:
    if not value.size:
        return np.ones([size + 1 for size in value.shape], value.dtype)
    at = np.unravel_index(draw(st.integers(0, value.size - 1)), value.shape)
    array = value.copy() if value.dtype == bool else value.astype(np.int64)
    array[at] = not array[at] if value.dtype == bool else array[at] - draw(st.sampled_from([1, 256]))
    return array


def _another_setting(name: str) -> Any:
    return False if name in ("fast_output", "monitor_dual_channel", "filter_clk_enable") else 0


@settings(max_examples=100, deadline=None)
@given(config=any_configurations().filter(lambda config: config.chip.name in chip_names()), data=st.data())
def test_any_change_changes_the_hash(config: ChipConfig, data: st.DataObject) -> None:
    contents = config.model_dump(exclude={"provenance"})
    path = data.draw(st.sampled_from(list(leaves(contents))), "field")
    value = different(data.draw, path[-1], value_at(contents, path))
    other = ChipConfig.model_validate(replaced(contents, path, value))
    assert other.hash != config.hash
    assert other != config


@quick
@given(config=configurations(), data=st.data())
def test_where_it_came_from_does_not_count(config: ChipConfig, data: st.DataObject) -> None:
    contents = config.model_dump()
    path = data.draw(st.sampled_from(["tool", "model_hash"]), "field")
    other = ChipConfig.model_validate(replaced(contents, ("provenance", path), "x" + contents["provenance"][path]))
    assert other.provenance != config.provenance
    assert other == config
    assert other.hash == config.hash
