"""One open board, call by call (hardware facts, sections 6.1 to 6.3); whatever the vendor raises becomes an error of ours."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from chipflow.backends.board.bus import BoardOnBus, identity
from chipflow.backends.board.names import named
from chipflow.errors import ChipflowError, DeviceBusyError, DeviceError, DeviceLostError, VendorPackageError
from chipflow.events.readings import US_PER_S


class Link:
    """An open board.

    Args:
        samna: the vendor's package.
        board: which one.
        name: of the device, for messages.

    Attributes:
        chip_module: the vendor's module of the board's chip.
        kinds: the classes of its events.

    Raises:
        DeviceError: it cannot be opened, DeviceBusyError where somebody was faster; VendorPackageError for a package that lacks
            the chip or a node.
    """

    def __init__(self, samna: Any, board: BoardOnBus, name: str) -> None:
        self.samna, self.name, self.chip = samna, name, board.chip
        self._info = board.info
        vendor = board.chip.vendor
        if vendor is None or not hasattr(samna, vendor.module):
            raise VendorPackageError(f"{name}: this samna has no {board.chip.name}: use a version that has it")
        self.chip_module = getattr(samna, vendor.module)
        self.kinds = self.chip_module.event
        self._handle: Any = self._opened(board)
        self._graphs: list[Any] = []
        self._measuring: Any = None
        try:
            self._source, self._sink = self._node(vendor.source_node), self._node(vendor.sink_node)
            self.connect(self._source, named(self._handle, "the node of inputs")())
            self.connect(named(self._handle, "the node of outputs")(), self._sink)
        except BaseException:
            self.close()
            raise

    def _opened(self, board: BoardOnBus) -> Any:
        try:
            return self.samna.device.open_device(board.info)
        except Exception as error:
            kind = DeviceBusyError if self.is_there() else DeviceLostError
            raise kind(
                f"{self.name} cannot be opened: {error}; close it where it is open, or unplug it and plug it in"
            ) from error

    def _node(self, name: str) -> Any:
        make = getattr(self.samna, name, None)
        if make is None:
            raise VendorPackageError(f"{self.name}: this samna has no node {name or 'for ' + self.chip.name}")
        return make()

    def connect(self, source: Any, sink: Any) -> Any:
        """A running graph from one node to another; `close` stops it, at the latest."""
        graph = self.samna.graph.EventFilterGraph()
        graph.sequential([source, sink])
        graph.start()
        self._graphs.append(graph)
        return graph

    def disconnect(self, graph: Any) -> None:
        """Stops a graph; does nothing where `close` was faster."""
        if graph in self._graphs:
            self._graphs.remove(graph)
            graph.stop()

    @contextmanager
    def doing(self, what: str) -> Generator[None]:
        """Turns what the vendor raises into DeviceLostError, where the board is no longer on the bus, or DeviceError."""
        if self._handle is None:  # the vendor's objects are not to be touched any more
            raise DeviceError(f"{self.name} is closed: open it again with open_device({self.name!r})")
        try:
            yield
        except ChipflowError:
            raise
        except Exception as error:
            if not self.is_there():
                raise self.lost(what) from error
            raise DeviceError(f"{self.name}: {what} failed: {error}") from error

    def lost(self, what: str) -> DeviceLostError:
        """The error for a board that is no longer on the bus."""
        return DeviceLostError(f"{self.name} is no longer on the bus, noticed while {what}: plug it in and open it again")

    def is_there(self) -> bool:
        """Whether the board is on the bus."""
        with suppress(Exception):
            return identity(self._info) in {identity(info) for info in self.samna.device.get_all_devices()}
        return False

    def write(self, events: Sequence[Any]) -> None:
        """Hands events to the board."""
        with self.doing("writing events"):
            self._source.write(list(events))

    def read(self) -> list[Any]:
        """What has come since the last call."""
        with self.doing("reading events"):
            return list(self._sink.get_events())

    def apply(self, configuration: Any) -> None:
        """Writes a configuration into the chip; the vendor judges it first.

        Raises:
            DeviceError: the vendor refuses it, with its reason.
        """
        with self.doing("writing the configuration"):
            legal, why = self.chip_module.validate_configuration(configuration)
            if not legal:
                raise DeviceError(f"{self.name}: the vendor's package refuses the configuration: {why}")
            self._handle.get_model().apply_configuration(configuration)

    def start_clock(self) -> None:
        """The time of the board starts at 0."""
        with self.doing("starting the stop watch"):
            watch = self._handle.get_stop_watch()
            watch.set_enable_value(True)
            watch.reset()
            watch.start()

    def stop_clock(self) -> None:
        """The time of the board stands still."""
        with self.doing("stopping the stop watch"):
            self._handle.get_stop_watch().stop()

    def set_slow_clock(self, period_us: int | None) -> None:
        """Starts the slow clock, or stops it.

        Args:
            period_us: microseconds between two ticks; None: no clock. The vendor takes ticks per second, in whole numbers where they
                are whole; whether it takes others is not public.
        """
        with self.doing("setting the slow clock"):
            io = self._handle.get_io_module()
            if period_us is not None:
                whole, rest = divmod(US_PER_S, period_us)
                named(io, "the rate of the slow clock")(US_PER_S / period_us if rest else whole)
            named(io, "the switch of the slow clock")(period_us is not None)

    def reset(self) -> None:
        """The board's own soft reset, which forgets what waits on it, where the vendor's version has one."""
        with self.doing("resetting the board"):
            reset = getattr(self._handle, "reset_board_soft", None)
            if reset is not None:
                reset(True)

    def start_power(self, rate_hz: float) -> tuple[Any, Any]:
        """Starts measuring (hardware facts, 6.3): the branch is there before the first reading.

        Returns:
            The vendor's node that the readings come to, and its graph.

        Raises:
            DeviceBusyError: a measurement is under way.
        """
        with self.doing("starting the power measurement"):
            if self._measuring is not None:
                raise DeviceBusyError(f"{self.name} is measuring power already: leave that block first")
            monitor, sink = self._handle.get_power_monitor(), named(self.samna, "the node of power readings")()
            graph = self.connect(monitor.get_source_node(), sink)
            self._measuring = monitor
            named(monitor, "the start of a power measurement")(rate_hz)
        return sink, graph

    def stop_power(self) -> None:
        """Ends a measurement, if one is under way."""
        monitor, self._measuring = self._measuring, None
        if monitor is not None:
            with self.doing("ending the power measurement"):
                named(monitor, "the end of a power measurement")()

    def close(self) -> None:
        """Stops everything and gives the board back, whatever of it still answers; a second call does nothing."""
        if self._handle is None:
            return
        steps = [self.stop_power, lambda: self.set_slow_clock(None), self.stop_clock, *(graph.stop for graph in self._graphs)]
        for step in (*steps, lambda: self.samna.device.close_device(self._handle)):
            with suppress(Exception):
                step()
        self._graphs.clear()
        self._handle = None
