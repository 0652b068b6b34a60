"""The judgement: ranks, tests, edges and estimates, by hand and against numpy and scipy."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from search.cells import cell, diverged, layout, trial, verdict

from dlx.search.summary import TrialCells

BEST = [0.9, 0.8, 0.85, 0.95, 0.75]


def ranks(judged: dict[str, Any]) -> list[int]:
    """Numbers of the trials, best first."""
    return [line["trial"] for line in sorted(judged["trials"], key=lambda line: line["rank"])]


def difference(judged: dict[str, Any], number: int) -> dict[str, Any]:
    return judged["trials"][number]["difference"]


def test_differences_by_hand() -> None:
    """60 + 20 examples train and 20 are held out; both p are doubled or not as Holm says."""
    near, far = [0.88, 0.81, 0.85, 0.93, 0.74], [0.8, 0.72, 0.73, 0.85, 0.66]
    judged = verdict([trial(0, near), trial(1, BEST), trial(2, far)])
    p_values = []
    for scores in (near, far):
        d = np.subtract(BEST, scores)
        t = d.mean() / math.sqrt((1 / 5 + 20 / 80) * d.var(ddof=1))
        p_values.append(2 * stats.t(df=4).sf(abs(t)))
    assert p_values[0] > 0.05 > 2 * p_values[1]
    assert difference(judged, 0) == {
        "mean": pytest.approx(0.008),
        "p": pytest.approx(p_values[0]),
        "indistinguishable": True,
    }
    assert difference(judged, 2) == {
        "mean": pytest.approx(0.098),
        "p": pytest.approx(2 * p_values[1]),
        "indistinguishable": False,
    }
    assert "difference" not in judged["trials"][1]
    assert judged["selection"]["indistinguishable"] == [0]


@pytest.mark.parametrize(("p", "is_shown"), [(0.049, True), (0.051, False)])
def test_level(p: float, is_shown: bool) -> None:
    """The mean difference is set to what has this p, by scipy's quantile of t."""
    spread = np.array([0.02, -0.01, 0.03, -0.03, -0.01])
    shift = stats.t(df=4).isf(p / 2) * math.sqrt((1 / 5 + 20 / 80) * spread.var(ddof=1))
    judged = verdict([trial(0, BEST), trial(1, (np.array(BEST) - spread - shift).tolist())])
    assert difference(judged, 1) == {
        "mean": pytest.approx(shift),
        "p": pytest.approx(p),
        "indistinguishable": not is_shown,
    }


def test_many_trials_make_a_difference_harder_to_show() -> None:
    """Alone, p is below 0.05; among copies, Holm holds the chance of any false finding."""
    worse = [each - by for each, by in zip(BEST, (0.08, 0.05, 0.11, 0.07, 0.03), strict=True)]
    assert not difference(verdict([trial(0, BEST), trial(1, worse)]), 1)["indistinguishable"]
    crowd = verdict([trial(0, BEST), *(trial(number, worse) for number in range(1, 11))])
    assert crowd["selection"]["indistinguishable"] == list(range(1, 11))


def test_equal_trials_show_no_difference() -> None:
    judged = verdict([trial(0, BEST), trial(1, BEST)])
    assert difference(judged, 1) == {"mean": 0, "p": 1, "indistinguishable": True}


def test_one_score_is_no_test() -> None:
    judged = verdict([trial(0, [0.9]), trial(1, [0.1])])
    assert difference(judged, 1) == {"mean": pytest.approx(0.8), "p": None, "indistinguishable": True}


def test_repeats_are_not_independent() -> None:
    """J is folds times repeats, and the second term does not shrink with the repeats."""
    scores = np.random.default_rng(4).normal(0.8, 0.1, size=(2, 3, 5, 2))
    trials = [layout(number, lambda *at, n=number: float(scores[(n, *at)]), 3, 5, 2) for number in (0, 1)]
    judged = verdict(trials)
    best = judged["selection"]["best"]
    d = (scores[best] - scores[1 - best]).mean(-1).ravel()
    t = d.mean() / math.sqrt((1 / 15 + 1 / 4) * d.var(ddof=1))
    assert difference(judged, 1 - best)["p"] == pytest.approx(2 * stats.t(df=14).sf(abs(t)))


def test_uneven_folds_count_by_their_mean() -> None:
    def uneven(number: int, scores: list[float]) -> TrialCells:
        lines = [
            cell(number, score, fold=fold, num_train=20 * (fold + 1), num_valid=fold, num_test=10 + fold)
            for fold, score in enumerate(scores)
        ]
        return trial(number, (), lines=lines)

    judged = verdict([uneven(0, [0.9, 0.8, 0.85]), uneven(1, [0.7, 0.75, 0.6])])
    d = np.array([0.2, 0.05, 0.25])
    t = d.mean() / math.sqrt((1 / 3 + 11 / 41) * d.var(ddof=1))
    assert difference(judged, 1)["p"] == pytest.approx(2 * stats.t(df=2).sf(t))


