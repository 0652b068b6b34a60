"""Gaussian negative log-likelihood: torch's."""

import torch

from dlx.core.types import Hyper
from dlx.losses.gaussian_nll import GaussianNLL


def test_equals_torch(generator: torch.Generator) -> None:
    outputs = 2 * torch.randn(33, 6, generator=generator, dtype=torch.float64)
    targets = torch.randn(33, 3, generator=generator, dtype=torch.float64)
    expected = torch.nn.GaussianNLLLoss(reduction="none", eps=1e-30)(outputs[:, :3], targets, outputs[:, 3:].exp())
    torch.testing.assert_close(
        GaussianNLL().value(outputs, targets, Hyper({})), expected.mean(1), rtol=1e-12, atol=1e-14
    )
