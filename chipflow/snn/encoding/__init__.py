"""From images to spike trains, and between rasters and event arrays.

Every code takes images [c, y, x] or [batch, c, y, x] with intensities from 0 to 1, as a torch tensor or a numpy array, and gives a raster
[batch, time, c, y, x] on the same device. Samples with another number of axes need `sample_ndim`: the shape alone does not tell an
image [y, x] from a table [batch, features].
"""

from chipflow.snn.encoding.deterministic import constant_current, latency
from chipflow.snn.encoding.recordings import from_events, to_events
from chipflow.snn.encoding.stochastic import bernoulli, poisson

__all__ = ["bernoulli", "constant_current", "from_events", "latency", "poisson", "to_events"]
