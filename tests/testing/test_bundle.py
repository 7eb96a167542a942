"""Replay bundles: what is kept, what is compared, and files that are none."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chipflow
from chipflow.backends.base import ClockedConfig
from chipflow.errors import BundleError, DeviceError
from chipflow.testing import Bundle, Tolerance, differences
from hwconfig import ChipConfig
from tests.compiler.networks import small_cnn
from tests.processes import python
from tests.testing.runs import LAYERS, FakeBoard, config, events, run, with_threshold


@pytest.fixture
def bundle() -> Bundle:
    return Bundle.record(config(), events(), monitor=LAYERS)


@pytest.fixture
def saved(bundle: Bundle, tmp_path: Path) -> Path:
    bundle.save(tmp_path / "run.bundle")
    return tmp_path / "run.bundle"


def test_what_is_loaded_is_what_was_recorded_and_replays(bundle: Bundle, saved: Path) -> None:
    loaded = Bundle.load(saved)
    assert not differences(loaded.expected, run())
    assert not differences(loaded.expected, run()).not_compared
    assert loaded.program.config == bundle.program.config
    assert loaded.events.tolist() == events().tolist()
    assert (loaded.options, loaded.device, loaded.versions) == (
        bundle.options | {"monitor": list(LAYERS)},
        bundle.device,
        bundle.versions,
    )
    assert {"chipflow", "python", "numpy", "emulator kernels"} <= set(loaded.versions)
    found = loaded.replay()
    assert found.same
    assert found.tolerance is None
    assert str(found) == "the same run, event by event"


def test_equal_bundles_are_equal_files(bundle: Bundle, saved: Path, tmp_path: Path) -> None:
    Bundle.load(saved).save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == saved.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again", "run.bundle"]


def test_a_program_keeps_its_clock_inputs_and_graph_s_hash(tmp_path: Path) -> None:
    program = chipflow.compile(small_cnn(True), "speck2f", (2, 8, 8), time_step_us=1000)
    made = Bundle.record(program, events(), monitor=list(program.placement), duration=20_000)
    made.save(tmp_path / "b")
    loaded = Bundle.load(tmp_path / "b")
    assert loaded.graph_hash.startswith("sha256:")
    kept, given = loaded.program, ClockedConfig(program.config, 1000, program.entries, program.inputs, program.parts)
    assert (kept.slow_clock_period_us, kept.entries, dict(kept.inputs), dict(kept.parts)) == (
        1000,
        given.entries,
        given.inputs,
        given.parts,
    )
    assert loaded.options["duration"] == 20_000
    assert loaded.replay("emulator:speck2f").same


def test_another_answer_is_found_with_the_first_difference(bundle: Bundle) -> None:
    changed = Bundle(
        ClockedConfig(with_threshold(61)),
        bundle.events,
        bundle.options,
        bundle.expected,
        bundle.device,
        versions={"chipflow": "0.0.1"},
    )
    found = changed.replay()
    assert not found.same
    for words in ("first difference: layer conv (core 3), event", "chipflow was 0.0.1 when it was recorded, here it is"):
        assert words in str(found)
    alike = changed.replay(tolerance=Tolerance(equal_neurons=0, max_difference=99, cosine=0, spikes=1))
    assert alike.same
    assert alike.difference


@pytest.mark.parametrize("by_a_board", [False, True])
def test_a_board_is_compared_within_the_tolerance(by_a_board: bool) -> None:
    with FakeBoard() as board:
        here, there = (board, "emulator") if by_a_board else ("emulator", board)
        found = Bundle.record(config(), events(), device=here, monitor=LAYERS).replay(there)
        assert found.same
        assert found.tolerance == Tolerance()
        assert [layer.layer for layer in found.layers] == list(LAYERS)
        assert "alike within the tolerance" in str(found)
        board.load(config())  # still open
    with FakeBoard(missing=4) as board:
        found = Bundle.record(config(), events(), monitor=LAYERS).replay(board)
    assert not found.same
    assert "layer conv: " in str(found)


def test_options_that_no_other_run_can_repeat_are_refused() -> None:
    with pytest.raises(BundleError, match="reset cannot be kept"):
        Bundle.record(config(), events(), reset=False)
    with pytest.raises(BundleError, match="numbers, texts and lists"):
        Bundle.record(config(), events(), order=object())
    silent = config().with_core(5, monitor_enable=False)
    with pytest.raises(BundleError, match="give monitor="):
        Bundle.record(silent, events())
    with pytest.raises(DeviceError, match="nowhere"):
        Bundle.record(config(), events(), monitor=["nowhere"])


def test_options_of_the_emulator_are_kept() -> None:
    assert Bundle.record(config(), events(), order="breadth_first").replay().same


@pytest.mark.parametrize("kept", [0.0, 0.01, 0.3, 0.7, 0.99, 0.999])
def test_a_truncated_file_is_refused(saved: Path, kept: float) -> None:
    data = saved.read_bytes()
    saved.write_bytes(data[: int(kept * len(data))])
    with pytest.raises(BundleError, match=r"run\.bundle: not a replay bundle, or a truncated or damaged one"):
        Bundle.load(saved)


def test_damage_at_any_place_is_found_or_harmless(saved: Path) -> None:
    data, whole = saved.read_bytes(), Bundle.load(saved)
    rng = np.random.default_rng(0)
    for at in rng.integers(0, len(data), 40):
        damaged = bytearray(data)
        damaged[at] ^= 1 << int(rng.integers(8))
        saved.write_bytes(damaged)
        try:
            loaded = Bundle.load(saved)
        except BundleError as error:
            assert "run.bundle" in str(error)
        else:
            assert not differences(loaded.expected, whole.expected)


def rewritten(path: Path, change: Callable[[dict[str, bytes]], None]) -> None:
    """A zip that is whole, with other members."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def edited_manifest(**changes: Any) -> Callable[[dict[str, bytes]], None]:
    def change(members: dict[str, bytes]) -> None:
        members["manifest.json"] = json.dumps(json.loads(members["manifest.json"]) | changes).encode()

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda members: members.update({"events.npy": members["events.npy"][:-5]}),
            r"edited after it was recorded.*events\.npy",
        ),
        (lambda members: members.update({"config.json": with_threshold(61).to_json().encode()}), r"edited.*config\.json"),
        (lambda members: members.update({"more.npy": members["events.npy"]}), r"edited.*more\.npy"),
        (lambda members: members.pop("expected/events.npy"), r"edited.*expected/events\.npy"),
        (lambda members: members.pop("manifest.json"), r"a zip without manifest\.json"),
        (lambda members: members.update({"manifest.json": b"\xff"}), "no text"),
        (edited_manifest(options={}), "was edited"),
        (edited_manifest(format="zip"), "foreign"),
        (edited_manifest(schema_version=99), "update the package"),
    ],
)
def test_edited_and_foreign_files_are_refused(saved: Path, change: Callable[[dict[str, bytes]], None], words: str) -> None:
    rewritten(saved, change)
    with pytest.raises(BundleError, match=words) as caught:
        Bundle.load(saved)
    assert str(saved) in str(caught.value)


def test_files_that_are_no_bundles_are_refused(tmp_path: Path) -> None:
    config().save(tmp_path / "config.json")
    for path in (tmp_path / "config.json", tmp_path / "nowhere", tmp_path):
        with pytest.raises(BundleError, match=str(path)):
            Bundle.load(path)


def test_a_place_that_cannot_be_written_to_leaves_nothing_behind(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nowhere"):
        bundle.save(tmp_path / "nowhere" / "b")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        bundle.save(tmp_path / "folder")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_a_replay_needs_no_torch_and_no_graph(saved: Path) -> None:
    code = (
        "import sys; from chipflow.testing import Bundle; print(Bundle.load(sys.argv[1]).replay().same, 'numba' in sys.modules)"
    )
    done = python(code, saved, blocked=("torch", "networkx", "samna", "sinabs", "pytest"))
    assert done.stdout.split() == ["True", "False"], done.stdout + done.stderr


def test_the_configuration_in_it_is_one_of_ours(saved: Path, bundle: Bundle) -> None:
    with zipfile.ZipFile(saved) as archive:
        assert ChipConfig.from_json(archive.read("config.json").decode()) == bundle.program.config
