"""A bowl full of dents."""

import math
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor

from dlx.core.surface import Minima, Surface


class Rastrigin(Surface):
    """Rastrigin's function: a wide bowl full of dents, where descent ends in the next one.

    f(x) = 10 n + the sum over i of x_i**2 - 10 cos(2 pi x_i).  The lowest of its minima is f = 0 at the origin, where
    every eigenvalue of the Hessian is 2 + 40 pi**2 = 396.78; near every point of whole numbers there is another.

    Source:
        Rastrigin (1974), "Systems of extremal control"; for n variables Mühlenbein, Schomisch and Born (1991), "The
        parallel genetic algorithm as function optimizer".
    """

    name: Literal["rastrigin"] = "rastrigin"
    num_variables: Annotated[int, Field(ge=2, le=100_000)] = 2
    """Number of variables, n."""

    @property
    def start(self) -> tuple[float, ...]:
        """A point three dents away from the lowest along every other axis and two along the rest: none is customary."""
        return tuple(2.2 if number % 2 else 3.3 for number in range(self.num_variables))

    @property
    def minima(self) -> Minima:
        """The lowest of them."""
        return Minima(((0.0,) * self.num_variables,), 0.0)

    @property
    def box(self) -> tuple[tuple[float, float], ...]:
        """The cube on which it is usually shown."""
        return ((-5.12, 5.12),) * self.num_variables

    def value(self, x: Tensor) -> Tensor:
        """Give the values at points [..., n]."""
        return (x.square() - 10 * (2 * math.pi * x).cos() + 10).sum(-1)
