"""Functions around a point, for the analyses."""

from __future__ import annotations

import torch
from torch import Tensor

from dlx.core.surface import Surface
from dlx.engine.analytic import AnalyticSurface


def at(surface: Surface, *point: float) -> AnalyticSurface:
    return AnalyticSurface(surface, torch.tensor(point or surface.start, dtype=torch.float64))


class Form:
    """The quadratic form x'Ax / 2 of a diagonal matrix A, with a count of its products, which may have an error."""

    def __init__(self, diagonal: Tensor, theta: Tensor) -> None:
        self._diagonal, self.theta = diagonal.double(), theta.double()
        self.num_products = 0
        self.error: Tensor | None = None

    def value(self, theta: Tensor) -> float:
        return float(self.values(theta[None])[0])

    def gradient(self, theta: Tensor) -> tuple[float, Tensor]:
        return self.value(theta), self._diagonal * theta

    def hessian_times(self, theta: Tensor, vectors: Tensor) -> Tensor:
        self.num_products += len(vectors)
        exact = self._diagonal * vectors
        return exact if self.error is None else exact + vectors @ self.error

    def values(self, points: Tensor) -> Tensor:
        return 0.5 * (self._diagonal * points.square()).sum(1)


def drain(generator: object) -> object:
    """Run a generator to its end and give what it returns."""
    while True:
        try:
            next(generator)  # type: ignore[call-overload]
        except StopIteration as stop:
            return stop.value
