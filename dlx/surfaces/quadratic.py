"""An elliptic bowl of any condition number."""

import math
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from dlx.core.surface import Minima, Surface


class Quadratic(Surface):
    """A quadratic bowl: the function for which the theory of descent is exact.

    f(x) = (lambda_1 z_1**2 + ... + lambda_n z_n**2) / 2, where z is x turned back by ``angle`` in the planes of x_i and
    x_(i + n/2), and the curvatures lambda_i rise from 1 to ``condition``, each by the same factor. The minimum is f = 0
    at the origin, and the Hessian has the eigenvalues lambda_i everywhere.

    Descent converges if lr < 2 / condition, and fastest, by (condition - 1) / (condition + 1) per step, at
    lr = 2 / (1 + condition).

    Source:
        Nesterov (2004), "Introductory lectures on convex optimization", theorem 2.1.15; lecture 5.5 and 5.7.
    """

    name: Literal["quadratic"] = "quadratic"
    condition: Annotated[float, Field(ge=1, le=1e10)] = 10.0
    """Condition number: the largest curvature over the smallest, which is 1."""
    angle: Annotated[float, Field(ge=-360, le=360)] = 0.0
    """By how many degrees the axes of the bowl are turned against those of the variables."""
    num_variables: Annotated[int, Field(ge=2, le=100_000)] = 2
    """Number of variables, n."""

    @property
    def start(self) -> tuple[float, ...]:
        """The point (1, ..., 1)."""
        return (1.0,) * self.num_variables

    @property
    def minima(self) -> Minima:
        """The origin."""
        return Minima(((0.0,) * self.num_variables,), 0.0)

    @property
    def box(self) -> tuple[tuple[float, float], ...]:
        """A cube around start and minimum."""
        return ((-1.5, 1.5),) * self.num_variables

    def value(self, x: Tensor) -> Tensor:
        """Give the values at points [..., n]."""
        half = self.num_variables // 2
        cos, sin = math.cos(math.radians(self.angle)), math.sin(math.radians(self.angle))
        # Of an odd number of variables the last is in no plane.
        a, b, last = x[..., :half], x[..., half : 2 * half], x[..., 2 * half :]
        z = torch.cat([cos * a + sin * b, cos * b - sin * a, last], -1)
        return (z.square() * self._curvatures(x)).sum(-1) / 2

    def _curvatures(self, x: Tensor) -> Tensor:
        """Give lambda, [n], in the dtype and on the device of the points."""
        exponents = torch.linspace(0, 1, self.num_variables, dtype=x.dtype, device=x.device)
        return (exponents * math.log(self.condition)).exp()
