"""The search on a trained network and real recordings, judged by other recordings than those it was given."""

import numpy as np
import pytest

from chipflow.compiler import lower
from chipflow.events import events_to_raster
from chipflow.ir.interpret import interpret
from chipflow.passes.quantize import Quantize
from hwconfig import get_chip
from tests.emulator.silicon import data_folder, read_nmnist
from tests.nmnist import INPUT_SHAPE, nmnist_network

STEP_US = 10_000


@pytest.mark.slow
def test_the_search_keeps_more_of_a_trained_network():
    graph = lower(nmnist_network(data_folder("silicon") / "cnn_sinabs.nir"), INPUT_SHAPE)
    files = sorted(data_folder("nmnist_small").glob("*.bs2"))
    rasters = [events_to_raster(read_nmnist(file), INPUT_SHAPE, STEP_US) for file in files[:20]]
    limits, (output,) = get_chip("speck2f").limits, graph.outputs

    def miscounted(quantised):
        pairs = [(interpret(quantised, raster)[output], interpret(graph, raster)[output]) for raster in rasters[10:]]
        return sum(np.abs((found - wanted).sum(0)).sum() for found, wanted in pairs)

    by_default, by_numbers, by_spikes = (
        miscounted(Quantize(limits, mode, given)(graph)[0])
        for mode, given in (("default", None), ("search", None), ("search", rasters[:10]))
    )
    assert by_numbers < by_default
    assert by_spikes < 0.85 * by_default