def test_ranks_by_status() -> None:
    trials = [
        TrialCells(0, {}, 27, 0.0, invalid="cannot be"),
        trial(1, [0.99, 0.99], epochs=3, is_dropped=True),
        trial(2, (), lines=[cell(2, 0.99), diverged(2, 3, fold=1)]),
        trial(3, [0.5, 0.6], epochs=27),
        trial(4, [0.7, 0.7], epochs=9, is_dropped=True),
        trial(5, [0.98, 0.98], epochs=3, is_dropped=True),
        trial(6, [0.6, 0.7], epochs=27),
        trial(7, [0.9, None], epochs=27),
    ]
    judged = verdict(trials)
    assert ranks(judged) == [6, 3, 7, 4, 1, 5, 2, 0]
    assert [line["trial"] for line in judged["trials"]] == list(range(8))
    assert judged["selection"]["best"] == judged["selection"]["chosen"] == 6
    assert [line["trial"] for line in judged["trials"] if "difference" in line] == [3]


def test_budget_is_the_trials_own_where_epochs_are_searched() -> None:
    assert ranks(verdict([trial(0, [0.5, 0.6], epochs=50), trial(1, [0.8, 0.9], epochs=5)])) == [1, 0]


def test_equal_scores_rank_the_simpler_first_then_the_lower_number() -> None:
    trials = [trial(0, BEST, 30), trial(1, BEST, 20), trial(2, BEST, 20), trial(3, BEST, 20, precision=1.0)]
    assert ranks(verdict(trials)) == [3, 1, 2, 0]


@pytest.mark.parametrize(
    ("trials", "reason"),
    [
        (
            [
                trial(0, (), lines=[diverged(0, 1)]),
                trial(1, (), lines=[diverged(1, 1)]),
                trial(2, [0.9], is_dropped=True),
                trial(3, [None]),
                TrialCells(4, {}, 20, 0.0, invalid="no"),
            ],
            "1 without a finite score, 1 dropped, 2 diverged, 1 invalid",
        ),
        ([], "there are none"),
    ],
)
def test_nothing_to_choose(trials: list[TrialCells], reason: str) -> None:
    judged = verdict(trials)
    assert judged["selection"] == {
        "best": None,
        "chosen": None,
        "rule": "one_se",
        "reason": f"no trial has a score at the full budget: {reason}",
        "indistinguishable": [],
        "edges": [],
    }
    assert judged["estimate"] == {"kind": "selection", "mean": None, "se": None}


LR = {"low": 1e-4, "high": 1e-1, "log": True}


@pytest.mark.parametrize(
    ("choices", "value", "found"),
    [
        (LR, 0.09, ("high", 0.1)),
        (LR, 10**-1.3, ("high", 0.1)),
        (LR, 10**-1.31, None),
        (LR, 10**-3.7, ("low", 1e-4)),
        (LR, 10**-3.69, None),
        ({"low": 1.0, "high": 2.0}, 1.1, ("low", 1.0)),
        ({"low": 1.0, "high": 2.0}, 1.11, None),
        ({"low": 0, "high": 10}, 1, None),  # 0 is where momentum, noise and the like end by nature
        ({"low": 0, "high": 10}, 9, ("high", 10)),
        ({"low": -10, "high": 0}, 0, None),
        ([8, 64, 32], 8, ("low", 8)),
        ([8, 64, 32], 64, ("high", 64)),
        ([8, 64, 32], 32, None),
        ([0.0, 0.5, 0.9], 0.0, None),
        ([0.1, 0.2], 0.2, None),  # two values have nothing between them
        ([0.1, 0.2, 0.2], 0.2, None),
        ([None, 0.1, 0.2, 0.3], 0.3, None),
        ([True, False, 2], 2, None),
        (["relu", "tanh", "gelu"], "gelu", None),
        ([[32], [64], [128]], [128], None),
    ],
)
def test_edges(choices: Any, value: Any, found: tuple[str, float] | None) -> None:
    judged = verdict([trial(0, BEST, values={"key": value})], search={"space": {"key": choices}})
    expected = [{"key": "key", "value": value, "bound": found[1], "side": found[0]}] if found else []
    assert judged["selection"]["edges"] == expected


def test_edges_are_those_of_the_chosen_in_the_order_of_the_space() -> None:
    space = {"b": [1, 2, 3], "a": [1, 2, 3]}
    trials = [trial(0, BEST, 10, values={"a": 1, "b": 3}), trial(1, [*BEST[:4], 0.76], 20, values={"a": 2, "b": 2})]
    edges = verdict(trials, search={"space": space})["selection"]["edges"]
    assert [(each["key"], each["side"]) for each in edges] == [("b", "high"), ("a", "low")]
    assert verdict(trials, "best", search={"space": space})["selection"]["edges"] == []


def test_estimate_without_nesting_is_the_score_of_the_chosen() -> None:
    judged = verdict([trial(0, [0.83, 0.85, 0.81], 10), trial(1, [0.9, 0.8, 0.85], 20)])
    assert judged["selection"]["chosen"] == 0
    assert judged["estimate"] == {
        "kind": "selection",
        "mean": pytest.approx(0.83),
        "se": pytest.approx(0.02 / math.sqrt(3)),
    }


