"""Arrays of any type, byte order and memory: the right answer, or a refusal in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from chipflow.emulator import Emulator
from chipflow.errors import EmulatorError, EventError
from chipflow.events import EVENT_LAYER_DTYPE, EventArray, make_events
from hwconfig import InvalidConfigError

from .builders import BOTH, Kind, chip, core
from .test_equality import assert_same

Array = npt.NDArray[Any]


def scattered(seed: int = 0, count: int = 60) -> EventArray:
    rng = np.random.default_rng(seed)
    return make_events(rng.integers(0, 4, count), rng.integers(0, 4, count), np.arange(count) // 3, rng.integers(0, 2, count))


MIXING = chip({
    6: core((2, 4, 4), np.random.default_rng(1).integers(-4, 9, (3, 2, 3, 3)), padding=(1, 1), threshold_high=6, threshold_low=-9)
})  # fmt: skip


def typed(events: EventArray, **kinds: str) -> Array:
    """The same events with other types of some fields."""
    names = events.dtype.names or ()
    found = np.empty(len(events), [(name, kinds.get(name, events.dtype[name].str)) for name in names])
    for name in names:
        found[name] = events[name]
    return found


def offset(array: Array) -> Array:
    """A copy at an odd address."""
    return np.frombuffer(b"x" + array.tobytes(), array.dtype, offset=1)


def spread(array: Array, step: int) -> Array:
    """The same values with others between them in memory, backwards for a negative step."""
    room = np.ones((len(array) * abs(step), *array.shape[1:]), array.dtype)
    view = room[::step]
    view[:] = array
    return view


def locked(array: Array) -> Array:
    copy = array.copy()
    copy.flags.writeable = False
    return copy


def among_others(events: EventArray) -> Array:
    """A view of the fields of wider records, in another order."""
    wide = np.zeros(len(events), [("p", "<i2"), ("note", "S3"), ("t", "<i8"), ("y", "<i2"), ("x", "<i2")])
    for name in "xytp":
        wide[name] = events[name]
    return wide[["x", "t", "p", "y"]]


EVENTS: dict[str, Callable[[EventArray], Array]] = {
    "big-endian": lambda events: typed(events, x=">i2", y=">i2", t=">i8", p=">i2"),
    "small": lambda events: typed(events, x="u1", y="i1", t="u8", p="?"),
    "wide": lambda events: typed(events, x="<i8", y=">u4", t=">u2", p="u1"),
    "odd-address": offset,
    "strided": lambda events: spread(events, 3),
    "backwards": lambda events: spread(events, -1),
    "backwards-big-endian": lambda events: spread(typed(events, t=">i8"), -2),
    "read-only": locked,
    "fields": among_others,
    "aligned": lambda events: events.astype(np.dtype(events.dtype.descr, align=True)),
    "records": lambda events: events.view(np.recarray),
    "column": lambda events: np.stack([events, events], axis=1)[:, 1],
}


@BOTH
@pytest.mark.parametrize("change", EVENTS.values(), ids=EVENTS)
def test_events_of_any_memory_mean_the_same(kind: Kind, change: Callable[[EventArray], Array]) -> None:
    events = scattered()
    given = change(events)
    kept = given.tolist()
    assert_same(kind(MIXING).run(given), kind(MIXING).run(events))
    assert given.tolist() == kept


@BOTH
@pytest.mark.parametrize(
    ("given", "words"),
    [
        (typed(scattered(), t="<f8"), "t must hold integers"),
        (typed(scattered(), x="<f4"), "x must hold integers"),
        (typed(scattered(), p="O"), "p must hold integers"),
        (typed(scattered(), t="<M8[us]"), "t must hold integers"),
        (scattered().reshape(2, 30), "one axis"),
        (scattered()[0], "one axis"),
        (np.zeros((3, 4), np.int64), "structured array"),
        ([(0, 0, 0, 0)], "structured array"),
        (None, "structured array"),
        (scattered()[["x", "y", "t"]], "fields x, y, t"),
    ],
)
def test_what_is_no_event_array_is_refused_in_words(kind: Kind, given: Any, words: str) -> None:
    with pytest.raises(EventError, match=words):
        kind(MIXING).run(given)


@BOTH
@pytest.mark.parametrize(
    ("name", "dtype", "value"),
    [("t", "<u8", 2**63), ("x", "<u2", 65_535), ("x", "<i4", 65_536), ("p", ">i8", -(2**40)), ("y", "<u8", 2**64 - 1)],
)
def test_a_number_that_does_not_fit_is_refused_with_its_index_and_never_wrapped(
    kind: Kind, name: str, dtype: str, value: int
) -> None:
    events = typed(scattered(), **{name: dtype})
    events[name][-1] = value
    with pytest.raises(EventError, match=str(value)) as caught:
        kind(MIXING, on_outside="drop").run(events)
    assert caught.value.index == len(events) - 1


def test_events_may_be_overwritten_once_they_are_fed() -> None:
    """As a reader with one buffer does; monitored sensor events too."""
    raw = {"monitor_enable": True, "raw_monitor_enable": True}
    config = MIXING.with_changes(dvs_layer=MIXING.dvs_layer.with_changes(**raw))
    events = scattered()
    addressed = make_events(*(events[name] for name in "xytp"), np.where(np.arange(len(events)) % 2, 6, 13))
    emulator, buffer = Emulator(config), np.zeros(20, EVENT_LAYER_DTYPE)
    for part in np.split(addressed, 3):
        buffer[:] = part
        emulator.feed(buffer)
        buffer.view(np.uint8).fill(0xFF)
    assert_same(emulator.finish(), Emulator(config).run(addressed))


ARRAYS: dict[str, Callable[[Array], Any]] = {
    "big-endian": lambda array: array.astype(">i2"),
    "int8": lambda array: array.astype(np.int8),
    "int64": lambda array: array.astype(np.int64),
    "big-endian-64": lambda array: array.astype(">i8"),
    "fortran": np.asfortranarray,
    "moved-axis": lambda array: np.moveaxis(np.moveaxis(array, 0, -1).copy(), -1, 0),
    "backwards-x": lambda array: array[..., ::-1].copy()[..., ::-1],
    "strided": lambda array: spread(array, 2),
    "backwards": lambda array: spread(array, -3),
    "odd-address": lambda array: offset(array.astype(np.int16)).reshape(array.shape),
    "read-only": locked,
    "list": np.ndarray.tolist,
}
MEMORIES = pytest.mark.parametrize("change", ARRAYS.values(), ids=ARRAYS)


@BOTH
@MEMORIES
def test_states_of_any_memory_mean_the_same(kind: Kind, change: Callable[[Array], Any]) -> None:
    states = np.random.default_rng(2).integers(-120, 120, (3, 4, 4), np.int16)
    emulator = kind(MIXING)
    emulator.set_state(6, change(states))
    assert emulator.state(6).dtype == np.int16
    np.testing.assert_array_equal(emulator.state(6), states)
    wanted = kind(MIXING)
    wanted.set_state(6, states)
    assert_same(emulator.run(scattered()), wanted.run(scattered()))


@MEMORIES
def test_weights_biases_and_initial_values_of_any_memory_mean_the_same(change: Callable[[Array], Any]) -> None:
    rng, plain = np.random.default_rng(3), MIXING.core(6)
    arrays = {
        "weights": plain.weights,
        "biases": rng.integers(-5, 9, 3),
        "neurons_initial_value": rng.integers(-120, 120, (3, 4, 4)),
    }
    wanted, found = (
        MIXING.with_core(6, leak_enable=True, **{name: how(np.asarray(array)) for name, array in arrays.items()})
        for how in (np.array, change)
    )
    assert found == wanted
    assert found.hash == wanted.hash
    runs = [Emulator(config, slow_clock_period_us=3).run(scattered()) for config in (found, wanted)]
    assert_same(*runs)


@BOTH
@pytest.mark.parametrize("dtype", ["<f4", "?", "O", "<U3", "<c8"])
def test_states_and_weights_that_are_no_integers_are_refused(kind: Kind, dtype: str) -> None:
    with pytest.raises(EmulatorError, match="states of core 6 are integers"):
        kind(MIXING).set_state(6, np.ones((3, 4, 4)).astype(dtype))
    with pytest.raises(InvalidConfigError, match="weights"):
        MIXING.with_core(6, weights=np.ones((3, 2, 3, 3)).astype(dtype))


def test_changing_an_array_afterwards_changes_nothing() -> None:
    states, weights = np.ones((3, 4, 4), np.int16), np.ones((3, 2, 3, 3), np.int8)
    config = MIXING.with_core(6, weights=weights, neurons_initial_value=states)
    emulator = Emulator(config)
    emulator.set_state(6, states)
    states[:], weights[:] = 9, 9
    assert (emulator.state(6) == 1).all()
    result = emulator.run(scattered())
    result.states[6][:] = 99
    assert not (emulator.state(6) == 99).any()
    assert_same(emulator.twin().run(scattered()), Emulator(config).run(scattered()))
