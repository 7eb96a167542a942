"""The emulator's machine code and where it is kept, the caches of numba, a first run, and the processors."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path

from chipflow.doctor.finding import Finding

KB = 1000


def emulation() -> list[Finding]:
    """Machine code on disk, as it was before this call; then a run, which makes what is missing."""
    from chipflow.emulator.object_code import cache_file_name, cache_folders

    folders, name = list(cache_folders()), cache_file_name()
    return [*kernel_cache(folders, name), first_run(), numba_cache(), processors()]


def kernel_cache(folders: Iterable[Path], name: str) -> list[Finding]:
    """The file of the emulator's machine code, and others like it that nothing reads any more.

    Args:
        folders: where it may be, best first.
        name: of the file.
    """
    from chipflow.emulator.object_code import CACHE_VARIABLE

    folders = list(folders)
    kept = next((folder / name for folder in folders if (folder / name).is_file()), None)
    place = next((folder for folder in folders if _can_write(folder)), None)
    if kept is not None:
        found = [_kept(kept)]
    elif place is not None:
        found = [Finding("emulator", "machine code", "ok", f"not compiled yet: the next run does it and keeps it in {place}")]
    else:
        advice = f"set {CACHE_VARIABLE} to a folder that can be written to; until then every start compiles for seconds"
        found = [Finding("emulator", "machine code", "note", f"cannot be kept in any of {_listed(folders)}", advice)]
    return found + _stale(folders, name)


def _kept(path: Path) -> Finding:
    from chipflow.emulator.object_code import Compiled

    data = path.read_bytes()
    if Compiled.from_bytes(data) is None:
        return Finding("emulator", "machine code", "note", f"{path} is damaged", "nothing: the next run compiles it again")
    return Finding("emulator", "machine code", "ok", f"{path}, {len(data) // KB:,} kB")


def _stale(folders: Iterable[Path], name: str) -> list[Finding]:
    """Files of other versions, or of other processors."""
    old = sorted(path for folder in folders if folder.is_dir() for path in folder.glob("kernels-*.o") if path.name != name)
    if not old:
        return []
    size = sum(path.stat().st_size for path in old) // KB
    found = f"{len(old)} of other versions or processors, {size:,} kB, as {old[0]}"
    return [Finding("emulator", "old machine code", "note", found, "delete them, if no other machine shares the folder")]


def first_run() -> Finding:
    """A neuron, an event, a spike."""
    from chipflow.emulator import Emulator
    from chipflow.events import make_events
    from hwconfig import ChipConfig, CoreConfig, Dimensions, chip_names

    one = Dimensions(kernel_size=1, input_shape=(1, 1, 1), output_shape=(1, 1, 1))
    core = CoreConfig(dimensions=one, weights=[[[[1]]]], threshold_high=1, threshold_low=-1, monitor_enable=True)
    config = ChipConfig(chip=sorted(chip_names())[-1], cnn_layers={0: core})
    start = time.perf_counter()
    spikes = len(Emulator(config).run(make_events(0, 0, [1], 0)).events)
    seconds = time.perf_counter() - start
    if spikes != 1:
        return Finding(
            "emulator", "a run", "problem", f"one event made {spikes} spikes, not 1", "install numba and llvmlite anew"
        )
    return Finding("emulator", "a run", "ok", f"works, in {seconds * 1000:,.0f} ms")


def numba_cache() -> Finding:
    """What numba keeps of the spiking library's kernels."""
    package = Path(__file__).parents[1]
    named = os.environ.get("NUMBA_CACHE_DIR")
    files = [path for path in Path(named or package).rglob("*.nb[ic]") if path.is_file()]
    size = sum(path.stat().st_size for path in files) // KB
    where = named or f"{package}/**/__pycache__"
    if not _can_write(Path(named) if named else package / "snn" / "__pycache__"):
        advice = "set NUMBA_CACHE_DIR to a folder that can be written to, if training starts slowly"
        return Finding("emulator", "kernels of training", "note", f"cannot be kept in {where}", advice)
    return Finding("emulator", "kernels of training", "ok", f"{len(files)} files, {size:,} kB, in {where}")


def processors() -> Finding:
    """How many this process may use."""
    there = os.cpu_count() or 1
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else there
    limits = [f"{name}={os.environ[name]}" for name in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS") if name in os.environ]
    found = f"{usable} of {there}" + (f"; {', '.join(limits)}" if limits else "")
    return Finding("emulator", "processors", "ok", found)


def _can_write(folder: Path) -> bool:
    """Whether the folder, or the first one above it that exists, lets us make files."""
    there = next((place for place in (folder, *folder.parents) if place.exists()), None)
    return there is not None and there.is_dir() and os.access(there, os.W_OK | os.X_OK)


def _listed(folders: Iterable[Path]) -> str:
    return ", ".join(map(str, folders))
