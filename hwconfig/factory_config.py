"""Factory settings: pixel currents, memory timing, output interface. None leaves a setting as the chip has it.

The vendor publishes neither defaults nor ranges; the names are those of working public scripts.
"""

from __future__ import annotations

from pydantic import Field, field_validator

from hwconfig.parts import ConfigPart, CoreId, Flag, FrozenDict, Integer

Setting = Integer | None
Switch = Flag | None


class MemoryTiming(ConfigPart):
    """Timing of one of a core's memories; units are not public."""

    clock_pulse: Setting = Field(default=None, description="units not public")
    clock_setup: Setting = Field(default=None, description="units not public")
    macro_read: Setting = Field(default=None, description="units not public")


class FactoryCore(ConfigPart):
    """Timing of one core's memories."""

    kernel: MemoryTiming = Field(default_factory=MemoryTiming, description="of the weights")
    neuron: MemoryTiming = Field(default_factory=MemoryTiming, description="of the membrane potentials")


class FactoryDvsFilter(ConfigPart):
    """Factory settings of the event filter."""

    filter_clk_enable: Switch = Field(default=None, description="clock of the event filter")


class FactoryDvsLayer(ConfigPart):
    """Bias currents of the pixels; units are not public."""

    current_out1: Setting = Field(default=None, description="units not public")
    current_out2: Setting = Field(default=None, description="units not public")
    current_out3: Setting = Field(default=None, description="units not public")
    current_out4: Setting = Field(default=None, description="units not public")
    current_control_p0: Setting = Field(default=None, description="units not public")
    current_control_p3: Setting = Field(default=None, description="units not public")
    current_control_p4: Setting = Field(default=None, description="units not public")
    current_control_p5: Setting = Field(default=None, description="units not public")
    current_control_p6: Setting = Field(default=None, description="units not public")
    current_control_p7: Setting = Field(default=None, description="units not public")


class FactoryConfig(ConfigPart):
    """Factory settings of the whole chip."""

    io_sel: Setting = Field(default=None, description="which pins the chip uses; for readout pins and flash images")
    internal_slow_clk_divider: Setting = Field(
        default=None, description="n: the internal slow clock ticks once per 2^n sensor events"
    )
    fast_output: Switch = Field(default=None, description="for high output rates, and before a flash image is made")
    monitor_dual_channel: Switch = Field(default=None, description="report over two channels; the board has to be told as well")
    dvs_filter: FactoryDvsFilter = Field(default_factory=FactoryDvsFilter, description="event filter")
    dvs_layer: FactoryDvsLayer = Field(default_factory=FactoryDvsLayer, description="pixels")
    cnn_layers: dict[CoreId, FactoryCore] = Field(
        default_factory=lambda: FrozenDict({}), strict=False, description="timing of memories, by core id"
    )

    @field_validator("cnn_layers")
    @classmethod
    def _without_untouched(cls, value: dict[int, FactoryCore]) -> dict[int, FactoryCore]:
        """A core of which nothing is set is as good as none."""
        return FrozenDict({core: timing for core, timing in value.items() if timing != FactoryCore()})
