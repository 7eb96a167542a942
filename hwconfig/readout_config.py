"""The readout block's part of a configuration, named as the vendor names it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from hwconfig.parts import ConfigPart, Flag, Integer, plain

Selector = Annotated[Literal[0, 1, 2, 3], BeforeValidator(plain)]


class ReadoutConfig(ConfigPart):
    """The readout block: counts spikes per class and slow-clock period, averages, and names the class with the most."""

    enable: Flag = Field(default=False, description="count")
    readout_configuration_sel: Selector = Field(
        default=3,
        description="how x, y and feature become a class: 0: 2 x 2 y 4 f; 1: 2 x 4 y 2 f; 2: 4 x 4 y; 3: the feature alone",
    )
    threshold: Integer = Field(default=0, description="spikes per period that a class's average must exceed")
    low_pass_filter_disable: Flag = Field(default=False, description="average over one period only")
    low_pass_filter32_not16: Flag = Field(default=False, description="average over 32 periods instead of 16")
    output_mode_sel: Selector = Field(
        default=3,
        description="the low 16 bits of a ReadoutValue: 0: nothing; 1: a bit for each class above threshold; "
        "2: the average of class output_neuron_num; 3: the largest average",
    )
    output_neuron_num: Integer = Field(default=0, description="the class whose average mode 2 reports")
    override_threshold_max: Flag = Field(default=False, description="raise the interrupt at every tick, whatever the threshold")
    monitor_enable: Flag = Field(default=False, description="report a ReadoutValue at every tick; silences all spike monitors")
    readout_pin_monitor_enable: Flag = Field(default=False, description="report a ReadoutPinValue when the interrupt rises")
    internal_slow_clk: Flag = Field(default=False, description="take the ticks from the chip's own slow clock")
