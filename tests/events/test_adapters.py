"""Events of other libraries through one door: by name, and refused where a name could mean two things or nothing has one."""

from __future__ import annotations

import time
from collections import namedtuple
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from chipflow.errors import EventError
from chipflow.events import EVENT_DTYPE, as_events, make_events, raster_to_events, rebase_time

WANTED = [(3, 1, 5, 1), (4, 2, 6, 0), (0, 7, 6, 1)]
X, Y, T, P = map(list, zip(*WANTED, strict=True))

# As these libraries declare them (tonic 1.7.0, expelliarmus 1.1.12, faery 0.7.1, dv-processing 2.0.4, sinabs 3.1.3).
DTYPES = {
    "tonic": [("x", "<i2"), ("y", "<i2"), ("t", "<i8"), ("p", "?")],
    "tonic, N-MNIST": [("x", int), ("y", int), ("t", int), ("p", int)],
    "expelliarmus": [("t", "<i8"), ("x", "<i2"), ("y", "<i2"), ("p", "u1")],
    "faery": [("t", "<u8"), ("x", "<u2"), ("y", "<u2"), (("p", "on"), "?")],
    "dv-processing": {
        "names": ["timestamp", "x", "y", "polarity"],
        "formats": ["<i8", "<i2", "<i2", "i1"],
        "offsets": [0, 8, 10, 12],
        "itemsize": 16,
    },
    "specksim": [("x", "<u4"), ("y", "<u4"), ("t", "<u4"), ("p", "<u4")],
    "sinabs#263": [("t", "<u4"), ("p", "<u4"), ("y", "<u4"), ("x", "<u4")],
    "Prophesee's": [("x", "<u2"), ("y", "<u2"), ("p", "<i2"), ("t", "<i8")],
    "big-endian": [("ts", ">u4"), ("x", ">u2"), ("y", ">u2"), ("pol", "i1")],
}
MEANING = {"timestamp": T, "ts": T, "t": T, "p": P, "on": P, "polarity": P, "pol": P, "x": X, "y": Y}


def foreign(library: str) -> np.ndarray:
    dtype = np.dtype(DTYPES[library])
    array = np.zeros(len(WANTED), dtype)
    for name in dtype.names or ():
        array[name] = MEANING[name]
    return array


@pytest.mark.parametrize("library", DTYPES)
def test_structured_arrays_are_taken_by_name(library: str) -> None:
    events = as_events(foreign(library))
    assert events.dtype == EVENT_DTYPE
    assert events.tolist() == WANTED


@pytest.mark.parametrize("order", ["xytp", "tpyx", "ptxy"])
def test_tables_of_columns(order: str) -> None:
    columns = {name: np.array(MEANING[name]) for name in order}
    assert as_events(columns).tolist() == WANTED
    assert as_events({"layer": [1, 1, 2]} | columns)["layer"].tolist() == [1, 1, 2]
    with pytest.raises(EventError, match="one length"):
        as_events(columns | {"x": [1]})


def test_an_array_of_ours_is_not_copied() -> None:
    events = make_events(X, Y, T, P)
    assert np.shares_memory(as_events(events), events)
    many = make_events(0, 0, np.arange(1_000_000), 0)
    start = time.perf_counter()
    as_events(many)
    assert time.perf_counter() - start < 0.5


def test_expelliarmus_itself(tmp_path: Path) -> None:
    expelliarmus = pytest.importorskip("expelliarmus")
    wizard = expelliarmus.Wizard(encoding="dat")
    wizard.save(fpath=str(tmp_path / "events.dat"), arr=foreign("expelliarmus"))
    assert as_events(wizard.read(str(tmp_path / "events.dat"))).tolist() == WANTED


def test_faery_itself() -> None:
    faery = pytest.importorskip("faery")
    array = np.zeros(len(WANTED), faery.EVENTS_DTYPE)
    array["t"], array["x"], array["y"], array["on"] = T, X, Y, P
    assert as_events(array).tolist() == WANTED


def test_dv_processing_itself() -> None:
    dv = pytest.importorskip("dv_processing")
    store = dv.EventStore()
    for x, y, t, p in WANTED:
        store.push_back(t, x, y, bool(p))
    assert as_events(store).tolist() == as_events(store.numpy()).tolist() == WANTED


class EventStore:
    """The part of dv-processing's that is used."""

    def numpy(self) -> np.ndarray:
        return foreign("dv-processing")

    def coordinates(self) -> np.ndarray:
        return np.stack([X, Y], 1)

    def timestamps(self) -> np.ndarray:
        return np.array(T)


class DataFrame:
    """The part of pandas' and polars' that is used."""

    columns = ("t", "x", "y", "polarity")

    def __getitem__(self, name: str) -> list[int]:
        return MEANING[name]


def test_stores_and_frames() -> None:
    assert as_events(EventStore()).tolist() == WANTED
    assert as_events(DataFrame()).tolist() == WANTED


@dataclass
class Spike:
    """Named as the vendor's (hardware.md, section 3)."""

    layer: int
    feature: int
    x: int
    y: int
    timestamp: int


@dataclass
class DvsEvent:
    """Named as the vendor's."""

    p: bool
    x: int
    y: int
    timestamp: int


@dataclass
class NeuronValue:
    """Named as the vendor's."""

    layer: int
    address: int
    neuron_state: int


