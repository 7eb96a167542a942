"""That the benchmarks run and count right; how fast they are is for `make bench` to say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import emulator_speed, hwconfig_speed, measure, startup
from tests.emulator.silicon import data_folder

ROOT = Path(__file__).resolve().parents[1]


def run(name: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", f"benchmarks.{name}", *arguments]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, check=False)


def test_times_are_medians_with_the_middle_four_fifths() -> None:
    assert measure.milliseconds([0.001 * i for i in range(1, 12)]) == ["6.0", "2.0 .. 10.0"]
    assert measure.milliseconds([0.5]) == ["500.0", ""]


def test_imports_are_summed_by_package() -> None:
    assert startup._by_package({"numpy": 1, "numpy.linalg": 2, "json.decoder": 4, "chipflow.cli": 8}) == {
        "numpy": 3,
        "standard library": 4,
        "chipflow": 8,
    }


@pytest.mark.parametrize("layer", emulator_speed.LAYERS, ids=lambda layer: str(layer.key))
def test_the_cores_do_the_work_that_is_timed(layer: emulator_speed.Layer) -> None:
    bench = emulator_speed.make_bench(layer, 300)
    bench.run()
    once = bench.counters
    bench.run()
    counters = bench.counters
    assert counters == once
    assert len(bench.seconds) == 2
    assert counters.events_in == 300
    assert 0 < counters.synops <= 300 * layer.kernel**2 * layer.features
    if layer.size == 1:
        assert counters.synops == 300 * layer.features


def test_missing_recordings_end_with_a_message_and_exit_code_2(tmp_path: Path) -> None:
    done = run("nmnist_vs_sinabs", CHIPFLOW_DATA=str(tmp_path))
    assert done.returncode == 2
    assert "CHIPFLOW_DATA" in done.stderr
    assert "cnn_sinabs.nir is missing" in done.stderr


@pytest.mark.slow
def test_both_sides_classify_the_same_recordings() -> None:
    data_folder("silicon")
    data_folder("nmnist_small")
    pytest.importorskip("sinabs", reason="sinabs is an extra: pip install -e '.[bench]'")
    done = run("nmnist_vs_sinabs", "--recordings", "5", "--rounds", "1", "--batch", "2")
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.lstrip().startswith(("chipflow emulator", "sinabs"))]
    assert sum("5 of 5   " in row for row in rows) == 3, done.stdout


@pytest.mark.slow
def test_start_up_is_timed_and_loads_no_torch() -> None:
    done = run("startup", "--processes", "1")
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines() if line.strip().startswith(("import ", "chipflow ", "python -c"))]
    loaded = {" ".join(row[:2]): row[-3] for row in rows if row[-1] in ("met", "missed")}
    assert loaded == dict.fromkeys(
        ("python -c", "import hwconfig", "import chipflow", "chipflow chips", "chipflow check", "chipflow run"), "no"
    )


def test_the_configuration_that_is_timed_fills_the_chip() -> None:
    config = hwconfig_speed.full_config()
    assert config.active_cores == config.chip.core_ids
    for core_id, core in config.cnn_layers.items():
        need, spec = core.memory_need(), config.chip.core(core_id)
        assert (need.kernel, need.neuron) == (spec.kernel_words, spec.neuron_words)


def test_the_speed_of_configurations_is_printed() -> None:
    done = run("hwconfig_speed", "--repeats", "2")
    assert done.returncode == 0, done.stderr
    for words in ("validate", "save", "load", "50 ms", "200 ms"):
        assert words in done.stdout
