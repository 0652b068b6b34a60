"""Runs a rule on f = theta' diag(1, 10) theta / 2 from (1, 1), as reference texts do."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from dlx.core.definition import FirstOrder

CURVATURE = torch.tensor([1.0, 10.0], dtype=torch.float64)


@pytest.fixture
def path_of(stack: Callable) -> Callable[..., Tensor]:
    def run(
        rule: FirstOrder,
        steps: int = 5,
        factor: Callable[[int], float] = lambda k: 1.0,
        gradient: Callable[[Tensor], Tensor] = lambda theta: theta * CURVATURE,
    ) -> Tensor:
        """Theta after each step, [steps, 2]."""
        theta = torch.ones(2, 2, dtype=torch.float64)
        state, h, path = rule.init(theta), stack([rule] * 2), []
        lr = h.lr.clone()
        for k in range(steps):
            h.lr = lr * factor(k)
            rule.update(theta, gradient(rule.point(theta, state, h)).clone(), state, h)
            path.append(theta[0].clone())
        return torch.stack(path)

    return run
