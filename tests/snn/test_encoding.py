"""From images to spike trains, and between rasters and event arrays."""

import math
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from chipflow.errors import ChipflowError, EventError
from chipflow.events import EVENT_DTYPE, events_to_raster, make_events
from chipflow.snn.encoding import bernoulli, constant_current, from_events, latency, poisson, to_events

CODES = [bernoulli, poisson, latency, partial(latency, code="logarithmic"), constant_current]
each_code = pytest.mark.parametrize("encode", CODES, ids=["bernoulli", "poisson", "linear", "logarithmic", "current"])
INTENSITY = st.floats(0, 1, width=32)


def grey(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


@each_code
def test_every_code_has_the_same_axes(encode):
    image, batch = grey(2, 3, 4), grey(5, 2, 3, 4)
    assert encode(batch, 7).shape == (5, 7, 2, 3, 4)
    assert torch.equal(encode(image, 7), encode(image[None], 7))
    assert encode(batch[:0], 7).shape == (0, 7, 2, 3, 4)
    assert encode(grey(6), 7, sample_ndim=1).shape == (1, 7, 6)
    assert encode(grey(5, 6), 7, sample_ndim=1).shape == (5, 7, 6)
    assert encode(grey(5, 2, 6), 7, sample_ndim=2).shape == (5, 7, 2, 6)
    assert encode(batch, 7).dtype == (torch.float32 if encode is constant_current else torch.uint8)


@each_code
def test_numpy_is_as_good_as_torch(encode):
    images = grey(2, 1, 3, 4)
    expected = encode(images, 6)
    given = images.numpy().astype(np.float64)
    readonly, swapped, backwards = given.copy(), given.astype(">f8"), given[::-1].copy()[::-1]
    readonly.flags.writeable = False
    for same in (given, readonly, swapped, backwards):
        assert torch.equal(encode(same, 6), expected)
    ones = (given > 0.5).astype(np.uint8)
    assert torch.equal(encode(ones, 6), encode(torch.from_numpy(ones).float(), 6))


@each_code
@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.full((1, 2, 2), 1.5), r"from 1.5 to 1.5, they must lie in 0 to 1. Divide 8-bit images by 255"),
        (torch.tensor([[[0.5, -0.25]]]), r"from -0.25 to 0.5"),
        (torch.tensor([[[0.5, math.nan, math.inf]]]), r"2 of the 3 intensities are NaN or infinite"),
        (torch.zeros(28, 28), r"shape \[28, 28\], expected \[batch, c, y, x\] or \[c, y, x\].*images\[None\].*sample_ndim=1"),
        (torch.zeros(1, 1, 1, 2, 2), r"shape \[1, 1, 1, 2, 2\]"),
        (torch.zeros(1, 2, 2, dtype=torch.complex64), r"complex64"),
        (np.array([[["a"]]]), r"real numbers"),
    ],
)
def test_wrong_images(encode, images, message):
    with pytest.raises(ChipflowError, match=message):
        encode(images, 3)


@each_code
@pytest.mark.parametrize("num_steps", [0, -1, 2.5, True])
def test_wrong_steps(encode, num_steps):
    with pytest.raises(ChipflowError, match=f"num_steps is {num_steps}, it must be a whole number of at least 1"):
        encode(torch.zeros(1, 2, 2), num_steps)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (partial(poisson, max_rate=0), "max_rate is 0 spikes per step"),
        (partial(poisson, max_rate=101), "max_rate is 101"),
        (partial(poisson, max_rate=math.nan), "max_rate is nan"),
        (partial(latency, code="cubic"), "code is 'cubic', it must be 'linear' or 'logarithmic'"),
        (partial(latency, darkest=0), "darkest is 0"),
        (partial(bernoulli, sample_ndim=0), "sample_ndim is 0"),
        (partial(bernoulli, sample_ndim=1), r"expected \[batch, features\] or \[features\]"),
    ],
)
def test_wrong_options(call, message):
    with pytest.raises(ChipflowError, match=message):
        call(torch.zeros(1, 2, 2), 3)


