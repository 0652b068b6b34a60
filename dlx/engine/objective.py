"""M functions R^P -> R, evaluated at the rows of theta in one pass."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.func import functional_call, vmap

from dlx.core.types import Hyper
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

    def _value(self, theta: Tensor, inputs: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        def losses(parameters: dict[str, Tensor], h: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
            outputs = functional_call(rows.module, parameters, (x,))
            return rows.recipe.loss.value(outputs, y, Hyper(h))

        rows, prior = self._rows, self._rows.recipe.prior
        value = (vmap(losses)(rows.layout.unflatten(theta), self._loss_h, inputs, targets) * weights).sum(1)
        if prior is None or self._prior_h is None:
            return value
        penalty = prior.penalty(theta, self._prior_h) * self._is_weight
        return value + (penalty.sum(1, keepdim=True) / self._num_train).squeeze(1)

    @torch.enable_grad()
    def _value_and_gradient(
        self, theta: Tensor, inputs: Tensor, targets: Tensor, weights: Tensor
    ) -> tuple[Tensor, Tensor]:
        theta = theta.detach().requires_grad_()
        value = self._value(theta, inputs, targets, weights)
        (gradient,) = torch.autograd.grad(value.sum(), theta)
        return value.detach(), gradient
