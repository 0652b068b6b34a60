"""Objectives made from a plain function, with torch's own derivatives of each row: what a rule may ask for."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from dlx.core.noise import mix


class Smooth:
    """The same function R^P -> R for every row.

    Args:
        function: [P] -> scalar, differentiable.
        rows: Number of rows.
    """

    def __init__(self, function: Callable[[Tensor], Tensor], rows: int = 2) -> None:
        self._function = function
        self.keys = torch.full((rows,), 7, dtype=torch.int32)
        self.evaluations = 0

    def next_step(self) -> None:
        """Change the noise, as the engine does between two steps."""
        self.keys = mix(self.keys + 1)

    def value(self, theta: Tensor) -> Tensor:
        self.evaluations += 1
        return torch.stack([self._function(row) for row in theta])

    @torch.enable_grad()
    def value_and_gradient(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        at = theta.detach().requires_grad_()
        value = self.value(at)
        return value.detach(), torch.autograd.grad(value.sum(), at)[0]

    @torch.enable_grad()
    def hessian(self, theta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        second = torch.func.jacrev(torch.func.jacrev(self._function))
        return *self.value_and_gradient(theta), torch.stack([second(row) for row in theta]).detach()

    gauss_newton = hessian


def rosenbrock(x: Tensor) -> Tensor:
    """(1 - x)**2 + 100 (y - x**2)**2 and so on for each pair of neighbours; the minimum is at ones."""
    left, right = x[:-1], x[1:]
    return ((1 - left).square() + 100 * (right - left.square()).square()).sum()
