"""A learning rate that falls when the validation loss no longer does."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, NonNegativeInt
from torch import Tensor

from dlx.core.definition import Schedule, Tunable
from dlx.core.settings import Fraction
from dlx.core.types import Hyper, Watch


class Plateau(Schedule):
    """Plateau: the rate is multiplied by gamma whenever the validation loss has not improved for some epochs.

        an epoch improves if  loss < best - threshold |best|
        after more than `patience` epochs without that:  factor <- max(gamma factor, floor)

    Each member watches its own validation loss. Equal to ``torch.optim.lr_scheduler.ReduceLROnPlateau(factor=gamma,
    patience=patience, threshold=threshold)`` stepped after every epoch, for positive losses. Early stopping, if it is
    on, needs more patience than this.

    Source:
        Goodfellow, Bengio and Courville (2016), section 8.3.1, on choosing the rate by watching the learning curve;
        lecture 6.4.
    """

    reads_history: ClassVar[bool] = True

    name: Literal["plateau"] = "plateau"
    gamma: Tunable[Annotated[float, Field(gt=0, lt=1)]] = 0.1
    """What the learning rate is multiplied with after each plateau."""
    patience: NonNegativeInt = 3
    """Epochs without an improvement that are waited for."""
    threshold: Tunable[Fraction] = 1e-4
    """How much lower than the best, as a share of it, the loss must be to count as an improvement."""
    floor: Tunable[Annotated[float, Field(ge=0, le=1)]] = 0.001
    """Lowest learning rate as a fraction of the first."""

    def shape(self, steps: Tensor, h: Hyper) -> None:
        """Give None: the rate does not depend on the step."""
        return

    def watch(self, before: Watch, loss: float) -> Watch:
        """Take in the validation loss of an epoch."""
        if loss < before.best - self.threshold * abs(before.best) or before.best == float("inf"):
            return Watch(loss, 0, before.factor)
        if before.waited < self.patience:
            return before._replace(waited=before.waited + 1)
        return Watch(before.best, 0, max(self.gamma * before.factor, self.floor))
