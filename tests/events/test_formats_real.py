"""Each format of which `data/events` holds a real file: the same events as an independent reader gives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chipflow.events import load_events, open_events
from tests.emulator.silicon import data_folder, read_nmnist

Columns = dict[str, Any]


def dv_processing(path: Path) -> Columns:
    dv = pytest.importorskip("dv_processing")
    recording, batches = dv.io.MonoCameraRecording(str(path)), []
    while recording.isRunning():
        if (batch := recording.getNextEventBatch()) is not None:
            batches.append(batch.numpy())
    whole = np.concatenate(batches)
    return {"x": whole["x"], "y": whole["y"], "t": whole["timestamp"], "p": whole["polarity"]}


def expelliarmus(encoding: str) -> Callable[[Path], Columns]:
    return lambda path: pytest.importorskip("expelliarmus").Wizard(encoding=encoding).read(str(path))


def event_stream(path: Path) -> Columns:
    with pytest.importorskip("event_stream").Decoder(str(path)) as decoder:
        whole = np.concatenate(list(decoder))
    return {"x": whole["x"], "y": whole["y"], "t": whole["t"], "p": whole["on"]}


def tonic(path: Path) -> Columns:
    io = pytest.importorskip("tonic.io")
    return io.read_mnist_file(str(path), io.events_struct)


REAL = [
    pytest.param("sample.aedat4", "aedat4", 111_954, 589_917, dv_processing, id="AEDAT4 against dv-processing"),
    pytest.param("sample_ncars.dat", "dat", 2_009, 99_952, expelliarmus("dat"), id="DAT against expelliarmus"),
    pytest.param("prophesee_evt2.raw", "evt2", 521_252, 95_871, expelliarmus("evt2"), id="EVT2 against expelliarmus"),
    pytest.param("dvs.es", "es", 473_225, 999_000, event_stream, id="Event Stream against event_stream"),
    pytest.param("sample_nmnist.bin", "n-mnist", 4_325, 0, tonic, id="N-MNIST against tonic"),
]


@pytest.mark.parametrize(("name", "format_name", "count", "span", "reader"), REAL)
def test_a_real_file_is_read_as_by_an_independent_reader(
    name: str, format_name: str, count: int, span: int, reader: Callable[[Path], Columns]
) -> None:
    path = data_folder("events") / name
    with open_events(path) as recording:
        chunks = list(recording)
        assert (recording.format.name, recording.damage) == (format_name, "")
    events, wanted = np.concatenate(chunks), reader(path)
    assert len(events) == len(wanted["t"]) == count
    assert int(events["t"][-1] - events["t"][0]) == int(wanted["t"][-1]) - int(wanted["t"][0])
    assert not span or int(events["t"][-1] - events["t"][0]) == span
    for field in ("x", "y", "t", "p"):
        np.testing.assert_array_equal(events[field], wanted[field].astype(np.int64), err_msg=field)


@pytest.mark.parametrize("number", [1, 500, 1000, 60001, 60100])
def test_recordings_of_nmnist_small(number: int) -> None:
    path = data_folder("nmnist_small") / f"{number}.bs2"
    events = load_events(path)
    assert len(events) == path.stat().st_size // 5
    assert events.tolist() == read_nmnist(path).tolist()


@pytest.mark.slow
def test_all_recordings_of_nmnist_small_are_recognised_and_whole() -> None:
    paths = sorted(data_folder("nmnist_small").glob("*.bs2"))
    assert len(paths) == 1100
    for path in paths:
        with open_events(path) as recording:
            assert sum(len(chunk) for chunk in recording) == path.stat().st_size // 5, path
            assert recording.format.name == "n-mnist"


def test_what_a_real_file_holds_beside_events_is_counted() -> None:
    with open_events(data_folder("events") / "sample.aedat4") as recording:
        assert recording.size == (320, 240)
        list(recording)
        assert recording.skipped == {"packets of IMU samples of stream 2": 59}
