"""Linear least squares in closed form."""

from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
from torch import Tensor

from dlx.core.definition import Loss, Model, Objective, Optimizer, Prior
from dlx.core.types import Hyper, State


class LeastSquares(Optimizer):
    """Least squares: the minimum of a linear model's squared error in closed form, in one step.

        theta = argmin |A theta - b|**2 = (A^T A)**-1 A^T b

    A holds the inputs of all examples and a 1 for the bias, b the targets, each row times the root of its weight; a
    Gaussian prior adds a row sqrt(precision / (2 N)) for each weight, so the result is ridge regression with alpha =
    precision / 2. It is computed from A = Q R as R**-1 Q^T b in float64: A^T A would square the condition number. Where
    columns of A depend on each other (R has a tiny diagonal) there are many minima; the one of least norm is taken, by
    the singular values of A, and said.

    Every step gives the same, so training ends with the first epoch. The rule is for a linear model, mse, at most a
    Gaussian prior, and a batch that is the whole training part; for anything else there is no closed form.

    Source:
        Goodfellow, Bengio and Courville (2016), sections 2.9 and 5.1.4; Golub and Van Loan (2013), "Matrix
        computations", section 5.3; lecture 4.3.1.
    """

    needs_outputs: ClassVar[bool] = True

    name: Literal["least_squares"] = "least_squares"

    def mismatch(self, model: Model, loss: Loss, prior: Prior | None, num_steps: int | None) -> str | None:
        """Refuse what has no closed form."""
        if model.name != "linear":
            return f"`least_squares` solves a linear model in closed form, but the model is `{model.name}`"
        if loss.name != "mse":
            return f"`least_squares` lowers the squared error, but the loss is `{loss.name}`; take loss=mse"
        if prior is not None and prior.name != "gaussian":
            return f"`least_squares` knows a Gaussian prior or none, but the prior is `{prior.name}`"
        if num_steps is not None and num_steps > 1:
            return f"`least_squares` needs all training examples in one batch, but an epoch has {num_steps} steps"
        return None

    def init(self, theta: Tensor) -> State:
        """Count the directions of theta that the examples leave open, [M, 1]."""
        return {"open": torch.zeros_like(theta[:, :1])}

    def step(self, theta: Tensor, state: State, h: Hyper, objective: Objective) -> Tensor:
        """Put every row at its minimum; give the objective before it, [M]."""
        value = objective.value(theta)
        solution, num_open = solve(*objective.residuals(theta))
        theta.copy_(solution)
        state["open"].copy_(num_open)
        return value

    def diagnostics(self, state: State) -> dict[str, Tensor]:
        """Tell how many directions are open, [M]."""
        return {"open": state["open"].squeeze(1)}

    def is_solved(self, diagnostics: Mapping[str, float]) -> bool:
        """One step is all there is."""
        return True

    def remark(self, diagnostics: Mapping[str, float]) -> str | None:
        """Say that the minimum is not unique, where it is not."""
        if not diagnostics["open"]:
            return None
        return (
            f"the examples leave {diagnostics['open']:.0f} directions of theta open, so there are many minima; this is "
            "the one of least norm"
        )

    def working_numbers(self, num_parameters: int, num_residuals: int) -> int:
        """Count A, its factor Q and a copy of each, and some matrices of P x P."""
        return 4 * (num_residuals + num_parameters) * num_parameters + 4 * num_parameters**2


def solve(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Solve M least-squares problems, each by QR or, where its rank is deficient, by singular values.

    Args:
        a: [M, R, P], R >= P, float64.
        b: [M, R], float64.

    Returns:
        The minimum of least norm, [M, P], and P less the rank of a, [M, 1]. A row that is not finite gives NaN.
    """
    is_finite = (a.isfinite().flatten(1).all(1) & b.isfinite().all(1)).unsqueeze(1)
    q, r = torch.linalg.qr(torch.where(is_finite.unsqueeze(2), a, 0))
    right = (q * b.unsqueeze(2)).sum(1, keepdim=True).mT
    diagonal = r.diagonal(dim1=1, dim2=2).abs()
    rounding = a.shape[1] * torch.finfo(a.dtype).eps
    is_full = (diagonal > rounding * diagonal.amax(1, keepdim=True)).all(1, keepdim=True)
    by_qr = torch.linalg.solve_triangular(r, right, upper=True).squeeze(2)
    u, sizes, v = torch.linalg.svd(r)
    is_kept = sizes > rounding * sizes[:, :1]
    along = torch.where(is_kept, (u * right).sum(1) / sizes, 0)
    by_svd = (v * along.unsqueeze(2)).sum(1)
    num_open = torch.where(is_full, 0, (~is_kept).sum(1, keepdim=True))
    return torch.where(is_finite, torch.where(is_full, by_qr, by_svd), torch.nan), num_open
