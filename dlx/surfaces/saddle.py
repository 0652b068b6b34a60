"""The plainest saddle."""

from typing import Literal

from torch import Tensor

from dlx.core.surface import Surface


class Saddle(Surface):
    """A saddle: it curves up along x and down along y, so it has a stationary point but no minimum.

    f(x, y) = x**2 - y**2.  At (0, 0) the gradient is 0 and the Hessian has the eigenvalues 2 and -2. Along y it falls
    without end. Descent that begins exactly on the x axis ends at the saddle; the least push off it leads away.

    Source:
        Goodfellow, Bengio and Courville (2016), "Deep learning", section 4.3.1 and figure 4.5.
    """

    name: Literal["saddle"] = "saddle"

    @property
    def start(self) -> tuple[float, ...]:
        """A little off the axis that leads to the saddle."""
        return 1.0, 1e-3

    @property
    def minima(self) -> None:
        """There is none."""
        return

    @property
    def box(self) -> tuple[tuple[float, float], ...]:
        """A square around the saddle."""
        return (-1.5, 1.5), (-1.5, 1.5)

    def value(self, x: Tensor) -> Tensor:
        """Give the values at points [..., 2]."""
        x, y = x.unbind(-1)
        return x.square() - y.square()
