"""That the benchmarks run and count right; how fast they are is for `make bench` to say."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import (
    allocation_speed,
    batch,
    contest,
    emulator_growth,
    emulator_memory,
    emulator_speed,
    hwconfig_speed,
    measure,
    startup,
    synthetic,
)
from chipflow.emulator import Emulator
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


def test_single_cores_are_timed_without_the_yardstick(tmp_path: Path) -> None:
    done = run("emulator_speed", "--rounds", "1", CHIPFLOW_YARDSTICK=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "no hand-written loop to compare with" in done.stdout
    assert done.stdout.count("->") == len(emulator_speed.LAYERS)


def test_contestants_take_turns_and_are_compared_sample_by_sample(capsys: pytest.CaptureFixture[str]) -> None:
    turns: list[tuple[str, list[int]]] = []

    def contestant(name: str, size: int, seconds: float) -> contest.Contestant:
        def go(numbers: Sequence[int]) -> list[int]:
            turns.append((name, list(numbers)))
            return [number % 2 for number in numbers]

        one = contest.Contestant(name, size, lambda numbers: numbers, go)
        contest.interleaved([one], 3, 0)
        return one

    both = [contestant("fast", 1, 0.001), contestant("slow", 2, 0.004)]
    contest.interleaved(both, 3, 2)
    one_round = [("fast", [0]), ("fast", [1]), ("fast", [2]), ("slow", [0, 1]), ("slow", [2])]
    assert turns == one_round * 2
    for one, factor in zip(both, (1, 4), strict=True):
        assert [len(taken) for taken in one.run_s.values()] == [2, 2, 2]
        one.run_s = {i: [0.001 * factor * (i + 1)] * 2 for i in range(3)}
    assert both[1].ratios(both[0]) == pytest.approx([4.0] * 3)
    contest.report("both", both, [0, 1, 1], target=5)
    shown = capsys.readouterr().out
    assert "slow takes 4.0 times as long per sample" in shown
    assert "target 5: missed" in shown
    assert "2 of 3" in shown
    assert "3 of 3" in shown


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


def test_missing_images_end_with_a_message_and_exit_code_2(tmp_path: Path) -> None:
    done = run("mnist_vs_sinabs", CHIPFLOW_DATA=str(tmp_path))
    assert done.returncode == 2
    assert "CHIPFLOW_DATA" in done.stderr
    assert "mnist is missing" in done.stderr


@pytest.mark.slow
def test_both_sides_classify_the_same_images() -> None:
    data_folder("mnist")
    pytest.importorskip("sinabs", reason="sinabs is an extra: pip install -e '.[bench]'")
    done = run("mnist_vs_sinabs", "--images", "4", "--rounds", "1", "--train", "3840")
    assert done.returncode == 0, done.stderr
    (other,) = [line for line in done.stdout.splitlines() if line.lstrip().startswith("sinabs, batch of 1  ")]
    agreeing = int(other.split(" of ")[-2].split()[-1])
    assert agreeing >= 3, done.stdout  # the emulator's integers are not sinabs' floats
    assert "target 8" in done.stdout


@pytest.mark.slow
def test_start_up_is_timed_and_loads_no_torch() -> None:
    done = run("startup", "--processes", "1", "--cold", "1")
    assert done.returncode == 0, done.stderr
    cold, warm = (line.split() for line in done.stdout.splitlines() if line.lstrip().startswith(("cold,", "warm ")))
    assert float(cold[5]) > 2 * float(warm[1]), done.stdout
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


def spikes_per_event(config: Any, layer: synthetic.Layer, events: int = 4000) -> list[float]:
    counters = Emulator(config).run(synthetic.stream(layer, events)).counters
    return [core.spikes / events for core in counters.values()]


@pytest.mark.parametrize(
    "layer",
    [
        synthetic.Layer(kernel=1),
        synthetic.Layer(kernel=15),
        synthetic.Layer(features=1),
        synthetic.Layer(features=512, kernel=7),
        synthetic.Layer(features=64, zeros=0.99),
    ],
    ids=str,
)
def test_made_up_layers_pass_on_about_as_much_as_they_get(layer: synthetic.Layer) -> None:
    assert spikes_per_event(synthetic.chain([layer]), layer) == pytest.approx([1], abs=0.1)


def test_made_up_networks_keep_their_rate_however_deep_they_are() -> None:
    layer = emulator_growth.BASE
    assert spikes_per_event(synthetic.chain([layer] * 9), layer) == pytest.approx([1] * 9, abs=0.25)
    assert spikes_per_event(emulator_growth.residual(9), layer) == pytest.approx([1] * 9, abs=0.25)


def test_streams_are_as_long_as_asked_for() -> None:
    events = synthetic.stream(synthetic.Layer(size=5), synthetic.BLOCK + 10)
    assert np.array_equal(events["t"], np.arange(synthetic.BLOCK + 10))
    assert (events["x"].max(), events["y"].max(), events["p"].max()) == (4, 4, 15)


def test_growth_is_told_from_a_line_with_a_fixed_part() -> None:
    line = emulator_growth.fitted([10, 100, 1000], [2 + 0.5 * n for n in (10, 100, 1000)])
    assert (line.fixed, line.each, line.off) == pytest.approx((2, 0.5, 0))
    bent = emulator_growth.fitted([10, 100, 1000], [n**2 for n in (10, 100, 1000)])
    assert bent.fixed == 0
    assert bent.off > emulator_growth.TOLERANCE


def test_growth_is_printed_and_drawn(tmp_path: Path) -> None:
    done = run("emulator_growth", "--rounds", "1", "--events", "500", "--plot", str(tmp_path / "growth.svg"))
    assert done.returncode == 0, done.stderr
    for name in ("input events", "features", "kernel size", "zero weights", "cores in a chain", "cores where streams merge"):
        assert f"{name}: median of 1 runs" in done.stdout
    assert done.stdout.count("linear in synaptic operations") + done.stdout.count("not by synaptic operations alone") == 6
    if "no plot: matplotlib" in done.stdout:
        pytest.skip("matplotlib is an extra: pip install -e '.[bench]'")
    assert (tmp_path / "growth.svg").read_text().rstrip().endswith("</svg>")


def test_a_long_chain_keeps_no_copies_of_its_stream() -> None:
    done = run("emulator_memory", "--millions", "1", "--cores", "1", "4")
    assert done.returncode == 0, done.stderr
    assert "peak memory in MiB" in done.stdout
    assert "no copy of the stream per core" in done.stdout


def test_copies_of_the_stream_would_be_seen() -> None:
    array, before = 14_000_000, emulator_memory.Peak(100_000_000, 14_000_000, 1)
    grown = [
        emulator_memory.Measured(cores, 1_000_000, before, replace(before, highest=before.highest + cores * array))
        for cores in (1, 4)
    ]
    assert "as much as copies of the stream" in emulator_memory.verdict(grown)


def test_batches_find_what_single_runs_find(tmp_path: Path) -> None:
    done = run("batch", "--recordings", "4", "--rounds", "1", "--workers", "2", CHIPFLOW_DATA=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "made up recordings instead of N-MNIST" in done.stdout
    rows = [line for line in done.stdout.splitlines() if line.rstrip().endswith(" equal")]
    assert len(rows) == 3, done.stdout


def test_batches_that_find_something_else_would_be_seen() -> None:
    layer = synthetic.Layer(size=4)
    emulator, events = Emulator(synthetic.chain([layer])), synthetic.stream(layer, 50)
    one = emulator.run(events)
    emulator.reset()
    again = emulator.run(events)
    assert batch.equal(one, again)
    assert not batch.equal(one, emulator.run(events))
    assert not batch.equal(one, replace(again, counters={0: replace(again.counters[0], spikes=-1)}))


@pytest.mark.slow
def test_real_recordings_run_in_batches() -> None:
    data_folder("silicon")
    data_folder("nmnist_small")
    pytest.importorskip("nir", reason="nir is an extra: pip install -e '.[nir]'")
    done = run("batch", "--recordings", "6", "--rounds", "1", "--workers", "2")
    assert done.returncode == 0, done.stderr
    assert "6 recordings, N-MNIST" in done.stdout


@pytest.mark.parametrize("kind", allocation_speed.WIDE)
def test_what_is_placed_or_refused_is_what_the_title_says(kind: str) -> None:
    point = allocation_speed.make_point(kind, 9, 7)
    point.run()
    placed = allocation_speed.largest_matching(point.graph, point.network)
    assert (placed == 7) == (kind == "solvable")
    assert point.outcome.startswith("solved") == (kind != "impossible")
    assert point.outcome.startswith("solved, +") == (kind == "needs splits")
    assert len(point.answer) == len(point.whole) == len(point.building) == len(point.matching) == 1


def test_compiling_is_timed_beside_sinabs() -> None:
    pytest.importorskip("sinabs")
    done = run("compile_time", "--rounds", "1")
    assert done.returncode == 0, done.stderr
    assert "limit 150 ms" in done.stdout


def test_the_allocation_is_timed_beside_networkx() -> None:
    done = run("allocation_speed", "--rounds", "1", "--most-cores", "30")
    assert done.returncode == 0, done.stderr
    assert "target: under 10 s each: met" in done.stdout
    rows = [line for line in done.stdout.splitlines() if line.lstrip().startswith(tuple(allocation_speed.WIDE))]
    assert len(rows) == 6
