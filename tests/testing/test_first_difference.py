"""Where two runs part, for people."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from chipflow.errors import EventError
from chipflow.events.result import LayerPart
from chipflow.report.first_difference import Spike, first_difference
from chipflow.report.shared_layers import shape_of, shared_layers
from chipflow.testing import similarities
from tests.testing.runs import config, run, with_events


def test_equal_runs_have_none() -> None:
    assert first_difference(run(), run()) is None


def test_one_changed_event_is_found_in_its_layer() -> None:
    a = run()
    changed = a.events.copy()
    mine = np.flatnonzero(changed["layer"] == 5)
    changed["t"][mine[7]] += 1
    found = first_difference(a, with_events(a, changed))
    event = a.spikes("out")[7]
    assert found is not None
    assert (found.layer, found.core, found.index) == ("out", 5, 7)
    assert found.a_event == Spike(int(event["t"]), int(event["p"]), 0, 0)
    assert found.b_event is not None
    assert found.b_event.t == found.a_event.t + 1
    assert "layer out (core 5), event 7: neuron (feature, y, x) = " in str(found)


@pytest.mark.parametrize("moved", [-1, 1])
def test_the_neuron_is_that_of_the_earlier_spike(moved: int) -> None:
    a = run()
    changed = a.events[a.events["layer"] == 5]
    changed["t"][0] += moved
    changed["p"][0] = (changed["p"][0] + 1) % 3
    only = replace(a, monitored=(5,), events=a.events[a.events["layer"] == 5])
    found = first_difference(only, with_events(only, changed))
    assert found is not None
    assert found.a_event is not None
    assert found.b_event is not None
    assert found.a_event.neuron != found.b_event.neuron
    assert found.neuron == (found.b_event if moved < 0 else found.a_event).neuron


def test_the_first_layer_comes_before_an_earlier_time_in_a_later_one() -> None:
    a = run()
    changed = a.events.copy()
    last_of_conv, first_of_out = np.flatnonzero(changed["layer"] == 3)[-1], np.flatnonzero(changed["layer"] == 5)[0]
    for at in (last_of_conv, first_of_out):
        changed["p"][at] = (changed["p"][at] + 1) % 3
    found = first_difference(a, with_events(a, changed))
    assert found is not None
    assert found.layer == "conv"


@pytest.mark.parametrize("swapped", [False, True])
def test_a_run_that_ends_early_has_no_event_there(swapped: bool) -> None:
    a = run()
    pair = (a, with_events(a, a.events[a.events["t"] < 5000]))
    found = first_difference(*(reversed(pair) if swapped else pair))
    assert found is not None
    early, late = (found.a_event, found.b_event) if swapped else (found.b_event, found.a_event)
    assert early is None
    assert late is not None
    assert found.neuron == late.neuron
    assert "no event" in str(found)


def test_runs_on_other_cores_are_compared_by_name_and_without_names_by_core() -> None:
    a = run()
    moved = a.events.copy()
    moved["layer"] = np.where(moved["layer"] == 3, 0, 1)
    b = replace(a, events=moved, monitored=(0, 1), shapes={0: a.shapes[3], 1: a.shapes[5]}, names={0: "conv", 1: "out"}, parts={})
    assert [(layer.name, layer.a_cores, layer.b_cores) for layer in shared_layers(a, b)] == [
        ("conv", (3,), (0,)),
        ("out", (5,), (1,)),
    ]
    assert first_difference(a, b) is None
    assert first_difference(a, replace(a, names={}, parts={})) is None
    with pytest.raises(
        EventError, match=r"no layer in common: the first conv, out; the second core 0, core 1|no layer in common"
    ):
        first_difference(a, replace(b, names={}))


def test_a_split_layer_is_one() -> None:
    a = run()
    parts = {"whole": (LayerPart(3), LayerPart(5, first=4))}
    a = replace(a, parts=parts, names={3: "whole[0:4]", 5: "whole[4:7]"}, shapes={3: (4, 6, 6), 5: (3, 6, 6)})
    assert [layer.name for layer in shared_layers(a, a)] == ["whole"]
    assert shape_of(a, (3, 5)) == (7, 6, 6)
    assert shape_of(a, (99,)) == (0, 0, 0)
    assert [(layer.layer, layer.neurons) for layer in similarities(a, a)] == [("whole", 7 * 6 * 6)]
    changed = a.events.copy()
    at = np.flatnonzero(changed["layer"] == 5)[0]
    changed["x"][at] = 5
    found = first_difference(a, with_events(a, changed))
    assert found is not None
    assert found.layer == "whole"
    assert found.neuron[0] >= 4
    only = replace(a, monitored=(5,), events=a.events[a.events["layer"] == 5])
    assert [layer.name for layer in shared_layers(only, only)] == ["whole[4:7]"]


def test_layers_that_one_run_does_not_report_are_left_out() -> None:
    found = first_difference(run(), run(config(), monitor=["out"]))
    assert found is None
