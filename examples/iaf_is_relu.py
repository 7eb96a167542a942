"""Why a network of ReLUs can be converted: the rate of an integrate-and-fire neuron is the ReLU of its input.

    python examples/iaf_is_relu.py                 # writes iaf_is_relu.png

Neurons get a constant input, from strongly inhibiting to strongly exciting, and their spikes are counted over windows of different
lengths. The longer the window, the finer the steps of the count. A constant leak shifts the curve to the right: it is a negative bias.
"""

from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from chipflow.snn import IAF

INPUTS = torch.linspace(-1, 2, 301)
WINDOWS = (10, 50, 200)
LEAK = 0.5


def main(argv: Sequence[str] | None = None) -> None:
    """Counts, prints and draws."""
    parser = ArgumentParser(description="Draw the rate of an integrate-and-fire neuron over its input, beside the ReLU.")
    parser.add_argument(
        "--output", type=Path, default=Path("iaf_is_relu.png"), metavar="FILE", help="png, svg or pdf (default: %(default)s)"
    )
    args = parser.parse_args(argv)

    rates = {window: rate(INPUTS, window) for window in WINDOWS}
    leaky = rate(INPUTS - LEAK, WINDOWS[-1])
    for window, found in rates.items():
        print(f"window of {window:3d} steps: largest distance from the ReLU {distance(found, INPUTS):.3f} spikes a step")
    print(
        f"with a leak of {LEAK}, {WINDOWS[-1]:3d} steps: from the shifted ReLU {distance(leaky, INPUTS - LEAK):.3f} spikes a step"
    )
    draw(rates, leaky, args.output)
    print(f"wrote {args.output}")


def rate(inputs: Tensor, window: int) -> Tensor:
    """Spikes per step of one neuron for each constant input."""
    raster = inputs.expand(1, window, len(inputs))  # [batch, time, neurons]
    return IAF(threshold=1.0)(raster).mean(1)[0]


def distance(rates: Tensor, inputs: Tensor) -> float:
    """The largest distance from the ReLU."""
    return (rates - torch.relu(inputs)).abs().max().item()


def draw(rates: dict[int, Tensor], leaky: Tensor, path: Path) -> None:
    """Both curves in one picture."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.plot(INPUTS, torch.relu(INPUTS), color="0.75", linewidth=5, label="ReLU")
    for window, found in rates.items():
        axes.step(INPUTS, found, where="post", linewidth=1, label=f"IAF, {window} steps")
    axes.step(INPUTS, leaky, where="post", linewidth=1, linestyle="--", label=f"IAF, {WINDOWS[-1]} steps, leak of {LEAK} a step")
    axes.set_xlabel("constant input per step, in thresholds")
    axes.set_ylabel("rate, in spikes per step")
    axes.set_title("The rate of an integrate-and-fire neuron")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
