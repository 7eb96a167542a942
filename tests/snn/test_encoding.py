"""Bernoulli spike trains."""

import numpy as np
import pytest
import torch

from chipflow.errors import ChipflowError
from chipflow.snn import bernoulli


def test_shape_values_and_rates():
    images = torch.tensor([0.0, 0.25, 1.0]).reshape(1, 1, 1, 3).repeat(2, 1, 1, 1)
    raster = bernoulli(images, 4000)
    assert raster.shape == (2, 4000, 1, 1, 3)
    assert raster.dtype == torch.uint8
    rates = raster.float().mean(1)
    assert torch.equal(rates[..., 0], torch.zeros(2, 1, 1))
    assert torch.equal(rates[..., 2], torch.ones(2, 1, 1))
    torch.testing.assert_close(rates[..., 1], torch.full((2, 1, 1), 0.25), atol=0.03, rtol=0)
    assert not torch.equal(raster[0], raster[1])


def test_reproducible():
    images = torch.rand(2, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(1)
    first = bernoulli(images, 20, seed=3)
    torch.manual_seed(2)
    assert torch.equal(first, bernoulli(images, 20, seed=3))
    assert not torch.equal(first, bernoulli(images, 20, seed=4))
    generator = torch.Generator().manual_seed(3)
    assert torch.equal(first, bernoulli(images, 20, generator=generator))
    assert not torch.equal(first, bernoulli(images, 20, generator=generator))
    assert bernoulli(np.zeros((1, 4, 4)), 3).shape == (1, 3, 1, 4, 4)


@pytest.mark.parametrize("images", [torch.full((1, 2, 2), 1.5), torch.full((1, 2, 2), float("nan")), torch.zeros(2, 2)])
def test_wrong_images(images):
    with pytest.raises(ChipflowError):
        bernoulli(images, 3)


def test_wrong_steps():
    with pytest.raises(ChipflowError, match="num_steps is 0"):
        bernoulli(torch.zeros(1, 2, 2), 0)
