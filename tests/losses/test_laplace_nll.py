"""Laplace negative log-likelihood: robust where the Gaussian is not."""

import torch

from dlx.core.types import Hyper
from dlx.losses.gaussian_nll import GaussianNLL
from dlx.losses.laplace_nll import LaplaceNLL


def test_an_outlier_pulls_no_harder() -> None:
    outputs, targets = torch.zeros(2, 2, dtype=torch.float64), torch.tensor([[1.0], [1000.0]], dtype=torch.float64)
    near, far = LaplaceNLL().derivative(outputs, targets, Hyper({}))[:, 0].tolist()
    assert near == far == -1
    near, far = GaussianNLL().derivative(outputs, targets, Hyper({}))[:, 0].tolist()
    assert far == 1000 * near
