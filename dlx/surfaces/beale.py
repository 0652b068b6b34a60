"""A valley between steep walls."""

from typing import Literal

from torch import Tensor

from dlx.core.surface import Minima, Surface


class Beale(Surface):
    """Beale's function: almost flat over a wide region, with steep walls at its corners.

    f(x, y) = (1.5 - x + x y)**2 + (2.25 - x + x y**2)**2 + (2.625 - x + x y**3)**2.  The minimum is f = 0 at (3, 0.5);
    there the Hessian has the eigenvalues 0.30146 and 48.980.

    Source:
        Beale (1958), "On an iterative method for finding a local minimum of a function of more than one variable".
    """

    name: Literal["beale"] = "beale"

    @property
    def start(self) -> tuple[float, ...]:
        """The customary point (1, 1), where f = 14.203125."""
        return 1.0, 1.0

    @property
    def minima(self) -> Minima:
        """The one minimum."""
        return Minima(((3.0, 0.5),), 0.0)

    @property
    def box(self) -> tuple[tuple[float, float], ...]:
        """The square on which it is usually shown."""
        return (-4.5, 4.5), (-4.5, 4.5)

    def value(self, x: Tensor) -> Tensor:
        """Give the values at points [..., 2]."""
        x, y = x.unbind(-1)
        square = y * y
        terms = (1.5 - x + x * y, 2.25 - x + x * square, 2.625 - x + x * square * y)
        return terms[0].square() + terms[1].square() + terms[2].square()