@pytest.mark.parametrize("encode", [bernoulli, poisson])
def test_random_spikes_are_reproducible(encode):
    images = grey(2, 1, 4, 4)
    torch.manual_seed(1)
    first = encode(images, 20, seed=3)
    torch.manual_seed(2)
    assert torch.equal(first, encode(images, 20, seed=3))
    assert not torch.equal(first, encode(images, 20, seed=4))
    generator = torch.Generator().manual_seed(3)
    assert torch.equal(first, encode(images, 20, generator=generator))
    assert not torch.equal(first, encode(images, 20, generator=generator))
    assert torch.equal(first[:, :9], encode(images, 9, seed=3)), "a shorter window is the beginning of a longer one"


def test_bernoulli_is_one_draw_a_step():
    """The definition in plain torch: what was encoded with a seed in an earlier version stays the same."""
    images, generator = grey(2, 1, 4, 4), torch.Generator().manual_seed(5)
    steps = [torch.rand((2, 1, 4, 4), generator=generator) < images for _ in range(6)]
    assert torch.equal(bernoulli(images, 6, seed=5), torch.stack(steps, 1).to(torch.uint8))


def test_bernoulli_rates():
    images = torch.tensor([0.0, 0.25, 1.0]).reshape(1, 1, 1, 3).repeat(2, 1, 1, 1)
    raster = bernoulli(images, 4000)
    rates = raster.float().mean(1)
    assert torch.equal(rates[..., 0], torch.zeros(2, 1, 1))
    assert torch.equal(rates[..., 2], torch.ones(2, 1, 1))
    torch.testing.assert_close(rates[..., 1], torch.full((2, 1, 1), 0.25), atol=0.03, rtol=0)
    assert not torch.equal(raster[0], raster[1])


def test_poisson_counts_have_mean_and_variance_of_the_rate():
    images = torch.tensor([0.0, 0.25, 1.0]).reshape(1, 1, 3)
    for max_rate in (0.5, 4.0, 100.0):
        counts = poisson(images, 20_000, max_rate=max_rate)[0, :, 0, 0].double()
        expected = max_rate * images.flatten().double()
        torch.testing.assert_close(counts.mean(0), expected, rtol=0.05, atol=0)
        torch.testing.assert_close(counts.var(0), expected, rtol=0.06, atol=0)


def test_poisson_steps_are_independent():
    counts = poisson(torch.full((1, 1, 2), 0.5), 20_000)[0, :, 0, 0].double()
    assert abs(float(torch.corrcoef(counts.T)[0, 1])) < 0.03
    assert abs(float(torch.corrcoef(torch.stack([counts[1:, 0], counts[:-1, 0]]))[0, 1])) < 0.03


@pytest.mark.parametrize("encode", [bernoulli, poisson])
def test_a_generator_elsewhere_is_refused(encode):
    class Elsewhere:
        device = torch.device("cuda")

    with pytest.raises(ChipflowError, match="generator draws on cuda"):
        encode(torch.zeros(1, 2, 2), 3, generator=Elsewhere())


def spike_time(x: float, num_steps: int, code: str, darkest: float) -> int | None:
    """The docstring of `latency` for one pixel, in plain Python, whose round() takes an exact half to the even number, too."""
    if x == 0:
        return None
    part = 1 - x if code == "linear" else math.log(max(x, darkest)) / math.log(darkest)
    return round((num_steps - 1) * part)


