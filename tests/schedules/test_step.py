"""Stairs: torch's StepLR."""

from collections.abc import Callable

import pytest
import torch

from dlx.schedules.step import Step


@pytest.mark.parametrize(("every", "gamma"), [(3, 0.5), (7, 0.1), (1, 0.9), (5, 1.0)])
def test_equals_torch(every: int, gamma: float, stack: Callable) -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.05)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, every, gamma)
    rule, column = Step(every=every, gamma=gamma), torch.arange(40.0, dtype=torch.float64)[:, None]
    for factor in rule.factor(column, stack([rule] * 40)).flatten():
        assert 0.05 * factor == pytest.approx(schedule.get_last_lr()[0], rel=1e-12)
        optimizer.step()
        schedule.step()
