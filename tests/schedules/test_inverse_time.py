"""Inverse time: its closed form, and the conditions of Robbins and Monro."""

from collections.abc import Callable

import numpy as np
import torch

from dlx.schedules.inverse_time import InverseTime


def test_closed_form(stack: Callable) -> None:
    steps = np.arange(0, 5000, 7)
    column = torch.from_numpy(steps[:, None].astype(float))
    ours = InverseTime(tau=30.0).factor(column, stack([InverseTime(tau=30.0)] * len(steps)))
    np.testing.assert_allclose(ours.flatten(), 30 / (30 + steps), rtol=1e-14)


def test_robbins_and_monro(stack: Callable) -> None:
    # By the integral test: the sum to K grows as tau log K, that of the squares stays below 1 + tau.
    rule, column = InverseTime(tau=10.0), torch.arange(10**6, dtype=torch.float64)[:, None]
    rates = rule.factor(column, stack([rule])).flatten()
    sums, squares = rates.cumsum(0), rates.square().cumsum(0)
    for first, last in ((10**3, 10**4), (10**4, 10**5), (10**5, 10**6)):
        assert abs(sums[last - 1] - sums[first - 1] - 10 * np.log(10)) < 0.3
    assert squares[-1] < 11
    assert squares[-1] - squares[10**5 - 1] < 1e-2
