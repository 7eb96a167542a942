"""Which devices a run of pytest was asked to test on."""

from __future__ import annotations

import pytest

DEFAULT_TARGET = "emulator"
DESTINATION, SETTING = "chipflow_targets", "chipflow_target"


def asked_for(config: pytest.Config) -> list[str]:
    """Devices of the option, or else of the setting; none where nobody asked."""
    return config.getoption(DESTINATION) or config.getini(SETTING)


def targets(config: pytest.Config) -> list[str]:
    """Those asked for, without repetitions, in the order given; else the emulator."""
    return list(dict.fromkeys(asked_for(config))) or [DEFAULT_TARGET]


def is_emulator(name: str) -> bool:
    """Whether a device of this name is one."""
    return name.partition(":")[0] == DEFAULT_TARGET


def with_chip(name: str) -> str:
    """A board, or an emulator of one chip, with the chip's name."""
    from hwconfig import UnknownChipError, get_chip

    kind, _, rest = name.partition(":")
    try:
        return f"{name} (chip {get_chip(rest if kind == DEFAULT_TARGET else kind).name})"
    except UnknownChipError:
        return f"{name} (the program's chip)" if name == DEFAULT_TARGET else f"{name} (unknown)"
