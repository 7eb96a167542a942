"""Waiting for a board: by polls, further apart while nothing comes, and never longer than what is waited for takes."""

from __future__ import annotations

import time
from collections.abc import Callable

from chipflow.backends.board.heard import Heard
from chipflow.backends.board.link import Link

SHORTEST_NAP_S, LONGEST_NAP_S = 0.0002, 0.005
PATIENCE_S = 0.2  # of silence, after which the bus is looked at, and a marker is sent again
LONGEST_DRAIN_S = 1.0
SETTLE_S = 0.03  # of silence, after which a board that has taken everything has said everything


class Listener:
    """Reads a board into a `Heard`.

    Attributes:
        heard: what has come.
    """

    def __init__(self, link: Link) -> None:
        self.heard = Heard(link.kinds)
        self._link, self._nap = link, SHORTEST_NAP_S
        self._last = self._looked = time.monotonic()

    @property
    def quiet_s(self) -> float:
        """Seconds since something came, or `listen_anew` was called."""
        return time.monotonic() - self._last

    def listen_anew(self) -> None:
        """Silence counts from now."""
        self._last, self._nap = time.monotonic(), SHORTEST_NAP_S

    def poll(self, *, nap: bool = True) -> bool:
        """Reads once; whether something came. If not, a nap before the next poll.

        Raises:
            DeviceLostError: nothing has come for long, and the board is no longer on the bus.
        """
        events = self._link.read()
        if events:
            self.heard.add(events)
            self.listen_anew()
        elif nap:
            self._look_at_bus()
            time.sleep(self._nap)
            self._nap = min(2 * self._nap, LONGEST_NAP_S)
        return bool(events)

    def _look_at_bus(self) -> None:
        """Now and then, in silence: to list the bus takes its time."""
        now = time.monotonic()
        if min(self.quiet_s, now - self._looked) > PATIENCE_S:
            self._looked = now
            if not self._link.is_there():
                raise self._link.lost("waiting for its answer")

    def until(self, done: Callable[[], bool], patience_s: float) -> bool:
        """Polls until something is done; False: nothing came for so many seconds."""
        self.listen_anew()
        while not done():
            if not self.poll() and self.quiet_s > patience_s:
                return done()
        return True

    def until_quiet(self, seconds: float = SETTLE_S) -> None:
        """Polls until nothing has come for so many seconds, or for a second where a board, as one that sees, is never quiet."""
        end = time.monotonic() + LONGEST_DRAIN_S
        self.until(lambda: time.monotonic() > end, seconds)
