"""What was found, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from hwconfig.errors import DeploymentError

State = Literal["ok", "note", "problem"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        part: of the installation: "packages", "extras", "emulator", "boards".
        name: of the thing.
        state: fine; something optional that is not there; or something broken.
        found: what is there.
        advice: what to do; "" where there is nothing to do.
    """

    part: str
    name: str
    state: State
    found: str
    advice: str = ""


def careful(part: str, name: str, look: Callable[[], list[Finding]]) -> list[Finding]:
    """What a look finds; a look that fails is a finding, too, and keeps none of the others from being made."""
    try:
        return look()
    except (DeploymentError, OSError, ImportError, RuntimeError, ValueError) as error:
        advice = "this should not happen: install chipflow and what it depends on anew, and report it if that does not help"
        return [Finding(part, name, "problem", f"{type(error).__name__}: {error}", advice)]
