"""Half a cosine: torch's CosineAnnealingLR up to its end, then the floor, exactly."""

from collections.abc import Callable

import pytest
import torch

from dlx.schedules.cosine import Cosine


@pytest.mark.parametrize(("tau", "floor"), [(4, 0.1), (7, 0.0), (30, 1.0), (39, 0.3)])
def test_equals_torch(tau: int, floor: float, stack: Callable) -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.05)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, tau, 0.05 * floor)
    rule, column = Cosine(tau=tau, floor=floor), torch.arange(tau + 1.0, dtype=torch.float64)[:, None]
    for factor in rule.factor(column, stack([rule] * (tau + 1))).flatten():
        assert 0.05 * factor == pytest.approx(schedule.get_last_lr()[0], rel=1e-12, abs=1e-17)
        optimizer.step()
        schedule.step()


@pytest.mark.parametrize("floor", [0.0, 1e-9, 0.01])
def test_floor_is_exact(floor: float, stack: Callable) -> None:
    rule, column = Cosine(tau=10.0, floor=floor), torch.tensor([[10.0], [11.0], [1e6]], dtype=torch.float64)
    assert (rule.factor(column, stack([rule] * 3)) == floor).all()
