"""The limited-memory BFGS method."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field, PositiveFloat
from torch import Tensor

from dlx.core.definition import Objective, Optimizer, Tunable
from dlx.core.types import Hyper, Searched, State
from dlx.optimizers.strong_wolfe import Point, search

SMALLEST_GRADIENT = 1e-7
"""Largest entry of a gradient at which a row rests."""
SMALLEST_SLOPE = 1e-9
"""Slope along the direction at which a row rests."""
SMALLEST_CURVATURE = 1e-10
"""Curvature y.s of a step under which it is not remembered: H^-1 must stay positive definite."""


class LBFGS(Optimizer):
    """L-BFGS: Newton's direction from the last few steps alone, with a line search along it.

        d = -B g,  B an approximation of H**-1 that maps y to s for each remembered step
        theta <- theta + t d,  t by a line search for the strong Wolfe conditions
        s = t d,  y = the change of the gradient over the step

    B is never formed: two loops over the remembered (s, y) give d. One step costs a few gradients (usually one or two),
    holds 2 ``history`` rows of P and needs no learning rate to be found: lr is only the first length that is tried, and
    1 is right nearly always (the very first step tries lr / |g|). On a quadratic it is as good as conjugate gradients,
    on a smooth function nearly as good as Newton, and the objective never rises.

    It fails where f is not smooth (relu, mae: the line search stops short at kinks) and on small batches: the minimum
    along a line of one batch's objective is not that of the next, so take a large batch, at best the whole training
    part. Both gradients of y are of the same batch. Steps on one batch are those of ``torch.optim.LBFGS`` with
    ``max_iter=1, line_search_fn="strong_wolfe"``.

    Source:
        Nocedal and Wright (2006), "Numerical optimization", algorithms 7.4, 3.5 and 3.6; Goodfellow, Bengio and
        Courville (2016), section 8.6.3; lecture 5.9.
    """

    name: Literal["lbfgs"] = "lbfgs"
    search_space: ClassVar[tuple[Searched, ...]] = (Searched("lr", 1e-2, 1e1),)
    lr: Tunable[PositiveFloat] = 1.0
    """Step length that the line search tries first."""
    history: Annotated[int, Field(ge=1, le=1000)] = 10
    """Steps that are remembered."""

    def init(self, theta: Tensor) -> State:
        """Remember nothing: s and y [M, history, P], 1 / (y.s) [M, history], and [M, 1] of the rest."""
        pairs = theta.new_zeros(len(theta), self.history, theta.shape[1])
        column = torch.zeros_like(theta[:, :1])
        return {
            "s": pairs,
            "y": pairs.clone(),
            "rho": theta.new_zeros(len(theta), self.history),
            "scale": column + 1,
            "steps": column,
            "evaluations": column.clone(),
            "length": column.clone(),
        }

    def step(self, theta: Tensor, state: State, h: Hyper, objective: Objective) -> Tensor:
        """Take one step of every row in place; give the objective before it, [M]."""
        value, gradient = objective.value_and_gradient(theta)
        direction = _direction(gradient, state)
        slope = (gradient * direction).sum(1).double()
        moves = (gradient.abs().amax(1) > SMALLEST_GRADIENT) & (slope <= -SMALLEST_SLOPE) & value.isfinite()
        first_length = torch.where(state["steps"] == 0, (1 / gradient.abs().sum(1, keepdim=True)).clamp(max=1), 1)

        def evaluate(t: Tensor) -> Point:
            there, its_gradient = objective.value_and_gradient(_moved(theta, t, direction))
            there = torch.where(there.isnan(), torch.inf, there)
            return Point(t, there.double(), (its_gradient * direction).sum(1).double(), its_gradient)

        start = Point(torch.zeros_like(slope), value.double(), slope, gradient)
        t = (first_length.double() * h.lr.double()).squeeze(1)
        found, count = search(evaluate, start, t, direction.abs().amax(1).double(), moves)
        _remember(state, found.t.to(theta).unsqueeze(1) * direction, found.gradient - gradient)
        theta.copy_(torch.where(moves.unsqueeze(1), _moved(theta, found.t, direction), theta))
        state["steps"].add_(moves.unsqueeze(1))
        state["evaluations"].add_(count.unsqueeze(1) + 1)
        state["length"].copy_(found.t.unsqueeze(1))
        return value

    def diagnostics(self, state: State) -> dict[str, Tensor]:
        """Tell the steps, the evaluations of the objective, and the last step's length in units of d, [M] each."""
        return {name: state[name].squeeze(1) for name in ("steps", "evaluations", "length")}

    def remark(self, diagnostics: Mapping[str, float]) -> str:
        """Say what the steps cost."""
        steps, evaluations = diagnostics["steps"], diagnostics["evaluations"]
        last = f"the last had length {diagnostics['length']:.3g}" if diagnostics["length"] else "then it rested"
        return f"{steps:.0f} steps took {evaluations:.0f} gradients, {last}"

    def working_numbers(self, num_parameters: int, num_residuals: int) -> int:
        """Count the remembered steps, once more while one is added, and the points of the line search."""
        return (3 * self.history + 8) * num_parameters


def _moved(theta: Tensor, t: Tensor, direction: Tensor) -> Tensor:
    """Give theta + t d, [M, P]."""
    return torch.addcmul(theta, t.to(theta).unsqueeze(1), direction)


def _direction(gradient: Tensor, state: State) -> Tensor:
    """Give -B g by the two loops, [M, P]. What is not remembered yet is 0 and changes nothing."""
    s, y, rho = state["s"].unbind(1), state["y"].unbind(1), state["rho"].unsqueeze(2).unbind(1)
    q, shares = gradient.neg(), []
    for i in reversed(range(len(s))):
        shares.append((s[i] * q).sum(1, keepdim=True) * rho[i])
        q = torch.addcmul(q, y[i], shares[-1], value=-1)
    r = q * state["scale"]
    for i, share in zip(range(len(s)), reversed(shares), strict=True):
        r = torch.addcmul(r, s[i], share - (y[i] * r).sum(1, keepdim=True) * rho[i])
    return r


def _remember(state: State, s: Tensor, y: Tensor) -> None:
    """Take a step into the history of the rows where it shows curvature; the oldest is forgotten."""
    product = (y * s).sum(1, keepdim=True)
    is_kept = product > SMALLEST_CURVATURE
    for name, new in (("s", s), ("y", y)):
        shifted = torch.cat([state[name][:, 1:], new.unsqueeze(1)], 1)
        state[name].copy_(torch.where(is_kept.unsqueeze(2), shifted, state[name]))
    shifted = torch.cat([state["rho"][:, 1:], 1 / product], 1)
    state["rho"].copy_(torch.where(is_kept, shifted, state["rho"]))
    state["scale"].copy_(torch.where(is_kept, product / (y * y).sum(1, keepdim=True), state["scale"]))
