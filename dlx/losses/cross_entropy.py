"""Cross-entropy of a categorical distribution given by logits."""

from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from dlx.core.definition import Loss, Tunable
from dlx.core.types import Examples, Hyper, Task
from dlx.losses.binary_cross_entropy import SMOOTHS

Weight = Annotated[float, Field(ge=1e-6, le=1e6)]


class CrossEntropy(Loss):
    """Cross-entropy: minus the log-probability of the true class under a softmax over the outputs.

    With logits z of C classes and the true class y:
        loss = log(sum_c exp(z_c)) - z_y

    The outputs are logits [B, C], the targets classes in 0..C-1 [B], the loss is in nats and at least 0. An untrained
    model scores about ln C. With p = softmax(z), label_smoothing a and class_weights w:
        loss = -(1 - a) w_y log p_y - a/C sum_c w_c log p_c

    Equal to ``torch.nn.CrossEntropyLoss(reduction="none")``. The objective is the mean over examples, where torch's
    "mean" divides the weighted sum by the sum of the weights: weights of mean 1 over the examples, as balanced ones
    have, keep the learning rate's meaning. The metric nll knows neither smoothing nor weights.

    Source:
        Goodfellow, Bengio and Courville (2016), section 6.2.2.3; smoothing: Szegedy et al. (2016), "Rethinking the
        Inception architecture for computer vision", section 7; lecture 3.10.
    """

    distribution: ClassVar[str] = "categorical"
    task: ClassVar[Task] = "classification"

    name: Literal["cross_entropy"] = "cross_entropy"
    label_smoothing: Tunable[Annotated[float, Field(ge=0, lt=1)] | None] = None
    """Share of the target's probability that is spread evenly over all classes; null is none, and saves the time."""
    class_weights: Annotated[tuple[Weight, ...], Field(strict=False)] | Literal["balanced"] | None = None
    """What the loss of an example is multiplied with, a number for each class in their order; null is 1 for all,
    `balanced` n / (C n_c) with the n_c of the n training examples that are of the class."""

    def mismatch(self, examples: Examples) -> str | None:
        """Require classes, and as many weights as there are of them."""
        names = examples.target_names
        weights = self.class_weights
        if examples.task == self.task and isinstance(weights, tuple) and len(weights) != len(names):
            shown = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
            found = len(weights)
            return f"`class_weights` needs a number for each of the {len(names)} classes ({shown}), but has {found}"
        return super().mismatch(examples)

    def remark(self) -> str | None:
        """Say what smoothing and weights do to the loss."""
        done = [SMOOTHS] if self.label_smoothing else []
        done += ["weighs examples by their class"] if self.class_weights is not None else []
        return f"The loss {' and '.join(done)}; the metric nll does not." if done else None

    def fit(self, targets: Tensor, num_outputs: int) -> dict[str, Tensor]:
        """Balance the classes, [C], float64, where that is asked for; one without examples counts as having one."""
        if self.class_weights != "balanced":
            return {}
        counts = torch.bincount(targets, minlength=num_outputs).clamp(min=1)
        return {"class_weights": len(targets) / (num_outputs * counts.double())}

    def num_outputs(self, num_targets: int) -> int:
        """One logit per class."""
        return num_targets

    def value(self, outputs: Tensor, targets: Tensor, h: Hyper) -> Tensor:
        """Give the loss of each example, [B], in nats."""
        score = _log_probabilities(outputs)
        if self.class_weights is not None:
            score = score * self._weights(outputs, h).unsqueeze(-1)
        of_class = score.gather(0, targets.unsqueeze(0)).squeeze(0)
        if self.label_smoothing is not None:
            of_class = of_class + h.label_smoothing * (score.mean(0) - of_class)
        return -of_class

    def derivative(self, outputs: Tensor, targets: Tensor, h: Hyper) -> Tensor:
        """Give sum_c(t_c) softmax(z) - t, [B, C], with t the smoothed one-hot target times the weights."""
        target = (torch.arange(outputs.shape[-1], device=outputs.device) == targets.unsqueeze(-1)).to(outputs.dtype)
        if self.label_smoothing is not None:
            target = target + h.label_smoothing * (1 / outputs.shape[-1] - target)
        if self.class_weights is not None:
            target = target * self._weights(outputs, h)
        return torch.softmax(outputs, -1) * target.sum(-1, keepdim=True) - target

    def nll(self, outputs: Tensor, targets: Tensor, h: Hyper) -> Tensor:
        """Give minus the log-probability of the true class, [B], in nats."""
        return -_log_probabilities(outputs).gather(0, targets.unsqueeze(0)).squeeze(0)

    def predict(self, outputs: Tensor) -> Tensor:
        """Give the class probabilities, [B, C]."""
        return _log_probabilities(outputs).exp().mT.contiguous()

    def _weights(self, like: Tensor, h: Hyper) -> Tensor:
        if self.class_weights == "balanced":
            of_member: Tensor = h.class_weights
            return of_member
        return torch.tensor(self.class_weights, dtype=like.dtype, device=like.device)


def _log_probabilities(outputs: Tensor) -> Tensor:
    """Give log softmax(z) as [C, B]: along a short last dimension torch's kernel takes 10 times as long."""
    return torch.log_softmax(outputs.mT.contiguous(), 0)
