"""What Gaussian and Laplace share: exponential power distributions with a scale that is learned or fixed."""

from abc import abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from dlx.core.definition import Loss
from dlx.core.types import Hyper, Task
from dlx.losses.exponential import exponential, exponential_slopes


class ExponentialPower(Loss):
    """Density proportional to exp(-|e / s|**p / p) / s of the error e of each target column, p = 1 or 2, scale s.

    With k = s**-p the loss is  mean_c (k_c |e_c|**p - log k_c) / p.  Where the scale is learned, outputs are
    [B, 2C]: C locations, then C values of log s**p = -log k, held to ``losses/exponential.py``; else [B, C].

    Attributes:
        power: p.
        constant: What the negative log-likelihood of one column has beside its part of the loss.
    """

    task: ClassVar[Task] = "regression"
    is_nonnegative: ClassVar[bool] = False
    power: ClassVar[int]
    constant: ClassVar[float]

    @property
    @abstractmethod
    def is_learned(self) -> bool:
        """Whether the scale is an output of the model."""

    @abstractmethod
    def fixed_scale(self, h: Hyper) -> Tensor:
        """Give the scale s that was set, a scalar."""

    def num_outputs(self, num_targets: int) -> int:
        """One output per target column, and one more for its scale where that is learned."""
        return 2 * num_targets if self.is_learned else num_targets

    def value(self, outputs: Tensor, targets: Tensor, h: Hyper) -> Tensor:
        """Give the mean over target columns of the negative log-density less its constant, [B]."""
        return self._columns(outputs, targets, h).mean(-1)

    def derivative(self, outputs: Tensor, targets: Tensor, h: Hyper) -> Tensor:
        """Give k |e|**(p - 1) sign(e) / C by the locations, and (dlog k - dk |e|**p) / (p C) by the log-scales."""
        num_targets = targets.shape[-1]
        error = outputs[..., :num_targets] - targets
        slope = error if self.power == 2 else error.sign()
        if not self.is_learned:
            return slope * self._precision(outputs, targets, h)[0] / num_targets
        z = -outputs[..., num_targets:]
        value, log = exponential_slopes(z)
        by_scale = (log - value * self._distance(error)) / (self.power * num_targets)
        return torch.cat([slope * exponential(z)[0] / num_targets, by_scale], -1)

    def nll(self, outputs: Tensor, targets: Tensor, h: Hyper) -> Tensor:
        """Give the sum over target columns of the negative log-density, [B], in nats."""
        return (self._columns(outputs, targets, h) + self.constant).sum(-1)

    def predict(self, outputs: Tensor) -> Tensor:
        """Give the locations, [B, C]: the mean of the Gaussian, the median (and mean) of the Laplace distribution."""
        return outputs[..., : outputs.shape[-1] // 2] if self.is_learned else outputs

    def _columns(self, outputs: Tensor, targets: Tensor, h: Hyper) -> Tensor:
        value, log = self._precision(outputs, targets, h)
        distance = self._distance(outputs[..., : targets.shape[-1]] - targets)
        return (value * distance - log) / self.power

    def _precision(self, outputs: Tensor, targets: Tensor, h: Hyper) -> tuple[Tensor, Tensor]:
        """Give k = s**-p and log k, [B, C] or scalars."""
        if self.is_learned:
            return exponential(-outputs[..., targets.shape[-1] :])
        scale = self.fixed_scale(h)
        root = 1 / scale
        return root.square() if self.power == 2 else root, -self.power * torch.log(scale)

    def _distance(self, error: Tensor) -> Tensor:
        return error.square() if self.power == 2 else error.abs()
