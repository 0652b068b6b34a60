"""M functions R^P -> R, evaluated at the rows of theta in one pass. The only module that knows ``torch.func``."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from dlx.core.definition import Loss, Prior
from dlx.core.types import Hyper
from dlx.engine.layout import Layout
from dlx.engine.replay import Replay


class EmpiricalRisk:
    """The mean loss of a batch, less log prior / N, for each of M members.

    The objective of member m is  sum_i w_mi loss(model(x_mi; theta_m), y_mi) + penalty(theta_m) / N_m.  The gradient is
    that of the *sum* over members, whose rows do not mix; a mean would divide every learning rate by M.

    Args:
        module: An ordinary module; its own parameters are not used.
        layout: Where its parameters lie in theta.
        loss: The loss per example.
        loss_h: The loss's tunables, [M] each.
        prior: The prior on the weights, or None.
        prior_h: The prior's tunables, [M, 1] each.
        num_train: Number of training examples N of each member, [M, 1].
        theta: The matrix whose rows are trained in place, [M, P].
    """

    def __init__(
        self,
        module: nn.Module,
        layout: Layout,
        loss: Loss,
        loss_h: Mapping[str, Tensor],
        prior: Prior | None,
        prior_h: Hyper,
        num_train: Tensor,
        theta: Tensor,
    ) -> None:
        self._module, self._layout = module, layout
        self._loss, self._loss_h = loss, dict(loss_h)
        self._prior, self._prior_h, self._num_train = prior, prior_h, num_train
        self._is_weight = layout.is_weight().to(theta)
        self._replay = Replay(self._value_and_gradient, fixed=(theta,))
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
            outputs = functional_call(self._module, parameters, (x,))
            return self._loss.value(outputs, y, Hyper(h))

        value = (vmap(losses)(self._layout.unflatten(theta), self._loss_h, inputs, targets) * weights).sum(1)
        if self._prior is None:
            return value
        penalty = self._prior.penalty(theta, self._prior_h) * self._is_weight
        return value + (penalty.sum(1, keepdim=True) / self._num_train).squeeze(1)

    def _value_and_gradient(
        self, theta: Tensor, inputs: Tensor, targets: Tensor, weights: Tensor
    ) -> tuple[Tensor, Tensor]:
        theta = theta.detach().requires_grad_()
        value = self._value(theta, inputs, targets, weights)
        (gradient,) = torch.autograd.grad(value.sum(), theta)
        return value.detach(), gradient
