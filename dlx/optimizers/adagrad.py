"""AdaGrad: adaptive rates from summed squared gradients."""

from typing import ClassVar, Literal

import torch
from pydantic import PositiveFloat
from torch import Tensor

from dlx.core.definition import FirstOrder, Tunable
from dlx.core.types import Hyper, Searched, State


class AdaGrad(FirstOrder):
    """AdaGrad: each parameter's rate shrinks with the root of its summed squared gradients.

        r <- r + g**2
        theta <- theta - lr g / (delta + sqrt(r))

    Parameters with large gradients slow down quickly, those with small ones hardly. The sum never forgets, so all rates
    fall in the end. Equal to ``torch.optim.Adagrad`` (delta is its ``eps``).

    Source:
        Duchi, Hazan and Singer (2011), "Adaptive subgradient methods for online learning and stochastic optimization";
        Goodfellow, Bengio and Courville (2016), algorithm 8.4; lecture 7.1.
    """

    name: Literal["adagrad"] = "adagrad"
    search_space: ClassVar[tuple[Searched, ...]] = (
        Searched("lr", 1e-4, 1e1),
        Searched("delta", 1e-10, 1e-1, min_trials=25),
    )
    lr: Tunable[PositiveFloat] = 0.01
    """Learning rate; the first step moves every parameter by it."""
    delta: Tunable[PositiveFloat] = 1e-7
    """Added to the root, so that a parameter without gradient stays where it is."""

    def init(self, theta: Tensor) -> State:
        """Start with zero sums, [M, P]."""
        return {"r": torch.zeros_like(theta)}

    def update(self, theta: Tensor, gradient: Tensor, state: State, h: Hyper) -> None:
        """Apply one step to theta and r in place, [M, P]."""
        r = state["r"].addcmul_(gradient, gradient)
        theta.addcdiv_(gradient.mul_(h.lr), square_root(r).add_(h.delta), value=-1)


def square_root(x: Tensor, out: Tensor | None = None) -> Tensor:
    """Give sqrt(x), to 2 units in the last place, in ``out`` if there is one.

    ``torch.sqrt`` is MKL's, which takes twice as long where 5 % of the numbers are 0, as those of inputs that never
    change are, and up to seventy times where they are below the smallest normal number.
    """
    return torch.rsqrt(x, out=out).reciprocal_()
