"""Newton's method, with Levenberg's damping and a safeguard against curvature that is not positive."""

from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
from pydantic import NonNegativeFloat, PositiveFloat
from torch import Tensor

from dlx.core.definition import Loss, Model, Objective, Optimizer, Prior, Tunable
from dlx.core.types import Hyper, Searched, State


class Newton(Optimizer):
    """Newton's method: jumps to the stationary point of the second-order model of the objective.

        theta <- theta - lr (H + shift I)**-1 g

    With H the Hessian of the batch's objective and shift = damping (Levenberg). On a quadratic one step with lr 1 and
    no damping is the minimum, whatever the condition. It fails in three ways:

    - Where H has a negative eigenvalue the model has no minimum, and the undamped step goes *up* along that direction:
      the rule is drawn to saddles and maxima. The safeguard then raises the shift of this step until the smallest
      eigenvalue of H + shift I is as large as the most negative one was, so that the step goes down.
    - Far from the minimum the model is wrong, and the objective may rise (Rosenbrock's function does). Worst is where
      the curvature vanishes and the gradient does not, as for an example that a softmax gets wrong with confidence.
      More damping or a lower lr makes the step shorter; much damping is gradient descent with rate lr / damping.
    - H of a small batch is mostly noise: take a large one, at best the whole training part. H has P**2 numbers and
      costs P gradients, its eigenvalues P**3: small models only.

    The objective is taken apart in float64. Units with relu add no curvature of their own, and mae has none at all.

    Source:
        Goodfellow, Bengio and Courville (2016), sections 4.3.1 and 8.6.1, algorithm 8.8; Levenberg (1944), "A method
        for the solution of certain non-linear problems in least squares"; lecture 5.9.
    """

    name: Literal["newton"] = "newton"
    search_space: ClassVar[tuple[Searched, ...]] = (
        Searched("damping", 1e-4, 1e1),
        Searched("lr", 1e-2, 1e0, min_trials=10),
    )
    lr: Tunable[PositiveFloat] = 1.0
    """Share of the step that is taken; 1 is Newton's own."""
    damping: Tunable[NonNegativeFloat] = 0.01
    """Added to every eigenvalue of the Hessian; 0 is Newton's own rule."""
    safeguard: bool = True
    """Whether the shift is raised where the Hessian is not positive definite; false is the lecture's plain rule."""

    def mismatch(self, model: Model, loss: Loss, prior: Prior | None, num_steps: int | None) -> str | None:
        """Refuse losses without curvature."""
        return no_curvature(self.name, loss)

    def init(self, theta: Tensor) -> State:
        """Count steps and indefinite ones, and keep the last shift, [M, 1] each."""
        return no_steps(theta)

    def step(self, theta: Tensor, state: State, h: Hyper, objective: Objective) -> Tensor:
        """Take one step of every row in place; give the objective before it, [M]."""
        value, gradient, hessian = objective.hessian(theta)
        take_damped_step(theta, gradient, hessian, state, h, self.safeguard)
        return value

    def diagnostics(self, state: State) -> dict[str, Tensor]:
        """Tell the steps, those whose Hessian was indefinite, and the last shift, [M] each."""
        return {name: state[name].squeeze(1) for name in ("steps", "indefinite", "shift")}

    def remark(self, diagnostics: Mapping[str, float]) -> str:
        """Say how often the Hessian was indefinite."""
        counted = f"the Hessian was indefinite at {diagnostics['indefinite']:.0f} of {diagnostics['steps']:.0f} steps"
        return f"{counted}, the last step was damped by {diagnostics['shift']:.3g}"

    def working_numbers(self, num_parameters: int, num_residuals: int) -> int:
        """Count the matrices of P x P that are held at once."""
        return NUM_MATRICES * num_parameters**2


NUM_MATRICES = 5
"""Matrices [M, P, P] held at once: columns, their transpose, both in float64 and the eigenvectors."""


def no_curvature(name: str, loss: Loss) -> str | None:
    """Say that a loss has no second derivative by its outputs; None if it has one."""
    outputs = torch.linspace(-1.5, 1.7, 8 * loss.num_outputs(3), dtype=torch.float64).view(8, -1).requires_grad_()
    targets = torch.arange(8) % 2 if loss.task == "classification" else torch.zeros(8, 3, dtype=torch.float64)
    with torch.enable_grad():
        slope = loss.derivative(outputs, targets, loss.settings(targets, outputs.shape[1]))
        probe = torch.linspace(1, 2, slope.shape[1], dtype=slope.dtype)  # a softmax's slopes sum to a constant
        (curvature,) = torch.autograd.grad((slope * probe).sum(), outputs, materialize_grads=True)
    if curvature.any():
        return None
    return f"`{name}` divides by the curvature of the loss, but `{loss.name}` has none"


def no_steps(theta: Tensor) -> State:
    """Build the state before the first step: counts and the last shift, [M, 1] each."""
    return {name: torch.zeros_like(theta[:, :1]) for name in ("steps", "indefinite", "shift")}


def take_damped_step(theta: Tensor, gradient: Tensor, matrix: Tensor, state: State, h: Hyper, safeguard: bool) -> None:
    """Apply  theta <- theta - lr (matrix + shift I)**-1 gradient  in place.

    One eigendecomposition gives the inverse, the signs of the curvature and the shift, without a loop over trial
    shifts whose length would depend on the data.

    Args:
        theta: [M, P].
        gradient: [M, P].
        matrix: Symmetric, [M, P, P].
        state: As ``no_steps`` builds it.
        h: ``lr`` and ``damping``, [M, 1] each.
        safeguard: Whether to raise the shift where matrix + damping I is not positive definite.
    """
    is_finite = matrix.isfinite().flatten(1).all(1)[:, None]
    # LAPACK raises on what is not finite; such a row has diverged, and its step is made NaN below.
    eigenvalues, vectors = torch.linalg.eigh(torch.where(is_finite[..., None], matrix, 0).double())
    shift, is_indefinite = _shift(eigenvalues, h.damping.double(), theta.dtype)
    shift = shift if safeguard else h.damping.double().expand_as(shift)
    along = (vectors * gradient.double().unsqueeze(2)).sum(1)
    step = (vectors * (along / (eigenvalues + shift)).unsqueeze(1)).sum(2)
    theta.sub_(h.lr * torch.where(is_finite, step, torch.nan).to(theta))
    state["steps"].add_(1)
    state["indefinite"].add_(is_indefinite)
    state["shift"].copy_(shift)


def _shift(eigenvalues: Tensor, damping: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Give the shift that makes every eigenvalue positive, and whether one was negative, [M, 1] each.

    Eigenvalues in ascending order, [M, P]. What is smaller than the rounding of the matrix counts as zero. A negative
    one, -c, is shifted to c: the step along it has Newton's length, but goes down.
    """
    smallest, size = eigenvalues[:, :1], eigenvalues.abs().amax(1, keepdim=True)
    rounding = (size * eigenvalues.shape[1] * torch.finfo(dtype).eps).clamp(min=torch.finfo(dtype).tiny)
    raised = torch.maximum(damping, torch.maximum(-2 * smallest, rounding - smallest))
    return torch.where(smallest + damping >= rounding, damping, raised), smallest < -rounding
