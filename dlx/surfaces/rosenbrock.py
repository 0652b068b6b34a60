"""A long, curved, flat valley."""

from typing import Literal

from torch import Tensor

from dlx.core.surface import Minima, Surface


class Rosenbrock(Surface):
    """Rosenbrock's function: a curved valley whose floor falls so gently that plain descent crawls along it.

    f(x, y) = (1 - x)**2 + 100 (y - x**2)**2.  The minimum is f = 0 at (1, 1), the only stationary point; there the
    Hessian has the eigenvalues 0.39936 and 1001.6, a condition number of 2508.

    Source:
        Rosenbrock (1960), "An automatic method for finding the greatest or least value of a function".
    """

    name: Literal["rosenbrock"] = "rosenbrock"

    @property
    def start(self) -> tuple[float, ...]:
        """Rosenbrock's own starting point, beyond the bend of the valley."""
        return -1.2, 1.0

    @property
    def minima(self) -> Minima:
        """The one minimum."""
        return Minima(((1.0, 1.0),), 0.0)

    @property
    def box(self) -> tuple[tuple[float, float], ...]:
        """Start, bend and minimum."""
        return (-2.0, 2.0), (-1.0, 3.0)

    def value(self, x: Tensor) -> Tensor:
        """Give the values at points [..., 2]."""
        x, y = x.unbind(-1)
        return (1 - x).square() + 100 * (y - x.square()).square()
