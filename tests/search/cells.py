"""Trials and their cells as `dlx cv` writes them, made by hand."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dlx.core.settings import CrossValidation, Search
from dlx.search.selection import judge
from dlx.search.summary import TrialCells

Score = float | None


def cell(number: int, score: Score, repeat: int = 0, fold: int = 0, seed: int = 0, **more: Any) -> dict[str, Any]:
    """A finished cell whose accuracy is the score; the training score is 0.01 higher, the loss 1 less the score."""
    part = {"loss": None if score is None else 1 - score, "accuracy": score}
    above = {"loss": None if score is None else 0.99 - score, "accuracy": None if score is None else score + 0.01}
    budget = more.get("epochs", 20)
    return {
        "id": f"{number}-{repeat}-{fold}-{seed}-{budget}",
        "trial": number,
        "seed": seed,
        "repeat": repeat,
        "fold": fold,
        "epochs": 20,
        "stop_reason": "max_epochs",
        "last_epoch": budget,
        "best_epoch": 10 + fold,
        "num_parameters": 1000,
        "num_train": 60,
        "num_valid": 20,
        "num_test": 20,
        "train": above,
        "test": part,
    } | more


def diverged(number: int, step: int, repeat: int = 0, fold: int = 0, seed: int = 0, **more: Any) -> dict[str, Any]:
    """A cell whose loss stopped being finite."""
    line = cell(number, 0.0, repeat, fold, seed, **more)
    for part in ("train", "test"):
        del line[part]
    return line | {"stop_reason": "diverged", "first_nonfinite_step": step, "last_finite_loss": 1e30}


def trial(number: int, scores: Sequence[Score], parameters: int = 1000, **more: Any) -> TrialCells:
    """A trial with one score a fold."""
    budget = more.setdefault("epochs", 20)
    lines = [
        cell(number, each, fold=fold, num_parameters=parameters, epochs=budget) for fold, each in enumerate(scores)
    ]
    return TrialCells(number, **({"values": {}, "precision": 0.0, "lines": lines} | more))


def layout(
    number: int, score: Callable[[int, int, int], Score], repeats: int, folds: int, seeds: int, **more: Any
) -> TrialCells:
    """A trial with a score for each repeat, fold and seed."""
    places = itertools.product(range(repeats), range(folds), range(seeds))
    lines = [cell(number, score(*place), *place) for place in places]
    return TrialCells(number, **({"values": {}, "epochs": 20, "precision": 0.0, "lines": lines} | more))


def verdict(
    trials: Sequence[TrialCells],
    select: str = "one_se",
    score: str = "accuracy",
    search: Mapping[str, Any] | None = None,
    outer: Sequence[Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """The judgement, with settings as YAML has them."""
    settings = Search.model_validate(search or {})
    return judge(trials, score, score != "loss", CrossValidation(select=select), settings, outer)
