"""The sensor and the readout block in plain Python, one event and one tick at a time (sections 6 and 7 of the chip model)."""

from __future__ import annotations

from dataclasses import dataclass, field

from hwconfig.chip import ChipSpec
from hwconfig.readout_config import ReadoutConfig
from hwconfig.sensor_config import DvsLayerConfig


@dataclass
class ReferenceSensor:
    """Section 6, one event at a time; counts what it drops and why."""

    part: DvsLayerConfig
    chip: ChipSpec
    counts: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(
            ("events_in", "dropped_outside", "dropped_polarity", "dropped_region", "events_out"), 0
        )
    )

    def process(self, p: int, y: int, x: int) -> tuple[int, int, int] | None:
        """(feature, y, x) after all blocks; None if the event was dropped."""
        part, size = self.part, self.chip.sensor.size
        self.counts["events_in"] += 1
        if p not in (0, 1) or not (0 <= y < size and 0 <= x < size):
            self.counts["dropped_outside"] += 1
            return None
        if not (part.on_channel if p == 1 else part.off_channel):
            self.counts["dropped_polarity"] += 1
            return None
        feature = 0 if part.merge else p
        y, x = y // part.pooling[0], x // part.pooling[1]
        (top, left), (bottom, right) = part.origin, part.last_pixel(size)
        if not (top <= y <= bottom and left <= x <= right):
            self.counts["dropped_region"] += 1
            return None
        y, x = y - top, x - left
        if part.mirror[1]:
            x = right - left - x
        if part.mirror[0]:
            y = bottom - top - y
        if part.mirror_diagonal:
            y, x = x, y
        self.counts["events_out"] += 1
        return feature, y, x


@dataclass
class ReferenceReadout:
    """Section 7."""

    part: ReadoutConfig
    chip: ChipSpec
    values: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    pins: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    events_in: int = 0
    counted: int = 0
    without_class: int = 0

    def __post_init__(self) -> None:
        self.counts = [0] * 16
        self.periods: list[list[int]] = []

    def begin(self) -> None:
        """A new run: nothing reported, nothing counted; the averages go on."""
        self.values, self.pins = [], []
        self.events_in = self.counted = self.without_class = 0

    def arrive(self, feature: int) -> bool:
        """One spike; False if no class counts it."""
        self.events_in += 1
        number = self.chip.readout.class_of(feature)
        if number is None:
            self.without_class += 1
            return False
        self.counted += 1
        self.counts[number] = min(self.counts[number] + 1, self.chip.readout.most_count)
        return True

    def tick(self, t: int) -> None:
        """Close the period."""
        self.periods.append(self.counts)
        self.counts = [0] * 16
        part = self.part
        window = 1 if part.low_pass_filter_disable else 32 if part.low_pass_filter32_not16 else 16
        averages = [sum(period[i] for period in self.periods[-window:]) // window for i in range(16)]
        largest = max(averages)
        winner = averages.index(largest) if largest > 0 else 0
        if part.monitor_enable:
            bits = {
                0: 0,
                1: sum(1 << i for i, average in enumerate(averages) if average > part.threshold),
                2: averages[part.output_neuron_num],
                3: largest,
            }
            self.values.append((t, 1 << 20 | winner << 16 | bits[part.output_mode_sel]))
        if part.readout_pin_monitor_enable and (largest > part.threshold or part.override_threshold_max):
            self.pins.append((t, winner))
