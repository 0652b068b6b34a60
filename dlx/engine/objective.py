"""M functions R^P -> R, evaluated at the rows of theta in one pass."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.func import functional_call, vmap

from dlx.core.types import Hyper
from dlx.engine import derivatives
from dlx.engine.replay import Replay
from dlx.engine.rows import Rows


class EmpiricalRisk:
    """The mean loss of a batch, less log prior / N, for each of M members.

    The objective of member m is  sum_i w_mi loss(model(x_mi; theta_m), y_mi) + penalty(theta_m) / N_m.  The gradient is
    that of the *sum* over members, whose rows do not mix; a mean would divide every learning rate by M.

    Args:
        rows: Members, parameters and constants.
    """

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._loss_h = rows.loss_tunables()
        self._prior_h = rows.tunables("prior") if rows.recipe.prior else None
        self._num_train = torch.tensor([[len(member.parts.train)] for member in rows.members]).to(rows.theta)
        self._is_weight = rows.layout.is_weight().to(rows.theta)
        self._replay = Replay(self._value_and_gradient, fixed=(rows.theta,))
        self._replay_value = Replay(self._value_alone, fixed=(rows.theta,))
        self._replay_hessian = Replay(self._hessian_times, fixed=(rows.theta,))
        self._replay_gauss_newton = Replay(self._gauss_newton_times, fixed=(rows.theta,))
        self.keys = torch.zeros(len(rows.members), dtype=torch.int32, device=rows.theta.device)
        """The key of each row's own noise at this step, [M]; set before a step."""
        self.batch: tuple[Tensor, ...] = ()
        """Inputs [M, B, ...], targets [M, B] or [M, B, C], weights [M, B] that sum to 1 over B; set before a step."""

    def value_and_gradient(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """Evaluate at the rows of theta on the current batch.

        Args:
            theta: [M, P].

        Returns:
            The values, [M], and the gradients, [M, P].
        """
        value, gradient = self._replay(theta, *self.batch)
        return value, gradient

    def value(self, theta: Tensor) -> Tensor:
        """Give the values at the rows of theta, [M], on the current batch."""
        (value,) = self._replay_value(theta, *self.batch)
        return value

    def hessian(self, theta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Give the values [M], the gradients [M, P] and the Hessians [M, P, P]."""
        pieces = [self._replay_hessian(theta, units, *self.batch) for units in derivatives.directions(theta)]
        value, gradient, _ = pieces[0]
        return value, gradient, derivatives.stack_columns(columns for _, _, columns in pieces)

    def gauss_newton(self, theta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Give the values [M], the gradients [M, P] and the Gauss-Newton matrices [M, P, P]."""
        value, gradient = self.value_and_gradient(theta)
        pieces = [self._replay_gauss_newton(theta, units, *self.batch) for units in derivatives.directions(theta)]
        return value, gradient, derivatives.stack_columns(columns for (columns,) in pieces)

    def residuals(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """Give A [M, B C + P, P] and b [M, B C + P], float64, with value = |A theta - b|**2."""
        return derivatives.residuals(self._composite(*self.batch), theta)

    def _composite(self, inputs: Tensor, targets: Tensor, weights: Tensor) -> derivatives.Composite:
        """Take the objective apart into outputs, the slope of the loss by them, and penalty."""
        rows = self._rows

        def outputs(theta: Tensor) -> Tensor:
            def of_row(parameters: dict[str, Tensor], x: Tensor) -> Tensor:
                return functional_call(rows.module, parameters, (x,))  # type: ignore[no-any-return]

            return vmap(of_row)(rows.layout.unflatten(theta), inputs)

        def slope(outputs: Tensor) -> Tensor:
            def of_row(h: dict[str, Tensor], o: Tensor, y: Tensor) -> Tensor:
                return rows.recipe.loss.derivative(o, y, Hyper(h))

            return vmap(of_row)(self._loss_h, outputs, targets) * weights.unsqueeze(-1)

        return derivatives.Composite(outputs, slope, self._penalty)

    def _hessian_times(self, theta: Tensor, vectors: Tensor, *batch: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return derivatives.hessian_times(lambda at: self._value(at, *batch), theta, vectors)

    def _gauss_newton_times(self, theta: Tensor, vectors: Tensor, *batch: Tensor) -> tuple[Tensor]:
        return (derivatives.gauss_newton_times(self._composite(*batch), theta, vectors),)

    def _value_alone(self, theta: Tensor, *batch: Tensor) -> tuple[Tensor]:
        return (self._value(theta, *batch),)

    def _value(self, theta: Tensor, inputs: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        def losses(parameters: dict[str, Tensor], h: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
            outputs = functional_call(rows.module, parameters, (x,))
            return rows.recipe.loss.value(outputs, y, Hyper(h))

        rows = self._rows
        value = (vmap(losses)(rows.layout.unflatten(theta), self._loss_h, inputs, targets) * weights).sum(1)
        return value if rows.recipe.prior is None else value + self._penalty(theta)

    def _penalty(self, theta: Tensor) -> Tensor:
        """Give minus the log prior of the weights over N, [M]."""
        prior = self._rows.recipe.prior
        if prior is None or self._prior_h is None:
            return theta.new_zeros(len(theta))
        penalty = prior.penalty(theta, self._prior_h) * self._is_weight
        return (penalty.sum(1, keepdim=True) / self._num_train).squeeze(1)

    @torch.enable_grad()
    def _value_and_gradient(
        self, theta: Tensor, inputs: Tensor, targets: Tensor, weights: Tensor
    ) -> tuple[Tensor, Tensor]:
        theta = theta.detach().requires_grad_()
        value = self._value(theta, inputs, targets, weights)
        (gradient,) = torch.autograd.grad(value.sum(), theta)
        return value.detach(), gradient
