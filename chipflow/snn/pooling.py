"""The sum pool of these chips."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class SumPool2d(nn.Module):
    """Sum over windows, as these chips pool: `kernel_size ** 2` times the average pool of the same size.

    Shape:
        [..., channels, y, x] with three or four axes, as nn.AvgPool2d.
    """

    def __init__(self, kernel_size: int | tuple[int, int], stride: int | tuple[int, int] | None = None) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride

    def forward(self, input: Tensor) -> Tensor:
        """Sum every window."""
        return F.avg_pool2d(input, self.kernel_size, self.stride, divisor_override=1)

    def extra_repr(self) -> str:
        """The parameters, for printing."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}"
