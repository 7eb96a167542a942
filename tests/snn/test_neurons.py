"""IAF against plain arithmetic and against sinabs."""

import copy

import pytest
import torch

from chipflow.errors import ChipflowError
from chipflow.snn import IAF, SumPool2d


def run_both(input, *, threshold=1.0, low=-1.0, reset="subtract"):
    pytest.importorskip("sinabs")
    import sinabs.activation as sa
    import sinabs.layers as sl

    reset_fn = sa.MembraneSubtract() if reset == "subtract" else sa.MembraneReset()
    theirs = sl.IAF(spike_threshold=torch.tensor(threshold), min_v_mem=low, reset_fn=reset_fn)
    return IAF(threshold, low, reset), theirs, input.clone().requires_grad_(), input.clone().requires_grad_()


@pytest.mark.parametrize("reset", ["subtract", "zero"])
@pytest.mark.parametrize(("threshold", "low"), [(1.0, -1.0), (0.7, -0.3), (2.5, None), (1.0, 0.0)])
@pytest.mark.parametrize("dyadic", [True, False])
def test_outputs_states_and_gradients_equal_those_of_sinabs(threshold, low, reset, dyadic):
    input = torch.randn(3, 25, 4, 5, generator=torch.Generator().manual_seed(1))
    if dyadic:
        input = torch.round(input * 4) / 4  # meets the threshold and the lower bound exactly
    ours, theirs, x, y = run_both(input, threshold=threshold, low=low, reset=reset)
    a, b = ours(x), theirs(y)
    assert torch.equal(a, b)
    torch.testing.assert_close(ours.v_mem, theirs.v_mem.detach())
    weight = torch.randn(a.shape, generator=torch.Generator().manual_seed(2))
    (a * weight).sum().backward()
    (b * weight).sum().backward()
    torch.testing.assert_close(x.grad, y.grad)


def test_several_spikes_a_step_and_the_lower_bound():
    neuron = IAF(threshold=2.0, min_v_mem=-1.0)
    out = neuron(torch.tensor([[[5.0], [-9.0], [1.0], [2.0]]]))
    assert out.flatten().tolist() == [2.0, 0.0, 0.0, 1.0]
    assert neuron.v_mem.tolist() == [[0.0]]


def test_unbounded_and_reset_to_zero():
    assert IAF(min_v_mem=None)(torch.tensor([[[-5.0], [5.5]]])).flatten().tolist() == [0.0, 0.0]
    neuron = IAF(reset="zero")
    assert neuron(torch.tensor([[[1.75], [0.5]]])).flatten().tolist() == [1.0, 0.0]
    assert neuron.v_mem.item() == 0.5


def test_states_continue_until_reset_and_start_again_with_another_batch():
    whole, parts = IAF(), IAF()
    x = torch.rand(2, 10, 3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(whole(x), torch.cat([parts(x[:, :4]), parts(x[:, 4:])], 1))
    parts.reset_states()
    assert torch.equal(parts(x), IAF()(x))
    assert parts(x[:1]).shape == (1, 10, 3)
    assert torch.equal(parts.v_mem, state_after(x[:1]))


def state_after(x):
    neuron = IAF()
    neuron(x)
    return neuron.v_mem


def test_merged_axes_give_the_same_as_unfolded():
    x = torch.rand(2, 5, 3, generator=torch.Generator().manual_seed(0))
    merged = IAF(num_timesteps=5)(x.flatten(0, 1))
    assert torch.equal(merged.unflatten(0, (2, 5)), IAF()(x))
    with pytest.raises(ChipflowError, match="no multiple of num_timesteps = 4"):
        IAF(num_timesteps=4)(x.flatten(0, 1))


def test_copies_state_dict_and_repr():
    neuron = IAF(0.5, -0.25)
    x = torch.rand(1, 3, 2, requires_grad=True)
    neuron(x)
    copied = copy.deepcopy(neuron)
    assert torch.equal(copied.v_mem, neuron.v_mem)
    assert copied.v_mem is not neuron.v_mem
    assert sorted(neuron.state_dict()) == ["min_v_mem", "threshold"]
    assert repr(neuron) == "IAF(threshold=0.5, min_v_mem=-0.25, reset='subtract')"
    assert "min_v_mem=None" in repr(IAF(min_v_mem=None))


@pytest.mark.parametrize("wrong", [{"threshold": 0.0}, {"threshold": float("nan")}, {"min_v_mem": 0.5}, {"reset": "never"}])
def test_wrong_parameters_are_refused(wrong):
    with pytest.raises(ChipflowError, match=next(iter(wrong))):
        IAF(**wrong)


def test_wrong_input_is_refused():
    with pytest.raises(ChipflowError, match=r"shape \[3\]"):
        IAF()(torch.zeros(3))


def test_sum_pool():
    x = torch.arange(32.0).reshape(1, 2, 4, 4)
    assert torch.equal(SumPool2d(2)(x), torch.nn.AvgPool2d(2)(x) * 4)
    assert SumPool2d(2, 1)(x).shape == (1, 2, 3, 3)
    assert repr(SumPool2d(2)) == "SumPool2d(kernel_size=2, stride=2)"
