"""Macro-averaged F1."""

from typing import ClassVar, Literal

from torch import Tensor

from dlx.core.definition import Metric
from dlx.core.types import Scored, Sums, Task
from dlx.metrics.balanced_accuracy import class_weights, mean_of_present


class F1(Metric):
    """F1: the harmonic mean of precision and recall of each class, averaged over the classes, in [0, 1].

        F1_c = 2 TP_c / (2 TP_c + FP_c + FN_c)

    Classes that neither occur nor are predicted are left out. Equal to scikit-learn's ``f1_score(average="macro")``.

    Source:
        van Rijsbergen (1979), "Information retrieval", chapter 7.
    """

    tasks: ClassVar[tuple[Task, ...]] = ("classification",)
    higher_is_better: ClassVar[bool] = True

    name: Literal["f1"] = "f1"

    def update(self, batch: Scored) -> Sums:
        """Add up twice the weights of the right, and those of the true and of the predicted of each class, [C]."""
        classes = batch.predictions.argmax(-1)
        truth, guess = class_weights(batch.targets, batch), class_weights(classes, batch)
        right = (classes == batch.targets).unsqueeze(-1)
        return {"right": 2 * (truth * right).sum(0), "either": truth.sum(0) + guess.sum(0)}

    def compute(self, sums: Sums) -> Tensor:
        """Average F1 over the classes that there are, a scalar."""
        return mean_of_present(sums["right"], sums["either"])
