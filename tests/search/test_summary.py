"""Means, standard errors and spreads of one trial, by hand and with numpy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from search.cells import cell, diverged, layout, trial

from dlx.search.summary import TrialCells, mean_and_se, summarise

SCORES = [0.9, 0.8, 0.85, 0.95, 0.75]


def line_of(trial: TrialCells, score: str = "accuracy") -> dict[str, Any]:
    return summarise(trial, score).line(score)


def test_mean_and_standard_error_by_hand() -> None:
    """Deviations of 5, 5, 0, 10 and 10 hundredths: s is the root of 0.025 / 4."""
    line = line_of(trial(3, SCORES, parameters=2410))
    assert line["score"] == {
        "mean": pytest.approx(0.85),
        "se": pytest.approx(math.sqrt(0.025 / 4 / 5)),
        "folds": SCORES,
    }
    assert line["train_score"] == {"mean": pytest.approx(0.86), "se": pytest.approx(line["score"]["se"])}
    assert line["means"]["test"]["loss"] == {"mean": pytest.approx(0.15), "se": pytest.approx(line["score"]["se"])}
    assert line["means"]["train"]["accuracy"] == line["train_score"]
    assert list(line["means"]) == ["train", "test"]
    assert (line["status"], line["num_parameters"], line["epochs"], line["num_diverged"]) == ("done", 2410, 20, 0)
    assert line["cells"] == [f"3-0-{fold}-0-20" for fold in range(5)]
    assert not {"reason", "fold_std", "seed_std"} & line.keys()


def test_loss_decides_where_it_is_the_score() -> None:
    assert line_of(trial(0, SCORES), "loss")["score"]["mean"] == pytest.approx(0.15)


def test_valid_part_is_told_where_there_is_one() -> None:
    lines = [cell(0, 0.5, fold=fold, valid={"loss": fold, "accuracy": 0.4}) for fold in (0, 1)]
    assert line_of(trial(0, (), lines=lines))["means"]["valid"]["loss"] == {"mean": 0.5, "se": 0.5}


def test_repeats_and_seeds_against_numpy() -> None:
    """Seeds are averaged first; repeats add no independent data, so the error divides by the folds of one."""
    scores = np.random.default_rng(0).normal(0.8, 0.1, size=(3, 4, 2))
    line = line_of(layout(0, lambda *place: float(scores[place]), 3, 4, 2))
    by_fold = scores.mean(2).ravel()
    assert line["score"]["folds"] == pytest.approx(by_fold.tolist())
    assert line["score"]["mean"] == pytest.approx(by_fold.mean())
    assert line["score"]["se"] == pytest.approx(by_fold.std(ddof=1) / 2)
    seed_variance = scores.var(2, ddof=1).mean()
    assert line["seed_std"] == pytest.approx(math.sqrt(seed_variance))
    assert line["fold_std"] == pytest.approx(math.sqrt(max(0, by_fold.var(ddof=1) - seed_variance / 2)))


def test_equal_scores_have_no_error_at_all() -> None:
    assert mean_and_se({(0, fold): 0.1 for fold in range(3)}) == (0.1, 0)


def test_huge_scores_do_not_overflow() -> None:
    mean, se = mean_and_se({(0, fold): 1.5e308 for fold in range(5)})
    assert (mean, se) == (1.5e308, 0)
    mean, se = mean_and_se({(0, 0): 1e308, (0, 1): -1e308})
    assert mean == 0
    assert se == pytest.approx(1e308)


def test_one_score_has_no_error() -> None:
    assert line_of(trial(0, [0.7]))["score"] == {"mean": 0.7, "se": None, "folds": [0.7]}


@pytest.mark.parametrize(("epochs", "median"), [([7, 3, 5], 5), ([8, 3, 5, 4], 4), ([9], 9)])
def test_median_best_epoch_is_one_of_a_cell(epochs: list[int], median: int) -> None:
    lines = [cell(0, 0.5, fold=fold, best_epoch=epoch) for fold, epoch in enumerate(epochs)]
    assert line_of(trial(0, (), lines=lines))["best_epoch"] == median


def test_only_lines_of_the_budget_count() -> None:
    lines = [
        cell(0, score, fold=fold, epochs=epochs) for epochs, score in ((3, 0.1), (9, 0.5), (27, 0.9)) for fold in (0, 1)
    ]
    line = line_of(trial(0, (), lines=lines, epochs=9, is_dropped=True))
    assert (line["status"], line["score"]["mean"], line["epochs"]) == ("dropped", 0.5, 9)
    assert line["cells"] == ["0-0-0-0-9", "0-0-1-0-9"]


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (
            [
                cell(1, 0.9),
                diverged(1, 20, fold=1),
                diverged(1, 14, fold=2),
                cell(1, 0.9, fold=3),
                diverged(1, 14, fold=4),
            ],
            "3 of 5 cells diverged, the first in fold 2 at step 14",
        ),
        ([cell(1, 0.9), diverged(1, 7, fold=1)], "1 of 2 cells diverged, in fold 1 at step 7"),
        (
            [cell(1, 0.9, 0, 0, 0), diverged(1, 7, 0, 0, 1), diverged(1, 2, 1, 0, 5), cell(1, 0.9, 1, 0, 0)],
            "2 of 4 cells diverged, the first in fold 0, repeat 1, seed 5 at step 2",
        ),
    ],
    ids=["several", "one", "repeats and seeds"],
)
def test_diverged_cell_makes_a_diverged_trial(lines: list[dict[str, Any]], reason: str) -> None:
    line = line_of(trial(1, (), lines=lines))
    assert (line["status"], line["reason"]) == ("diverged", reason)
    assert line["num_diverged"] == sum(each["stop_reason"] == "diverged" for each in lines)
    assert (line["score"]["mean"], line["score"]["se"], line["means"], line["best_epoch"]) == (None, None, {}, None)
    assert line["train_score"] == {"mean": None, "se": None}
    assert line["num_parameters"] == 1000


def test_scores_of_the_folds_that_did_not_diverge_are_told() -> None:
    line = line_of(
        trial(1, (), lines=[cell(1, 0.9), diverged(1, 7, fold=1), cell(1, 0.8, seed=1), cell(1, 0.7, fold=1, seed=1)])
    )
    assert line["score"]["folds"] == [pytest.approx(0.85), None]
    assert (line["fold_std"], line["seed_std"]) == (None, None)


def test_invalid_trial_has_no_cells() -> None:
    line = line_of(TrialCells(2, {"optimizer": "sgd"}, 20, 0.0, invalid="`rho1` is no key of sgd"))
    assert (line["status"], line["reason"]) == ("invalid", "`rho1` is no key of sgd")
    assert (line["num_parameters"], line["cells"], line["score"]["folds"]) == (None, [], [])


def test_score_that_is_not_a_number() -> None:
    line = line_of(trial(0, [0.9, None, 0.8, None]))
    assert line["status"] == "done"
    assert line["reason"] == "accuracy is not a number in 2 of 4 cells, the first in fold 1"
    assert line["score"] == {"mean": None, "se": None, "folds": [0.9, None, 0.8, None]}
