"""What a running fit tells its command: plain values, ready for a log, a table or a progress bar."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

StopReason = Literal["max_epochs", "patience", "solved", "diverged", "dropped"]
PARTS = ("train", "valid", "test")
Scores = dict[str, float]
"""``loss`` (mean per example, without prior) and each metric, by name."""


class Cell(NamedTuple):
    """A member's identity within a run."""

    seed: int
    repeat: int = 0
    fold: int = 0
    outer_fold: int | None = None
    trial: int = 0

    @property
    def stream_key(self) -> tuple[int, ...]:
        """What its random streams are keyed by: never the trial, so that all trials see equal weights and batches."""
        key = self.seed, self.repeat, self.fold
        return key if self.outer_fold is None else (*key, self.outer_fold)


@dataclass(frozen=True)
class Divergence:
    """When a member's loss stopped being finite.

    Attributes:
        first_nonfinite_step: The step, counted from 1, whose loss was not finite.
        last_finite_loss: The objective one step before, or None if no step was finite.
    """

    first_nonfinite_step: int
    last_finite_loss: float | None


@dataclass(frozen=True)
class MemberEpoch:
    """One member after one epoch.

    Attributes:
        cell: Who.
        step: Steps taken so far.
        lr: Learning rate of the last step, or None if the rule has none.
        scores: Scores of the parts that are looked at while training (train, valid), by part.
        is_best: Whether this epoch has the lowest validation loss so far.
        stop_reason: Why the member stops after this epoch, or None if it goes on.
        divergence: Set if the reason is that its loss is not finite; what follows and ``scores`` are empty then.
        diagnostics: What its update rule tells of its steps so far, by name.
        gradient_norms: Norm of the gradient of each parameter tensor on the epoch's first batch, at the epoch's end.
        objective: What training lowered: its mean over the steps of the epoch, each before the update.
    """

    cell: Cell
    step: int
    lr: float | None
    scores: dict[str, Scores]
    is_best: bool
    stop_reason: StopReason | None
    divergence: Divergence | None
    diagnostics: dict[str, float] = field(default_factory=dict)
    gradient_norms: dict[str, float] = field(default_factory=dict)
    objective: float | None = None


@dataclass(frozen=True)
class EpochDone:
    """An epoch is done and evaluated, for every member that was still active in it."""

    epoch: int
    members: tuple[MemberEpoch, ...]


@dataclass(frozen=True)
class Progress:
    """Steps go on within an epoch.

    Attributes:
        epoch: Number of the running epoch, from 1.
        step: Steps of it that are done, on average over the chunks of the population.
        num_steps: Steps of an epoch.
    """

    epoch: int
    step: int
    num_steps: int


@dataclass(frozen=True)
class Started:
    """A command has its run directory and begins.

    Attributes:
        run_dir: Where everything goes.
        command: ``train``.
        facts: What a person wants to see first, by name: data, model, parameters, device ...
        num_members: Members that train together.
        epochs: Epochs at most.
        epochs_done: Epochs done before, when a run is resumed; None if it is new.
        metric: The metric shown while training, or None for the loss alone.
    """

    run_dir: Path
    command: str
    facts: dict[str, str]
    num_members: int
    epochs: int
    epochs_done: int | None
    metric: str | None


@dataclass(frozen=True)
class SearchStarted:
    """A search has its run directory and begins.

    Attributes:
        run_dir: Where everything goes.
        facts: What a person wants to see first, by name.
        num_cells: Cells of the whole search.
        num_found: Those that were found before, when a run is resumed; None if it is new.
        score: Name of the score that decides.
    """

    run_dir: Path
    facts: dict[str, str]
    num_cells: int
    num_found: int | None
    score: str


@dataclass(frozen=True)
class SearchProgress:
    """A search goes on.

    Attributes:
        num_done: Cells that need no more training.
        share: Share of the whole search that is done, cells in training counted by their epochs.
        best: Number, mean score and its standard error, or None, of the best trial so far.
    """

    num_done: int
    share: float
    best: tuple[int, float, float | None] | None


@dataclass(frozen=True)
class AnalysisStarted:
    """A check or an analysis has its run directory and begins.

    Attributes:
        run_dir: Where everything goes.
        facts: What a person wants to see first, by name.
    """

    run_dir: Path
    facts: dict[str, str]


@dataclass(frozen=True)
class AnalysisProgress:
    """A check or an analysis goes on.

    Attributes:
        what: What is being done.
        share: Share of it that is done.
    """

    what: str
    share: float


@dataclass(frozen=True)
class Finished:
    """A command is done; ``result`` is what result.json holds."""

    run_dir: Path
    result: dict[str, Any]


Record = Started | EpochDone | Progress | SearchStarted | SearchProgress | AnalysisStarted | AnalysisProgress | Finished
