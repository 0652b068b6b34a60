"""The judgement of a search: who ranks where, who is chosen and why, and which differences are shown."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from dlx.core.settings import CrossValidation, Range, Search
from dlx.search.choice import Candidate, Difference, choose, nothing_to_choose
from dlx.search.criterion import Criterion, are_numbers
from dlx.search.summary import TrialCells, mean_and_se, summarise
from dlx.statistics.tests import corrected_t, holm

LEVEL = 0.05
"""Chance of finding any trial different from the best that is not: the level of the tests after Holm."""
EDGE = 0.1
"""Share of a range that is its end."""


def judge(
    trials: Sequence[TrialCells],
    score: str,
    higher_is_better: bool,
    cv: CrossValidation,
    search: Search,
    outer: Sequence[Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """Rank the trials of one study, choose one, and test which of the others differ from the best.

    Only trials with a score at the full budget are tested or chosen. The tests are corrected resampled t-tests on the
    folds, held together by Holm's procedure. That the best is the one that came out best is not accounted for: p is
    rather too small than too large.

    Args:
        trials: All trials in any order, each with its cells (through ``pooling.pool`` for leave-one-out).
        score: Name of the score that decides: a metric, or ``loss``.
        higher_is_better: Which way it is better.
        cv: ``select`` says how one is chosen.
        search: ``space`` holds the ends of the ranges; ``simpler``, which may name keys of the space alone, says what
            is simpler.
        outer: What each outer fold of nested cross-validation came to: ``outer_fold``, ``trial``, ``values``,
            ``epochs``, ``score`` and ``selection_score``; None without.

    Returns:
        ``trials``, ``selection`` and ``estimate`` of result.json: plain values, None where undefined.
    """
    criterion = Criterion(score, higher_is_better, search)
    ranked = sorted((summarise(trial, score) for trial in trials), key=criterion.rank)
    candidates = [Candidate(each, each.mean) for each in ranked if each.status == "done" and each.mean is not None]
    differences = _differences(candidates)
    chosen, reason = None, nothing_to_choose(ranked)
    if candidates:
        chosen, reason = choose(candidates, differences, criterion, cv.select, len(trials))
    lines = [{**each.line(score), "rank": rank} for rank, each in enumerate(ranked, 1)]
    for line in lines:
        if line["trial"] in differences:
            line["difference"] = differences[line["trial"]]._asdict()
    return {
        "trials": sorted(lines, key=lambda line: line["trial"]),
        "selection": {
            "best": candidates[0].number if candidates else None,
            "chosen": chosen.number if chosen else None,
            "rule": cv.select,
            "reason": reason,
            "indistinguishable": sorted(number for number, each in differences.items() if each.indistinguishable),
            "edges": _edges(chosen.summary.trial.values, search) if chosen else [],
        },
        "estimate": _estimate(chosen, outer),
    }


def _differences(candidates: Sequence[Candidate]) -> dict[int, Difference]:
    """Test the first of the candidates, the best, against each other one, by number."""
    if len(candidates) < 2:
        return {}
    best, *others = candidates
    cells = best.summary.trial.cells
    num_train = statistics.fmean(cell["num_train"] + cell.get("num_valid", 0) for cell in cells)
    num_test = statistics.fmean(cell["num_test"] for cell in cells)
    p_values = {}
    for each in others:
        pairs = [(score, each.summary.folds[key]) for key, score in best.summary.folds.items()]
        by_fold = [mine - its for mine, its in pairs if mine is not None and its is not None]
        if 2 <= len(by_fold) == len(pairs):  # a pseudo-value may be undefined where the score is not
            p_values[each.number] = corrected_t(by_fold, num_train, num_test)[1]
    adjusted = dict(zip(p_values, holm(list(p_values.values())).tolist(), strict=True))
    return {
        each.number: Difference(
            best.mean - each.mean, p := adjusted.get(each.number), indistinguishable=p is None or p > LEVEL
        )
        for each in others
    }


def _edges(values: Mapping[str, Any], search: Search) -> list[dict[str, Any]]:
    """Tell which chosen values lie at an end of what was tried: beyond it might be a better one."""
    edges = []
    for key, choices in search.space.items():
        ends = (choices.low, choices.high) if isinstance(choices, Range) else _ends(choices)
        if ends is None:
            continue
        position = _position(values[key], choices, *ends)
        side = "low" if position <= EDGE else "high" if position >= 1 - EDGE else None
        bound = ends[0] if side == "low" else ends[1]
        if side and bound != 0:  # 0 is where most keys end by their nature: no noise, no momentum
            edges.append({"key": key, "value": values[key], "bound": bound, "side": side})
    return edges


def _ends(choices: Sequence[Any]) -> tuple[float, float] | None:
    """Give the ends of a list of numbers that has something between them."""
    return (min(choices), max(choices)) if are_numbers(choices) and len(set(choices)) > 2 else None


def _position(value: float, choices: Range | Sequence[Any], low: float, high: float) -> float:
    """Say where a value lies between the ends, from 0 to 1; of a list only the ends themselves count as such."""
    if not isinstance(choices, Range):
        return 0.0 if value == low else 1.0 if value == high else 0.5
    if choices.log:
        value, low, high = math.log(value), math.log(low), math.log(high)
    return round((value - low) / (high - low), 9)


def _estimate(chosen: Candidate | None, outer: Sequence[Mapping[str, Any]] | None) -> dict[str, Any]:
    """Estimate how well the chosen does: by outer folds, or, optimistically, by the score it was chosen for."""
    if outer is None:
        mean, se = (chosen.mean, chosen.summary.se) if chosen else (None, None)
        return {"kind": "selection", "mean": mean, "se": se}
    mean, se = mean_and_se({(0, each["outer_fold"]): each["score"] for each in outer})
    return {"kind": "nested", "mean": mean, "se": se, "outer": [dict(each) for each in outer]}
