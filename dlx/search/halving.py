"""Successive halving and Hyperband: who trains for how long.

Source:
    Jamieson and Talwalkar (2016), "Non-stochastic best arm identification and hyperparameter optimization"; Li et al.
    (2018), "Hyperband: a novel bandit-based approach to hyperparameter optimization", algorithm 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from dlx.core.settings import Search


class Bracket(NamedTuple):
    """Trials that are compared with each other on their way.

    Attributes:
        num_trials: How many begin.
        rungs: Epochs after which the worse ones are dropped; the last are all epochs, after which none is.
    """

    num_trials: int
    rungs: list[int]


def all_rungs(search: Search, epochs: int) -> list[int]:
    """Give the budgets from the first rung to all epochs, each about ``search.factor`` times the one before.

    Args:
        search: ``factor``, and ``min_epochs``, which the first rung does not fall below.
        epochs: All epochs.
    """
    least = search.min_epochs or max(1, epochs // search.factor**2)
    rungs = [epochs]
    while rungs[0] / search.factor >= least:
        rungs.insert(0, round(epochs / search.factor ** len(rungs)))
    return rungs


def brackets(search: Search, epochs: int, num_trials: int, batch: int) -> list[Bracket]:
    """Cut a search into brackets.

    Args:
        search: Its budget: with ``full`` there is one rung, with ``halving`` each batch is a bracket, with
            ``hyperband`` there is a bracket for every first rung, with the share of the trials that Hyperband gives it.
        epochs: All epochs.
        num_trials: Trials of all brackets.
        batch: Trials that are drawn at once, at most.
    """
    if search.budget != "hyperband":
        rungs = all_rungs(search, epochs) if search.budget == "halving" else [epochs]
        starts = range(0, num_trials, batch)
        return [Bracket(min(batch, num_trials - start), rungs) for start in starts]
    rungs = all_rungs(search, epochs)
    last = len(rungs) - 1
    wanted = [(last + 1) / (later + 1) * search.factor**later for later in range(last, -1, -1)]
    ends = [round(num_trials * sum(wanted[: number + 1]) / sum(wanted)) for number in range(len(wanted))]
    counts = [end - start for start, end in zip([0, *ends], ends, strict=False)]
    return [Bracket(count, rungs[first:]) for first, count in enumerate(counts) if count]


def survivors(scores: Sequence[float | None], factor: int, higher_is_better: bool) -> list[int]:
    """Choose who goes on: as many as 1 / ``factor`` of all, rounded up, the best of the scored; the first among equals.

    Hyperband rounds down, which would leave none of a small bracket.

    Args:
        scores: Of each trial at the same budget; None where it diverged.
        factor: Of how many one goes on.
        higher_is_better: Which way a score is better.

    Returns:
        Their positions, in order; none if no trial has a score.
    """
    sign = -1.0 if higher_is_better else 1.0
    ranked = sorted((sign * score, number) for number, score in enumerate(scores) if score is not None)
    return sorted(number for _, number in ranked[: math.ceil(len(scores) / factor)])
