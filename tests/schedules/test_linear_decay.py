"""Linear decay: torch's LinearLR, and the book's formula, to a floor that is met exactly."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from dlx.schedules.linear_decay import LinearDecay


def factors(rule: LinearDecay, steps: range, stack: Callable, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    column = torch.tensor([[float(step)] for step in steps], dtype=dtype)
    return rule.factor(column, stack([rule] * len(steps), dtype)).flatten()


@pytest.mark.parametrize(("tau", "floor"), [(4.0, 0.1), (7.0, 0.0), (30.0, 1.0)])
def test_equals_torch(tau: float, floor: float, stack: Callable) -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.05)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, floor, total_iters=int(tau))
    for factor in factors(LinearDecay(tau=tau, floor=floor), range(40), stack):
        assert 0.05 * factor == pytest.approx(schedule.get_last_lr()[0], rel=1e-12, abs=1e-17)
        optimizer.step()
        schedule.step()


@pytest.mark.parametrize(("tau", "floor"), [(2.5, 0.5), (7.0, 0.0), (30.0, 1.0), (5.0, 2.0)])
def test_closed_form(tau: float, floor: float, stack: Callable) -> None:
    share = np.minimum(np.arange(40) / tau, 1)
    ours = factors(LinearDecay(tau=tau, floor=floor), range(40), stack)
    np.testing.assert_allclose(ours, 1 - share * (1 - floor), rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("floor", [0.0, 1e-9, 1e-6, 0.01, 0.3])
def test_floor_is_exact(floor: float, dtype: torch.dtype, stack: Callable) -> None:
    last = factors(LinearDecay(tau=10.0, floor=floor), range(10, 14), stack, dtype)
    assert (last == torch.tensor(floor, dtype=dtype)).all()
