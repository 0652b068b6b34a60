"""A saddle between two minima."""

from typing import Literal

from torch import Tensor

from dlx.core.surface import Minima, Surface


class BoundedSaddle(Surface):
    """A saddle between two minima: what lies beyond a saddle if the function cannot fall for ever.

    f(x, y) = x**2 / 2 + y**4 / 4 - y**2 / 2.  The minima are f = -1/4 at (0, 1) and (0, -1), where the Hessian has
    the eigenvalues 1 and 2; at the saddle (0, 0) they are 1 and -1.

    Source:
        Nesterov (2004), "Introductory lectures on convex optimization", example 1.2.2.
    """

    name: Literal["bounded_saddle"] = "bounded_saddle"

    @property
    def start(self) -> tuple[float, ...]:
        """A little off the axis that leads to the saddle."""
        return 1.0, 1e-3

    @property
    def minima(self) -> Minima:
        """One on each side of the saddle."""
        return Minima(((0.0, 1.0), (0.0, -1.0)), -0.25)

    @property
    def box(self) -> tuple[tuple[float, float], ...]:
        """The saddle and both minima."""
        return (-1.5, 1.5), (-1.5, 1.5)

    def value(self, x: Tensor) -> Tensor:
        """Give the values at points [..., 2]."""
        x, y = x.unbind(-1)
        square = y.square()
        return x.square() / 2 + square.square() / 4 - square / 2
