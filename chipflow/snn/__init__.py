"""The spiking library in torch: neurons, conversion, calibration, encoding. Importing this package loads torch."""

from chipflow.snn.alif import ALIF, ALIFRecurrent
from chipflow.snn.analysis import Analysis
from chipflow.snn.chip import ChipFaithful
from chipflow.snn.comparison import ActivationComparison, LayerComparison
from chipflow.snn.convert import from_model
from chipflow.snn.encoding import bernoulli, constant_current, from_events, latency, poisson, to_events
from chipflow.snn.exp_leak import ExpLeak
from chipflow.snn.fused import time_loop
from chipflow.snn.iaf import IAF, IAFRecurrent
from chipflow.snn.lif import LIF, LIFRecurrent
from chipflow.snn.network import Network
from chipflow.snn.pooling import SumPool2d
from chipflow.snn.stateful import StatefulLayer
from chipflow.snn.surrogate import Gaussian, Heaviside, MultiGaussian, PeriodicExponential, SingleExponential
from chipflow.snn.sweep import WindowSweep, sweep_time_windows
from chipflow.snn.synops_counter import SynopsCounter
from chipflow.snn.synops_loss import SynopsLoss, synops_loss
from chipflow.snn.time_axes import TimeAxes

__all__ = [
    "ALIF",
    "ALIFRecurrent",
    "ActivationComparison",
    "Analysis",
    "ChipFaithful",
    "ExpLeak",
    "Gaussian",
    "Heaviside",
    "IAF",
    "IAFRecurrent",
    "LIF",
    "LIFRecurrent",
    "LayerComparison",
    "MultiGaussian",
    "Network",
    "PeriodicExponential",
    "SingleExponential",
    "StatefulLayer",
    "SumPool2d",
    "SynopsCounter",
    "SynopsLoss",
    "TimeAxes",
    "WindowSweep",
    "bernoulli",
    "constant_current",
    "from_events",
    "from_model",
    "latency",
    "poisson",
    "sweep_time_windows",
    "synops_loss",
    "time_loop",
    "to_events",
]
