"""`open_events` and `save_events`: formats by their first bytes, order, damage, missing packages, memory, complete files only."""

from __future__ import annotations

import gzip
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chipflow.errors import EventError, EventFileError
from chipflow.events import FORMATS, EventArray, load_events, make_events, open_events, rebase_time, save_events
from tests.events import by_hand

EVENTS = make_events(np.arange(50) % 30, np.arange(50) % 20, np.arange(50) * 100, np.arange(50) % 2)
WRITTEN = {"npz": ".npz", "csv": ".csv", "hdf5": ".h5", "aedat4": ".aedat4", "dat": ".dat", "evt2": ".raw", "es": ".es"}


def put(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


# --- reading ---


def test_all_formats_have_a_name() -> None:
    assert {"aedat2", "aedat3.1", "aedat4", "dat", "evt2", "evt3", "es", "n-mnist", "npz", "csv", "hdf5"} <= set(FORMATS)


@pytest.mark.parametrize("name", WRITTEN)
def test_the_first_bytes_tell_the_format_and_the_name_does_not(tmp_path: Path, name: str) -> None:
    save_events(tmp_path / "recording.bin2", EVENTS, format=name, size=(32, 24))
    with open_events(tmp_path / "recording.bin2") as recording:
        assert recording.format.name == name
        assert np.concatenate(list(recording)).tolist() == EVENTS.tolist()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "an empty file"),
        (gzip.compress(b"% evt 2.0\n", mtime=0), "packed with gzip: unpack it first"),
        (b"#!AER-DAT1.0\r\n", "AEDAT 1.0 is not read"),
        (b"#!AER-DAT3.0\r\n", "AEDAT 3.0 is not read"),
        (b"% evt 2.1\n% end\n", r"EVT 2\.1 is not read"),
        (b"% Date today\n", "neither DAT nor the version of EVT: give format="),
        (b"hello", "no known format"),
        (bytes(range(200, 255)), r"no known format .* give format="),
        (bytes(5), "no known format"),
        (bytes(100_000), "no known format"),
        (b"\n" * 500, "no known format"),
        (b"\1" * 5000, "no known format"),
        (b"1,2,3,0\n2,2,3,0\n", "csv without names of columns"),
        (b"t,x,y\n1,2,3\n", r"found t, x, y: add p \(or pol"),
        (b"t,ts,x,y,p\n1,1,2,3,0\n", "t and ts, which could each be t"),
        (b"t,x,y,p,extra\n1,2,3,0,9\n", "rename or remove extra"),
        (b"% evt 3.0\n% endianness big\n% end\n", "big-endian"),
    ],
)
def test_what_is_not_read_is_refused_with_what_to_do(tmp_path: Path, data: bytes, says: str) -> None:
    with pytest.raises(EventFileError, match=rf"recording\.x: .*{says}") as caught:
        open_events(put(tmp_path / "recording.x", data))
    assert (caught.value.path, caught.value.read) == (str(tmp_path / "recording.x"), 0)


@pytest.mark.parametrize("name", FORMATS)
def test_an_empty_file_is_refused_also_where_the_format_is_given(tmp_path: Path, name: str) -> None:
    with pytest.raises(EventFileError, match="an empty file"):
        open_events(put(tmp_path / "a", b""), format=name)


def test_wrong_arguments_are_refused(tmp_path: Path) -> None:
    path = put(tmp_path / "a", by_hand.nmnist(by_hand.ramp(range(50))))
    with pytest.raises(EventError, match=r"format 'aedat' does not exist; there are aedat2"):
        open_events(path, format="aedat")
    with pytest.raises(EventError, match="on_damage must be"):
        open_events(path, on_damage="drop")  # pyright: ignore[reportArgumentType]
    with pytest.raises(EventError, match="chunk_events must be 1 or more, found 0"):
        open_events(path, chunk_events=0)
    with pytest.raises(EventFileError, match="no such file"):
        open_events(tmp_path / "absent")
    with pytest.raises(EventFileError, match="a directory"):
        open_events(tmp_path)


def test_nmnist_is_recognised_by_what_it_holds_and_another_sensor_must_be_named(tmp_path: Path) -> None:
    wide = [(200, 170, 5, 1), (3, 4, 9, 0)]
    path = put(tmp_path / "caltech.bin", by_hand.nmnist(wide))
    with pytest.raises(EventFileError, match="give format="):
        load_events(path)
    assert load_events(path, format="n-mnist").tolist() == wide


@pytest.mark.parametrize(
    "text",
    [
        b"\xef\xbb\xbft,x,y,p\r\n7,1,2,1\r\n",
        b"t;x;y;p\n7;1;2;1\n",
        b"# t x y polarity\n7 1 2 True\n",
        b"on,y,x,timestamp\n1,2,1,7",
        b"t\tx\ty\tp\n\n7\t1\t2\t1\n",
    ],
)
def test_csv_columns_by_name(tmp_path: Path, text: bytes) -> None:
    assert load_events(put(tmp_path / "a", text)).tolist() == [(1, 2, 7, 1)]


