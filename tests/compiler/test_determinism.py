"""The same bytes whatever the seed of Python's hashes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

COMPILE = """
import sys
import torch
from chipflow import compile
from chipflow.errors import MappingError
from chipflow.program_file import to_json
from hwconfig import synthetic_chip
from tests.compiler.networks import mnist_cnn, small_cnn

print(to_json(compile(mnist_cnn(), "speck2f", (1, 28, 28))))
print(to_json(compile(small_cnn(bias=True), synthetic_chip([(512, 128, 64)] * 4 + [(1 << 16, 1 << 10, 64)] * 2), (2, 8, 8), readout=True)))
try:
    compile(small_cnn(), synthetic_chip([(64, 64, 64)] * 3), (2, 8, 8))
except MappingError as error:
    print(error)
    print(error.report.model_dump_json())
else:
    raise SystemExit("it fits")
"""


def test_programs_and_reports_are_the_same_bytes_under_any_hash_seed() -> None:
    root = Path(__file__).resolve().parents[2]
    answers = {
        subprocess.run(
            [sys.executable, "-c", COMPILE],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=root,
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "4242")
    }
    assert len(answers) == 1
    assert len(answers.pop()) > 1000
