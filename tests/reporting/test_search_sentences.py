"""What is said of a search: what its numbers support, and no more."""

from __future__ import annotations

import statistics
from typing import Any

import pytest
from reporting.searches import CASES, MIXED, TWO, grid, quality, random_values, searched

from dlx.reporting.search_sentences import (
    choice_sentences,
    edge_sentences,
    equality_sentences,
    failure_sentences,
    gap_sentences,
    search_headline,
    search_sentences,
    space_text,
    underfit_sentences,
    variation_sentences,
)
from dlx.reporting.search_trials import cells_of, find_trial


def result_of(case: str) -> dict[str, Any]:
    return CASES[case]()[0]


@pytest.mark.parametrize(
    ("case", "begin", "end"),
    [
        ("one trial", "held-out score: accuracy 0.", " over 5 folds"),
        ("grid", "selection score (optimistic): accuracy 0.", " over 5 folds"),
        ("nested", "nested estimate: accuracy 0.", " over 5 outer folds"),
        ("outlier", "selection score (optimistic): r2 0.", " over 5 folds with 2 seeds each"),
        ("leave one out", "selection score (optimistic): accuracy 0.", " over all examples, each held out once"),
    ],
)
def test_headline(case: str, begin: str, end: str) -> None:
    text = search_headline(result_of(case))
    assert text is not None
    assert text.startswith(begin)
    assert text.endswith(end)
    assert " ± " in text


def test_headline_of_repeats_and_of_nothing() -> None:
    result, _ = searched(TWO, grid(TWO), quality, repeats=3)
    assert str(search_headline(result)).endswith(" over 15 folds of 3 repeats")
    assert search_headline(result_of("all diverged")) is None


def test_choice() -> None:
    result = result_of("grid")
    chosen = find_trial(result, "chosen")
    assert chosen is not None
    first, second = choice_sentences(result)
    lr, hidden = chosen["values"].values()
    assert first == f"Chosen: trial {chosen['trial']} (optimizer.lr = {lr:g}, model.hidden = {hidden})."
    assert second == "T" + result["selection"]["reason"][1:] + "."
    assert list(choice_sentences(result_of("one trial"))) == []
    assert list(choice_sentences(result_of("all diverged"))) == ["No trial was chosen: every trial diverged."]


def equal_to_best(equal: list[int], p: float | None = 0.5) -> list[str]:
    result = result_of("grid")
    result["selection"]["indistinguishable"] = equal
    for trial in result["trials"]:
        if "difference" in trial:
            trial["difference"]["p"] = p
    return list(equality_sentences(result))


def test_equality() -> None:
    how = "(corrected resampled t-test at the 5 % level, Holm's correction for 11 comparisons)"
    assert equal_to_best([4, 6]) == [
        f"Indistinguishable from the best, trial 7: trials 4, 6: no difference shown {how}."
    ]
    assert "trial 4: no difference" in equal_to_best([4])[0]
    assert "every other trial: no difference" in equal_to_best([0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 11])[0]
    assert equal_to_best([]) == [f"Every other trial is shown to be worse than the best, trial 7 {how}."]
    assert equal_to_best([4], None) == ["There are too few folds for a test of differences between trials."]
    assert list(equality_sentences(result_of("one trial"))) == []
    result = result_of("failures")
    result["selection"]["indistinguishable"] = []
    assert next(equality_sentences(result)).startswith("Every other trial of the full budget is shown to be worse")


def test_one_comparison_needs_no_correction() -> None:
    space = {"optimizer.lr": [1e-3, 1e-2]}
    result, _ = searched(space, grid(space), quality)
    (text,) = equality_sentences(result)
    assert text.endswith("(corrected resampled t-test at the 5 % level).")


def test_many_equal_trials_are_counted() -> None:
    result = result_of("random")
    result["selection"]["indistinguishable"] = list(range(20))
    assert "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 8 more: no difference" in next(equality_sentences(result))


