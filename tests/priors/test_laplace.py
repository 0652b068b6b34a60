"""The Laplace prior."""

from collections.abc import Callable

import torch

from dlx.priors.laplace import Laplace


def test_pull_is_the_rate_whatever_the_weight(stack: Callable) -> None:
    theta = torch.tensor([[-1e6, -1e-9, 0.0, 1e-9, 1e6]] * 2, dtype=torch.float64, requires_grad=True)
    prior = Laplace(rate=0.3)
    (gradient,) = torch.autograd.grad(prior.penalty(theta, stack([prior] * 2)).sum(), theta)
    assert gradient.tolist() == [[-0.3, -0.3, 0.0, 0.3, 0.3]] * 2
