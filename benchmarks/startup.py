"""How long a command takes to start: wall time of fresh processes, and which imports it goes into."""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

import chipflow
from benchmarks.measure import ROOT, give_up, machine, milliseconds, show, timed
from chipflow.events import make_events, save_events

LIMIT_S = 0.5
INPUT_SHAPE = (1, 28, 28)
EVENTS, DURATION_US = 5_000, 200_000
Command = list[str]


def main(arguments: Sequence[str] | None = None) -> None:
    """Make a program and a recording, then time the commands on them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=7, help="fresh processes per command")
    parser.add_argument("--cold", type=int, default=3, help="how often the kernels are compiled, some seconds each time")
    options = parser.parse_args(arguments)
    print(machine("numpy", "pydantic", "numba", "torch"), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        program, recording = _files(Path(folder))
        commands = _commands(program, recording)
        _report_first_runs(_first_runs(commands["chipflow run"], Path(folder), options.cold))
        _report(commands, _wall_times(commands, options.processes))


def _files(folder: Path) -> tuple[Path, Path]:
    """A program of the size of the MNIST tutorial's network (untrained: start-up does not care), and a short recording."""
    from tests.compiler.networks import mnist_cnn

    program, recording = folder / "mnist.chipflow", folder / "recording.npz"
    chipflow.compile(mnist_cnn(), "speck2f", INPUT_SHAPE).save(program)
    rng = np.random.default_rng(0)
    _, height, width = INPUT_SHAPE
    x, y, t = (rng.integers(0, end, EVENTS) for end in (width, height, DURATION_US))
    save_events(recording, make_events(x, y, np.sort(t), np.zeros(EVENTS, np.int64)))
    return program, recording


def _commands(program: Path, recording: Path) -> dict[str, Command]:
    """The interpreter's options go first, so that each can also be asked for its import times."""
    script = Path(sysconfig.get_path("scripts")) / "chipflow"
    if not script.is_file():
        give_up(f"{script} is missing: install the project first, pip install -e .")
    return {
        "python -c pass": ["-c", "pass"],
        "import hwconfig": ["-c", "import hwconfig"],
        "import chipflow": ["-c", "import chipflow"],
        "chipflow chips": [str(script), "chips"],
        "chipflow check": [str(script), "check", str(program)],
        "chipflow run": [str(script), "run", str(program), str(recording)],
    }


def _python(command: Command, *options: str, environment: Mapping[str, str] | None = None) -> str:
    """Run a fresh interpreter, and return what it wrote to standard error."""
    whole = [sys.executable, *options, *command]
    done = subprocess.run(whole, capture_output=True, text=True, check=False, env={**os.environ, **(environment or {})})
    if done.returncode:
        give_up(f"{' '.join(whole)} failed:\n{done.stdout}{done.stderr}")
    return done.stderr


def _first_runs(command: Command, folder: Path, times: int) -> dict[str, list[float]]:
    """Seconds of a run in which the kernels are compiled and kept, and of one that finds them, in turn."""
    _python(command)
    seconds: dict[str, list[float]] = {"cold, as after an installation": [], "warm": []}
    for number in range(times):
        environment = _nothing_compiled(folder / f"fresh{number}")
        for taken, those in zip(seconds.values(), (environment, {}), strict=True):
            taken.append(timed(lambda those=those: _python(command, environment=those))[0])
    return seconds


def _nothing_compiled(folder: Path) -> dict[str, str]:
    """The environment of a copy of the packages without anything compiled, with a kernel cache of its own."""
    for package in ("chipflow", "hwconfig"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    return {"PYTHONPATH": str(folder), "CHIPFLOW_CACHE_DIR": str(folder / "cache")}


def _report_first_runs(seconds: Mapping[str, Sequence[float]]) -> None:
    warm = statistics.median(seconds["warm"])
    rows = [[name, *milliseconds(taken), f"{statistics.median(taken) / warm:.1f}"] for name, taken in seconds.items()]
    title = f"`chipflow run`, kernel cache cold and warm: median of {len(seconds['warm'])} fresh processes each"
    show(title, ["kernel cache", "ms", "four of five", "times the warm one"], rows)


def _wall_times(commands: Mapping[str, Command], processes: int) -> dict[str, list[float]]:
    """All commands in turn, after a round that fills the caches of the disk and of the kernels and does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for counts in [False] + [True] * processes:
        for name, command in commands.items():
            taken, _ = timed(lambda command=command: _python(command))
            seconds[name] += [taken] if counts else []
    return seconds


def _report(commands: Mapping[str, Command], seconds: Mapping[str, Sequence[float]]) -> None:
    modules = {name: _import_times(command) for name, command in commands.items()}
    rows = [
        [
            name,
            *milliseconds(taken),
            str(len(modules[name])),
            _yes("torch" in modules[name]),
            _yes("numba" in modules[name]),
            _verdict(taken),
        ]
        for name, taken in seconds.items()
    ]
    header = ["command", "ms", "four of five", "modules", "torch loaded", "numba loaded", f"limit {LIMIT_S} s"]
    show(f"start-up: median of {len(next(iter(seconds.values())))} fresh processes each", header, rows)
    _report_imports({name: _by_package(modules[name]) for name in list(commands)[1:]})


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _verdict(seconds: Sequence[float]) -> str:
    return "met" if statistics.median(seconds) < LIMIT_S else "missed"


def _import_times(command: Command) -> dict[str, int]:
    """Module -> microseconds that its import took, without what it imports in turn, by `python -X importtime`."""
    lines = [line.split("|") for line in _python(command, "-X", "importtime").splitlines() if line.startswith("import time:")]
    return {name.strip(): int(own.split(":")[1]) for own, _, name in lines if own.split(":")[1].strip().isdigit()}


def _by_package(modules: Mapping[str, int]) -> dict[str, int]:
    total: dict[str, int] = {}
    for module, own in modules.items():
        top = module.partition(".")[0]
        package = "standard library" if top in sys.stdlib_module_names else top
        total[package] = total.get(package, 0) + own
    return total


def _report_imports(packages: Mapping[str, Mapping[str, int]], most: int = 12) -> None:
    """The packages that cost any command most, and the sum of all."""
    costs = {
        package: max(times.get(package, 0) for times in packages.values()) for times in packages.values() for package in times
    }
    dearest = sorted(costs, key=lambda package: (-costs[package], package))[:most]
    rows = [[package, *(f"{times.get(package, 0) / 1e3:.1f}" for times in packages.values())] for package in dearest]
    rows.append(["all imports", *(f"{sum(times.values()) / 1e3:.1f}" for times in packages.values())])
    show("ms in the imports of each package (one run of -X importtime, which itself slows them)", ["", *packages], rows)


if __name__ == "__main__":
    main()
