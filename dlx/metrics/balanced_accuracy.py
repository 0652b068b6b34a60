"""Accuracy that counts every class alike."""

from typing import ClassVar, Literal

import torch
from torch import Tensor

from dlx.core.definition import Metric
from dlx.core.types import Scored, Sums, Task


class BalancedAccuracy(Metric):
    """Balanced accuracy: the share of right answers within each class, averaged over the classes, in [0, 1].

    Always answering the most frequent class scores 1/C, however frequent it is. Classes without examples are left out.
    Equal to scikit-learn's ``balanced_accuracy_score``.
    """

    tasks: ClassVar[tuple[Task, ...]] = ("classification",)
    higher_is_better: ClassVar[bool] = True

    name: Literal["balanced_accuracy"] = "balanced_accuracy"

    def update(self, batch: Scored) -> Sums:
        """Add up the weights of the right and of all examples of each class, [C]."""
        truth = class_weights(batch.targets, batch)
        right = batch.predictions.argmax(-1) == batch.targets
        return {"right": (truth * right.unsqueeze(-1)).sum(0), "weight": truth.sum(0)}

    def compute(self, sums: Sums) -> Tensor:
        """Average the shares of the classes that there are, a scalar."""
        return mean_of_present(sums["right"], sums["weight"])


def class_weights(classes: Tensor, batch: Scored) -> Tensor:
    """Lay the weight of each example into the column of its class: classes [B] -> [B, C]."""
    num_classes = batch.predictions.shape[-1]
    one_hot = classes.unsqueeze(-1) == torch.arange(num_classes, device=classes.device)
    return one_hot * batch.weights.unsqueeze(-1)


def mean_of_present(part: Tensor, whole: Tensor) -> Tensor:
    """Average part / whole over the classes whose whole is not 0, [C] -> scalar."""
    present = whole > 0
    shares = torch.where(present, part / torch.where(present, whole, 1), 0)
    return shares.sum(-1) / present.sum(-1)
