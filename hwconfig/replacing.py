"""Files that are the old one or the new one, never half of either."""

from __future__ import annotations

import glob
import os
import secrets
import shutil
import stat
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ModuleNotFoundError:  # Windows, where what a killed writer left cannot be told from what another one is writing
    fcntl = None


@contextmanager
def replacing(path: str | Path) -> Generator[Path]:
    """A path to write a new file to, which takes the place of `path` when the block is left without an error.

    It lies in a folder of its own beside `path`, which is locked. What a writer that was killed left there is removed by the next one; what
    another process is writing now is not.

    Raises:
        OSError: it cannot be written there; its `filename` is `path`, not the one beside it.
    """
    target = Path(os.path.realpath(path))  # a link stays a link
    try:
        _remove_left_over(target)
        with _folder_beside(target) as folder:
            beside = folder / target.name
            yield beside
            _finish(beside, target)
    except OSError as error:
        if error.filename is not None and f".{target.name}." not in str(error.filename):
            raise  # of something else that was done in the block
        raise OSError(error.errno, error.strerror, str(path)) from None


def _finish(beside: Path, target: Path) -> None:
    with beside.open("r+b") as file:  # not "rb": Windows syncs only what could be written
        os.fsync(file.fileno())  # else the new name could outlive a power failure, and the contents not
    if target.exists():
        beside.chmod(stat.S_IMODE(target.stat().st_mode))
    beside.replace(target)


@contextmanager
def _folder_beside(target: Path) -> Generator[Path]:
    folder = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    while True:
        folder.mkdir(exist_ok=True)
        with _locked(folder, wait=True) as mine:
            try:
                if mine and folder.exists():  # not taken for a killed writer's just before it was locked
                    yield folder
                    return
            finally:
                shutil.rmtree(folder, ignore_errors=True)


def _remove_left_over(target: Path) -> None:
    for folder in target.parent.glob(f".{glob.escape(target.name)}.????????.part"):
        with _locked(folder, wait=False) as mine:
            if mine and fcntl is not None:
                shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _locked(folder: Path, *, wait: bool) -> Generator[bool]:
    """Whether the folder is ours alone until the block is left, or until this process is gone."""
    if fcntl is None:
        yield True
        return
    handle = None
    try:
        with suppress(FileNotFoundError):
            handle = os.open(folder, os.O_RDONLY)
        yield handle is not None and _lock(handle, wait)
    finally:
        if handle is not None:
            os.close(handle)


def _lock(handle: int, wait: bool) -> bool:
    assert fcntl is not None, "asked before"
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks: our own folder can be used, of others nothing is known
        return wait
    return True
