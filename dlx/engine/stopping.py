"""Who is best so far and who stops: decided once per epoch, on the host, for each member by itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dlx.core.records import Divergence, StopReason
from dlx.core.settings import Training
from dlx.core.types import Watch

Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass
class Course:
    """How the training of one member goes.

    Attributes:
        best_loss: Lowest validation loss so far.
        best_epoch: Epoch of it; without validation data, the last epoch; 0 before the first.
        waited: Epochs since the last improvement by more than ``min_delta``.
        waited_from: The loss that the next improvement must undercut.
        last_epoch: Epochs done.
        num_steps: Steps done.
        stop_reason: Why the member stopped, or None while it trains.
        last_loss: Objective of the last step that was finite, or None before the first.
        divergence: When its loss stopped being finite, if it did.
        watch: What its schedule remembers of the validation losses.
        diagnostics: What the update rule told after the last epoch that was finite, by name.
    """

    best_loss: float = float("inf")
    best_epoch: int = 0
    waited: int = 0
    waited_from: float = float("inf")
    last_epoch: int = 0
    num_steps: int = 0
    stop_reason: StopReason | None = None
    last_loss: float | None = None
    divergence: Divergence | None = None
    watch: Watch = field(default_factory=Watch)
    diagnostics: dict[str, float] = field(default_factory=dict)

    @classmethod
    def restore(cls, saved: dict[str, Any]) -> Course:
        """Build a course from what ``dataclasses.asdict`` gave."""
        divergence = saved["divergence"]
        restored = {"divergence": Divergence(**divergence) if divergence else None, "watch": Watch(*saved["watch"])}
        return cls(**{**saved, **restored})

    def check_finite(self, losses: Floats, scores: Sequence[float], steps_before: int) -> None:
        """Look for the first step of an epoch whose loss is not finite; it stops the member.

        Args:
            losses: Objective of each step of the epoch, [S].
            scores: Losses measured after the epoch; they show what its last step did.
            steps_before: Steps taken before the epoch.
        """
        num_finite = len(losses)
        if not math.isfinite(losses.sum()):  # cheap, and almost always the answer; a sum may also overflow
            is_finite = np.isfinite(losses)
            num_finite = len(losses) if is_finite.all() else int(np.argmin(is_finite))
        if num_finite:
            self.last_loss = float(losses[num_finite - 1])
        if num_finite < len(losses) or not all(map(math.isfinite, scores)):
            self.divergence = Divergence(steps_before + num_finite + 1, self.last_loss)
            self.stop_reason = "diverged"

    def observe(self, epoch: int, valid_loss: float | None, training: Training) -> bool:
        """Take in an epoch; tell whether it is the best so far, and set the reason if the member stops.

        Args:
            epoch: Number of the epoch, from 1.
            valid_loss: Validation loss after it, or None without validation data: then the last epoch is the best.
            training: How long at most, and when to stop early.
        """
        if epoch == training.epochs:
            self.stop_reason = "max_epochs"
        if valid_loss is None:
            self.best_epoch = epoch
            return True
        rule = training.early_stopping
        if valid_loss < self.waited_from - (rule.min_delta if rule else 0):
            self.waited, self.waited_from = 0, valid_loss
        else:
            self.waited += 1
        if rule and self.waited >= rule.patience:
            self.stop_reason = "patience"
        if valid_loss >= self.best_loss:
            return False
        self.best_loss, self.best_epoch = valid_loss, epoch
        return True
