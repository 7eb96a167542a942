"""That the benchmark of the spiking library compares like with like; how fast either side is, is for `make bench` to say."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import peak, snn_peers, snn_rows, snn_speed

ROOT = Path(__file__).resolve().parents[1]
SHAPE = (2, 12, 3, 4, 4)
KINDS = pytest.mark.parametrize("kind", snn_peers.KINDS)
OTHERS = [(library.name, kind) for library in snn_peers.LIBRARIES[1:] for kind in snn_peers.KINDS]
OTHERS.remove(("norse", "IAF"))  # which resets to zero


@pytest.mark.parametrize(("name", "kind"), OTHERS)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # norse: torch.jit.script
def test_neurons_are_the_same_where_only_what_is_said_to_differ_does_not_matter(name: str, kind: snn_peers.Kind) -> None:
    pytest.importorskip(name, reason=f"{name} is an extra: see benchmarks/README.md")
    drive = torch.rand(SHAPE, generator=torch.Generator().manual_seed(0)) * 0.5  # one spike a step at most, and never below zero
    ours, theirs = (_spikes(one, kind, drive) for one in ("chipflow", name))
    assert ours.sum() > 50
    assert (ours == theirs).float().mean() > 0.99  # a decay that is rounded in another way may shift a spike


def _spikes(name: str, kind: snn_peers.Kind, drive: torch.Tensor) -> torch.Tensor:
    library = snn_peers.named(name)
    layer = library.layer(kind, SHAPE)
    ordered = drive.transpose(0, 1) if library.time_first else drive
    first, again = (replace(layer, input=ordered).once()[0] for _ in range(2))
    assert torch.equal(first, again)  # it begins from reset states
    return first.transpose(0, 1) if library.time_first else first


@KINDS
def test_outputs_and_gradients_are_those_of_sinabs(kind: snn_peers.Kind) -> None:
    pytest.importorskip("sinabs", reason="sinabs is an extra: pip install -e '.[bench]'")
    pairs = [snn_peers.named(name).layer(kind, SHAPE).once() for name in ("chipflow", "sinabs")]
    assert pairs[0][0].max() > 1  # several spikes in a step
    for ours, theirs in zip(*pairs, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_networks_learn_the_same_from_the_same_batches() -> None:
    pytest.importorskip("sinabs", reason="sinabs is an extra: pip install -e '.[bench]'")
    ours, theirs = (snn_rows.TRAINERS[name](8) for name in ("chipflow", "sinabs"))
    data = snn_rows.make_batch(8, 0)
    assert ours.run(data[0]).sum() > 0  # the last layer is not silent
    for _ in range(2):
        torch.testing.assert_close(ours.step(*data), theirs.step(*data))
        torch.testing.assert_close(ours.gradients(), theirs.gradients(), rtol=1e-4, atol=1e-5)


def test_missing_libraries_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def make(kind: snn_peers.Kind) -> snn_peers.Run:
        raise ModuleNotFoundError("No module named 'nowhere'")

    monkeypatch.setattr(snn_peers, "LIBRARIES", (snn_peers.named("chipflow"), snn_peers.Library("nowhere", False, make)))
    found, missing = snn_peers.installed("IAF", SHAPE)
    assert list(found) == ["chipflow"]
    assert missing == {"nowhere": "No module named 'nowhere'"}


def test_targets_are_judged_by_the_median_of_the_rounds(capsys: pytest.CaptureFixture[str]) -> None:
    fast, slow = (snn_speed.Timed(list, 0.0, [0.001 * factor, 0.002 * factor, 0.002 * factor]) for factor in (1, 5))
    snn_speed.judge("IAF", {"chipflow": fast, "sinabs": slow}, 10.0)
    snn_speed.judge("IAF", {"chipflow": fast, "sinabs": slow}, 5.0 - 1e-9)
    snn_speed.judge("IAF", {"chipflow": fast}, 10.0)
    missed, met, unjudged = capsys.readouterr().out.strip().split("\n\n")
    assert missed.startswith("IAF: sinabs takes 5.0 times as long")
    assert missed.endswith("target 10: missed")
    assert met.endswith(": met")
    assert unjudged.endswith("target 10 is not judged")


def test_contestants_take_turns() -> None:
    turns: list[str] = []
    sides = {name: snn_speed.Timed(lambda name=name: turns.append(name), 0.0) for name in "ab"}
    snn_speed.interleave(sides, 3)
    assert turns == list("ababab")
    assert [len(side.seconds) for side in sides.values()] == [3, 3]


@pytest.mark.skipif(not peak.OWN.joinpath("clear_refs").exists(), reason="only Linux forgets a peak")
def test_memory_that_is_given_back_is_seen() -> None:
    np.ones(8 << 20).sum()  # an earlier, larger peak
    measured = peak.extra_memory(lambda: np.ones(4 << 20).sum())
    assert 30 * peak.MEBIBYTE < measured < 40 * peak.MEBIBYTE


@pytest.mark.slow
def test_all_is_timed_compared_and_printed() -> None:
    pytest.importorskip("sinabs", reason="sinabs is an extra: pip install -e '.[bench]'")
    shape = (2, 20, 32, 16, 16)
    options = ["--rounds", "1", "--cold", "0", "--processes", "1", "--batch", "4", "--shape", *map(str, shape)]
    command = [sys.executable, "-m", "benchmarks.snn_speed", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    shown = [line.split() for line in done.stdout.splitlines()]
    rows = {name: [row for row in shown if row[:1] == [name]] for name in ("chipflow", "sinabs")}
    assert [len(rows[name]) for name in ("chipflow", "sinabs")] == [4, 4], done.stdout  # IAF, LIF, the network, memory
    for row in rows["sinabs"][:2]:
        outputs, gradients, largest = float(row[-6]), float(row[-3]), float(row[-1])
        assert outputs == 0, done.stdout
        assert gradients <= 1e-5 * largest, done.stdout
    ours, theirs = (float(rows[name][3][1]) * peak.MEBIBYTE for name in ("chipflow", "sinabs"))
    assert 4 * np.prod(shape) < ours < theirs, done.stdout  # the output at least
    for library in snn_peers.LIBRARIES:
        assert library.name in done.stdout  # in a table, or as left out
    for target, count in (("target 10", 2), ("target 3", 1), ("target 2", 3)):
        assert done.stdout.count(target) == count, done.stdout
