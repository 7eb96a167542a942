"""Settings of neurons over which layers are compared, as keyword arguments of chipflow and, in another form, of sinabs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from chipflow import snn

KINDS = ("IAF", "LIF", "ALIF", "ExpLeak")
SURROGATES = (
    snn.SingleExponential(),
    snn.SingleExponential(0.3, 2.0),
    snn.PeriodicExponential(0.4, 0.8),
    snn.Gaussian(0.1, 0.4, 1.5),
    snn.MultiGaussian(0.0, 0.5, 0.2, 4.0, 0.7),
    snn.Heaviside(0.6),
)


@dataclass(frozen=True)
class Setting:
    """One layer; `options` are chipflow's."""

    kind: str
    options: dict[str, Any] = field(default_factory=dict)
    recurrent: bool = False

    def make(self) -> snn.StatefulLayer:
        made = dict(self.options)
        if self.kind in ("LIF", "ALIF", "ExpLeak"):
            made = {"tau_mem": 7.0} | made
        if self.kind == "ALIF":
            made = {"tau_adapt": 11.0} | made
        if self.recurrent:
            made["rec_connect"] = rec_connect()
        return getattr(snn, self.kind + ("Recurrent" if self.recurrent else ""))(**made)

    def __str__(self) -> str:
        shown = [f"{name}={value}" for name, value in self.options.items()]
        return " ".join([self.kind, *(["recurrent"] if self.recurrent else []), *shown])


def rec_connect() -> nn.Module:
    """The same for every layer that is compared."""
    linear = nn.Linear(12, 12)
    with torch.no_grad():
        linear.weight.copy_(torch.randn(12, 12, generator=torch.Generator().manual_seed(5)) / 8)
        linear.bias.copy_(torch.randn(12, generator=torch.Generator().manual_seed(6)) / 8)
    return nn.Sequential(nn.Flatten(), linear)


def settings() -> Iterator[Setting]:
    """Every option of every kind, and the pairs that share code."""
    for kind, max_spikes, reset in itertools.product(KINDS[:3], (None, 1, 3), ("subtract", "zero", 0.25)):
        yield Setting(kind, {"max_spikes": max_spikes, "reset": reset})
        yield Setting(kind, {"max_spikes": max_spikes, "reset": reset, "min_v_mem": -0.25, "tau_syn": 4.0, "threshold": 0.7})
    for kind, surrogate in itertools.product(KINDS[:3], SURROGATES):
        yield Setting(kind, {"surrogate": surrogate, "threshold": 0.8})
    for kind, norm, train, tau_syn in itertools.product(("LIF", "ALIF"), (True, False), (True, False), (None, 5.0)):
        yield Setting(kind, {"norm_input": norm, "train_alphas": train, "tau_syn": tau_syn, "min_v_mem": -0.5})
    for norm, train, low in itertools.product((True, False), (True, False), (None, -0.3)):
        yield Setting("ExpLeak", {"norm_input": norm, "train_alphas": train, "min_v_mem": low})
    yield Setting("ALIF", {"adapt_scale": 0.5, "max_spikes": None})
    yield Setting("IAF", {"min_v_mem": None})
    yield Setting("IAF", {"min_v_mem": 0.0, "threshold": 2.5})
    for kind, reset, tau_syn in itertools.product(KINDS[:3], ("subtract", "zero"), (None, 5.0)):
        yield Setting(kind, {"reset": reset, "tau_syn": tau_syn}, recurrent=True)


def spiky_input(steps: int = 25, dyadic: bool = False) -> torch.Tensor:
    """[2, steps, 3, 4]; dyadic values meet thresholds and bounds exactly."""
    input = 2 * torch.randn(2, steps, 3, 4, generator=torch.Generator().manual_seed(1)) + 1.5
    return torch.round(input * 4) / 4 if dyadic else input
