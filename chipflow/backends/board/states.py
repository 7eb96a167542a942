"""Membrane potentials on a board: read, written, and checked; by addresses that are not verified on silicon (see docs/boards.md)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from chipflow.backends.board.link import Link
from chipflow.backends.board.listening import PATIENCE_S, Listener
from chipflow.errors import DeviceError
from hwconfig import AddressError, ChipConfig, neuron_address

States = npt.NDArray[np.int16]
REQUESTS_PER_BATCH = 1000
ROUNDS = 5  # of asking for, or writing, what did not come through
SAMPLED = 8  # neurons of a core whose states are looked at after a reset


def addresses_of(config: ChipConfig, core: int) -> npt.NDArray[np.int64]:
    """Addresses of a core's neurons, [feature, y, x].

    Raises:
        AddressError: a map whose neurons have no address of their own (hwconfig.neuron_address).
    """
    shape = config.core(core).dimensions.output_shape
    bits = config.chip.limits.neuron_address_bits
    neuron_address((shape[0] - 1, shape[1] - 1, shape[2] - 1), shape, bits)
    units = [neuron_address(unit, shape, bits) for unit in _units(shape)]
    feature, y, x = np.indices(shape)
    return feature * units[0] + y * units[1] + x * units[2]  # every field is a number of its own bits


def _units(shape: tuple[int, int, int]) -> list[tuple[int, int, int]]:
    """One step along each axis, none where there is only one."""
    return [tuple(int(axis == along and shape[axis] > 1) for axis in range(3)) for along in range(3)]  # pyright: ignore[reportReturnType]


def request(kinds: Any, core: int, address: int) -> Any:
    """The vendor's event that asks for a state."""
    event = kinds.ReadNeuronValue()
    event.layer, event.address = core, address
    return event


def _order(kinds: Any, core: int, address: int, state: int) -> Any:
    """The vendor's event that sets a state."""
    event = kinds.WriteNeuronValue()
    event.layer, event.address, event.neuron_state = core, address, state
    return event


class StateAccess:
    """The states of a board that stands still.

    Args:
        link: the board.
        listener: of it.
    """

    def __init__(self, link: Link, listener: Listener) -> None:
        self._link, self._listener = link, listener

    def read(self, config: ChipConfig, core: int) -> States:
        """All of a core's, int16 [feature, y, x].

        Raises:
            DeviceError: the board does not answer, or the map's neurons have no addresses.
        """
        addresses = self._addresses(config, core)
        found = self._ask(core, addresses.ravel().tolist())
        return np.array([found[address] for address in addresses.ravel().tolist()], np.int16).reshape(addresses.shape)

    def write(self, config: ChipConfig, core: int, states: States) -> None:
        """Sets all of a core's, reads them back, and writes again what did not come through.

        Raises:
            DeviceError: they are not what was written, after several rounds.
        """
        addresses = self._addresses(config, core)
        wanted = dict(zip(addresses.ravel().tolist(), states.ravel().tolist(), strict=True))
        wrong = list(wanted)
        for _ in range(ROUNDS):
            for some in _pieces(wrong):
                self._link.write([_order(self._link.kinds, core, address, wanted[address]) for address in some])
            found = self._ask(core, wrong)
            wrong = [address for address in wrong if found[address] != wanted[address]]
            if not wrong:
                return
        raise DeviceError(
            f"{self._link.name}: core {core} does not keep what is written: {len(wrong):,} of {len(wanted):,} neurons have other states"
        )

    def spoil(self, config: ChipConfig, core: int) -> bool:
        """Gives a sample of a core's neurons other states than the initial ones; not where the sample is all there are.

        Returns:
            Whether they have them now; raises as `read` does.
        """
        sample = self._sample(config, core)
        if len(sample) == initial_states(config, core).size:
            return False
        top = np.iinfo(np.int16).max
        kinds = self._link.kinds
        self._link.write([_order(kinds, core, at, state + 1 if state < top else state - 1) for at, state in sample.items()])
        return self.differs(config, core)

    def differs(self, config: ChipConfig, core: int) -> bool:
        """Whether a sample of a core's states is not at the initial values; raises as `read` does."""
        sample = self._sample(config, core)
        found = self._ask(core, list(sample))
        return any(found[address] != state for address, state in sample.items())

    def _sample(self, config: ChipConfig, core: int) -> dict[int, int]:
        """Initial states of some neurons, by address."""
        addresses, initial = self._addresses(config, core).ravel(), initial_states(config, core).ravel()
        places = np.unique(np.linspace(0, len(addresses) - 1, SAMPLED).astype(np.int64))
        return dict(zip(addresses[places].tolist(), initial[places].tolist(), strict=True))

    def _addresses(self, config: ChipConfig, core: int) -> npt.NDArray[np.int64]:
        try:
            return addresses_of(config, core)
        except AddressError as error:
            raise DeviceError(f"{self._link.name}: the states of core {core} cannot be read or written: {error}") from None

    def _ask(self, core: int, addresses: Sequence[int]) -> Mapping[int, int]:
        """States by address; asks again for those that did not come."""
        found: dict[int, int] = {}
        self._listener.until_quiet(0)  # an answer that comes twice would be that of before
        self._listener.heard.take_answers()
        for _ in range(ROUNDS):
            missing = [address for address in addresses if address not in found]
            for some in _pieces(missing):
                self._link.write([request(self._link.kinds, core, address) for address in some])
                self._listen(core, found, set(some))
            if all(address in found for address in addresses):
                return found
        raise DeviceError(
            f"{self._link.name} does not answer: {len(addresses) - len(found):,} of {len(addresses):,} states of core {core} were asked for "
            f"{ROUNDS} times; unplug the board and plug it in again"
        )

    def _listen(self, core: int, found: dict[int, int], awaited: set[int]) -> None:
        def complete() -> bool:
            for layer, address, state in self._listener.heard.take_answers():
                if layer == core:
                    found[address] = state
            return awaited <= found.keys()

        self._listener.until(complete, PATIENCE_S)


def initial_states(config: ChipConfig, core: int) -> States:
    """What `neurons_initial_value` says, int16 [feature, y, x]."""
    return np.asarray(config.core(core).neurons_initial_value, np.int16)


def _pieces(items: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(items), REQUESTS_PER_BATCH):
        yield items[start : start + REQUESTS_PER_BATCH]
