"""A board and what is in its chip just now: who may use it, what is loaded, which run is under way."""

from __future__ import annotations

import weakref
from collections.abc import Generator
from contextlib import contextmanager
from threading import Lock

from chipflow.backends.base import Runnable
from chipflow.backends.board.configuring import check_clock, not_reset, reset_states, spoil_states, write_configuration
from chipflow.backends.board.conversation import Deadline
from chipflow.backends.board.link import Link
from chipflow.backends.board.listening import Listener
from chipflow.backends.board.running import Loaded, Running
from chipflow.backends.board.sending import Sender
from chipflow.backends.board.states import StateAccess
from chipflow.errors import DeviceBusyError, DeviceError
from hwconfig import ChipConfig


class Station:
    """One open board.

    Args:
        link: to it; the station's from now on, and given back with it: at `close`, when it is forgotten, or when the process ends.

    Attributes:
        listener: of the board.
        states: of its chip.
        loaded: what is in the chip; None: nothing that is known.
        running: the run under way, or one that did not end as it should.
    """

    def __init__(self, link: Link) -> None:
        self._name, self._link = link.name, link
        self.listener = Listener(link)
        self.states = StateAccess(link, self.listener)
        self.loaded: Loaded | None = None
        self.running: Running | None = None
        self._in_use = Lock()
        self._resets = False  # whether writing a configuration is known to reset the states
        self._give_back = weakref.finalize(self, link.close)

    @contextmanager
    def alone(self) -> Generator[Link]:
        """The board, for one thread at a time.

        Raises:
            DeviceBusyError: another thread has it; DeviceError: it is closed.
        """
        if not self.try_alone():
            raise DeviceBusyError(f"{self._name} is in use by another thread: let it finish, or open another board")
        try:
            yield self.link
        finally:
            self.leave()

    def try_alone(self) -> bool:
        """Whether this thread has the board from now on, up to `leave`."""
        return self._in_use.acquire(blocking=False)

    def leave(self) -> None:
        """Another thread may have the board."""
        self._in_use.release()

    @property
    def link(self) -> Link:
        """To the board; DeviceError when it is closed."""
        if not self._give_back.alive:
            raise DeviceError(f"{self._name} is closed: open it again with open_device({self._name!r})")
        return self._link

    def put(self, runnable: Runnable, config: ChipConfig, *, reset: bool = True) -> Loaded:
        """Writes a configuration, unless that which is there shall go on; a stream ends, and what was left behind is cleared away.

        Args:
            runnable: the program.
            config: its configuration as it shall run.
            reset: states at their initial values; False: as they are, if this configuration was the last one here.
        """
        check_clock(runnable)
        before = self.loaded
        if self.running is not None:
            self.recover()
        elif before is not None and not reset and (before.config, before.runnable.entries) == (config, runnable.entries):
            return Loaded(runnable, config, before.notes)  # another slow clock is no other configuration
        self.empty(config)
        self.loaded = Loaded(runnable, config, self._reset_states(config))
        return self.loaded

    def _reset_states(self, config: ChipConfig) -> tuple[str, ...]:
        """After the configuration was written. Whether that resets states is tried out once; where it does not, they are written."""
        if spoiled := not self._resets and spoil_states(self.states, config):
            write_configuration(self.link, config)
        wrong = not_reset(self.states, config)
        self._resets = not wrong and (self._resets or spoiled)
        return reset_states(self.states, config, wrong)

    def empty(self, config: ChipConfig | None = None) -> None:
        """Writes a configuration that nothing is known of yet; None: one without a layer."""
        self.loaded = None
        self.listener.until_quiet(0)
        write_configuration(self.link, ChipConfig(chip=self.link.chip) if config is None else config)

    def begin(self, loaded: Loaded, sender: Sender, deadline: Deadline) -> Running:
        """A run of what is loaded; what had to be said of the next run is its own."""
        self.listener.until_quiet(0)  # answers to requests of before would be taken for answers to this run's
        self.listener.heard.forget()
        self.loaded = Loaded(loaded.runnable, loaded.config)
        self.running = Running(self.link, self.listener, loaded, sender, deadline)
        return self.running

    def recover(self) -> None:
        """After a run that did not end as it should: what waits on the board, or is on its way from it, is thrown away."""
        self.loaded = None
        self.link.set_slow_clock(None)
        self.link.stop_clock()
        self.link.reset()
        self.listener.until_quiet()
        self.running = None

    def ready(self) -> Loaded:
        """What is loaded; DeviceError where nothing is."""
        if self.loaded is None:
            raise DeviceError(f"nothing is loaded on {self._name}: load(program), or run one first")
        return self.loaded

    def close(self) -> None:
        """Gives the board back; a second call does nothing."""
        self.loaded = self.running = None
        self._give_back()
