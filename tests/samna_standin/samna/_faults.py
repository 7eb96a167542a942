"""What is plugged in, and what goes wrong."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from functools import cache
from typing import ClassVar

KITS = (("Speck2fDevKit", 1, 5), ("Speck2eDevKit", 1, 6))


@dataclass
class Faults:
    """All of it; by default nothing.

    Attributes:
        boards: (device_type_name, bus, address) of each.
        locks: folder in which a board that a process has open is a locked file; "": processes do not see each other.
        realtime: the stop watch runs with the host's clock; otherwise as fast as events come.
        slow_write_s: a call of write takes so long.
        lose_every, lose_inputs_every: of so many outputs, or inputs, one is lost; 0: none.
        unplug_after: inputs after which the board is gone; 0: never.
        unplug_silently: nothing is raised then, and nothing comes.
        mute: nothing ever comes.
        states_survive: apply_configuration does not reset states.
        writes_ignored: states cannot be written.
        requests_jump: requests for states do not wait for the events before them.
        first_event_lost: on cores 0 and 1, after all their states were written.
        spikes_behind: reads by which spikes come later than answers to requests of the same time.
        jitter_us: outputs are up to so much later, and out of order.
        no_time: outputs have time 0.
        refuse: validate_configuration says this.
        old_names: methods have the names of older versions.
        seen: what the pixels see after each start of the stop watch, (x, y, t, p).
    """

    boards: tuple[tuple[str, int, int], ...] = KITS
    locks: str = ""
    realtime: bool = False
    slow_write_s: float = 0.0
    lose_every: int = 0
    lose_inputs_every: int = 0
    unplug_after: int = 0
    unplug_silently: bool = False
    mute: bool = False
    states_survive: bool = False
    writes_ignored: bool = False
    requests_jump: bool = False
    first_event_lost: bool = False
    spikes_behind: int = 0
    jitter_us: int = 0
    no_time: bool = False
    refuse: str = ""
    old_names: bool = False
    seen: list[tuple[int, int, int, int]] = field(default_factory=list)


@cache
def faults() -> Faults:
    """Those of this process; a test may change them."""
    given = json.loads(os.environ.get("SAMNA_STANDIN", "{}"))
    given["boards"] = tuple(tuple(board) for board in given.get("boards", KITS))
    return Faults(**given)


class Surface:
    """An object of which only documented names can be read or set; in older versions some have other names."""

    OLDER: ClassVar[dict[str, str]] = {}  # today's name -> the older one
    __slots__ = ()

    def __getattribute__(self, name: str) -> object:
        older = type(self).OLDER
        today = {old: new for new, old in older.items()}
        if name in (older if faults().old_names else today):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return object.__getattribute__(self, today.get(name, name))