@given(
    st.lists(INTENSITY, min_size=1, max_size=20),
    st.integers(1, 40),
    st.sampled_from(["linear", "logarithmic"]),
    st.sampled_from([1 / 255, 0.1, 0.5]),
)
def test_latency_is_one_spike_the_earlier_the_brighter(intensities, num_steps, code, darkest):
    raster = latency(torch.tensor(intensities), num_steps, code=code, darkest=darkest, sample_ndim=1)[0]
    times = [row.nonzero().flatten().tolist() for row in raster.T]
    expected = [spike_time(x, num_steps, code, darkest) for x in intensities]
    assert times == [[] if time is None else [time] for time in expected]
    order = sorted((x, time) for x, time in zip(intensities, expected, strict=True) if time is not None)
    assert all(later >= earlier for (_, later), (_, earlier) in pairwise(order))


def test_latency_ends():
    pixels = torch.tensor([1.0, 1 / 255, 1e-30, 0.0])
    for code, last in (("linear", [0, 9, 9]), ("logarithmic", [0, 9, 9])):
        raster = latency(pixels, 10, code=code, sample_ndim=1)[0]
        assert raster.sum(0).tolist() == [1, 1, 1, 0]
        assert raster[:, :3].argmax(0).tolist() == last
    assert latency(pixels, 1, sample_ndim=1)[0, 0].tolist() == [1, 1, 1, 0]
    halves = torch.tensor([1.0, 0.5, 0.25, 0.125, 0.0625])
    assert latency(halves, 13, code="logarithmic", darkest=1 / 16, sample_ndim=1)[0].argmax(0).tolist() == [0, 3, 6, 9, 12]


def test_constant_current_is_the_image_in_every_step():
    images = grey(2, 1, 3, 4).requires_grad_()
    current = constant_current(images, 5)
    assert all(torch.equal(current[:, step], images) for step in range(5))
    current.sum().backward()
    assert torch.equal(images.grad, torch.full_like(images, 5))


RASTERS = arrays.arrays(
    np.int64,
    st.tuples(st.integers(0, 3), st.integers(1, 5), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3)),
    elements=st.integers(0, 3),
)


@given(RASTERS, st.sampled_from([1, 7, 1000]), st.sampled_from([torch.float32, torch.uint8, torch.int32]))
def test_raster_to_events_and_back(counts, dt_us, dtype):
    raster = torch.from_numpy(counts).to(dtype)
    recordings = to_events(raster, dt_us)
    assert len(recordings) == len(raster)
    assert all(events.dtype == EVENT_DTYPE for events in recordings)
    back = from_events(recordings, tuple(raster.shape[2:]), raster.shape[1], dt_us)
    assert back.dtype == torch.int32
    assert torch.equal(back, raster.to(torch.int32))
    again = to_events(back.numpy(), dt_us)
    assert all(np.array_equal(one, other) for one, other in zip(recordings, again, strict=True))


@st.composite
def event_arrays(draw):
    size = draw(st.integers(0, 12))
    times = sorted(draw(st.lists(st.integers(0, 5999), min_size=size, max_size=size)))
    columns = [draw(st.lists(st.integers(0, last), min_size=size, max_size=size)) for last in (3, 2, 1)]  # x, y, p
    return make_events(*(np.array(column, np.int64) for column in (columns[0], columns[1], times, columns[2])))


@given(st.lists(event_arrays(), max_size=3))
def test_events_to_raster_is_one_sample_after_the_other(recordings):
    raster = from_events(recordings, (2, 3, 4), 6, 1000)
    assert raster.shape == (len(recordings), 6, 2, 3, 4)
    for sample, events in zip(raster, recordings, strict=True):
        assert np.array_equal(sample.numpy(), events_to_raster(events, (2, 3, 4), 1000, 6000))
        assert int(sample.sum()) == len(events)


def test_features_are_maps_of_one_pixel():
    raster = bernoulli(grey(2, 5), 8, sample_ndim=1)
    recordings = to_events(raster, 10)
    assert not any(events["x"].any() or events["y"].any() for events in recordings)
    assert torch.equal(from_events(recordings, (5,), 8, 10), raster.int())


def test_recordings_may_come_one_by_one():
    recordings = to_events(bernoulli(grey(3, 5), 8, sample_ndim=1), 10)
    assert torch.equal(from_events((events for events in recordings), (5,), 8, 10), from_events(recordings, (5,), 8, 10))


