"""The sensor's part of a configuration: pre-processing and event filter, named as the vendor names them."""

from __future__ import annotations

from pydantic import Field, field_validator

from hwconfig.destinations import DvsDestination, enabled, without_unused
from hwconfig.parts import ConfigPart, Flag, FlagPair, Integer, Pair


class DvsLayerConfig(ConfigPart):
    """The sensor's pre-processing, in this order: polarity, merge, pooling, region of interest, mirrors, destinations."""

    merge: Flag = Field(default=False, description="both polarities become feature 0; otherwise the feature is the polarity")
    on_channel: Flag = Field(default=True, description="keep events of polarity 1")
    off_channel: Flag = Field(default=True, description="keep events of polarity 0")
    pooling: Pair = Field(default=(1, 1), description="(y, x), sides of the window over which events are summed, in pixels")
    origin: Pair = Field(default=(0, 0), description="(y, x) of the region's first pixel, counted after pooling")
    cut: Pair | None = Field(default=None, description="(y, x) of its last pixel, inclusive; None: to the end of the pooled map")
    mirror: FlagPair = Field(default=(False, False), description="(y, x), each axis inside the region")
    mirror_diagonal: Flag = Field(default=False, description="swap x and y, after mirroring")
    pass_sensor_events: Flag = Field(default=False, description="let the chip's own pixels in")
    monitor_enable: Flag = Field(default=False, description="report events after all blocks")
    raw_monitor_enable: Flag = Field(default=False, description="report events before all blocks")
    destinations: tuple[DvsDestination, ...] = Field(
        default=(), strict=False, description="targets in index order; unused ones at the end do not count"
    )

    @field_validator("destinations")
    @classmethod
    def _without_unused(cls, value: tuple[DvsDestination, ...]) -> tuple[DvsDestination, ...]:
        return without_unused(value)

    @property
    def enabled_destinations(self) -> tuple[DvsDestination, ...]:
        """Destinations in use, in index order."""
        return enabled(self.destinations)

    @property
    def is_read(self) -> bool:
        """Whether anything takes its events: a core, or a monitor."""
        return bool(self.enabled_destinations) or self.monitor_enable or self.raw_monitor_enable

    def last_pixel(self, sensor_size: int) -> tuple[int, int]:
        """(y, x) of the region's last pixel, inclusive: `cut`, or the end of the pooled map."""
        height, width = (sensor_size // max(pool, 1) - 1 for pool in self.pooling)
        return self.cut or (height, width)

    def output_shape(self, sensor_size: int) -> tuple[int, int, int]:
        """(features, y, x) of the events after all blocks."""
        last = self.last_pixel(sensor_size)
        height, width = (end - start + 1 for start, end in zip(self.origin, last, strict=True))
        return (1 if self.merge else 2, width, height) if self.mirror_diagonal else (1 if self.merge else 2, height, width)


class DvsFilterConfig(ConfigPart):
    """The event filter before the pre-processing: noise, noise and hot pixels, or flicker (low pass), one at a time."""

    enable: Flag = Field(default=False, description="filter sensor events")
    filter_size: Pair = Field(
        default=(0, 0),
        description="(y, x) of the window around an event, in pixels: half widths by the register text, 0 for the pixel alone; "
        "the datasheet's example may mean whole widths",
    )
    threshold: Integer = Field(
        default=0,
        description="slow-clock ticks: an event passes if a neighbour was active less than this long ago; in low-pass mode it is "
        "dropped if its own pixel was",
    )
    hot_pixel_filter_enable: Flag = Field(default=False, description="drop pixels of constantly high rate as well")
    low_pass_mode_enable: Flag = Field(default=False, description="drop events that follow another of their pixel too soon")
    internal_slow_clk: Flag = Field(default=False, description="take the ticks from the chip's own slow clock")
