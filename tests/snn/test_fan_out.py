"""Synapses of each input and windows of each pool, against what layers of ones do with one spike at a time."""

import copy

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

from chipflow.snn import SumPool2d
from chipflow.snn.fan_out import fan_out, pooled, sample_axes

CPU = torch.device("cpu")


def reached(layer, sample):
    """Synapses of every input of a sample: the sum of what a copy with weights of one makes of a spike there."""
    ones = copy.deepcopy(layer).double()
    nn.init.ones_(ones.weight)
    ones.bias = None
    spikes = torch.eye(torch.Size(sample).numel(), dtype=torch.float64).reshape(-1, *sample)
    with torch.no_grad():
        return ones(spikes).flatten(1).sum(1).reshape(sample)


def in_windows(pool, sample, counts):
    """Spikes in every window of a pool: a window holds an input if a spike there changes its output."""
    spikes = torch.eye(torch.Size(sample).numel(), dtype=torch.float64).reshape(-1, *sample)
    holds = (pool(spikes) > 0).double()
    return torch.tensordot(counts.flatten(), holds, 1)


@st.composite
def convolutions(draw):
    axes = draw(st.integers(1, 3))
    side = st.integers(1, 3)
    groups = draw(st.integers(1, 2))
    mode = draw(st.sampled_from(["zeros", "zeros", "reflect", "replicate", "circular"]))
    kernel, stride, dilation = (tuple(draw(side) for _ in range(axes)) for _ in range(3))
    size = tuple(draw(st.integers(3, 7)) for _ in range(axes))
    padding = tuple(draw(st.integers(0, 2)) for _ in range(axes))
    if draw(st.booleans()) and stride == (1,) * axes:
        padding = draw(st.sampled_from(["same", "valid"]))
    kind = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[axes - 1]
    layer = kind(2 * groups, 3 * groups, kernel, stride, padding, dilation, groups, padding_mode=mode)
    return layer, (2 * groups, *size)


@pytest.mark.filterwarnings("ignore:Using padding=.same. with even kernel:UserWarning")
@settings(max_examples=80, deadline=None)
@given(convolutions())
def test_synapses_of_convolutions(case):
    layer, sample = case
    try:
        expected = reached(layer, sample)
    except RuntimeError:  # a kernel larger than the map, more padding than there is to reflect
        assume(False)
    torch.testing.assert_close(fan_out(layer, sample, CPU).expand(sample), expected, rtol=0, atol=0)


def test_synapses_of_linear_layers_and_numbers_worked_out_by_hand():
    assert fan_out(nn.Linear(7, 5), (7,), CPU).expand(7).tolist() == [5.0] * 7
    conv = nn.Conv2d(1, 10, 3, padding=1)
    assert (fan_out(conv, (1, 3, 3), CPU)[0] / 10).tolist() == [[4, 6, 4], [6, 9, 6], [4, 6, 4]]
    strided = nn.Conv1d(1, 1, 2, stride=3)
    assert fan_out(strided, (1, 7), CPU)[0].tolist() == [1, 1, 0, 1, 1, 0, 0]


POOLS = [
    nn.AvgPool1d(2),
    nn.AvgPool1d(3, 2, padding=1, count_include_pad=False),
    nn.AvgPool2d(2),
    nn.AvgPool2d((2, 3), (1, 2)),
    nn.AvgPool2d(3, 2, padding=1),
    nn.AvgPool2d(3, 2, padding=1, count_include_pad=False, ceil_mode=True),
    nn.AvgPool2d(2, 3, ceil_mode=True, divisor_override=5),
    nn.AvgPool3d(2, 1),
    nn.AdaptiveAvgPool1d(3),
    nn.AdaptiveAvgPool2d(1),
    nn.AdaptiveAvgPool2d((3, 4)),
    nn.AdaptiveAvgPool3d((2, 3, 1)),
    SumPool2d(2),
    SumPool2d((3, 2), 2),
]


@pytest.mark.parametrize("pool", POOLS, ids=repr)
def test_spikes_in_the_windows_of_pools(pool):
    sample = (2, 7, 5, 4)[: sample_axes(pool)]
    counts = torch.randint(0, 5, sample, generator=torch.Generator().manual_seed(1)).double()
    expected = in_windows(pool, sample, counts)
    torch.testing.assert_close(pooled(counts[None], pool, expected.shape[1:])[0], expected, rtol=0, atol=0)


def test_maps_are_kept_and_may_be_trained_with_after_inference_mode():
    conv = nn.Conv2d(1, 2, 3, padding=1)
    with torch.inference_mode():
        first = fan_out(conv, (1, 9, 11), CPU)
    assert fan_out(conv, (1, 9, 11), CPU) is first
    assert not first.is_inference()


@pytest.mark.parametrize(("bias", "groups", "stride"), [(True, 1, 1), (False, 2, 2)])
def test_sinabs_has_the_same_map(bias, groups, stride):
    hooks = pytest.importorskip("sinabs.hooks")
    conv = nn.Conv2d(4, 6, (3, 5), stride, padding=(1, 0), groups=groups, bias=bias)
    sample = torch.Size((4, 9, 8))
    theirs = hooks.conv_connection_map(conv, sample, conv(torch.zeros(1, *sample)).shape[1:])
    torch.testing.assert_close(fan_out(conv, sample, CPU).float().expand(1, *sample), theirs, rtol=0, atol=0)
