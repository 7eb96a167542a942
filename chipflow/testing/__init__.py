"""What users' own tests need: a pytest plugin with `--target`, comparisons of runs, and replay bundles.

Public names are resolved on first use, as pytest loads the plugin in every project that has chipflow installed.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chipflow.testing.accuracy import AccuracyLoss, accuracy_loss
    from chipflow.testing.assertions import assert_same_run, assert_similar_accuracy, assert_similar_run
    from chipflow.testing.bundle import Bundle
    from chipflow.testing.replay import Replay
    from chipflow.testing.run_difference import LayerDifference, RunDifference, differences
    from chipflow.testing.similarity import LayerSimilarity, Tolerance, similarities
    from chipflow.testing.value_difference import ValueDifference

_HOMES = {
    "AccuracyLoss": "accuracy",
    "Bundle": "bundle",
    "LayerDifference": "run_difference",
    "LayerSimilarity": "similarity",
    "Replay": "replay",
    "RunDifference": "run_difference",
    "Tolerance": "similarity",
    "ValueDifference": "value_difference",
    "accuracy_loss": "accuracy",
    "assert_same_run": "assertions",
    "assert_similar_accuracy": "assertions",
    "assert_similar_run": "assertions",
    "differences": "run_difference",
    "similarities": "similarity",
}

__all__ = [
    "AccuracyLoss",
    "Bundle",
    "LayerDifference",
    "LayerSimilarity",
    "Replay",
    "RunDifference",
    "Tolerance",
    "ValueDifference",
    "accuracy_loss",
    "assert_same_run",
    "assert_similar_accuracy",
    "assert_similar_run",
    "differences",
    "similarities",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'chipflow.testing' has no attribute {name!r}")
    return getattr(import_module(f"chipflow.testing.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
