"""Assertions for tests of a deployment; their failures say where, and do not print arrays."""

from __future__ import annotations

import numpy.typing as npt

from chipflow.events.result import RunResult
from chipflow.testing.accuracy import accuracy_loss
from chipflow.testing.run_difference import differences
from chipflow.testing.similarity import LayerSimilarity, Tolerance, similarities, similarity_table


def assert_same_run(a: RunResult, b: RunResult) -> None:
    """Both runs are the same: every event, and, where both report them, counters, states, accounting, sensor and readout block.

    Args:
        a: a run.
        b: another one; its layers may lie on other cores, if both know the layers' names.

    Raises:
        AssertionError: they are not; it says in which layer, neuron and event they part first, and how much differs.
    """
    __tracebackhide__ = True
    found = differences(a, b)
    if found:
        raise AssertionError(f"the runs differ\n{found}")


def assert_similar_run(a: RunResult, b: RunResult, tolerance: Tolerance | None = None) -> None:
    """Both runs have spike counts alike in every layer; times are not compared. For silicon, which no model repeats exactly.

    Args:
        a: the run to compare with.
        b: another one, which reports the same layers.
        tolerance: what may differ; None: the defaults of `Tolerance`, whose source is there.

    Raises:
        AssertionError: a layer is not alike; it says by what, with what was found and what is allowed, for every layer.
        EventError: the runs do not report the same layers.
    """
    __tracebackhide__ = True
    layers = similarities(a, b)
    text = unlike(layers, tolerance or Tolerance())
    if text:
        # Spikes may be missing because packets were lost, or events late.
        sent = f"first run: {a.accounting}\nsecond run: {b.accounting}"
        raise AssertionError(f"the runs are not alike\n{text}\n{similarity_table(layers)}\n{sent}")


def unlike(layers: list[LayerSimilarity], tolerance: Tolerance) -> str:
    """What passes the tolerance, one layer a line; "" if all layers are alike."""
    return "\n".join(f"layer {found.layer}: {'; '.join(words)}" for found in layers if (words := found.excesses(tolerance)))


def assert_similar_accuracy(a_correct: npt.ArrayLike, b_correct: npt.ArrayLike, *, loss: float, confidence: float = 0.95) -> None:
    """The second way of running is shown to lose no more accuracy than allowed, on the same recordings.

    What is compared with `loss` is not the plain difference, which for 100 recordings is off by some percent either way, but its upper
    bound (see `AccuracyLoss`). So a test with too few recordings fails, saying that they are too few.

    Args:
        a_correct: for every recording, whether the first way got it right.
        b_correct: for the same recordings in the same order, whether the second did.
        loss: the share of recordings that may be lost: 0.05 is five percent.
        confidence: with which the loss must be no more than that.

    Raises:
        AssertionError: the loss is more than that, or could be.
        EventError: answers that cannot be compared.
    """
    __tracebackhide__ = True
    found = accuracy_loss(a_correct, b_correct, confidence=confidence)
    if found.upper > loss:
        verdict = (
            f"is more than the allowed {loss:.1%}"
            if found.lower > loss
            else f"may be more than the allowed {loss:.1%}: these recordings cannot tell; use more, or allow more"
        )
        raise AssertionError(f"the loss of accuracy {verdict}\n{found}")
