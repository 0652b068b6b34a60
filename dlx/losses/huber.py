"""Huber's loss: squared for small errors, absolute for large ones."""

import math
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from dlx.core.definition import Loss, Tunable
from dlx.core.types import Hyper, Task


class Huber(Loss):
    """Huber's loss: half the squared error up to delta, from there on a straight line; robust, and smooth at 0.

    With e = outputs - targets over C outputs:
        loss = mean_c rho(e_c),  rho(e) = e**2 / 2 for |e| <= delta, else delta (|e| - delta / 2)

    For C = 1 it is the negative log-likelihood of Huber's density, a standard normal with exponential tails, less the
    constant log(sqrt(2 pi) erf(delta / sqrt(2)) + 2/delta exp(-delta**2 / 2)); for more outputs that divided by C.
    Outputs, targets and delta are in scaled target units. Equal to ``torch.nn.HuberLoss``.

    Source:
        Huber (1964), "Robust estimation of a location parameter".
    """

    distribution: ClassVar[str] = "Huber's: normal with exponential tails"
    task: ClassVar[Task] = "regression"

    name: Literal["huber"] = "huber"
    delta: Tunable[Annotated[float, Field(gt=0, le=1e6)]] = 1.0
    """Error at which the loss turns from squared to absolute, in scaled target units."""

    def num_outputs(self, num_targets: int) -> int:
        """One output per target column."""
        return num_targets

    def value(self, outputs: Tensor, targets: Tensor, h: Hyper) -> Tensor:
        """Give the mean over outputs of rho of each example, [B]."""
        return _rho(outputs - targets, h.delta).mean(-1)

    def derivative(self, outputs: Tensor, targets: Tensor, h: Hyper) -> Tensor:
        """Give e / C, cut off at -delta and delta, [B, C]."""
        error = outputs - targets
        return torch.maximum(torch.minimum(error, h.delta), -h.delta) / outputs.shape[-1]

    def nll(self, outputs: Tensor, targets: Tensor, h: Hyper) -> Tensor:
        """Give sum_c (rho(e_c) + the constant), [B], in nats."""
        normal = math.sqrt(2 * math.pi) * torch.erf(h.delta * math.sqrt(0.5))
        tails = 2 / h.delta * torch.exp(-0.5 * h.delta.square())
        return (_rho(outputs - targets, h.delta) + torch.log(normal + tails)).sum(-1)

    def predict(self, outputs: Tensor) -> Tensor:
        """The outputs are the mean of the density."""
        return outputs


def _rho(error: Tensor, delta: Tensor) -> Tensor:
    size = error.abs()
    inner = torch.minimum(size, delta)
    return inner * (size - 0.5 * inner)
