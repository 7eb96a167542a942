"""Truncated and garbled files: never a crash, always how much was read, and with `on_damage="keep"` what came before."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from chipflow.errors import EventFileError
from chipflow.events import EventArray, load_events, make_events, open_events, save_events
from chipflow.events.formats.aedat4 import read_header
from tests.emulator.silicon import data_folder
from tests.events import by_hand

EVENTS = by_hand.ramp(range(10, 400_000, 1000))
ARRAY = make_events(*(np.array(column) for column in zip(*EVENTS, strict=True)))


def saved(format_name: str) -> Callable[[Path], bytes]:
    def write(folder: Path) -> bytes:
        save_events(folder / "whole", ARRAY, format=format_name, size=(32, 24))
        return (folder / "whole").read_bytes()

    return write


STREAMS = {
    "aedat2": lambda _: by_hand.aedat2(EVENTS),
    "aedat3.1": lambda _: by_hand.aedat3(EVENTS, invalid=2, frame_bytes=30),
    "aedat4": saved("aedat4"),
    "dat": lambda _: by_hand.dat(EVENTS),
    "evt2": lambda _: by_hand.evt2(EVENTS),
    "evt3": lambda _: by_hand.evt3(EVENTS),
    "es": lambda _: by_hand.event_stream(EVENTS),
    "n-mnist": lambda _: by_hand.nmnist(EVENTS),
    "csv": saved("csv"),
}
WHOLE_ONLY = {"npz": saved("npz"), "hdf5": saved("hdf5")}
"""Formats of which nothing is left without their end."""


def outcome(path: Path, format_name: str) -> tuple[EventArray | None, str]:
    """What is kept of a file, and what was wrong; checks that both ways of reading agree."""
    try:
        with open_events(path, format=format_name, on_damage="keep") as recording:
            kept = [*recording]
            events = np.concatenate(kept) if kept else ARRAY[:0]
            assert recording.read == len(events)
            damage = recording.damage
    except EventFileError as error:
        assert (error.path, error.read) == (str(path), 0)
        assert path.name in str(error)
        return None, str(error)
    if not damage:
        assert len(load_events(path, format=format_name)) == len(events)
        return events, ""
    with pytest.raises(EventFileError, match=path.name) as caught:
        load_events(path, format=format_name)
    assert (caught.value.path, caught.value.read) == (str(path), len(events))
    return events, damage


@pytest.mark.parametrize("name", STREAMS)
def test_a_file_cut_at_random_places_gives_the_events_before_the_cut(tmp_path: Path, name: str) -> None:
    data, path, told = STREAMS[name](tmp_path), tmp_path / "cut", 0
    assert load_events(tmp_path / "whole" if name in ("aedat4", "csv") else _put(path, data)).tolist() == ARRAY.tolist()
    rng = random.Random(name)
    for _ in range(40):
        events, damage = outcome(_put(path, data[: rng.randrange(1, len(data))]), name)
        if events is not None:
            last = 1 if name == "csv" else 0  # the number that is cut may be one still
            assert events[: len(events) - last].tolist() == ARRAY[: max(0, len(events) - last)].tolist()
        told += bool(damage)
    assert told >= 8  # the rest was cut between two events, or in the table that follows them


@pytest.mark.parametrize("name", [*STREAMS, *WHOLE_ONLY])
def test_a_garbled_file_is_read_or_refused_and_never_crashes(tmp_path: Path, name: str) -> None:
    data, rng = (STREAMS | WHOLE_ONLY)[name](tmp_path), random.Random(name)
    for _ in range(40):
        garbled = bytearray(data)
        for _ in range(rng.choice((1, 4, 50))):
            garbled[rng.randrange(rng.choice((min(200, len(data)), len(data))))] = rng.randrange(256)
        events, _ = outcome(_put(tmp_path / "garbled", bytes(garbled)), name)
        assert events is None or not (events["t"][1:] < events["t"][:-1]).any()


@pytest.mark.parametrize("name", WHOLE_ONLY)
def test_of_a_cut_npz_or_hdf5_nothing_can_be_kept_and_that_is_said(tmp_path: Path, name: str) -> None:
    data, rng = WHOLE_ONLY[name](tmp_path), random.Random(name)
    for _ in range(20):
        events, damage = outcome(_put(tmp_path / "cut", data[: rng.randrange(10, len(data) - 1)]), name)
        assert events is None
        assert "nothing" in damage


@pytest.mark.parametrize("name", ["sample.aedat4", "sample_ncars.dat", "prophesee_evt2.raw", "dvs.es", "sample_nmnist.bin"])
def test_a_real_file_cut_at_random_places(tmp_path: Path, name: str) -> None:
    whole, rng = data_folder("events") / name, random.Random(name)
    wanted, data = load_events(whole), whole.read_bytes()
    for _ in range(5):
        with open_events(whole) as recording:
            format_name = recording.format.name
        events, _ = outcome(_put(tmp_path / "cut", data[: rng.randrange(len(data))]), format_name)
        if events is not None:
            np.testing.assert_array_equal(events, wanted[: len(events)])


def test_aedat4_cut_in_the_table_behind_the_events_keeps_them_all(tmp_path: Path) -> None:
    data = STREAMS["aedat4"](tmp_path)
    for cut in (1, 9, 30):
        events, _ = outcome(_put(tmp_path / "cut", data[:-cut]), "aedat4")
        assert events is not None
        assert events.tolist() == ARRAY.tolist()


def test_aedat4_cut_between_two_packets_is_told_by_the_missing_table(tmp_path: Path) -> None:
    saved("aedat4")(tmp_path)
    with (tmp_path / "whole").open("rb") as file:
        table = read_header(file).table_position
    events, damage = outcome(_put(tmp_path / "cut", (tmp_path / "whole").read_bytes()[:table]), "aedat4")
    assert events is not None
    assert events.tolist() == ARRAY.tolist()
    assert f"its table should begin at {table:,}" in damage


def test_aedat4_of_a_recording_that_was_not_closed_is_whole_without_its_table(tmp_path: Path) -> None:
    saved("aedat4")(tmp_path)
    with (tmp_path / "whole").open("rb") as file:
        table = read_header(file).table_position
    data = (tmp_path / "whole").read_bytes()[:table].replace(table.to_bytes(8, "little"), b"\xff" * 8)
    events, damage = outcome(_put(tmp_path / "open", data), "aedat4")
    assert (damage, events is not None and events.tolist()) == ("", ARRAY.tolist())


@pytest.mark.parametrize(("cut", "rest"), [(0, 0), (1, 4), (3, 2), (5, 0)])
@pytest.mark.parametrize("chunk", [1, 2, 7, 1000])
def test_event_stream_tells_a_cut_inside_an_event(tmp_path: Path, cut: int, rest: int, chunk: int) -> None:
    data = by_hand.event_stream(EVENTS)
    path = _put(tmp_path / "cut", data[: len(data) - cut])
    with open_events(path, on_damage="keep", chunk_events=chunk) as recording:
        assert sum(map(len, recording)) == len(EVENTS) - (cut > 0)
        assert (f"{rest} bytes into an event" in recording.damage) == (rest > 0)


def test_a_coordinate_that_does_not_fit_is_named(tmp_path: Path) -> None:
    path = _put(tmp_path / "a.csv", b"t,x,y,p\n1,2,3,1\n2,40000,3,1\n3,2,3,1\n")
    with pytest.raises(EventFileError, match=r"a\.csv: event 1: x = 40000 is outside.*1 event before") as caught:
        load_events(path)
    assert (caught.value.index, caught.value.read) == (1, 1)


@pytest.mark.parametrize("write", [by_hand.dat, by_hand.evt2, by_hand.evt3, by_hand.event_stream])
def test_an_event_outside_of_the_size_that_the_file_tells_is_damage(tmp_path: Path, write: Callable[..., bytes]) -> None:
    path = _put(tmp_path / "a", write([(1, 2, 5, 1), (3, 2, 9, 0), (2000, 2, 11, 0), (1, 2, 15, 0)]))
    with open_events(path, on_damage="keep") as recording:
        events = np.concatenate([ARRAY[:0], *recording])
        assert "2000" in recording.damage
    assert len(events) == (2 if write != by_hand.event_stream else 0)  # faery gives nothing of the block


def _put(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path
