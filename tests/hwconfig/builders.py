"""Small legal configurations to start tests from."""

from typing import Any

import numpy as np

from hwconfig import ChipConfig, CoreConfig, Destination, Dimensions


def small_core(features_in: int = 2, features_out: int = 3, size: int = 4, **changes: Any) -> CoreConfig:
    """A 3 x 3 convolution with padding 1 on a square map."""
    rng = np.random.default_rng(features_in * 100 + features_out)
    fields: dict[str, Any] = {
        "dimensions": Dimensions(
            kernel_size=3, padding=(1, 1), input_shape=(features_in, size, size), output_shape=(features_out, size, size)
        ),
        "weights": rng.integers(-20, 30, (features_out, features_in, 3, 3)),
        "threshold_high": 50,
        "threshold_low": -50,
    }
    return CoreConfig(**fields | changes)


def two_cores(**changes: Any) -> ChipConfig:
    """Core 0 pools by 2 into core 3, which is monitored."""
    first = small_core(destinations=(Destination(layer=3, pooling=2),))
    second = small_core(3, 5, 2, monitor_enable=True)
    return ChipConfig(**{"chip": "speck2f", "cnn_layers": {0: first, 3: second}} | changes)
