"""The fused time loop for CUDA, as far as that can be tested without a GPU."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from chipflow import snn
from chipflow.snn.dynamics import Constants
from chipflow.snn.fused import cuda, operators

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


def run_tests(file: str, tmp_path: Path, **environment: str) -> None:
    """The tests of a file in a process of its own, because Triton is told by the environment, once, what it is."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "TRITON_"))}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", str(HERE / file)],
        cwd=ROOT,
        env=kept | {"TRITON_CACHE_DIR": str(tmp_path)} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]


@pytest.mark.slow
def test_kernels_equal_the_loop_in_the_interpreter(tmp_path: Path) -> None:
    pytest.importorskip("triton")
    run_tests("triton_in_interpreter.py", tmp_path, TRITON_INTERPRET="1")


@pytest.mark.slow
def test_kernels_compile_for_a_gpu_without_fused_multiply_add(tmp_path: Path) -> None:
    pytest.importorskip("triton")
    run_tests("triton_for_gpu.py", tmp_path)


@pytest.mark.parametrize("installed", [True, False])
def test_on_cuda_the_kernels_need_triton(installed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda, "HAS_TRITON", installed)
    with FakeTensorMode():
        x, threshold = torch.empty(2, 3, 4, device="cuda"), torch.empty((), device="cuda")
        constants = Constants(threshold, None, None, None, None)
        assert operators.can_run(x, constants, snn.IAF().rule) == installed
        assert not operators.can_run(x.half(), constants, snn.IAF().rule)


def test_operators_say_what_they_return() -> None:
    """Shapes, strides and gradients without running, for torch.compile, are those of a run; also where memory is not in order."""
    x = torch.randn(3, 5, 2, generator=torch.Generator().manual_seed(1)).permute(2, 0, 1).requires_grad_()
    state, nothing = torch.zeros(5, 2).t(), torch.zeros(0, 0)
    alpha, one, low = torch.full((5,), 0.9, requires_grad=True), torch.ones(1), torch.tensor(-1.0)
    layer = snn.LIF(7.0, norm_input=True)
    description = operators.describe(layer.rule, Constants(one, low, alpha, None, None))
    arguments = (x, state, nothing, nothing, alpha, one, one, torch.tensor(1.0), low, list(description), "LIF")
    torch.library.opcheck(operators.neurons, arguments)
