"""Outputs, states and gradients of every kind of neuron equal those of sinabs, over a grid of settings."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from chipflow import snn
from tests.snn.neuron_settings import Setting, rec_connect, settings, spiky_input

pytest.importorskip("sinabs", reason="sinabs is an extra: pip install -e '.[sinabs]'")


def theirs_like(setting: Setting) -> Any:
    """The same layer of sinabs."""
    import sinabs.layers as sl

    ours, given = setting.make(), dict(setting.options)
    made: dict[str, Any] = {"min_v_mem": None if ours.min_v_mem is None else ours.min_v_mem.item()}
    for name, kinds in (("tau_mem", ("LIF", "ALIF", "ExpLeak")), ("tau_adapt", ("ALIF",))):
        if setting.kind in kinds:
            made[name] = torch.tensor({"tau_mem": 7.0, "tau_adapt": 11.0}[name])
    if given.get("tau_syn") is not None:
        made["tau_syn"] = torch.tensor(given["tau_syn"])
    for name in ("norm_input", "train_alphas", "adapt_scale"):
        if name in given:
            made[name] = given[name]
    if setting.kind != "ExpLeak":
        made |= spiking_options(ours)
    if setting.recurrent:
        made["rec_connect"] = rec_connect()
    return getattr(sl, setting.kind + ("Recurrent" if setting.recurrent else ""))(**made)


def spiking_options(ours: Any) -> dict[str, Any]:
    import sinabs.activation as sa

    spikes = {None: sa.MultiSpike, 1: sa.SingleSpike}.get(ours.max_spikes, sa.MaxSpike(ours.max_spikes))
    reset = sa.MembraneSubtract() if ours.reset == "subtract" else sa.MembraneReset()
    surrogate = getattr(sa, type(ours.surrogate).__name__)(**vars(ours.surrogate))
    options = {"spike_fn": spikes, "reset_fn": reset, "surrogate_grad_fn": surrogate}
    return options | {"spike_threshold": torch.tensor(ours.threshold.item())}


# sinabs' MembraneReset(value) adds the value to every neuron in every step, whether it fired or not: nothing to compare with.
GRID = [setting for setting in settings() if not isinstance(setting.options.get("reset"), float)]


@pytest.mark.parametrize("way", ["auto", "loop"])
@pytest.mark.parametrize("dyadic", [False, True])
@pytest.mark.parametrize("setting", GRID, ids=str)
def test_equal_to_sinabs(setting: Setting, dyadic: bool, way: Any) -> None:
    ours, theirs = setting.make(), theirs_like(setting)
    x, y = (spiky_input(dyadic=dyadic).requires_grad_() for _ in range(2))
    with snn.time_loop(way):
        a, b = ours(x), theirs(y)
        close(a, b)
        assert setting.kind == "ExpLeak" or a.sum() > 10  # something fires
        for name, state in ours.states.items():
            # sinabs has no state for the last spikes, and its ALIF does not keep the synaptic current.
            if name != "rec_spikes" and (setting.kind, name) != ("ALIF", "i_syn"):
                close(state, getattr(theirs, name))
        weight = torch.randn(a.shape, generator=torch.Generator().manual_seed(2))
        total = (a * weight).sum() + ours.v_mem.sum()
        total.backward()
        ((b * weight).sum() + theirs.v_mem.sum()).backward()
    close(x.grad, y.grad)
    parameters = dict(theirs.named_parameters())
    for name, parameter in ours.named_parameters():
        other = parameters[name].grad
        close(
            parameter.grad if parameter.grad is not None else torch.zeros_like(parameter),
            torch.zeros(()) if other is None else other,
        )
        if name == "tau_adapt" and setting.options.get("reset") == "zero":
            assert other is None  # where nothing is subtracted, no gradient reaches the threshold
        else:
            assert parameter.grad is not None


def close(a: Any, b: Any) -> None:
    torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


def test_two_calls_carry_gradients_through_the_state_as_in_sinabs() -> None:
    setting = Setting("LIF", {"tau_syn": 5.0})
    ours, theirs = setting.make(), theirs_like(setting)
    x, y = (spiky_input().requires_grad_() for _ in range(2))
    for layer, input in ((ours, x), (theirs, y)):
        layer(input[:, :10])
        layer(input[:, 10:]).sum().backward()
    assert x.grad[:, :10].abs().sum() > 0
    close(x.grad, y.grad)
