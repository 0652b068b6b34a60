"""An analytic surface as what optimizers walk on, and as what analyses look at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from dlx.core.noise import step_keys
from dlx.core.records import Cell
from dlx.core.seeding import integer_seed
from dlx.core.surface import Surface
from dlx.engine import derivatives

CHUNK_NUMBERS = 1 << 20
"""Coordinates of the points that are evaluated at once: more would not be faster."""


class SurfaceObjective:
    """The same analytic surface for each of M rows: an ``Objective``, but for what needs the outputs of a model.

    Rules that ask for that say ``needs_outputs``, and a config refuses them.

    Args:
        surface: The function.
        cells: Who the rows are: what a rule draws depends on that alone.
        device: Where the rows lie.
    """

    def __init__(self, surface: Surface, cells: Sequence[Cell], device: torch.device) -> None:
        self._surface = surface
        seeds = [integer_seed("noise", *cell.stream_key) for cell in cells]
        self._bases = torch.from_numpy(np.array(seeds, dtype=np.uint32).view(np.int32)).to(device)
        self._step = 0

    def begin(self, step: int) -> None:
        """Take the noise of a step, counted from 0."""
        self._step = step

    @property
    def keys(self) -> Tensor:
        """The key of each row's own noise at this step, int32 [M]."""
        return step_keys(self._bases, torch.full_like(self._bases, self._step), 1)[:, 0]

    def value(self, theta: Tensor) -> Tensor:
        """Give the values at the rows of theta, [M]."""
        return self._surface.value(theta)

    @torch.enable_grad()
    def value_and_gradient(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """Give the values [M] and the gradients [M, P]."""
        theta = theta.detach().requires_grad_()
        value = self._surface.value(theta)
        (gradient,) = torch.autograd.grad(value.sum(), theta)
        return value.detach(), gradient

    def hessian(self, theta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Give the values [M], the gradients [M, P] and the Hessians [M, P, P]."""
        pieces = [self.hessian_times(theta, units) for units in derivatives.directions(theta)]
        value, gradient, _ = pieces[0]
        return value, gradient, derivatives.stack_columns(columns for _, _, columns in pieces)

    def hessian_times(self, theta: Tensor, vectors: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Give values [M], gradients [M, P] and the Hessians times vectors, [K, M, P]."""
        return derivatives.hessian_times(self._surface.value, theta, vectors)

    def gauss_newton(self, theta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Refuse: a surface has no outputs.

        Raises:
            TypeError: Always.
        """
        raise TypeError(f"the surface `{self._surface.name}` has no outputs, so there is no Gauss-Newton matrix")

    def residuals(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """Refuse: a surface has no outputs.

        Raises:
            TypeError: Always.
        """
        raise TypeError(f"the surface `{self._surface.name}` has no outputs, so there are no residuals")


@torch.enable_grad()
def second_derivatives(surface: Surface, points: Tensor) -> tuple[Tensor, Tensor]:
    """Differentiate a surface twice at points, column by column: of few variables, without an import of some seconds.

    Args:
        surface: The function.
        points: Where, [M, n].

    Returns:
        Gradients [M, n] and Hessians [M, n, n].
    """
    points = points.detach().requires_grad_()
    (gradients,) = torch.autograd.grad(surface.value(points).sum(), points, create_graph=True)
    if not gradients.requires_grad:
        return gradients, points.new_zeros(*points.shape, points.shape[1])
    columns = [
        torch.autograd.grad(slopes.sum(), points, retain_graph=True, materialize_grads=True)[0]
        for slopes in gradients.unbind(1)
    ]
    return gradients.detach(), torch.stack(columns, 2)


class AnalyticSurface:
    """An analytic surface around a point: f: R^P -> R, with what ``ErrorSurface`` has of it.

    Args:
        surface: The function.
        theta: The point, [P].
    """

    def __init__(self, surface: Surface, theta: Tensor) -> None:
        self._surface, self.theta = surface, theta
        self._alone = SurfaceObjective(surface, [Cell(0)], theta.device)

    def value(self, theta: Tensor) -> float:
        """Give f at one point, [P]."""
        return float(self._surface.value(theta))

    def gradient(self, theta: Tensor) -> tuple[float, Tensor]:
        """Give f and its gradient at one point: a number and [P]."""
        value, gradient = self._alone.value_and_gradient(theta[None])
        return float(value), gradient[0]

    def hessian_times(self, theta: Tensor, vectors: Tensor) -> Tensor:
        """Multiply the Hessian at one point, [P], with vectors, [K, P]."""
        return self._alone.hessian_times(theta[None], vectors.unsqueeze(1))[2].squeeze(1)

    def values(self, points: Tensor) -> Tensor:
        """Give f at points, [K, P]: [K]."""
        size = max(1, CHUNK_NUMBERS // points.shape[1])
        return torch.cat([self._surface.value(chunk) for chunk in torch.split(points, size)])
