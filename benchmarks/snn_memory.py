"""The most memory that a layer of neurons, or a network in training, holds in one forward and backward pass."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks import peak, snn_rows
from benchmarks.measure import one_thread, show
from benchmarks.snn_peers import KINDS, OURS, Kind, named

TARGET = 2.0
TRAINING = "one step of training"


def report(names: Sequence[str], shape: Sequence[int], batch: int, processes: int) -> None:
    """For each layer and network of these libraries processes that run it once, after a tiny one that loads all it needs."""
    if not peak.known():
        print("no memory: this system does not tell the peak of a process\n")
        return
    taken = {name: _taken(name, shape, batch, processes) for name in names}
    rows = [[name, *(_mebibytes(used.get(what, [])) for what in (*KINDS, TRAINING))] for name, used in taken.items()]
    title = f"most memory held in one pass beyond what was held before, MiB, lowest and highest of {processes} fresh processes"
    show(title, ["", *KINDS, TRAINING], rows)
    if "sinabs" not in taken:
        print(f"memory: no sinabs to compare with; target {TARGET:g} is not judged\n")
        return
    for what, ours in taken[OURS].items():
        ratio = min(taken["sinabs"][what]) / max(1, *ours)
        verdict = "met" if ratio >= TARGET else "missed"
        print(f"{what}: sinabs holds at least {ratio:.1f} times the memory of chipflow; target {TARGET:g}: {verdict}")
    print(flush=True)


def _taken(name: str, shape: Sequence[int], batch: int, processes: int) -> dict[str, list[int]]:
    """Several processes, as it depends on where the system puts things whether memory that was given back is used again."""
    used: dict[str, list[int]] = {
        kind: [peak.in_fresh_process(of_layer, name, kind, tuple(shape)) for _ in range(processes)] for kind in KINDS
    }
    if name in snn_rows.TRAINERS:
        used[TRAINING] = [peak.in_fresh_process(of_training, name, batch) for _ in range(processes)]
    return used


def _mebibytes(used: Sequence[int]) -> str:
    ends = sorted({min(used), max(used)}) if used else []
    return " .. ".join(f"{end / peak.MEBIBYTE:.1f}" for end in ends)


def of_layer(name: str, kind: Kind, shape: tuple[int, ...]) -> int:
    """Bytes that a library's layer takes at most, forward and backward, with output and gradient of the input."""
    one_thread()
    named(name).layer(kind, (1, 2, *(1 for _ in shape[2:]))).act()
    layer = named(name).layer(kind, shape)
    return peak.extra_memory(layer.act)


def of_training(name: str, batch: int) -> int:
    """Bytes that a first step of training takes at most, with gradients and states of the optimiser, which begin there."""
    one_thread()
    make = snn_rows.TRAINERS[name]
    make(1).step(*snn_rows.make_batch(1, 0))
    trainer, data = make(batch), snn_rows.make_batch(batch, 0)
    return peak.extra_memory(lambda: trainer.step(*data))