def test_nested_estimate() -> None:
    outer = [
        {"outer_fold": fold, "trial": 0, "values": {}, "epochs": 7, "score": score, "selection_score": 0.9}
        for fold, score in enumerate((0.8, 0.9, 0.7))
    ]
    estimate = verdict([trial(0, BEST)], outer=outer)["estimate"]
    assert estimate["mean"] == pytest.approx(0.8)
    assert estimate["se"] == pytest.approx(0.1 / math.sqrt(3))
    assert (estimate["kind"], estimate["outer"]) == ("nested", outer)
    outer[1]["score"] = None
    assert verdict([trial(0, BEST)], outer=outer)["estimate"]["mean"] is None


def a_search(seed: int) -> list[TrialCells]:
    """Trials of every kind, with scores on a grid so that ties happen."""
    rng = random.Random(seed)  # noqa: S311
    repeats, folds, seeds = rng.choice([(1, 5, 1), (2, 3, 2), (1, 2, 3)])
    trials = []
    for number in range(rng.randint(1, 7)):
        kind, budget, parameters = rng.choice("ffffdxin"), rng.choice([3, 9]), rng.choice([10, 20])
        level = rng.choice([0.5, 0.6, 0.7])
        more = {"epochs": budget if kind == "d" else 27, "precision": rng.choice([0.0, 1.0]), "values": {}}
        if kind == "i":
            trials.append(TrialCells(number, {}, 27, 0.0, invalid="no"))
            continue
        lines = [
            cell(number, level + rng.randint(0, 4) / 16, *place, epochs=more["epochs"], num_parameters=parameters)
            for place in itertools.product(range(repeats), range(folds), range(seeds))
        ]
        if kind == "x":
            lines[-1] = diverged(number, 5, repeats - 1, folds - 1, seeds - 1, epochs=27, num_parameters=parameters)
        elif kind == "n":
            lines[0]["test"]["accuracy"] = None
        trials.append(trial(number, (), lines=lines, is_dropped=kind == "d", **more))
    return trials


def recomputed(trials: list[TrialCells]) -> tuple[dict[int, tuple[np.ndarray, float]], list[int]]:
    """Fold scores and standard error of every trial that may be chosen, and their numbers, best first."""
    scored, keys = {}, {}
    for each in trials:
        if each.is_dropped or not each.lines or any("test" not in line for line in each.lines):
            continue
        values: dict[tuple[int, int], list[float | None]] = {}
        for line in each.lines:
            values.setdefault((line["repeat"], line["fold"]), []).append(line["test"]["accuracy"])
        if any(None in seeds for seeds in values.values()):
            continue
        folds = np.array([np.mean(values[key]) for key in sorted(values)])
        scored[each.number] = folds, folds.std(ddof=1) / math.sqrt(len({fold for _, fold in values}))
        keys[each.number] = (-round(folds.mean(), 12), each.lines[0]["num_parameters"], -each.precision, each.number)
    return scored, sorted(scored, key=keys.__getitem__)


@given(st.integers(0, 10_000))
@settings(max_examples=80, deadline=None, derandomize=True)
def test_against_an_independent_computation(seed: int) -> None:
    trials = a_search(seed)
    judged = verdict(trials)
    json.dumps(judged, allow_nan=False)
    scored, order = recomputed(trials)
    assert ranks(judged)[: len(order)] == order
    assert sorted(ranks(judged)) == sorted(each.number for each in trials)
    for number, (folds, se) in scored.items():
        score = judged["trials"][number]["score"]
        assert (score["mean"], score["se"]) == pytest.approx((folds.mean(), se))
    if not order:
        assert judged["selection"]["best"] is None
        return
    best = order[0]
    folds, se = scored[best]
    p_values = {}
    for number in order[1:]:
        d = folds - scored[number][0]
        spread = d.std(ddof=1)
        t = d.mean() / (spread * math.sqrt(1 / len(d) + 20 / 80)) if spread > 1e-15 else math.inf * d.mean()
        p_values[number] = 1.0 if np.allclose(d, 0, atol=1e-15) else 2 * stats.t.sf(abs(t), len(d) - 1)
    worst = 0.0
    for place, number in enumerate(sorted(p_values, key=p_values.__getitem__)):
        worst = max(worst, min(1.0, p_values[number] * (len(p_values) - place)))
        assert difference(judged, number)["p"] == pytest.approx(worst, abs=1e-9)
    within = [number for number in order if folds.mean() - scored[number][0].mean() <= se + 1e-12]
    size = {each.number: (each.lines[0]["num_parameters"], -each.precision) for each in trials if each.lines}
    assert judged["selection"]["chosen"] == min(within, key=lambda number: (size[number], order.index(number)))
    assert verdict(trials, "best")["selection"]["chosen"] == best


@given(st.integers(0, 10_000), st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_order_of_trials_and_cells_does_not_matter(seed: int, rng: random.Random) -> None:
    trials = a_search(seed)
    shuffled = [dataclasses.replace(each, lines=rng.sample(each.lines, len(each.lines))) for each in trials]
    rng.shuffle(shuffled)
    assert verdict(shuffled) == verdict(trials)
