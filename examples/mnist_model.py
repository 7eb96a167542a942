"""The network of the tutorial's first part, in a file of its own: `examples/mnist.py` trains it, and the command line loads it.

    chipflow compile examples/mnist_model.py:make_model --weights demo-output/weights.pt --input-shape 1,28,28 -o mnist.chipflow

The same with `--calibration` and some training images in an npy file gives exactly what `examples/mnist.py` makes.
"""

from torch import nn


def make_model() -> nn.Sequential:
    """An untrained CNN for images of 28 x 28. Without biases, which a spiking core would have to add in every time step."""
    return nn.Sequential(
        nn.Conv2d(1, 20, 5, bias=False),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Conv2d(20, 32, 5, bias=False),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Conv2d(32, 128, 3, bias=False),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(128, 500, bias=False),
        nn.ReLU(),
        nn.Linear(500, 10, bias=False),
    )
