"""Files are replaced whole, and what a killed writer left is removed by the next one."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hwconfig.replacing import replacing

WRITER = """
import sys
from hwconfig.replacing import replacing
with replacing(sys.argv[1]) as beside:
    beside.write_text("half")
    print("writing", flush=True)
    sys.stdin.read()
"""


def writer(target: Path) -> subprocess.Popen[str]:
    """A process that is in the middle of writing."""
    command = [sys.executable, "-c", WRITER, str(target)]
    started = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert started.stdout is not None
    assert started.stdout.readline() == "writing\n"
    return started


def no_locks(_handle: int, _operation: int) -> None:
    raise OSError(errno.ENOLCK, "No locks available")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(KeyError), replacing(target) as beside:
        _ = beside.write_text("half"), {}["missing"]
    assert (target.read_text(), names(tmp_path)) == ("old", ["a.txt"])


def test_the_new_file_has_the_permissions_of_the_old_one_and_a_link_stays(tmp_path: Path) -> None:
    target, link = tmp_path / "a.txt", tmp_path / "link"
    target.write_text("old")
    target.chmod(0o640)
    link.symlink_to(target)
    with replacing(link) as beside:
        beside.write_text("new")
    assert (target.read_text(), target.stat().st_mode & 0o777, link.is_symlink()) == ("new", 0o640, True)


def test_errors_name_the_file_that_was_asked_for(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"nowhere/a\.txt'$"), replacing(tmp_path / "nowhere" / "a.txt"):
        pytest.fail("there is nothing to write to")
    with pytest.raises(OSError, match=r"No such file.*a\.txt'$"), replacing(tmp_path / "a.txt"):
        pass  # nothing was written
    with pytest.raises(FileNotFoundError, match="other"), replacing(tmp_path / "a.txt"):
        (tmp_path / "other").read_text()


def test_a_file_system_without_locks_can_be_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / ".a.txt.01234567.part"  # of a writer that may be at work
    other.mkdir()
    monkeypatch.setattr(pytest.importorskip("fcntl"), "flock", no_locks)
    with replacing(tmp_path / "a.txt") as beside:
        beside.write_text("new")
    assert ((tmp_path / "a.txt").read_text(), other.is_dir()) == ("new", True)


def test_what_a_killed_writer_left_goes_with_the_next_one(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    killed = writer(target)
    killed.send_signal(signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    killed.communicate()
    assert len(names(tmp_path)) == 1
    with replacing(target) as beside:
        beside.write_text("whole")
    assert (target.read_text(), names(tmp_path)) == ("whole", ["a.txt"])


def test_another_writer_at_work_is_left_alone(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    other = writer(target)
    with replacing(target) as beside:
        beside.write_text("whole")
    assert target.read_text() == "whole"
    other.communicate("")
    assert other.returncode == os.EX_OK
    assert (target.read_text(), names(tmp_path)) == ("half", ["a.txt"])