def test_lists_of_the_vendors_events() -> None:
    spikes = [Spike(4, p, x, y, t) for x, y, t, p in WANTED]
    assert as_events(spikes).tolist() == [(*event, 4) for event in WANTED]
    assert as_events([DvsEvent(bool(p), x, y, t) for x, y, t, p in WANTED]).tolist() == WANTED
    assert as_events([]).tolist() == []
    point = namedtuple("point", "t x y on")
    assert as_events([point(t, x, y, p) for x, y, t, p in WANTED]).tolist() == WANTED
    assert as_events(list(foreign("tonic"))).tolist() == WANTED


def test_polarities_of_minus_and_plus_one() -> None:
    columns: dict[str, Any] = {"x": X, "y": Y, "t": T}
    assert as_events(columns | {"p": np.array([1, -1, 1])}).tolist() == WANTED
    assert as_events(columns | {"p": [-1, -1, -1]})["p"].tolist() == [0, 0, 0]
    for name, values in (("p", [1, 0, -1]), ("polarity", [2, -1, 1]), ("feature", [1, -1, 1])):
        with pytest.raises(EventError, match=f"{name} = -1") as caught:
            as_events(columns | {name: np.array(values)})
        assert caught.value.index == values.index(-1)


def test_time_is_rebased_under_any_name() -> None:
    epoch = foreign("dv-processing")
    epoch["timestamp"] += 10**15
    assert rebase_time(epoch).tolist() == [(x, y, t - 5, p) for x, y, t, p in WANTED]
    assert rebase_time(make_events([0, 0], 0, [5, 6], [-1, 2]))["p"].tolist() == [-1, 2]


def structured(**columns: Any) -> np.ndarray:
    arrays = {name: np.asarray(column) for name, column in columns.items()}
    array = np.zeros(len(next(iter(arrays.values()))), [(name, column.dtype) for name, column in arrays.items()])
    for name, column in arrays.items():
        array[name] = column
    return array


SPIKE, DVS, VALUE = Spike(0, 1, 2, 3, 4), DvsEvent(True, 1, 2, 3), NeuronValue(0, 1, 2)
REFUSED: dict[str, tuple[Any, list[str]]] = {
    "two times": (structured(x=X, y=Y, t=T, timestamp=T, p=P), ["t and timestamp", "remove or rename"]),
    "polarity and feature": (structured(x=X, y=Y, t=T, p=P, feature=P), ["p and feature"]),
    "no polarity": ({"x": X, "y": Y, "t": T}, ["add p (or pol, polarity"]),
    "an unknown field": (structured(x=X, y=Y, t=T, p=P, size=P), ["rename or remove size"]),
    "columns without names": (np.zeros((5, 4), np.int64), ["no names", "(5, 4)", "make_events(x="]),
    "a tensor without names": (torch.zeros(5, 4), ["no names", "make_events(x="]),
    "a raster": (np.zeros((9, 2, 4, 4)), ["raster_to_events", "(9, 2, 4, 4)"]),
    "a torch raster": (torch.zeros(9, 2, 4, 4), ["raster_to_events"]),
    "a path": ("recording.npz", ["path recording.npz", "load_events"]),
    "a sample": ((foreign("tonic"), 7), ["sample[0]"]),
    "rows": ([(1, 2, 3, 4)], ["list of tuple", "make_events(x="]),
    "states": ([VALUE, VALUE], ["layer", "add x; add y; add t"]),
    "a generator": ((n for n in ()), ["generator"]),
    "float times": ({"x": X, "y": Y, "t": np.array(T) / 10, "p": P}, ["t must hold integers, found float64", "1e6"]),
    "float coordinates": ({"x": [0.5, 1, 2], "y": Y, "t": T, "p": P}, ["x must hold integers, found float64"]),
    "times with a unit": ({"x": X, "y": Y, "t": np.array(T, "m8[ms]"), "p": P}, ["t must hold integers, found timedelta64[ms]"]),
    "names as values": ({"x": X, "y": Y, "t": T, "p": ["on", "off", "on"]}, ["p must hold integers"]),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_has_no_one_meaning_is_refused_with_what_to_do(what: str) -> None:
    given, words = REFUSED[what]
    with pytest.raises(EventError) as caught:
        as_events(given)
    assert all(word in str(caught.value) for word in words), str(caught.value)


@pytest.mark.parametrize(
    ("given", "index", "word"),
    [
        ([SPIKE, DVS], 1, "a DvsEvent, the first a Spike"),
        ([DVS, DVS, VALUE], 2, "a NeuronValue, the first a DvsEvent"),
        ({"x": [0, 0, 0], "y": Y, "timestamp": [3, 9, 8], "p": P}, 2, "sort first"),
        ({"x": [0, 0, 0], "y": Y, "t": np.array([0, 1, 2**63], np.uint64), "p": P}, 2, "9223372036854775808"),
        ({"x": [0, -70_000, 0], "y": Y, "t": T, "p": P}, 1, "x = -70000"),
    ],
)
def test_refusals_name_the_event(given: Any, index: int, word: str) -> None:
    with pytest.raises(EventError, match=word) as caught:
        as_events(given)
    assert caught.value.index == index
    assert f"event {index}" in str(caught.value)


@pytest.mark.parametrize("dtype", [torch.float32, torch.int64, torch.bool])
def test_rasters_of_torch(dtype: torch.dtype) -> None:
    raster = (torch.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5) % 7 == 0).to(dtype)
    wanted = raster_to_events(raster.numpy(), 500)
    assert len(wanted)
    assert raster_to_events(raster, 500).tolist() == wanted.tolist()
    if dtype.is_floating_point:
        assert raster_to_events(raster.requires_grad_(), 500).tolist() == wanted.tolist()
    with pytest.raises(EventError, match=r"raster\[i\]"):
        raster_to_events(raster[None])
