"""Four minima of one height."""

from typing import Literal

from torch import Tensor

from dlx.core.surface import Minima, Surface


class Himmelblau(Surface):
    """Himmelblau's function: four minima of one height, with four saddles and a maximum between them.

    f(x, y) = (x**2 + y - 11)**2 + (x + y**2 - 7)**2.  The minima are f = 0 at (3, 2), (-2.8051, 3.1313),
    (-3.7793, -3.2832) and (3.5844, -1.8481); which of them is reached depends on where one starts. At (3, 2) the
    Hessian has the eigenvalues 25.716 and 82.284. The maximum, 181.62, is at (-0.2708, -0.9230).

    Source:
        Himmelblau (1972), "Applied nonlinear programming".
    """

    name: Literal["himmelblau"] = "himmelblau"

    @property
    def start(self) -> tuple[float, ...]:
        """The origin, near the maximum."""
        return 0.0, 0.0

    @property
    def minima(self) -> Minima:
        """The four minima: roots of both terms."""
        return Minima(
            (
                (3.0, 2.0),
                (-2.805118086952745, 3.131312518250573),
                (-3.779310253377747, -3.2831859912861696),
                (3.5844283403304917, -1.8481265269644036),
            ),
            0.0,
        )

    @property
    def box(self) -> tuple[tuple[float, float], ...]:
        """All nine stationary points."""
        return (-5.0, 5.0), (-5.0, 5.0)

    def value(self, x: Tensor) -> Tensor:
        """Give the values at points [..., 2]."""
        x, y = x.unbind(-1)
        return (x.square() + y - 11).square() + (x + y.square() - 7).square()
