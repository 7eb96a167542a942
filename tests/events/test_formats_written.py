"""Formats of which there is no real file: files written by another library, or byte by byte and read by another library too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chipflow.errors import EventFileError
from chipflow.events import load_events, make_events, open_events
from tests.events import by_hand

EVENTS = by_hand.ramp([5, 5, 90, 4000, 4100, 70_000, 70_001, 3_000_000, 3_000_002])


def columns(events: Any) -> list[list[int]]:
    return [np.asarray(events[name]).astype(np.int64).tolist() for name in ("x", "y", "t", "p")]


WANTED = [list(column) for column in zip(*EVENTS, strict=True)]


def written(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def evutils(path: Path, **options: Any) -> Any:
    reader = pytest.importorskip("evutils.io").EventReader(str(path), **options)
    try:
        return reader.read_all()
    finally:
        reader.close()


def evutils_writes(path: Path) -> None:
    io, types = pytest.importorskip("evutils.io"), pytest.importorskip("evutils.types")
    x, y, t, p = (np.array(column) for column in WANTED)
    with io.EventWriter(str(path), width=640, height=480) as writer:
        writer.write(types.EventArray(t, x, y, p))


@pytest.mark.parametrize(("name", "format_name"), [("a.csv", "csv"), ("a.npz", "npz"), ("a.raw", "evt3"), ("a.dat", "dat")])
def test_files_that_evutils_writes(tmp_path: Path, name: str, format_name: str) -> None:
    evutils_writes(tmp_path / name)
    with open_events(tmp_path / name) as recording:
        assert recording.format.name == format_name
        assert columns(np.concatenate(list(recording))) == WANTED


@pytest.mark.parametrize(
    ("name", "file_type", "version"), [("a", "evt", "evt3"), ("a", "evt", "evt2"), ("a", "csv", None), ("a", "dat", "dat2")]
)
def test_files_that_faery_writes(tmp_path: Path, name: str, file_type: str, version: str | None) -> None:
    faery = pytest.importorskip("faery")
    array: Any = np.zeros(len(EVENTS), faery.EVENTS_DTYPE)
    for field, column in zip(("x", "y", "t", "on"), WANTED, strict=True):
        array[field] = column
    stream = faery.events_stream_from_array(array, (640, 480))
    stream.to_file(tmp_path / name, version=version, file_type=file_type, zero_t0=False)
    assert columns(load_events(tmp_path / name)) == WANTED


@pytest.mark.parametrize("packing", ["NONE", "LZ4", "LZ4_HIGH", "ZSTD", "ZSTD_HIGH"])
def test_aedat4_that_dv_processing_writes(tmp_path: Path, packing: str) -> None:
    dv = pytest.importorskip("dv_processing")
    store = dv.EventStore()
    for x, y, t, p in EVENTS:
        store.push_back(t, x, y, bool(p))
    path = str(tmp_path / "a.aedat4")
    config = dv.io.MonoCameraWriter.EventOnlyConfig("camera", (640, 480), getattr(dv.CompressionType, packing))
    writer = dv.io.MonoCameraWriter(path, config)
    writer.writeEvents(store)
    del writer
    with open_events(path) as recording:
        assert recording.size == (640, 480)
        assert columns(np.concatenate(list(recording))) == WANTED


def test_event_stream_that_event_stream_writes(tmp_path: Path) -> None:
    library = pytest.importorskip("event_stream")
    array = np.zeros(len(EVENTS), [("t", "<u8"), ("x", "<u2"), ("y", "<u2"), ("on", "?")])
    for field, column in zip(("x", "y", "t", "on"), WANTED, strict=True):
        array[field] = column
    with library.Encoder(str(tmp_path / "a.es"), "dvs", 640, 480) as encoder:
        encoder.write(array)
    assert columns(load_events(tmp_path / "a.es")) == WANTED


def test_aedat2_of_a_davis_from_the_published_layout_against_evutils(tmp_path: Path) -> None:
    path = written(tmp_path, "a.aedat", by_hand.aedat2(EVENTS))
    assert columns(load_events(path)) == WANTED == columns(evutils(path, layout="davis"))


def test_aedat2_of_a_dvs128_from_the_published_layout_with_the_words_as_tonic_reads_them(tmp_path: Path) -> None:
    """evutils 0.3.18 takes bit 10, here a bit of y, for the mark of an external event; tonic 1.7.0 swaps x and y and takes OFF for ON: only its
    words are used."""
    data = by_hand.aedat2(EVENTS, "ch.unizh.ini.jaer.chip.retina.DVS128")
    path = written(tmp_path, "a.aedat", data)
    words = pytest.importorskip("tonic.io").get_aer_events_from_file(str(path), 2.0, len(data) - 8 * len(EVENTS))
    a = words["address"]
    assert columns(load_events(path)) == WANTED
    assert columns({"x": (a >> 1) & 127, "y": (a >> 8) & 127, "t": words["timeStamp"], "p": 1 - (a & 1)}) == WANTED


def test_aedat2_from_the_published_layout_against_tonic(tmp_path: Path) -> None:
    """tonic turns a DAVIS 346 over in x and y; here both are as stored."""
    tonic = pytest.importorskip("tonic.io")
    data = by_hand.aedat2(EVENTS, "eu.seebetter.ini.chips.davis.Davis346").replace(
        b"# AEChip", b"# Creation time: System.currentTimeMillis() 1700000000000\r\n# AEChip"
    )
    path = written(tmp_path, "a.aedat", data)
    events, (_, _, theirs) = load_events(path), tonic.read_davis_346(str(path))
    assert columns(events) == WANTED
    assert events["t"].tolist() == theirs["t"].tolist()
    assert events["p"].tolist() == theirs["p"].tolist()
    assert (345 - events["x"]).tolist() == theirs["x"].tolist()
    assert (259 - events["y"]).tolist() == theirs["y"].tolist()


def test_aedat2_skips_and_counts_frames_and_external_events(tmp_path: Path) -> None:
    path = written(tmp_path, "a.aedat", by_hand.aedat2(EVENTS, others=[1 << 31, (1 << 31) | 77, 1 << 10]))
    with open_events(path) as recording:
        assert columns(np.concatenate(list(recording))) == WANTED
        assert recording.skipped == {"words of frames or IMU": 2, "external events": 1}


def test_aedat2_of_an_unknown_camera_is_refused_until_the_layout_is_given(tmp_path: Path) -> None:
    davis = by_hand.aedat2(EVENTS)
    path = written(tmp_path, "a.aedat", davis.replace(b"davis.DAVIS240C", b"cochlea.CochleaAMS1c"))
    with pytest.raises(EventFileError, match=r"CochleaAMS1c.*aedat2-davis"):
        load_events(path)
    assert columns(load_events(path, format="aedat2-davis")) == WANTED


def test_aedat3_from_the_published_layout_against_evutils_and_tonic(tmp_path: Path) -> None:
    path = written(tmp_path, "a.aedat", by_hand.aedat3(EVENTS, packet_events=4))
    words = pytest.importorskip("tonic.io").get_aer_events_from_file(str(path), 3.1, len(by_hand.AEDAT3_HEADER))
    a = words["address"]
    assert columns(load_events(path)) == WANTED == columns(evutils(path))
    assert columns({"x": a >> 17, "y": (a >> 2) & 0x7FFF, "t": words["timeStamp"], "p": (a >> 1) & 1}) == WANTED


def test_aedat3_skips_and_counts_other_packets_and_invalid_events(tmp_path: Path) -> None:
    path = written(tmp_path, "a.aedat", by_hand.aedat3(EVENTS, invalid=3, frame_bytes=50))
    with open_events(path) as recording:
        assert columns(np.concatenate(list(recording))) == WANTED
        assert recording.skipped == {"frame events": 1, "events marked invalid": 3}


def test_aedat3_of_several_cameras_gives_the_first_and_counts_the_others(tmp_path: Path) -> None:
    other = by_hand.aedat3(EVENTS[:2], camera=2)[len(by_hand.AEDAT3_HEADER) :]
    path = written(tmp_path, "a.aedat", by_hand.aedat3(EVENTS) + other)
    with open_events(path) as recording:
        assert columns(np.concatenate(list(recording))) == WANTED
        assert recording.skipped == {"polarity events of camera 2": 2}


def test_aedat3_of_packed_packets_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "a.aedat", by_hand.aedat3(EVENTS).replace(b"Format: RAW", b"Format: SerialTS"))
    with pytest.raises(EventFileError, match="in the format SerialTS is not read, only RAW"):
        load_events(path)


@pytest.mark.parametrize(
    "header", [b"% evt 3.0\n", b"% format EVT3;width=640;height=480\n% end\n", b"% Date x\n% evt 3.0\n% geometry 640x480\n"]
)
def test_evt3_from_the_published_layout_against_evutils(tmp_path: Path, header: bytes) -> None:
    path = written(tmp_path, "a.dat", by_hand.evt3(EVENTS, header))
    with open_events(path) as recording:
        assert recording.size == ((640, 480) if b"640" in header else None)
        assert columns(np.concatenate(list(recording))) == WANTED == columns(evutils(path.rename(tmp_path / "a.raw")))


def test_evt3_vectors_triggers_and_unknown_words(tmp_path: Path) -> None:
    words = [0x8000, 0x6005, 0x0010, 0x2005, 0xA001, 0xE000, 0x7001, 0xF123, 0x1000, 0x9000, 0x3810, 0x4801, 0x5003]
    path = written(tmp_path, "a.raw", b"% evt 3.0\n% geometry 640x480\n" + np.array(words, "<u2").tobytes())
    with open_events(path) as recording:
        events = np.concatenate(list(recording))
        assert recording.skipped == {"triggers": 1, "words of other kinds": 5}
    assert columns(events) == [[5, 16, 27, 28, 29], [16] * 5, [5] * 5, [0, 1, 1, 1, 1]]


@pytest.mark.parametrize("chunk", [1, 3, 1000])
def test_evt3_rows_against_evutils(tmp_path: Path, chunk: int) -> None:
    """Two thousand words that change time, row, base and give events, in the order that a camera may write them; seeded.

    expelliarmus 1.1.12 adds 4,096 us where a high time comes twice.
    """
    rng, words, time = np.random.default_rng(3), [0x8000, 0x6000, 0x0000, 0x3000], 0
    for _ in range(500):
        time += int(rng.integers(1, 900))
        words += [0x8000 | (time >> 12), 0x6000 | (time & 0xFFF), int(rng.integers(480)), 0x2000 | int(rng.integers(2)) << 11 | 7]
        words += [0x3000 | int(rng.integers(2)) << 11 | int(rng.integers(600)), *(0x4000 | rng.integers(1, 1 << 12, 2)).tolist()]
        words += [0x5000 | int(rng.integers(1, 1 << 8))]
    path = written(tmp_path, "a.raw", b"% evt 3.0\n% geometry 640x480\n% end\n" + np.array(words, "<u2").tobytes())
    with open_events(path, chunk_events=chunk) as recording:
        ours = columns(np.concatenate(list(recording)))
    assert ours == columns(evutils(path))


@pytest.mark.parametrize("chunk", [1, 1000])
def test_the_low_time_of_evt3_starts_anew_where_the_high_one_changes(tmp_path: Path, chunk: int) -> None:
    """As faery reads it; evutils 0.3.18 gives the second event the time of the first."""
    words = [0x8000, 0x6005, 0x0001, 0x2001, 0x8000, 0x2002, 0x8001, 0x2003, 0x6001, 0x2004]
    path = written(tmp_path, "a.raw", b"% evt 3.0\n% end\n" + np.array(words, "<u2").tobytes())
    with open_events(path, chunk_events=chunk) as recording:
        ours = np.concatenate(list(recording))["t"].tolist()
    theirs = [packet["events"]["t"] for packet in pytest.importorskip("faery").evt.Decoder(path, (640, 480), "evt3")]
    assert ours == [5, 5, 4096, 4097] == np.concatenate(theirs).tolist()


@pytest.mark.parametrize("chunk", [1, 1000])
@pytest.mark.parametrize(
    ("header", "words", "dtype"),
    [
        (b"% evt 2.0\n% end\n", [0x10000801, 0x80000001, 0x10000801], "<u4"),
        (b"% evt 3.0\n% end\n", [0x2001, 0x6003, 0x2001, 0x8000, 0x2001, 0x4001, 0x0001, 0x4001, 0x2801], "<u2"),
    ],
)
def test_events_whose_time_or_place_is_not_told_yet_are_counted(
    tmp_path: Path, chunk: int, header: bytes, words: list[int], dtype: str
) -> None:
    path = written(tmp_path, "a.raw", header + np.array(words, dtype).tobytes())
    with open_events(path, chunk_events=chunk) as recording:
        events = np.concatenate(list(recording))
        (count,) = recording.skipped.values()
    assert (events["x"].tolist(), events["y"].tolist(), events["p"].tolist()) == ([1], [1], [1])
    assert count == (1 if dtype == "<u4" else 5)


def test_a_word_of_evt2_that_does_not_exist_is_damage(tmp_path: Path) -> None:
    path = written(tmp_path, "a.raw", by_hand.evt2(EVENTS) + bytes([0, 0, 0, 0x50]) + by_hand.evt2(EVENTS, b""))
    with open_events(path, on_damage="keep") as recording:
        assert columns(np.concatenate(list(recording))) == WANTED
        assert "a word of type 0x5, which does not exist" in recording.damage


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (b"Version 2", b"Version 1", "DAT of version 1 is not read"),
        (b"\x0c\x08", b"\x28\x08", "holds triggers"),
        (b"\x0c\x08", b"\x0c\x09", "events of type 12 in 9 bytes"),
    ],
)
def test_dat_of_other_things_is_refused(tmp_path: Path, old: bytes, new: bytes, says: str) -> None:
    path = written(tmp_path, "a.dat", by_hand.dat(EVENTS).replace(old, new))
    with pytest.raises(EventFileError, match=says):
        load_events(path)


@pytest.mark.parametrize("chunk", [1, 2, 1000])
@pytest.mark.parametrize("write", [by_hand.dat, by_hand.evt2, by_hand.aedat2, by_hand.aedat3, by_hand.nmnist])
def test_times_that_descend_are_neither_changed_nor_taken_for_a_wrap(tmp_path: Path, write: Any, chunk: int) -> None:
    """faery 0.7.1 reads them as 200, 200, 300 from DAT and as 200, 2^34 + 150, ... from EVT 2."""
    path = written(tmp_path, "a", write(by_hand.ramp([100, 200, 150, 300])))
    with open_events(path, format=None if write != by_hand.nmnist else "n-mnist", chunk_events=chunk) as recording:
        with pytest.raises(EventFileError, match="event 2: t = 150 us comes after 200 us"):
            list(recording)
        assert recording.read == 2
    assert load_events(path, format=recording.format.name, sort=True)["t"].tolist() == [100, 150, 200, 300]


def test_hdf5_layouts_that_h5py_writes(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    array = make_events(*WANTED)
    with h5py.File(tmp_path / "dsec.h5", "w") as file:
        for field in ("x", "y", "t", "p"):
            file[f"events/{field}"] = array[field]
        file["t_offset"], file["ms_to_idx"] = 1000, np.zeros(3)
    with h5py.File(tmp_path / "prophesee.h5", "w") as file:
        file["CD/events"] = array
    with h5py.File(tmp_path / "tonic.h5", "w") as file:
        file["events"] = array[["t", "x", "y", "p"]]
    assert load_events(tmp_path / "dsec.h5")["t"].tolist() == (array["t"] + 1000).tolist()
    assert columns(load_events(tmp_path / "prophesee.h5")) == WANTED == columns(load_events(tmp_path / "tonic.h5"))
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["data"] = array
    with pytest.raises(EventFileError, match=r"neither CD/events nor events, found data"):
        load_events(tmp_path / "other.h5")
