"""Triton's kernels compiled for a GPU that need not be there, and what the instructions say of rounding.

Not collected by name: `test_triton_kernels.py` runs it in a process of its own, whose Triton believes that there is such a GPU.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from triton.backends.compiler import GPUTarget
from triton.runtime import driver

from chipflow.snn.fused import cuda, operators
from tests.snn.neuron_settings import Setting
from tests.snn.test_time_loop import FUSED


class Pretended:
    """The little of a driver that compiling takes."""

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, device: int) -> int:
        return 0

    def get_current_target(self) -> GPUTarget:
        return GPUTarget("cuda", 80, 32)


driver.set_active(Pretended())  # type: ignore[arg-type]
operators.KERNELS["cpu"] = cuda
operators.neurons.register_kernel("cpu", cuda.forward)
operators.neurons_backward.register_kernel("cpu", cuda.backward)


class OnlyCompiled:
    """Stands in for a kernel; keeps what it would have launched."""

    def __init__(self, kernel: Any, instructions: list[tuple[str, str]]) -> None:
        self.kernel, self.instructions = kernel, instructions

    def __getitem__(self, grid: tuple[int]) -> Any:
        return self.compile

    def compile(self, *args: Any, **options: Any) -> None:
        compiled = self.kernel.warmup(*args, grid=(1,), **options)
        self.instructions.append((self.kernel.fn.__name__, compiled.asm["ptx"]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("setting", "shape"), [*((one, (2, 4, 70)) for one in FUSED[::11]), (FUSED[0], (1, 1, 1))], ids=str)
def test_no_operation_is_rounded_otherwise(
    setting: Setting, shape: tuple[int, ...], dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    launch, found = cuda._launch, list[tuple[str, str]]()
    monkeypatch.setattr(cuda, "_launch", lambda kernel, *args, **options: launch(OnlyCompiled(kernel, found), *args, **options))
    layer = setting.make().to(dtype)
    layer(torch.zeros(shape, dtype=dtype, requires_grad=True)).sum().backward()
    assert [name for name, _ in found] == ["forward", "forward", "backward"]
    bits = dtype.itemsize * 8
    for name, instructions in found:
        arithmetic = set(re.findall(rf"\b((?:add|sub|mul|div|fma)\.\S*f{bits})", instructions))
        assert all(".rn." in one for one in arithmetic), arithmetic  # to the nearest; the assembler fuses none that say so
        if name == "forward":
            assert not any(one.startswith("fma") for one in arithmetic), arithmetic
            assert any(one.startswith("div.rn") for one in arithmetic) == setting.make().fires
