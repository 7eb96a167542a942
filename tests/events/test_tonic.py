"""tonic's datasets and transforms as they are, before and after ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chipflow import compile
from chipflow.events import (
    EVENT_DTYPE,
    EventArray,
    as_events,
    crop,
    downsample,
    events_to_raster,
    make_events,
    raster_to_events,
)
from tests.compiler.networks import small_cnn
from tests.emulator.silicon import data_folder

tonic = pytest.importorskip("tonic")

SIDE = 34  # pixels of an N-MNIST recording
SENSOR = (SIDE, SIDE, 2)


class Folder(tonic.Dataset):
    """Recordings of a folder, as tonic's own datasets read theirs."""

    def __init__(self, folder: Path, transform: Any = None) -> None:
        super().__init__(str(folder), transform=transform)
        self.data = sorted(folder.glob("*.bin"))

    def __getitem__(self, index: int) -> tuple[Any, int]:
        events = tonic.io.read_mnist_file(str(self.data[index]), dtype=tonic.io.events_struct)
        return (events if self.transform is None else self.transform(events)), index

    def __len__(self) -> int:
        return len(self.data)


@pytest.fixture(scope="module")
def dataset() -> Folder:
    return Folder(data_folder("events"))


def made() -> EventArray:
    rng = np.random.default_rng(2)
    x, y, p = (rng.integers(0, size, 500) for size in SENSOR)
    return make_events(x, y, np.sort(rng.integers(0, 20_000, 500)), p)


def in_tonics_dtype(events: EventArray) -> np.ndarray:
    return tonic.io.make_structured_array(*(events[name] for name in "xytp"))


def test_a_sample_of_a_dataset_is_taken_as_it_is(dataset: Folder) -> None:
    sample, _ = dataset[0]
    events = as_events(sample)
    assert events.dtype == EVENT_DTYPE
    assert len(events) == 4325
    assert all(events[name].tolist() == sample[name].tolist() for name in "xytp")


def test_a_sample_through_transforms_runs_on_the_emulator(dataset: Folder) -> None:
    transform = tonic.transforms.Compose(
        [
            tonic.transforms.CropTime(max=50_000),
            tonic.transforms.CenterCrop(sensor_size=SENSOR, size=(32, 32)),
            tonic.transforms.Downsample(spatial_factor=0.25),
        ]
    )
    events, _ = Folder(dataset.data[0].parent, transform)[0]
    result = compile(small_cnn(), input_shape=(2, 8, 8)).run(events)
    ours = downsample(crop(dataset[0][0], x=(1, 33), y=(1, 33), t=(0, 50_001)), 4)
    assert as_events(events).tolist() == ours.tolist()
    assert result.accounting.sent == len(events) > 100


TRANSFORMS = {
    "CropTime": (tonic.transforms.CropTime(min=2000, max=9000), lambda events: crop(events, t=(2000, 9001), rebase=False)),
    "CenterCrop": (
        tonic.transforms.CenterCrop(sensor_size=SENSOR, size=(16, 16)),
        lambda events: crop(events, x=(9, 25), y=(9, 25)),
    ),
    "Downsample": (tonic.transforms.Downsample(spatial_factor=0.5), lambda events: downsample(events, 2)),
}
OTHERS = {
    "Denoise": tonic.transforms.Denoise(filter_time=5000),
    "Decimation": tonic.transforms.Decimation(n=2),
    "DropEvent": tonic.transforms.DropEvent(p=0.3),
    "RefractoryPeriod": tonic.transforms.RefractoryPeriod(delta=500),
    "MergePolarities": tonic.transforms.MergePolarities(),
    "RandomFlipPolarity": tonic.transforms.RandomFlipPolarity(p=1),
    "RandomFlipLR": tonic.transforms.RandomFlipLR(sensor_size=SENSOR, p=1),
    "TimeAlignment": tonic.transforms.TimeAlignment(),
    "TimeJitter": tonic.transforms.TimeJitter(std=5, clip_negative=True, sort_timestamps=True),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_ours_and_theirs_do_the_same(name: str) -> None:
    theirs, ours = TRANSFORMS[name]
    assert as_events(theirs(made())).tolist() == ours(made()).tolist() != []


@pytest.mark.parametrize("name", OTHERS)
def test_transforms_of_our_arrays_and_of_theirs_give_the_same(name: str) -> None:
    results = []
    for events in (made(), in_tonics_dtype(made())):
        np.random.seed(3)  # noqa: NPY002  # tonic draws from it
        results.append(as_events(OTHERS[name](events)).tolist())
    assert results[0] == results[1] != []


def test_frames_are_rasters() -> None:
    events = made()
    frames = tonic.transforms.ToFrame(sensor_size=SENSOR, time_window=1000)(events)
    start = int(events["t"][0])
    steps = len(frames)
    raster = events_to_raster(crop(events, t=(start, start + steps * 1000)), (2, SIDE, SIDE), 1000, steps * 1000)
    assert np.array_equal(frames, raster)
    assert len(raster_to_events(frames, 1000)) == frames.sum()