@pytest.mark.parametrize("line", [b"0.5,1,2,1", b"1,2,1", b"nan,1,2,1", b"x", b"99999999999999999999,1,2,1"])
def test_a_line_of_csv_that_is_no_event_is_shown(tmp_path: Path, line: bytes) -> None:
    path = put(tmp_path / "a", b"t,x,y,p\n1,1,2,1\n2,1,2,1\n" + line + b"\n9,1,2,1\n")
    with pytest.raises(EventFileError, match=r"is not a line of 4 whole numbers.*2 events before") as caught:
        load_events(path)
    assert line.decode() in str(caught.value)


def test_polarities_of_minus_and_plus_one_become_zero_and_one(tmp_path: Path) -> None:
    assert load_events(put(tmp_path / "a", b"t,x,y,p\n1,1,1,1\n2,1,1,-1\n"))["p"].tolist() == [1, 0]
    mixed = put(tmp_path / "b", b"t,x,y,p\n1,1,1,0\n2,1,1,-1\n")
    with pytest.raises(EventFileError, match="event 1: p = -1, but polarities") as caught:
        load_events(mixed)
    assert caught.value.read == 1


def test_events_out_of_order_are_refused_or_sorted(tmp_path: Path) -> None:
    path = put(tmp_path / "a", b"t,x,y,p\n5,1,1,0\n9,2,1,0\n7,3,1,0\n7,4,1,0\n")
    for chunk in (1, 2, 3, 100):
        with (
            pytest.raises(EventFileError, match=r"event 2: t = 7 us comes after 9 us; sort=True") as caught,
            open_events(path, chunk_events=chunk) as recording,
        ):
            list(recording)
        assert (caught.value.index, caught.value.read) == (2, 2)
        with open_events(path, sort=True, chunk_events=chunk) as recording:
            assert np.concatenate(list(recording))["x"].tolist() == [1, 3, 4, 2]
    with open_events(path, on_damage="keep") as recording:
        assert [len(chunk) for chunk in recording] == [2]
        assert "event 2" in recording.damage


def test_what_is_sorted_tells_its_damage_too(tmp_path: Path) -> None:
    path = put(tmp_path / "a", b"t,x,y,p\n5,1,1,0\n4,2,1,0\nno event\n")
    with open_events(path, sort=True, on_damage="keep") as recording:
        assert [chunk["t"].tolist() for chunk in recording] == [[4, 5]]
        assert "'no event' is not a line" in recording.damage
    with pytest.raises(EventFileError, match="2 events before that"):
        load_events(path, sort=True)


def test_what_load_events_keeps_of_a_damaged_file_comes_with_a_warning(tmp_path: Path) -> None:
    path = put(tmp_path / "a", by_hand.nmnist(by_hand.ramp(range(50)))[:-2])
    with pytest.warns(UserWarning, match="damaged: the file ends 3 bytes into a record of 5; kept 49 events before that"):
        assert len(load_events(path, on_damage="keep")) == 49


def test_times_of_the_epoch_stay_as_they_are(tmp_path: Path) -> None:
    late = make_events(1, 2, [1_605_537_493_718_345, 1_605_537_493_718_349], 1)
    save_events(tmp_path / "a.aedat4", late)
    assert load_events(tmp_path / "a.aedat4").tolist() == late.tolist()


def test_negative_times_are_refused_with_rebase_time(tmp_path: Path) -> None:
    with pytest.raises(EventFileError, match=r"event 0: t = -5 us is negative; .*rebase_time"):
        load_events(put(tmp_path / "a", b"t,x,y,p\n-5,1,1,0\n"))


@pytest.mark.parametrize(("name", "package"), [("aedat4", "lz4"), ("es", "faery"), ("hdf5", "h5py")])
def test_a_missing_package_is_named_and_only_its_formats_need_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, package: str
) -> None:
    save_events(tmp_path / "a", EVENTS, format=name, size=(32, 24))
    save_events(tmp_path / "b", EVENTS, format="csv")
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(EventFileError, match=rf"package {package} is missing.*pip install 'chipflow\[events\]'"):
        load_events(tmp_path / "a")
    assert load_events(tmp_path / "b").tolist() == EVENTS.tolist()


@pytest.mark.parametrize("chunk", [1, 7, 50, 1000])
def test_chunks_have_the_size_asked_for(tmp_path: Path, chunk: int) -> None:
    save_events(tmp_path / "a.raw", EVENTS)
    with open_events(tmp_path / "a.raw", chunk_events=chunk) as recording:
        seen = 0
        for events in recording:
            seen += len(events)
            assert recording.read == seen
            assert len(events) == chunk or seen == len(EVENTS)
    assert seen == len(EVENTS)


