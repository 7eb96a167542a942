"""Configurations as a board gets them: its clock, its sensor, and states that are what they should be."""

from __future__ import annotations

from collections.abc import Sequence

from chipflow.backends.base import Runnable
from chipflow.backends.board.link import Link
from chipflow.backends.board.states import StateAccess, addresses_of, initial_states
from chipflow.errors import DeviceError
from hwconfig import AddressError, ChipConfig
from hwconfig.errors import VendorError
from hwconfig.vendor import to_vendor

FIRST_EVENT_LOST = "first-event-lost"  # the erratum


def check_clock(runnable: Runnable) -> None:
    """Refuses a configuration that waits for a slow clock which nobody gives.

    Raises:
        DeviceError: the leak of a core, the readout block or the event filter needs the clock's pin.
    """
    config = runnable.config
    need = [f"core {i}" for i, core in config.cnn_layers.items() if core.leak_enable and not core.leak_internal_slow_clk_enable]
    need += ["the readout block"] if config.readout.enable and not config.readout.internal_slow_clk else []
    need += ["the event filter"] if config.dvs_filter.enable and not config.dvs_filter.internal_slow_clk else []
    if need and runnable.slow_clock_period_us is None:
        raise DeviceError(
            f"{', '.join(need)}: needs a slow clock, and there is none: run ClockedConfig(config, slow_clock_period_us=...), or compile "
            "with time_step_us"
        )


def without_pixels(config: ChipConfig) -> ChipConfig:
    """The same, in which the chip's own pixels are off: for events that are sent."""
    return config.with_changes(dvs_layer=config.dvs_layer.with_changes(pass_sensor_events=False))


def with_pixels(config: ChipConfig, name: str, *, raw: bool = False) -> ChipConfig:
    """The same, in which the chip's own pixels are on.

    Args:
        raw: report their events before any processing.

    Raises:
        DeviceError: the chip has none, or nothing in the configuration reads them.
    """
    if not config.chip.features.pixels:
        raise DeviceError(f"{name}: {config.chip.name} has no sensor on the die: give events")
    part = config.dvs_layer.with_changes(pass_sensor_events=True, raw_monitor_enable=raw or config.dvs_layer.raw_monitor_enable)
    if not part.is_read:
        raise DeviceError("nothing in this configuration reads the sensor: compile with sensor=True, or give events")
    return config.with_changes(dvs_layer=part)


def write_configuration(link: Link, config: ChipConfig) -> None:
    """Into the chip, whole; the initial states with it.

    Raises:
        DesignRuleError: it breaks design rules.
        DeviceError: the vendor's package refuses it, or has no place for a part of it.
    """
    try:
        vendor = to_vendor(config, link.samna)
    except VendorError as error:
        raise DeviceError(f"{link.name}: {error}") from error
    try:
        link.apply(vendor)
    except DeviceError as error:
        placed = ", ".join(f"core {core} is {name}" for core, name in config.layer_names.items())
        raise type(error)(f"{error} ({placed})" if placed else str(error)) from error


def spoil_states(access: StateAccess, config: ChipConfig) -> bool:
    """Makes some states wrong, to see whether they are right after the configuration was written again; whether any could be."""
    return sum(access.spoil(config, core) for core in _readable(config)) > 0


def not_reset(access: StateAccess, config: ChipConfig) -> list[int]:
    """Cores whose states are not the initial ones, after the configuration was written; DeviceError where the board does not answer."""
    return [core for core in _readable(config) if access.differs(config, core)]


def reset_states(access: StateAccess, config: ChipConfig, wrong: Sequence[int]) -> tuple[str, ...]:
    """Writes the initial states into these cores.

    Returns:
        What has to be said of the next run.

    Raises:
        DeviceError: the board does not answer, or does not keep what is written.
    """
    for core in wrong:
        access.write(config, core, initial_states(config, core))
    unknown = [core for core in config.active_cores if core not in _readable(config)]
    notes = [
        f"whether the states of core {core} are the initial ones was not looked at: its neurons have no public addresses"
        for core in unknown
    ]
    return (*notes, *filter(None, (first_event_note(config, core) for core in wrong)))


def _readable(config: ChipConfig) -> list[int]:
    """Active cores whose neurons have addresses."""
    return [core for core in config.active_cores if _has_addresses(config, core)]


def _has_addresses(config: ChipConfig, core: int) -> bool:
    try:
        addresses_of(config, core)
    except AddressError:
        return False
    return True


def first_event_note(config: ChipConfig, core: int) -> str:
    """A warning, where the first event after all states of a core were written is lost; "" where it is not."""
    if config.chip.has_erratum(FIRST_EVENT_LOST) and core in config.chip.parallel_cores:
        return f"all states of core {core} were written, after which this chip loses the core's first event (erratum {FIRST_EVENT_LOST})"
    return ""
