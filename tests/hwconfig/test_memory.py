import pytest

from hwconfig import CoreSpec, get_chip
from hwconfig.memory import memory_need

# The worked examples of the hardware facts, computed from the datasheet's formulas.
CASES = [
    ((16, 64, 64), (32, 64, 64), 3, 8192, 131072, []),
    ((1, 28, 28), (20, 24, 24), 5, 1024, 20480, [0, 1, 2, 3, 4]),
    ((20, 12, 12), (32, 8, 8), 5, 20480, 2048, [3, 4, 5, 6]),
    ((32, 4, 4), (128, 2, 2), 3, 65536, 512, [5, 6]),
    ((128, 1, 1), (500, 1, 1), 1, 65536, 500, [5, 6]),
    ((500, 1, 1), (10, 1, 1), 1, 8000, 10, list(range(9))),
    ((2, 34, 34), (8, 34, 34), 3, 256, 32768, [0, 1, 2, 3, 4]),
    ((16, 8, 8), (16, 4, 4), 3, 4096, 256, list(range(9))),
    ((16, 4, 4), (10, 1, 1), 4, 4096, 10, list(range(9))),
]


@pytest.mark.parametrize(("shape_in", "shape_out", "kernel", "kernel_words", "neuron_words", "cores"), CASES)
def test_worked_examples(shape_in, shape_out, kernel, kernel_words, neuron_words, cores):
    need = memory_need(shape_in, shape_out, kernel, has_bias=False)
    assert (need.kernel, need.neuron, need.bias) == (kernel_words, neuron_words, 0)

    def fits(core: CoreSpec) -> bool:
        return need.kernel <= core.kernel_words and need.neuron <= core.neuron_words

    assert [core.id for core in get_chip("speck2f").cores if fits(core)] == cores


def test_a_bias_takes_a_word_per_feature():
    assert memory_need((1, 5, 5), (7, 3, 3), 3, has_bias=True).bias == 7
