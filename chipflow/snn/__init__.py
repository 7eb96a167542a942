"""The spiking library in torch: neurons, conversion, calibration, encoding. Importing this package loads torch."""

from chipflow.snn.convert import from_model
from chipflow.snn.encoding import bernoulli
from chipflow.snn.network import Network, TimeAxes
from chipflow.snn.neurons import IAF, SumPool2d

__all__ = ["IAF", "Network", "SumPool2d", "TimeAxes", "bernoulli", "from_model"]
