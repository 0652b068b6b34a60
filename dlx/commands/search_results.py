"""What a search comes to: the value of result.json."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from dlx.core.settings import Range
from dlx.data.splits import is_stratified
from dlx.search.selection import judge
from dlx.search.study import Setup, Study
from dlx.tracking.files import finite


def search_result(setup: Setup, study: Study, outer: Sequence[Mapping[str, Any]] | None) -> dict[str, Any]:
    """Judge the study on all examples.

    Args:
        setup: The search.
        study: The one on all examples, done.
        outer: What the outer folds of nested cross-validation came to, or None.

    Returns:
        The value of result.json: no clock values, so a repeated search gives the same.
    """
    experiment, judged = setup.experiment, judge_study(setup, study, outer)
    cells = [study.journal.cells[name] for trial in judged["trials"] for name in trial["cells"]]
    sizes = [(cell["num_train"] + cell["num_valid"], cell["num_test"]) for cell in cells]
    num_train, num_test = map(statistics.fmean, zip(*sizes, strict=True)) if sizes else (None, None)
    return {
        "schema": 1,
        "command": "cv",
        "name": experiment.name,
        "status": _status(judged),
        "loss": experiment.loss.name,
        "metrics": [metric.name for metric in experiment.metrics],
        "score": {"name": setup.score, "higher_is_better": setup.higher_is_better},
        "folds": {
            "kind": fold_kind(setup),
            "num_folds": setup.num_folds(),
            "repeats": setup.cv.repeats,
            "seeds": list(setup.cv.seed_list),
            "nested": setup.cv.nested,
            "pooled": setup.is_pooled,
            "num_train": num_train,
            "num_test": num_test,
        },
        "search": {
            "method": setup.search.method,
            "budget": setup.search.budget,
            "space": {key: _space(choices) for key, choices in setup.search.space.items()},
            "num_trials": len(study.trials),
        },
        **judged,
    }


def _status(judged: Mapping[str, Any]) -> str:
    if judged["selection"]["best"] is not None:
        return "done"
    return "diverged" if all(trial["status"] == "diverged" for trial in judged["trials"]) else "no_score"


def judge_study(setup: Setup, study: Study, outer: Sequence[Mapping[str, Any]] | None = None) -> dict[str, Any]:
    """Judge the trials of a study; see ``search/selection.py``."""
    judged = judge(study.found(), setup.score, setup.higher_is_better, setup.cv, setup.search, outer)
    return dict(finite(judged))


def fold_kind(setup: Setup) -> str:
    """Say what kind of folds there are: "stratified 5-fold"."""
    split, folds = setup.experiment.data.split, setup.num_folds()
    if split.folds == "leave_one_out":
        return "leave-one-out"
    if split.time_series:
        return f"{folds} folds in the order of time"
    if split.fold_column:
        return f"{folds} folds of the column {split.fold_column}"
    kind = "stratified " if is_stratified(split, setup.examples) else ""
    return f"{kind}{folds}-fold" + (f" by groups of {split.groups}" if split.groups else "")


def _space(choices: Any) -> Any:
    if isinstance(choices, Range):
        return {"low": choices.low, "high": choices.high, "log": choices.log}
    return list(choices)