@pytest.mark.parametrize("encode", [bernoulli, poisson])
def test_wrong_seeds(encode):
    for seed in (1.5, "1", -1, None):
        with pytest.raises(ChipflowError, match=f"seed is {seed!r}, it must be a whole number of at least 0"):
            encode(torch.zeros(1, 2, 2), 3, seed=seed)


def test_late_events_are_refused_or_left_out():
    early, late = make_events([0, 1], 0, [0, 9], 0), make_events([0, 1, 2], 0, [5, 20, 305], 0)
    message = (
        r"recording 1: 2 of 3 events come at or after the end of the last step, 2 \* 10 us = 20 us; the last one at t = 305 us"
    )
    with pytest.raises(EventError, match=message + r". Give num_steps=31, longer steps, or on_late=\"drop\"") as caught:
        from_events([early, late], (1, 1, 3), 2, 10)
    assert caught.value.index == 1
    assert int(from_events([early, late], (1, 1, 3), 31, 10).sum()) == 5
    assert int(from_events([early, late], (1, 1, 3), 2, 10, on_late="drop").sum()) == 3


@pytest.mark.parametrize(
    ("recordings", "options", "message"),
    [
        ([make_events(3, 0, 0, 0)], {}, r"recording 0: event 0 \(x=3, y=0, p=0, t=0 us\) lies outside"),
        ([make_events(0, 0, 0, 0), np.zeros(3)], {}, "recording 1: events must be a structured array"),
        (make_events(0, 0, 0, 0), {}, r"a single event array, expected a list of them: \[events\]"),
        (5, {}, "recordings is 5, expected a list of event arrays"),
        ([], {"shape": (2, 3)}, r"shape is \(2, 3\), expected \(c, y, x\) or \(features,\)"),
        ([], {"shape": 4}, r"shape is 4, expected \(c, y, x\) or \(features,\)"),
        ([], {"shape": (0, 4, 4)}, "a side of shape is 0, it must be a whole number of at least 1"),
        ([], {"shape": (2.5,)}, "a side of shape is 2.5"),
        ([], {"num_steps": 2**40, "dt_us": 2**40}, r"dt_us is 1099511627776: .* beyond the largest time of an event"),
        ([], {"num_steps": 0}, "num_steps is 0"),
        ([], {"dt_us": 0.5}, "dt_us is 0.5"),
        ([], {"on_late": "ignore"}, "on_late is 'ignore'"),
    ],
)
def test_wrong_recordings(recordings, options, message):
    with pytest.raises(ChipflowError, match=message):
        from_events(recordings, **({"shape": (1, 1, 3), "num_steps": 2, "dt_us": 10} | options))


@pytest.mark.parametrize(
    ("raster", "dt_us", "message"),
    [
        (torch.zeros(2, 1, 3, 3), 1000, r"shape \[2, 1, 3, 3\], expected .*raster\[None\]"),
        (torch.tensor([[[1.0]], [[0.5]]]), 1000, "sample 1: a raster holds whole spike counts"),
        (torch.tensor([[[-1]]]), 1000, "sample 0: a raster holds whole spike counts"),
        (torch.zeros(1, 1, 1), 0, "dt_us is 0"),
        (torch.ones(1, 3, 1), 2**62, "dt_us is 4611686018427387904: 3 steps of so many microseconds end beyond the largest time"),
    ],
)
def test_wrong_rasters(raster, dt_us, message):
    with pytest.raises(ChipflowError, match=message):
        to_events(raster, dt_us)


@settings(max_examples=20)
@given(st.integers(0, 2**40), st.integers(1, 2**20))
def test_late_times_do_not_overflow(time, dt_us):
    events = make_events(0, 0, time, 0)
    raster = from_events([events], (1,), np.int32(5), np.int32(dt_us), on_late="drop")
    assert int(raster.sum()) == (time // dt_us < 5)
