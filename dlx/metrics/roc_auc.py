"""Area under the receiver operating characteristic."""

from typing import ClassVar, Literal

import torch
from torch import Tensor

from dlx.core.definition import Metric
from dlx.core.types import Scored, Sums, Task


class RocAuc(Metric):
    """Area under the ROC curve: how often an example of a class gets more probability for it than one of another.

    In [0, 1]; ties count half, guessing scores 0.5. Of two classes it is that of class 1; of more, each class is held
    against the rest and the areas are averaged. A class that has no example in the part, or all of them, has no area
    and is left out; if none is left, the area is not a number. Equal to scikit-learn's
    ``roc_auc_score(multi_class="ovr")``. It ranks all examples of a part at once, in O(N log N).

    Source:
        Hanley and McNeil (1982), "The meaning and use of the area under a receiver operating characteristic curve".
    """

    tasks: ClassVar[tuple[Task, ...]] = ("classification",)
    higher_is_better: ClassVar[bool] = True
    gathers: ClassVar[bool] = True

    name: Literal["roc_auc"] = "roc_auc"

    def update(self, batch: Scored) -> Sums:
        """Keep the predictions [B, C], the targets [B] and the weights [B]."""
        return {"predictions": batch.predictions, "targets": batch.targets, "weights": batch.weights}

    def compute(self, sums: Sums) -> Tensor:
        """Average the areas of the classes that have one, a scalar."""
        scores, targets = sums["predictions"], sums["targets"]
        num_classes = scores.shape[-1]
        classes = torch.arange(1 if num_classes == 2 else 0, num_classes, device=scores.device)
        scores = scores[..., 1:] if num_classes == 2 else scores
        area, has_area = _areas(scores.mT, targets == classes.unsqueeze(-1), sums["weights"])
        return torch.where(has_area, area, 0).sum() / has_area.sum()


def _areas(scores: Tensor, is_positive: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Give the area of each class, [C], and whether it has one; scores and is_positive are [C, N], weights [N].

    The area is the share of pairs of a positive and a negative whose positive scores higher: for each positive, the
    weight of the negatives below it and half of that of those beside it.
    """
    ranked, order = scores.contiguous().sort(-1)
    positive = torch.where(is_positive, weights, 0).gather(-1, order)
    negative = torch.where(is_positive, 0, weights).gather(-1, order)
    below = torch.cat([torch.zeros_like(negative[..., :1]), negative.cumsum(-1)], -1)
    first, end = torch.searchsorted(ranked, ranked), torch.searchsorted(ranked, ranked, right=True)
    wins = (positive * 0.5 * (below.gather(-1, first) + below.gather(-1, end))).sum(-1)
    pairs = positive.sum(-1) * negative.sum(-1)
    # A sort puts what is not a number on top, which is no rank.
    wins = torch.where(scores.isnan().any(-1), torch.nan, wins)
    return wins / torch.where(pairs > 0, pairs, 1), pairs > 0
