"""How long a full configuration takes: all nine cores of a Speck2f with their memories as full as whole layers make them."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from benchmarks.measure import machine, milliseconds, show, timed
from hwconfig import ChipConfig, CoreConfig, Destination, Dimensions, get_chip
from hwconfig.files import content_hash

# One layer per core that takes all of its kernel memory and all of its neuron memory: (features in, features out, map, kernel).
LAYERS = {
    0: (16, 64, 32, 4),
    1: (16, 64, 32, 4),
    2: (16, 64, 32, 4),
    3: (32, 32, 32, 5),
    4: (32, 32, 32, 5),
    5: (64, 64, 16, 4),
    6: (64, 64, 16, 4),
    7: (16, 64, 16, 4),
    8: (16, 64, 16, 4),
}
LIMITS_MS = {"validate": 50, "save": 200, "load": 200, "save readable": 200, "load readable": 200}


def main(arguments: Sequence[str] | None = None) -> None:
    """Build the configuration, then time what users do with it; a copy that is saved has not computed its hash yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=21)
    options = parser.parse_args(arguments)
    print(machine("numpy", "pydantic"), flush=True)
    config = full_config()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.json"
        config.save(path)
        actions: dict[str, Callable[[], object]] = {
            "validate": config.violations,
            "save": lambda: config.with_changes().save(path),
            "load": lambda: ChipConfig.load(path),
            "build": full_config,
            "hash": lambda: content_hash(config),
            "save readable": lambda: config.with_changes().save(path.with_suffix(".txt"), readable=True),
            "load readable": lambda: ChipConfig.load(path.with_suffix(".txt")),
        }
        rows = [_row(name, [timed(action)[0] for _ in range(options.repeats)]) for name, action in actions.items()]
    show(f"nine full cores, median of {options.repeats}", ["", "ms", "four of five", "limit"], rows)


def _row(name: str, seconds: list[float]) -> list[str]:
    limit = LIMITS_MS.get(name)
    return [name, *milliseconds(seconds), f"{limit} ms" if limit else ""]


def full_config() -> ChipConfig:
    """A legal configuration, random weights, every core monitored."""
    rng = np.random.default_rng(0)
    cores = {core_id: _core(rng, *layer) for core_id, layer in LAYERS.items()}
    config = ChipConfig(chip="speck2f", cnn_layers=cores)
    assert config.violations().ok
    return config


def _core(rng: np.random.Generator, features_in: int, features: int, size: int, kernel: int) -> CoreConfig:
    before = size + kernel - 1
    return CoreConfig(
        dimensions=Dimensions(kernel_size=kernel, input_shape=(features_in, before, before), output_shape=(features, size, size)),
        weights=rng.integers(-128, 128, (features, features_in, kernel, kernel)),
        neurons_initial_value=rng.integers(-100, 100, (features, size, size)),
        threshold_high=127,
        threshold_low=-127,
        monitor_enable=True,
        destinations=(Destination(layer=get_chip("speck2f").layers.readout),),
    )


if __name__ == "__main__":
    main()
