"""The Gaussian prior."""

from collections.abc import Callable

import numpy as np
import torch
from sklearn.linear_model import Ridge

from dlx.priors.gaussian import Gaussian


def test_map_of_least_squares_is_ridge(stack: Callable) -> None:
    rng = np.random.default_rng(0)
    inputs, targets = rng.normal(size=(30, 4)), rng.normal(size=30)
    precision = 3.0
    weights = Ridge(alpha=precision / 2, fit_intercept=False, tol=1e-12).fit(inputs, targets).coef_
    theta = torch.from_numpy(weights)[None].repeat(2, 1).requires_grad_()
    prior = Gaussian(precision=precision)
    error = torch.from_numpy(inputs) @ theta.T - torch.from_numpy(targets)[:, None]
    objective = error.square().mean(0) + prior.penalty(theta, stack([prior] * 2)).sum(1) / 30
    (gradient,) = torch.autograd.grad(objective.sum(), theta)
    assert gradient.abs().max() < 1e-13
