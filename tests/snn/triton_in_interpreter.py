"""Triton's kernels in its interpreter, on the CPU: outputs and states of the plain loop bit for bit, gradients up to rounding.

Not collected by name: `test_triton_kernels.py` runs it in a process of its own, where TRITON_INTERPRET=1 holds before Triton is imported.
"""

from __future__ import annotations

import os
from functools import partial
from typing import Any

import pytest
import torch

from chipflow import snn
from chipflow.errors import ChipflowError
from chipflow.snn.fused import cuda, operators
from tests.snn.neuron_settings import Setting
from tests.snn.test_time_loop import FUSED
from tests.snn.test_time_loop import assert_equal as assert_near

assert os.environ.get("TRITON_INTERPRET") == "1", "run tests/snn/test_triton_kernels.py"

# From here on, what is for CUDA runs on the CPU in this process.
operators.KERNELS["cpu"] = cuda
operators.neurons.register_kernel("cpu", cuda.forward)
operators.neurons_backward.register_kernel("cpu", cuda.backward)


def random(*shape: int) -> torch.Tensor:
    return 2 * torch.randn(shape, generator=torch.Generator().manual_seed(4), dtype=torch.float64) + 1


assert_equal = partial(assert_near, rtol=1e-5)


@pytest.mark.parametrize("setting", FUSED, ids=str)
def test_every_setting(setting: Setting) -> None:
    assert_equal(setting, random(1, 8, 2, 3), torch.float32)


@pytest.mark.parametrize("setting", FUSED[::4], ids=str)
def test_in_float64(setting: Setting) -> None:
    assert_equal(setting, random(1, 8, 2, 3), torch.float64)


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 1, 32), (1, 3, 128), (2, 4, 300)])
def test_blocks_do_not_matter(shape: tuple[int, ...]) -> None:
    taus: dict[str, Any] = {name: torch.rand(shape[2]) * 9 + 1 for name in ("tau_mem", "tau_syn", "tau_adapt")}
    assert_equal(Setting("ALIF", taus), random(*shape), torch.float32)
    assert_equal(Setting("LIF", {"tau_mem": taus["tau_mem"]}), random(*shape), torch.float32)


def test_memory_layouts_do_not_matter() -> None:
    x = random(4, 3, 5, 6).float()
    for view in (x.permute(3, 2, 1, 0), x[:, ::2], x[:, :1].expand(4, 7, 5, 6)):
        assert torch.equal(snn.IAF()(view), snn.IAF()(view.contiguous()))


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # numpy's
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_what_is_not_finite_is_refused(bad: float) -> None:
    layer, x = snn.LIF(7.0), random(2, 3, 40).float()
    layer(x)
    before = layer.states["v_mem"].clone()
    x[1, 2, 39] = bad
    with pytest.raises(ChipflowError, match=r"LIF: 1 of 240 values .* are not finite"):
        layer(x)
    assert torch.equal(layer.states["v_mem"], before)


def test_it_is_the_kernels_that_run(monkeypatch: pytest.MonkeyPatch) -> None:
    launched: list[str] = []
    launch = cuda._launch

    def watched(kernel: Any, *args: Any, **options: Any) -> None:
        launched.append(kernel.fn.__name__)
        launch(kernel, *args, **options)

    monkeypatch.setattr(cuda, "_launch", watched)
    snn.IAF()(random(1, 2, 3).requires_grad_()).sum().backward()
    assert launched == ["forward", "forward", "backward"]
