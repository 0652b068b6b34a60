"""AdamW: Adam with decoupled weight decay."""

from typing import ClassVar, Literal

from pydantic import NonNegativeFloat, PositiveFloat
from torch import Tensor

from dlx.core.definition import FirstOrder, Tunable
from dlx.core.settings import Fraction
from dlx.core.types import Hyper, Searched, State
from dlx.optimizers.adam import step_by_moments, zero_moments


class AdamW(FirstOrder):
    """AdamW: Adam whose weights also decay by a share of themselves, untouched by the moments.

        theta <- theta - lr weight_decay theta
        theta <- theta - lr s_hat / (sqrt(r_hat) + delta)        as Adam

    A Gaussian prior is something else: its gradient goes through the moments. The decay is of every parameter, biases
    too, as in ``torch.optim.AdamW``, to which this is equal (delta is its ``eps``).

    Source:
        Loshchilov and Hutter (2019), "Decoupled weight decay regularization", algorithm 2.
    """

    name: Literal["adamw"] = "adamw"
    search_space: ClassVar[tuple[Searched, ...]] = (
        Searched("lr", 1e-5, 1e0),
        Searched("rho1", 5e-3, 0.5, is_complement=True, min_trials=10),
        Searched("weight_decay", 1e-4, 1e0, min_trials=10),
        Searched("delta", 1e-10, 1e0, min_trials=25),
        Searched("rho2", 1e-4, 1e-1, is_complement=True, min_trials=50),
    )
    lr: Tunable[PositiveFloat] = 0.001
    """Learning rate; the first step moves every parameter by it."""
    rho1: Tunable[Fraction] = 0.9
    """Share of the mean gradient kept from step to step."""
    rho2: Tunable[Fraction] = 0.999
    """Share of the mean squared gradient kept from step to step."""
    delta: Tunable[PositiveFloat] = 1e-8
    """Added to the root, so that a parameter without gradient stays where it is."""
    weight_decay: Tunable[NonNegativeFloat] = 0.01
    """What share of itself, times the learning rate, a parameter loses at every step."""

    def init(self, theta: Tensor) -> State:
        """Start with zero moments, [M, P], and zero corrections, [M, 1]."""
        return zero_moments(theta)

    def update(self, theta: Tensor, gradient: Tensor, state: State, h: Hyper) -> None:
        """Apply one step to theta and state in place, [M, P]."""
        # Not theta times (1 - lr weight_decay): in float32 that factor would be off by up to 1 % of the decay.
        theta.addcmul_(theta, h.lr * h.weight_decay, value=-1)
        step_by_moments(theta, gradient, state, h)
