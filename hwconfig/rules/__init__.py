"""Design rules: one named function each, from a configuration to the places that break it. All of them run, always.

Grades as in the chip model: A stated by the vendor or seen on silicon, B deduced or relayed, C not public: our choice.
"""

from hwconfig.rules.catalogue import Rule
from hwconfig.rules.judge import RULES, check, check_core, check_sensor_targets, check_shape

__all__ = ["RULES", "Rule", "check", "check_core", "check_sensor_targets", "check_shape"]
