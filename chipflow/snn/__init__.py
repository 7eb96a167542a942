"""The spiking library in torch: neurons, conversion, calibration, encoding. Importing this package loads torch."""

from chipflow.snn.alif import ALIF, ALIFRecurrent
from chipflow.snn.convert import from_model
from chipflow.snn.encoding import bernoulli
from chipflow.snn.exp_leak import ExpLeak
from chipflow.snn.fused import time_loop
from chipflow.snn.iaf import IAF, IAFRecurrent
from chipflow.snn.lif import LIF, LIFRecurrent
from chipflow.snn.network import Network, TimeAxes
from chipflow.snn.pooling import SumPool2d
from chipflow.snn.stateful import StatefulLayer
from chipflow.snn.surrogate import Gaussian, Heaviside, MultiGaussian, PeriodicExponential, SingleExponential

__all__ = [
    "ALIF",
    "ALIFRecurrent",
    "ExpLeak",
    "Gaussian",
    "Heaviside",
    "IAF",
    "IAFRecurrent",
    "LIF",
    "LIFRecurrent",
    "MultiGaussian",
    "Network",
    "PeriodicExponential",
    "SingleExponential",
    "StatefulLayer",
    "SumPool2d",
    "TimeAxes",
    "bernoulli",
    "from_model",
    "time_loop",
]
