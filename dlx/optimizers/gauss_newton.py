"""The Gauss-Newton method, with Levenberg's damping."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import NonNegativeFloat, PositiveFloat
from torch import Tensor

from dlx.core.definition import Loss, Model, Objective, Optimizer, Prior, Tunable
from dlx.core.types import Hyper, Searched, State
from dlx.optimizers.newton import NUM_MATRICES, no_curvature, no_steps, take_damped_step


class GaussNewton(Optimizer):
    """Gauss-Newton: Newton's method with the curvature of the loss alone, as if the model were linear in theta.

        G = sum_i w_i J_i^T H_i J_i + Hessian of the prior
        theta <- theta - lr (G + shift I)**-1 g

    J_i is the Jacobian of example i's outputs, H_i the Hessian of its loss by its outputs. For a convex loss, as all
    here are, G has no negative eigenvalue, so a step is never drawn to a saddle as Newton's is. Where residuals are
    small it is nearly the Hessian, and for a linear model it is the Hessian. With damping it is the method of Levenberg
    and Marquardt at a fixed damping; for cross-entropy G is the Fisher matrix, and the step a natural gradient.

    It fails where G is singular, which it is whenever the batch has fewer outputs than there are parameters: then the
    damping decides how far the step goes. Like Newton's it may overshoot far from the minimum, needs a large batch, and
    holds P x P matrices.

    Source:
        Nocedal and Wright (2006), "Numerical optimization", section 10.3; Schraudolph (2002), "Fast curvature
        matrix-vector products for second-order gradient descent"; Martens (2020), "New insights and perspectives on
        the natural gradient method", section 8; lecture 5.9.
    """

    needs_outputs: ClassVar[bool] = True

    name: Literal["gauss_newton"] = "gauss_newton"
    search_space: ClassVar[tuple[Searched, ...]] = (
        Searched("damping", 1e-4, 1e1),
        Searched("lr", 1e-2, 1e0, min_trials=10),
    )
    lr: Tunable[PositiveFloat] = 1.0
    """Share of the step that is taken."""
    damping: Tunable[NonNegativeFloat] = 0.1
    """Added to every eigenvalue of G; where G is singular it is raised to the size of rounding errors at least."""

    def mismatch(self, model: Model, loss: Loss, prior: Prior | None, num_steps: int | None) -> str | None:
        """Refuse losses without curvature."""
        return no_curvature(self.name, loss)

    def init(self, theta: Tensor) -> State:
        """Count steps and indefinite ones, and keep the last shift, [M, 1] each."""
        return no_steps(theta)

    def step(self, theta: Tensor, state: State, h: Hyper, objective: Objective) -> Tensor:
        """Take one step of every row in place; give the objective before it, [M]."""
        value, gradient, matrix = objective.gauss_newton(theta)
        take_damped_step(theta, gradient, matrix, state, h, safeguard=True)
        return value

    def diagnostics(self, state: State) -> dict[str, Tensor]:
        """Tell the steps and the last shift, [M] each."""
        return {name: state[name].squeeze(1) for name in ("steps", "shift")}

    def remark(self, diagnostics: Mapping[str, float]) -> str:
        """Say how much the last step was damped."""
        return f"{diagnostics['steps']:.0f} steps, the last damped by {diagnostics['shift']:.3g}"

    def working_numbers(self, num_parameters: int, num_residuals: int) -> int:
        """Count the matrices of P x P that are held at once."""
        return NUM_MATRICES * num_parameters**2