@pytest.mark.parametrize(
    ("key", "value", "bound", "side", "text"),
    [
        ("optimizer.lr", 0.1, 0.1, "high", "optimizer.lr = 0.1 is at the upper end of its range: try higher."),
        ("optimizer.lr", 0.00012, 1e-4, "low", "0.00012 is near the lower end of its range, 0.0001: try lower."),
        ("training.batch_size", 256, 256, "high", "batch_size = 256 is the largest value tried: try higher."),
        ("training.batch_size", 16, 16, "low", "batch_size = 16 is the smallest value tried: try lower."),
    ],
)
def test_edges(key: str, value: float, bound: float, side: str, text: str) -> None:
    result, _ = searched(MIXED, random_values(MIXED, 4), quality)
    assert list(edge_sentences(result)) == []
    result["selection"]["edges"] = [{"key": key, "value": value, "bound": bound, "side": side}]
    assert next(edge_sentences(result)).endswith(text)


def test_failures_are_counted() -> None:
    assert list(failure_sentences(result_of("grid"))) == []
    assert list(failure_sentences(result_of("failures"))) == [
        "24 trials: 7 done, 14 dropped on the way, 2 diverged, 1 not valid. "
        "A dropped trial's score is that of its smaller budget."
    ]


def test_variation() -> None:
    result, cells = CASES["one trial"]()
    scores = [line["test"]["accuracy"] for line in cells]
    (text,) = variation_sentences(result)
    assert f"between {min(scores):.4f} and {max(scores):.4f} in single folds" in text
    assert f"(standard deviation {statistics.stdev(scores):.2g})" in text
    (text,) = variation_sentences(result_of("outlier"))
    assert "0.0042 between seeds and, beyond that, by 0.011 between folds" in text
    assert list(variation_sentences(result_of("leave one out"))) == []


def with_losses(train: tuple[float, float | None], test: tuple[float, float | None]) -> str:
    result = result_of("one trial")
    for part, (mean, se) in (("train", train), ("test", test)):
        result["trials"][0]["means"][part]["loss"] = {"mean": mean, "se": se}
    (text,) = gap_sentences(result)
    return text


@pytest.mark.parametrize("level", [0.0, -5.0])
@pytest.mark.parametrize(
    ("gap", "expected"),
    [(0.07, "fitted better than new ones"), (0.05, "neither shown nor ruled out"), (-0.07, "shows no overfitting")],
)
def test_a_gap_is_one_beyond_twice_both_standard_errors(level: float, gap: float, expected: str) -> None:
    assert expected in with_losses((level, 0.01), (level + gap, 0.02))


def test_no_gap_without_standard_errors() -> None:
    assert "cannot be judged" in with_losses((0.1, None), (0.5, None))
    result = result_of("one trial")
    result["trials"][0]["means"]["test"]["loss"] = {"mean": None, "se": None}
    assert list(gap_sentences(result)) == []


def test_underfitting() -> None:
    result, cells = CASES["one trial"]()
    result["trials"][0]["means"]["train"]["accuracy"]["mean"] = 0.75
    own = cells_of(result["trials"][0], cells)
    for number, line in enumerate(own):
        ends = "max_epochs" if number < 3 else "patience"
        line |= {"stop_reason": ends, "last_epoch": 20, "best_epoch": 20 if number < 2 else 10}
    text = " ".join(underfit_sentences(result, own))
    assert "Of the training examples, 25.0 % are classified wrongly" in text
    assert "In 2 of 5 cells the validation loss was lowest at the last of all epochs: more epochs may help." in text
    for line in own:
        del line["valid"]
    assert "cells" not in " ".join(underfit_sentences(result, own))


def test_space() -> None:
    result, _ = searched(MIXED, random_values(MIXED, 2), quality)
    text = space_text(result)
    assert text.startswith("optimizer.lr: 0.0001 to 0.1, evenly in the logarithm; model.hidden: [32], [64, 32], [128")
    assert "; model.dropout: 0 to 0.5; " in text


@pytest.mark.parametrize("case", CASES)
def test_every_sentence_ends(case: str) -> None:
    for text in search_sentences(result_of(case)):
        assert text.endswith(".")
        assert text[0].isupper() or text.startswith(("optimizer", "24 trials", "12 trials"))
        assert not {"nan", "None", "inf"} & set(text.split())
