"""Values that definitions are given and give back, and the legend of shape letters.

    M  members (rows of theta)      P  parameters of one member     N  examples       B  examples of a batch
    D  features of an input         C  classes or outputs           K  folds          T  trials

*inputs* go into a model, *outputs* come out of it (logits), *predictions* are outputs after the loss's link
(probabilities, or values in the target's own units), *targets* are what is predicted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    import torch

Task = Literal["classification", "regression"]
State = dict[str, "torch.Tensor"]
"""Optimizer state: named tensors of shape [M, ...], so that a member's part is a row of each."""
Sums = dict[str, "torch.Tensor"]
"""What a metric adds up over batches: named tensors of one member, of any shape."""


@dataclass(frozen=True)
class Column:
    """How a column of a user's table became features.

    Attributes:
        name: Its name in the table.
        categories: Its texts, sorted, each a feature that is 0 or 1; None where it is a number and one feature.
        has_missing: Whether one feature more says that the value is missing. A missing number is NaN in the inputs.
    """

    name: str
    categories: tuple[str, ...] | None = None
    has_missing: bool = False

    @property
    def feature_names(self) -> list[str]:
        """Names of its features, in their order."""
        known = [self.name] if self.categories is None else [f"{self.name}={each}" for each in self.categories]
        return [*known, f"{self.name} is missing"] if self.has_missing else known


@dataclass(frozen=True)
class Examples:
    """A data set in memory.

    Attributes:
        inputs: Raw inputs, [N, D], float64; NaN only where a column of ``table`` has missing numbers.
        targets: Classes as int64 [N] in 0..C-1, or values as float64 [N, C].
        task: What kind of target this is.
        feature_names: One name per input feature, length D.
        target_names: One name per class, or one per target column, length C.
        columns: Values of columns that are no inputs, [N] each, by name: groups, predefined folds.
        table: Where the features come from, if from a user's table; their order is that of the features.
        notes: What whoever trains on these data should know, a sentence each.
    """

    inputs: np.ndarray[Any, np.dtype[np.float64]]
    targets: np.ndarray[Any, np.dtype[Any]]
    task: Task
    feature_names: tuple[str, ...]
    target_names: tuple[str, ...]
    columns: Mapping[str, np.ndarray[Any, np.dtype[Any]]] = field(default_factory=dict)
    table: tuple[Column, ...] = ()
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def column_names(self) -> list[str]:
        """Names of all columns: the features, then those that are no inputs."""
        return [*self.feature_names, *self.columns]

    @property
    def has_missing(self) -> bool:
        """Whether inputs may be NaN, for a value fitted on the training part to take their place."""
        return any(column.has_missing and column.categories is None for column in self.table)

    def column(self, name: str) -> np.ndarray[Any, np.dtype[Any]]:
        """Give the raw values of a column, [N].

        Raises:
            KeyError: If there is none of this name.
        """
        if name in self.feature_names:
            return self.inputs[:, self.feature_names.index(name)]
        return self.columns[name]


@dataclass(frozen=True)
class Spec:
    """What a model is built for: ``input_shape`` of one example, ``num_outputs`` C, and the torch ``dtype``."""

    input_shape: tuple[int, ...]
    num_outputs: int
    dtype: torch.dtype


class Scored(NamedTuple):
    """A scored batch of one member, as a metric reads it.

    Attributes:
        predictions: Class probabilities [B, C] in the dtype of the training, or values [B, C] in the target's own
            units, float64.
        targets: Classes [B] (int64), or values [B, C] in their own units, float64.
        weights: Weight of each example, [B], float64; 0 marks padding.
        nll: Whole negative log-likelihood of each example, constants included, [B], float64, in nats.
    """

    predictions: torch.Tensor
    targets: torch.Tensor
    weights: torch.Tensor
    nll: torch.Tensor


class Searched(NamedTuple):
    """A setting that ``dlx compare-optimizers`` tunes, evenly on a logarithmic scale.

    Attributes:
        key: Name of a tunable.
        low: Lower end of the range, positive.
        high: Upper end.
        is_complement: Whether the range is one of 1 - value: 0.9 and 0.99 differ in how far they are from 1.
        min_trials: Trials from which on it is tuned; with fewer it stays as the config has it.
    """

    key: str
    low: float
    high: float
    is_complement: bool = False
    min_trials: int = 1


class Watch(NamedTuple):
    """What a schedule remembers of a member's validation losses.

    Attributes:
        best: The lowest so far, as far as it counted as an improvement.
        waited: Epochs since then.
        factor: What the learning rate is multiplied with from now on.
    """

    best: float = float("inf")
    waited: int = 0
    factor: float = 1.0


class Hyper(SimpleNamespace):
    """The tunables of one definition as tensors, by name: ``h.lr``.

    For an optimizer, schedule or prior each is [M, 1]; for a loss, which is written for one member, a scalar.
    ``h.complement.rho`` is 1 - rho formed in float64 before the cast: 1 - float32(0.999) is off by 1.3e-5.
    """

    complement: Hyper

    def __init__(self, values: Mapping[str, torch.Tensor], complements: Mapping[str, torch.Tensor] | None = None):
        super().__init__(**values)
        if complements is not None:
            self.complement = Hyper(complements)

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> torch.Tensor: ...
