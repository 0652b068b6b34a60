"""What the cells of one trial come to: means, standard errors and spreads of its scores."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from dlx.core.records import PARTS
from dlx.statistics.tests import variance_components

Status = Literal["done", "dropped", "diverged", "invalid"]
Line = Mapping[str, Any]
"""A line of cells.jsonl."""
FoldScores = dict[tuple[int, int], float | None]
"""Score of each (repeat, fold), averaged over its seeds; None where it is not a number."""


@dataclass(frozen=True)
class TrialCells:
    """A trial and its cells.

    Attributes:
        number: Its number in the search, from 0.
        values: The value of every key of the space.
        epochs: Its budget: what its cells were trained for, or the last one before it was dropped.
        precision: Precision of its Gaussian prior or rate of its Laplace prior, 0 without one.
        lines: Its lines of cells.jsonl, those of other budgets among them; of one study.
        is_dropped: Whether it was given up at this budget, which is not the full one.
        invalid: Why these values cannot be, or None; there are no cells then.
        pooled: Test scores of all held-out predictions together, where the test scores of the lines are pseudo-values
            (``pooling.py``); None for means over folds.
    """

    number: int
    values: Mapping[str, Any]
    epochs: int
    precision: float
    lines: Sequence[Line] = ()
    is_dropped: bool = False
    invalid: str | None = None
    pooled: Mapping[str, float | None] | None = None

    @cached_property
    def cells(self) -> list[Line]:
        """The lines of its budget, by repeat, fold and seed: scores of different budgets do not compare."""
        lines = (line for line in self.lines if line["epochs"] == self.epochs)
        return sorted(lines, key=lambda line: (line["repeat"], line["fold"], line["seed"]))

    @cached_property
    def diverged(self) -> list[Line]:
        """The cells that diverged."""
        return [cell for cell in self.cells if cell["stop_reason"] == "diverged"]


@dataclass(frozen=True)
class Summary:
    """A trial in numbers.

    Attributes:
        trial: The trial.
        status: What became of it.
        reason: Why it has no score; None if it has one.
        folds: Its score on each fold.
        mean: Mean of the folds, or the score of all predictions where they are pooled; None if any fold has none.
        se: Standard error of the mean; None where it is not defined.
    """

    trial: TrialCells
    status: Status
    reason: str | None
    folds: FoldScores
    mean: float | None
    se: float | None

    def line(self, score: str) -> dict[str, Any]:
        """Give its part of result.json, but for what only the other trials tell.

        Args:
            score: Name of the score that decides.
        """
        trial, cells = self.trial, self.trial.cells
        has_best = self.status in ("done", "dropped")
        train_mean, train_se = mean_and_se(fold_scores(cells, "train", score))
        return {
            "trial": trial.number,
            "values": dict(trial.values),
            "status": self.status,
            "epochs": trial.epochs,
            "num_parameters": cells[0]["num_parameters"] if cells else None,
            # Of an even number the lower one: an epoch that was the best of a cell, and the cheaper of two as good.
            "best_epoch": statistics.median_low(cell["best_epoch"] for cell in cells) if has_best else None,
            "num_diverged": len(trial.diverged),
            **({"reason": self.reason} if self.reason else {}),
            "score": {"mean": self.mean, "se": self.se, "folds": list(self.folds.values())},
            "train_score": {"mean": train_mean, "se": train_se},
            "means": _means(trial) if has_best else {},
            **self._components(score),
            "cells": [cell["id"] for cell in cells],
        }

    def _components(self, score: str) -> dict[str, float | None]:
        """Tell the spread between folds from that between seeds, where there are several seeds."""
        by_fold = _by_fold(self.trial.cells, "test", score)
        if not any(len(scores) > 1 for scores in by_fold.values()):
            return {}
        if len(by_fold) < 2 or None in self.folds.values():
            return {"fold_std": None, "seed_std": None}
        fold_std, seed_std = variance_components(list(by_fold.values()))
        return {"fold_std": fold_std, "seed_std": seed_std}


def summarise(trial: TrialCells, score: str) -> Summary:
    """Average a trial's test scores over its folds.

    Args:
        trial: The trial with all its cells.
        score: Name of the score that decides: a metric, or ``loss``.

    Returns:
        Its summary. A trial of which any cell diverged has no mean: it would be one over easier folds.
    """
    folds = fold_scores(trial.cells, "test", score)
    if trial.invalid is not None:
        return Summary(trial, "invalid", trial.invalid, folds, None, None)
    if trial.diverged:
        return Summary(trial, "diverged", _divergence(trial), folds, None, None)
    mean, se = _pooled_mean_and_se(trial, score, folds)
    reason = _undefined(trial, score) if mean is None else None
    return Summary(trial, "dropped" if trial.is_dropped else "done", reason, folds, mean, se)


def fold_scores(cells: Iterable[Line], part: str, name: str) -> FoldScores:
    """Average a score of each (repeat, fold) over its seeds.

    Args:
        cells: In the order of repeat and fold.
        part: ``train``, ``valid`` or ``test``.
        name: Name of the score.
    """
    return {
        key: None if None in scores else statistics.mean(scores) for key, scores in _by_fold(cells, part, name).items()
    }


def mean_and_se(folds: FoldScores) -> tuple[float | None, float | None]:
    """Average over folds, with the standard error: s / sqrt(K).

    s is the standard deviation (ddof 1) over the folds of all repeats and K the number of folds of one, since repeats
    add no independent data.

    Returns:
        Mean and standard error; both None where a score is missing, the error also where there is one score alone.
    """
    scores = [score for score in folds.values() if score is not None]
    if not scores or len(scores) < len(folds):
        return None, None
    num_folds = len({fold for _, fold in folds})
    # The exact sums of `statistics`: the same in any order, 0 for equal scores, and without overflow.
    se = statistics.stdev(scores) / math.sqrt(num_folds) if len(scores) > 1 else None
    return statistics.mean(scores), se


def _by_fold(cells: Iterable[Line], part: str, name: str) -> dict[tuple[int, int], list[Any]]:
    scores: dict[tuple[int, int], list[Any]] = {}
    for cell in cells:
        scores.setdefault((cell["repeat"], cell["fold"]), []).append(cell.get(part, {}).get(name))
    return scores


def _pooled_mean_and_se(trial: TrialCells, name: str, folds: FoldScores) -> tuple[float | None, float | None]:
    mean, se = mean_and_se(folds)
    return (mean, se) if trial.pooled is None else (trial.pooled[name], se)


def _means(trial: TrialCells) -> dict[str, dict[str, dict[str, float | None]]]:
    """Give mean and standard error of every score of every part."""
    means: dict[str, dict[str, dict[str, float | None]]] = {}
    for part in PARTS:
        for name in trial.cells[0].get(part, {}):
            folds = fold_scores(trial.cells, part, name)
            mean, se = _pooled_mean_and_se(trial, name, folds) if part == "test" else mean_and_se(folds)
            means.setdefault(part, {})[name] = {"mean": mean, "se": se}
    return means


def _divergence(trial: TrialCells) -> str:
    """Say how many cells diverged, and which at the earliest step."""
    first = min(trial.diverged, key=lambda cell: cell["first_nonfinite_step"])
    place, number = _place(first, trial), len(trial.diverged)
    text = f"{number} of {len(trial.cells)} cells diverged, {'the first ' if number > 1 else ''}in {place}"
    return f"{text} at step {first['first_nonfinite_step']}"


def _undefined(trial: TrialCells, score: str) -> str:
    cells = [cell for cell in trial.cells if cell["test"].get(score) is None]
    if trial.pooled is not None:
        return f"{score} of all held-out predictions is not a number"
    first = "the first " if len(cells) > 1 else ""
    return f"{score} is not a number in {len(cells)} of {len(trial.cells)} cells, {first}in {_place(cells[0], trial)}"


def _place(cell: Line, trial: TrialCells) -> str:
    """Name a cell by what its trial has several of."""
    varying = {name for name in ("repeat", "seed") if len({each[name] for each in trial.cells}) > 1}
    more = "".join(f", {name} {cell[name]}" for name in ("repeat", "seed") if name in varying)
    return f"fold {cell['fold']}{more}"
