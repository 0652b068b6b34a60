"""The choice and its sentence."""

from __future__ import annotations

import statistics
from typing import Any

import pytest
from search.cells import trial, verdict

from dlx.search.choice import number_text
from dlx.search.summary import TrialCells

BEST = [0.9, 0.8, 0.85, 0.95, 0.75]
"""Mean 0.85, standard deviation 0.0791, standard error 0.0354."""


def shifted(by: float, spread: float = 1.0) -> list[float]:
    """The best's scores moved down; with another spread, so that differences vary by fold."""
    return [0.85 + spread * (each - 0.85) - by for each in BEST]


def chosen(trials: list[TrialCells], **settings: Any) -> tuple[int | None, str]:
    selection = verdict(trials, **settings)["selection"]
    return selection["chosen"], selection["reason"]


def test_simplest_within_one_standard_error() -> None:
    trials = [
        trial(0, shifted(0.036), 100),  # simpler still, but further off than one standard error
        trial(2, shifted(0.01, -1), 9610),
        trial(4, shifted(0.03, -1), 2410),
        trial(7, BEST, 9610),
    ]
    assert chosen(trials) == (
        4,
        "trial 4: 2,410 parameters, accuracy 0.8200, is the simplest of 3 within one standard error (0.035) "
        "of the best, trial 7 (0.8500, 9,610 parameters)",
    )
    assert chosen(trials, select="best") == (7, "trial 7: accuracy 0.8500 is the best of 4 trials")


def test_lower_is_better() -> None:
    trials = [trial(0, BEST, 500), trial(1, shifted(0.03, -1), 50), trial(2, shifted(0.04, -1), 5)]
    assert chosen(trials, score="loss") == (
        1,
        "trial 1: 50 parameters, loss 0.1800, is the simplest of 2 within one standard error (0.035) "
        "of the best, trial 0 (0.1500, 500 parameters)",
    )


def test_best_is_the_simplest() -> None:
    trials = [trial(0, shifted(0.01), 300), trial(1, BEST, 200), trial(2, shifted(0.2), 100)]
    assert chosen(trials) == (
        1,
        "trial 1: accuracy 0.8500 is the best of 3 trials, and it is the simplest of 2 within one standard error "
        "(0.035) of it",
    )


def test_best_stands_alone() -> None:
    assert chosen([trial(0, shifted(0.1), 10), trial(1, BEST)]) == (
        1,
        "trial 1: accuracy 0.8500 is the best of 2 trials, and no other is within one standard error (0.035) of it",
    )


def test_paired_test_may_tell_more_than_one_standard_error() -> None:
    number, reason = chosen(
        [trial(0, [each - 0.02 - 1e-4 * fold for fold, each in enumerate(BEST)], 10), trial(1, BEST)]
    )
    assert number == 0
    assert "; yet it is worse by more than chance explains (p = " in reason


def test_larger_precision_is_simpler() -> None:
    trials = [trial(0, BEST, precision=0.1), trial(1, shifted(0.01), precision=10.0), trial(2, shifted(0.02))]
    number, reason = chosen(trials)
    assert number == 1
    assert reason.startswith("trial 1: prior precision 10, accuracy 0.8400, is the simplest of 3 ")
    assert "trial 0 (0.8500, prior precision 0.1)" in reason


def test_parameters_come_before_precision() -> None:
    assert chosen([trial(0, BEST, 10, precision=0.1), trial(1, shifted(0.01), 11, precision=10.0)])[0] == 0


SPACE = {
    "model.hidden": [[32], [64, 32], [128]],
    "optimizer.lr": {"low": 0.001, "high": 1.0, "log": True},
    "training.batch_size": [128, 32, 64],
    "training.clip_norm": [None, 1.0],
}
VALUES = [
    {"model.hidden": [128], "optimizer.lr": 0.1, "training.batch_size": 32, "training.clip_norm": 1.0},
    {"model.hidden": [64, 32], "optimizer.lr": 0.5, "training.batch_size": 64, "training.clip_norm": 1.0},
    {"model.hidden": [32], "optimizer.lr": 0.5, "training.batch_size": 128, "training.clip_norm": None},
    {"model.hidden": [32], "optimizer.lr": 0.01, "training.batch_size": 128, "training.clip_norm": None},
]


