"""Damaged files: always a clear error or an equal configuration, never a crash, never a different one without a word."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from hwconfig import ChipConfig, ConfigFileError
from tests.hwconfig.builders import two_cores

SEEDS = range(20)
CASES_PER_SEED = 600  # 12,000 in all


def damaged(data: bytes, rng: random.Random) -> bytes:
    """One accident: cut off, some bytes changed, bits flipped, a piece lost or doubled, two places swapped."""
    kind = rng.choice(["cut", "byte", "bit", "bit", "bytes", "lost", "doubled", "digit"])
    at = rng.randrange(len(data))
    end = min(at + rng.randint(1, 40), len(data))
    if kind == "cut":
        return data[:at]
    if kind in ("lost", "doubled"):
        return data[:at] + (b"" if kind == "lost" else data[at:end] * 2) + data[end:]
    if kind == "digit":
        places = [i for i, byte in enumerate(data) if chr(byte).isdigit()]
        at = rng.choice(places)
        return data[:at] + str(rng.randrange(10)).encode() + data[at + 1 :]
    result = bytearray(data)
    for place in [at] if kind in ("byte", "bit") else [rng.randrange(len(data)) for _ in range(rng.randint(2, 8))]:
        result[place] = result[place] ^ (1 << rng.randrange(8)) if kind == "bit" else rng.randrange(256)
    return bytes(result)


def originals(folder: Path) -> list[tuple[bytes, ChipConfig]]:
    config = two_cores(provenance={"tool": "a tool", "seed": 3}, suppressed_rules={"memory": "doubtful"})
    files = [config.to_json().encode(), config.to_json(readable=True).encode(), (folder / "config_v1.json").read_bytes()]
    return [(data, ChipConfig.from_json(data.decode())) for data in files]


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_damage_is_noticed_or_changes_nothing(seed: int, tmp_path: Path):
    rng = random.Random(seed)
    sources = originals(Path(__file__).parent / "golden")
    path = tmp_path / "damaged.json"
    outcomes: Counter[str] = Counter()
    for _ in range(CASES_PER_SEED):
        data, original = rng.choice(sources)
        path.write_bytes(damaged(data, rng))
        try:
            config = ChipConfig.load(path)
        except ConfigFileError as error:
            assert str(path) in str(error)
            outcomes["refused"] += 1
        else:
            assert config == original
            assert config.hash == original.hash
            outcomes["equal"] += 1
    assert outcomes["refused"] > CASES_PER_SEED / 2
    assert outcomes["equal"] > 0
