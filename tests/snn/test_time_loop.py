"""The fused time loop equals the plain one: outputs and states bit for bit, gradients up to rounding."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from chipflow import snn
from chipflow.errors import ChipflowError
from tests.snn.neuron_settings import SURROGATES, Setting
from tests.snn.neuron_settings import settings as all_settings

FUSED = [setting for setting in all_settings() if not setting.recurrent]


def both(setting: Setting, input: torch.Tensor, dtype: torch.dtype = torch.float32) -> list[tuple[Any, ...]]:
    """Output, states and gradients of two calls, on either way."""
    found = []
    for way in ("auto", "loop"):
        layer = setting.make().to(dtype)
        x = input.to(dtype).clone().requires_grad_()
        with snn.time_loop(way):  # type: ignore[arg-type]
            first, second = layer(x[:, : x.shape[1] // 2 + 1]), layer(x[:, x.shape[1] // 2 :])
            out = torch.cat([first, second], 1)
            weight = torch.randn(out.shape, dtype=dtype, generator=torch.Generator().manual_seed(2))
            ((out * weight).sum() + sum(state.sum() for state in layer.states.values())).backward()
        gradients = {name: parameter.grad for name, parameter in layer.named_parameters()}
        found.append((out, layer.states, x.grad, gradients))
    return found


def assert_equal(setting: Setting, input: torch.Tensor, dtype: torch.dtype = torch.float32, rtol: float = 1e-4) -> None:
    """Of float32 gradients `rtol` is asked, of float64 always 1e-10."""
    (out, states, grad, gradients), (out2, states2, grad2, gradients2) = both(setting, input, dtype)
    assert torch.equal(out, out2)
    for name, state in states.items():
        assert torch.equal(state, states2[name]), name
    near = {"rtol": rtol, "atol": 1e-5} if dtype == torch.float32 else {"rtol": 1e-10, "atol": 1e-10}
    torch.testing.assert_close(grad, grad2, **near)
    for name, gradient in gradients.items():
        other = gradients2[name]
        torch.testing.assert_close(gradient, torch.zeros_like(gradient) if other is None else other, **near)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("setting", FUSED, ids=str)
def test_every_setting(setting: Setting, dtype: torch.dtype) -> None:
    input = 2 * torch.randn(2, 20, 3, 7, generator=torch.Generator().manual_seed(4), dtype=torch.float64) + 1
    assert_equal(setting, input, dtype)


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_any_shape_and_option(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(("IAF", "LIF", "ALIF", "ExpLeak")))
    options: dict[str, Any] = {"min_v_mem": data.draw(st.sampled_from((None, 0.0, -0.5)))}
    if kind != "ExpLeak":
        options |= {
            "threshold": data.draw(st.sampled_from((0.5, 1.0, 1.7))),
            "reset": data.draw(st.sampled_from(("subtract", "zero", 0.25))),
            "max_spikes": data.draw(st.sampled_from((None, 1, 2))),
            "surrogate": data.draw(st.sampled_from(SURROGATES)),
            "tau_syn": data.draw(st.sampled_from((None, 3.0))),
        }
    if kind != "IAF":
        options |= {"norm_input": data.draw(st.booleans()), "train_alphas": data.draw(st.booleans())}
    shape = data.draw(st.lists(st.integers(1, 40), min_size=3, max_size=4))
    shape[0] = min(shape[0], 3)
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 1000)))
    input = 2 * torch.randn(shape, generator=generator, dtype=torch.float64) + 0.5
    assert_equal(Setting(kind, options), input, torch.float64)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("steps", [3, 700])
def test_blocks_and_threads_do_not_matter(threads: int, steps: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        input = torch.randn(3, steps, 70, generator=torch.Generator().manual_seed(4)) * 2
        wide = torch.randn(2, 30, 1301, generator=torch.Generator().manual_seed(5)) * 2
        for x in (input, wide):
            assert_equal(Setting("LIF", {"tau_syn": 3.0}), x, torch.float64)
    finally:
        torch.set_num_threads(before)


def test_memory_layouts_do_not_matter() -> None:
    x = torch.randn(4, 3, 5, 6, generator=torch.Generator().manual_seed(4))
    for view in (
        x.permute(3, 2, 1, 0),
        x.expand(4, 3, 5, 6)[:, ::2],
        x[:, :1].expand(4, 7, 5, 6),
        x.unflatten(3, (2, 3)).transpose(2, 4),
    ):
        assert torch.equal(snn.IAF()(view), snn.IAF()(view.contiguous()))


def test_gradients_of_what_does_not_spike_are_those_of_arithmetic() -> None:
    """Without spikes nothing is surrogate, so finite differences must agree."""
    x = torch.rand(2, 6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1), requires_grad=True)

    def potentials(x: torch.Tensor, tau: torch.Tensor) -> torch.Tensor:
        layer = snn.ExpLeak(tau.detach(), norm_input=True).double()
        del layer.tau_mem
        layer._parameters["tau_mem"] = tau  # type: ignore[assignment]
        return layer(x)

    tau = torch.tensor([2.0, 3.0, 8.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(potentials, (x, tau))


def test_only_known_ways() -> None:
    with pytest.raises(ChipflowError, match="way is 'fast'"), snn.time_loop("fast"):  # type: ignore[arg-type]
        pass


def test_the_plain_loop_is_differentiable_twice() -> None:
    x = torch.rand(1, 4, 2, requires_grad=True)
    with snn.time_loop("loop"):
        (first,) = torch.autograd.grad(snn.LIF(3.0)(x).pow(2).sum(), x, create_graph=True)
    first.sum().backward()
    (first,) = torch.autograd.grad(snn.LIF(3.0)(x).pow(2).sum(), x, create_graph=True)
    with pytest.raises(ChipflowError, match=r"no second derivative.*time_loop"):
        first.sum().backward()