@pytest.mark.parametrize("name", ["csv", "hdf5", "n-mnist"])
def test_memory_is_bounded_by_the_chunk(tmp_path: Path, name: str) -> None:
    """Of what Python and numpy allocate: reading 100,000 events takes about as much as reading 10,000."""
    peaks = []
    for count in (10_000, 100_000):
        events = make_events(np.arange(count) % 30, 3, np.arange(count) * 20, 1)
        path = tmp_path / f"{count}"
        if name == "n-mnist":
            put(path, by_hand.nmnist([(1, 2, t, 0) for t in range(count)]))
        else:
            save_events(path, events, format=name)
        tracemalloc.start()
        with open_events(path, chunk_events=1000) as recording:
            for _ in recording:
                pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0] < 1_500_000


MEASURED = """
import resource, sys
from chipflow.events import open_events
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with open_events(sys.argv[1]) as recording:
    next(recording)
    first, count = peak(), recording.read
    for chunk in recording:
        pass
print(recording.read, peak() - first)
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["evt2", "es", "aedat4", "dat", "hdf5"])
def test_a_long_recording_takes_no_more_memory_than_its_first_chunk(tmp_path: Path, name: str) -> None:
    """The whole process, libraries too: 8 million events, 112 MB as an array."""
    count, path = 8_000_000, tmp_path / "long"
    part = make_events(np.arange(count // 8) % 640, 100, np.arange(count // 8), 1)

    def chunks() -> Iterator[EventArray]:
        for k in range(8):
            part["t"] += part["t"][-1] + 1 if k else 0
            yield part

    save_events(path, chunks(), format=name, size=(640, 480))
    done = subprocess.run([sys.executable, "-c", MEASURED, str(path)], capture_output=True, text=True, check=True, timeout=120)
    read, grown_kib = map(int, done.stdout.split())
    assert read == count
    assert grown_kib < 40_000


# --- writing ---


@pytest.mark.parametrize(("name", "extension"), WRITTEN.items())
def test_what_is_written_is_read_back(tmp_path: Path, name: str, extension: str) -> None:
    path = tmp_path / f"a{extension}"
    save_events(path, EVENTS)
    with open_events(path) as recording:
        assert recording.format.name == name
        assert np.concatenate(list(recording)).tolist() == EVENTS.tolist()
    save_events(path, (EVENTS[k : k + 9] for k in range(0, 50, 9)), size=(64, 48))
    with open_events(path) as recording:
        assert recording.size == ((64, 48) if name not in ("npz", "csv") else None)
        assert np.concatenate(list(recording)).tolist() == EVENTS.tolist()
    assert [item.name for item in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("name", ["npz", "csv", "hdf5"])
def test_layers_are_kept_or_refused(tmp_path: Path, name: str) -> None:
    events = make_events([1, 2], [3, 4], [5, 6], [300, 7], [1, 8])
    save_events(tmp_path / "a", events, format=name)
    assert load_events(tmp_path / "a").dtype == events.dtype
    assert load_events(tmp_path / "a").tolist() == events.tolist()
    with pytest.raises(EventError, match="AEDAT 4 files hold no layers"):
        save_events(tmp_path / "a.aedat4", events)


def test_a_file_becomes_another_chunk_by_chunk(tmp_path: Path) -> None:
    save_events(tmp_path / "a.es", EVENTS, size=(32, 24))
    with open_events(tmp_path / "a.es", chunk_events=7) as recording:
        save_events(tmp_path / "b.aedat4", recording)
    with open_events(tmp_path / "b.aedat4") as recording:
        assert recording.size == (32, 24)
        assert np.concatenate(list(recording)).tolist() == EVENTS.tolist()


def test_what_a_format_cannot_hold_is_refused_and_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.raw"
    save_events(path, EVENTS)
    old = path.read_bytes()
    for events, says in (
        (make_events(1, 2, 3, 2), "polarities 0 and 1"),
        (make_events(1, 2, 1 << 40, 1), r"below 2\^34 us.*rebase_time"),
        (iter([EVENTS, EVENTS]), "give the chunks in the order of time"),
        (iter([EVENTS]), r"give size=\(width, height\)"),
        (iter([EVENTS[::-1]]), "comes after"),
    ):
        given = None if "give size" in says else (32, 24)
        with pytest.raises(EventError, match=says):
            save_events(path, events, size=given)
    with pytest.raises(EventError, match="within 10 x 10"):
        save_events(path, EVENTS, size=(10, 10))
    assert path.read_bytes() == old
    assert [item.name for item in tmp_path.iterdir()] == ["a.raw"]
    save_events(path, rebase_time(make_events(1, 2, 1 << 40, 1)))


@pytest.mark.parametrize(("name", "options"), [("a.bin", {}), ("a.aedat", {}), ("a.npz", {"format": "evt3"})])
def test_formats_that_are_only_read_are_refused(tmp_path: Path, name: str, options: dict[str, Any]) -> None:
    with pytest.raises(EventError, match=r"only read; those that are written: aedat4"):
        save_events(tmp_path / name, EVENTS, **options)
    assert not list(tmp_path.iterdir())


def test_no_events_at_all(tmp_path: Path) -> None:
    for name in WRITTEN:
        save_events(tmp_path / name, EVENTS[:0], format=name, size=(32, 24))
        assert load_events(tmp_path / name).tolist() == []
