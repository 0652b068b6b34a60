"""Negative log-likelihood of a Poisson distribution given by its log-rate."""

from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from dlx.core.definition import Loss
from dlx.core.types import Examples, Hyper, Task
from dlx.losses.exponential import exponential, exponential_slopes


class PoissonNLL(Loss):
    """Poisson negative log-likelihood: for counts; the model says the logarithm of the rate at which things happen.

    With the rate r = exp(outputs) and the count y of each of C target columns:
        loss = mean_c r_c - y_c - y_c log(r_c / y_c),  where 0 log 0 = 0

    That is half the Poisson deviance, at least 0, and 0 where the rate is the count. For C = 1 it is the negative
    log-likelihood less that of a model that knows the counts, y - y log y + log y!; for more columns that divided by C.
    Outputs are [B, C]; where one exceeds 20 the rate grows along a straight line instead of exponentially, so that
    nothing overflows. Targets are whole numbers from 0, [B, C], not scaled. Predictions are the rates.

    Source:
        McCullagh and Nelder (1989), "Generalized linear models", chapter 6.
    """

    distribution: ClassVar[str] = "Poisson"
    task: ClassVar[Task] = "regression"
    raw_targets: ClassVar[bool] = True

    name: Literal["poisson_nll"] = "poisson_nll"

    def mismatch(self, examples: Examples) -> str | None:
        """Require counts."""
        reason = super().mismatch(examples)
        if reason is not None:
            return reason
        wrong = np.argwhere(~((examples.targets >= 0) & (examples.targets == np.floor(examples.targets))))
        if not len(wrong):
            return None
        row, column = wrong[0]
        found = f"`{examples.target_names[column]}` is {examples.targets[row, column]:g}"
        more = f", and {len(wrong) - 1} more are none" if len(wrong) > 1 else ""
        return f"`{self.name}` is a loss for counts (whole numbers from 0), but {found} in example {row + 1}{more}"

    def remark(self) -> str:
        """Say what the loss leaves out."""
        return (
            "The loss is the negative log-likelihood less what no model can lower, so that 0 is a rate equal to every "
            "count, as a mean over target columns; the metric nll is the whole of it, as a sum."
        )

    def num_outputs(self, num_targets: int) -> int:
        """One log-rate per target column."""
        return num_targets

    def value(self, outputs: Tensor, targets: Tensor, h: Hyper) -> Tensor:
        """Give the mean over target columns of half the deviance of each example, [B], in nats."""
        return _half_deviance(outputs, targets).mean(-1)

    def derivative(self, outputs: Tensor, targets: Tensor, h: Hyper) -> Tensor:
        """Give (r - y) / C, [B, C]; beyond 20, that times the slope of log r."""
        rate, log_rate = exponential_slopes(outputs)
        return (rate - targets * log_rate) / outputs.shape[-1]

    def nll(self, outputs: Tensor, targets: Tensor, h: Hyper) -> Tensor:
        """Give sum_c (r_c - y_c log r_c + log y_c!), [B], in nats; in float64, for the terms are large and cancel."""
        outputs64, counts = outputs.double(), targets.double()
        least = counts - counts * _log_count(counts) + torch.lgamma(counts + 1)
        return (_half_deviance(outputs64, counts) + least).sum(-1).to(outputs.dtype)

    def predict(self, outputs: Tensor) -> Tensor:
        """Give the rates, [B, C]."""
        return exponential(outputs)[0]


def _half_deviance(outputs: Tensor, counts: Tensor) -> Tensor:
    rate, log_rate = exponential(outputs)
    return rate - counts - counts * (log_rate - _log_count(counts))


def _log_count(counts: Tensor) -> Tensor:
    """Give log y, and 0 for y = 0, which y multiplies with 0."""
    return torch.log(counts.clamp(min=1))