@pytest.mark.parametrize(
    ("simpler", "number", "text"),
    [
        (("model.hidden",), 2, "model.hidden [32]"),  # by its place in the list; of two the better
        (("-model.hidden",), 0, None),
        (("optimizer.lr",), 3, "optimizer.lr 0.01"),
        (("-optimizer.lr",), 1, "optimizer.lr 0.5"),
        (("-optimizer.lr", "model.hidden"), 2, "optimizer.lr 0.5"),
        (("model.hidden", "optimizer.lr"), 3, "model.hidden [32]"),
        (("training.batch_size",), 0, None),  # numbers by value, not by place
        (("-training.batch_size",), 2, "training.batch_size 128"),
        (("training.clip_norm",), 2, "training.clip_norm null"),
        ((), 0, None),
    ],
)
def test_what_is_simpler_may_be_said(simpler: tuple[str, ...], number: int, text: str | None) -> None:
    """Trials get worse by their number and larger models come first: only what is said counts."""
    trials = [trial(each, shifted(each / 100), 100 - each, values=values) for each, values in enumerate(VALUES)]
    found, reason = chosen(trials, search={"space": SPACE, "simpler": simpler})
    assert found == number
    if text:
        assert reason.startswith(f"trial {number}: {text}, accuracy ")


def test_equal_scores() -> None:
    best = {"select": "best"}
    trials = [trial(0, BEST, 9610), trial(1, BEST, 2410), trial(2, shifted(0.1), 10)]
    assert chosen(trials, **best) == (
        1,
        "trial 1: accuracy 0.8500 is the best of 3 trials, shared with trial 0; it is simpler (2,410 parameters)",
    )
    assert chosen([trial(number, BEST) for number in (5, 3, 4)], **best) == (
        3,
        "trial 3: accuracy 0.8500 is the best of 3 trials, shared with trials 4, 5; "
        "none is simpler, and it comes first",
    )


def test_as_many_right_answers_are_equal_scores() -> None:
    """Their sums differ by rounding alone; of a best without any error only such ties are within one."""
    flat, uneven = [0.7] * 5, [0.5, 0.5, 0.8, 0.8, 0.9]
    assert statistics.mean(flat) != statistics.mean(uneven)
    for first, second in ((flat, uneven), (uneven, flat)):
        assert chosen([trial(0, first, 20), trial(1, second, 10)], select="best")[0] == 1
    assert (
        chosen([trial(0, uneven, 10), trial(1, flat, 20), trial(2, [0.7, 0.7, 0.7, 0.7, 0.69], 5)], select="best")[0]
        == 0
    )
    _, reason = chosen([trial(0, uneven, 20), trial(1, flat, 10), trial(2, [0.7, 0.7, 0.7, 0.7, 0.69], 5)])
    assert "it is the simplest of 2 within one standard error (0.0) of it" in reason


def test_one_score_has_no_standard_error() -> None:
    assert chosen([trial(0, [0.8], 10), trial(1, [0.9], 1000)]) == (
        1,
        "trial 1: accuracy 0.9000 is the best of 2 trials; it has no standard error, so none that is simpler can be "
        "held to be as good",
    )


def test_only_trial() -> None:
    assert chosen([trial(0, BEST)]) == (0, "trial 0 is the only trial")


def test_others_without_a_score() -> None:
    invalid = TrialCells(1, {}, 20, 0.0, invalid="no")
    dropped = trial(2, shifted(-0.1), epochs=5, is_dropped=True)
    assert chosen([trial(0, BEST), invalid, dropped]) == (
        0,
        "trial 0 is the only one of 3 trials with a score at the full budget",
    )
    number, reason = chosen([trial(0, BEST), invalid, dropped, trial(3, shifted(0.5))], select="best")
    assert number == 0
    assert reason == "trial 0: accuracy 0.8500 is the best of the 2 of 4 trials with a score at the full budget"


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [(0.9755, 4, "0.9755"), (0.97, 4, "0.9700"), (0.00412, 2, "0.0041"), (3001.75, 4, "3002"), (41.2, 2, "41"),
     (412.3, 2, "412"), (-12345.6, 4, "-12346"), (1e6, 4, "1.000e+06"), (3.0, 2, "3.0"), (0.0, 4, "0.000")],
)  # fmt: skip
def test_numbers(value: float, digits: int, text: str) -> None:
    assert number_text(value, digits) == text
