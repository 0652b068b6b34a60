"""What is said of a comparison: no more than the tests allow, and what may be unfair."""

from __future__ import annotations

from typing import Any

import pytest
from reporting.comparisons import leavings

from dlx.reporting.comparison_sentences import (
    comparison_headline,
    comparison_sentences,
    gradient_sentences,
    passed_inclusion_sentences,
    seconds_sentences,
)
from dlx.statistics.paired import sign_flip
from dlx.statistics.tests import holm


def said(result: dict[str, Any]) -> str:
    return "\n".join(comparison_sentences(result))


def arm_of(result: dict[str, Any], name: str) -> dict[str, Any]:
    return next(arm for arm in result["arms"] if arm["name"] == name)


def with_words(case: str, words: dict[str, str]) -> dict[str, Any]:
    """Give a result whose verdicts say something else."""
    result, *_ = leavings(case)
    for name, text in words.items():
        arm_of(result, name)["verdict"]["words"] = text
    return result


def test_headline_gives_the_evidence() -> None:
    result, *_ = leavings("four")
    reference = arm_of(result, "momentum")["tuned"]["loss"]["values"]
    others = ["sgd", "adam", "lbfgs"]
    tested = [
        sign_flip([a - b for a, b in zip(arm_of(result, name)["tuned"]["loss"]["values"], reference, strict=True)])
        for name in others
    ]
    p = dict(zip(others, holm(tested), strict=True))
    assert comparison_headline(result) == (
        f"adam practically better than momentum (10 of 10 seeds, p = {p['adam']:.4f} by Holm); "
        f"lbfgs practically worse than momentum (10 of 10 seeds, p = {p['lbfgs']:.4f} by Holm); "
        "no difference shown for 1 other at n = 10"
    )


@pytest.mark.parametrize(
    ("case", "headline"),
    [
        ("one", "momentum alone: median validation loss after the last epoch 0.1411 over 10 seeds"),
        ("six", "practically better than momentum: adam and rmsprop; practically worse than momentum: sgd and adagrad; "
                "no difference shown for 1 other at n = 10"),
        ("failing", "no difference from momentum shown for 2 others at n = 10; no setting of sgd worked"),
        ("reference failed", "no verdict: the reference, momentum, has no setting that worked"),
        ("all failed", "no optimizer has a setting that worked"),
        ("two seeds", "no verdict: 2 seeds cannot show a difference from momentum in 3 comparisons"),
        ("equal", "no difference from momentum shown for 1 other at n = 10"),
    ],
)  # fmt: skip
def test_headlines(case: str, headline: str) -> None:
    assert comparison_headline(leavings(case)[0]) == headline


def test_a_headline_names_few() -> None:
    names = ["nesterov", "sgd", "adagrad", "rmsprop", "adam"]
    result = with_words("six", dict.fromkeys(names, "better"))
    assert comparison_headline(result) == "better than momentum: adam, rmsprop, nesterov and 2 more"


def test_no_winner_without_evidence() -> None:
    result = with_words("six", dict.fromkeys(["sgd", "nesterov", "adagrad", "rmsprop", "adam"], "no difference shown"))
    text = said(result)
    assert "adam has the lowest median, which alone makes no winner." in text
    assert "at n = 10: this does not say that they are equal." in text
    assert "Only differences from momentum were tested" in text
    assert "better" not in comparison_headline(result)
    assert "makes no winner" not in said(leavings("six")[0])


@pytest.mark.parametrize(("num_seeds", "num_others", "needed"), [(2, 3, 7), (5, 1, 6), (5, 5, 8), (9, 15, 10)])
def test_too_few_seeds_are_told_how_many_it_takes(num_seeds: int, num_others: int, needed: int) -> None:
    assert 2 / 2**needed * num_others < 0.05 <= 2 / 2 ** (needed - 1) * num_others
    result, *_ = leavings("two seeds")
    other = arm_of(result, "adam")
    result["arms"] = [arm_of(result, "momentum"), *({**other, "name": f"adam {n}"} for n in range(num_others))]
    result["protocol"]["seeds"] = list(range(num_seeds))
    text = said(result)
    assert f"It takes {needed} seeds or more: compare.seeds={needed}." in text
    assert f"p would still be {2 / 2**num_seeds:.2g}" in text
    assert "makes no winner" not in text
    assert "Inclusion" not in text


def test_who_stands_at_an_edge_is_treated_unfairly() -> None:
    result, *_ = leavings("edges")
    best = {trial["trial"]: trial["values"]["lr"] for trial in arm_of(result, "sgd")["searches"][0]["trials"]}
    rate = best[arm_of(result, "sgd")["searches"][0]["best"]]
    unfair = f"* sgd is treated unfairly: its best setting has lr {rate:.3g} near the upper end of 0.0001 to 10"
    assert f"{unfair}; a wider search may find a better one." in said(result)
    assert "near the lower end of 1e-05 to 1;" in said(result)
    result["protocol"]["num_trials"] = result["protocol"]["trials"] + 8
    assert f"{unfair}, though ranges were extended and 8 more settings tried;" in said(result)
    assert "unfairly" not in said(leavings("four")[0])


def test_an_edge_is_that_of_the_search_that_found_it() -> None:
    result, *_ = leavings("edges")
    (search,) = arm_of(result, "sgd")["searches"]
    inside = {**search, "edges": {}, "space": [{**search["space"][0], "low": 1e-9}]}
    arm_of(result, "sgd")["searches"] = [inside, search]
    assert "near the upper end of 0.0001 to 10;" in said(result)


def test_a_target_that_the_initial_weights_reach_tells_nothing() -> None:
    result, *_ = leavings("four")
    result["target"] = 100.0
    assert "so to reach this target tells nothing" in said(result)
    assert "Fewest" not in said(result)


def test_a_rule_that_includes_another_cannot_be_worse() -> None:
    lost = with_words("six", {"sgd": "better"})
    text = said(lost)
    assert "momentum includes sgd, which it becomes with momentum 0" in text
    assert "its search (16 trials in lr 0.0001 to 10, momentum 0.5 to 0.995) missed a good one" in text
    assert not list(passed_inclusion_sentences(lost))
    won, *_ = leavings("six")
    assert "includes" not in said(won)
    assert list(passed_inclusion_sentences(won)) == [
        "Inclusion check: momentum includes sgd, and is not shown to be worse."
    ]


def test_inclusion_is_seen_from_the_side_of_the_special_rule_too() -> None:
    result = with_words("six", {"sgd": "no difference shown", "nesterov": "practically worse"})
    result["reference"] = "sgd"
    for name in ("sgd", "momentum"):
        arm_of(result, name)["verdict"] = None
    assert "nesterov includes sgd" in said(result)
    assert "momentum includes sgd" not in said(result)


def test_untuned_against_tuned() -> None:
    result, *_ = leavings("twelve")
    assert "is adam lr=0.003: its untuned settings have the median loss 0.1255" in said(result)
    assert "no higher than that of 10 of 12 tuned ones." in said(result)
    assert "Tuning did not help lbfgs: the setting that was best on the 2 seeds of tuning" in said(result)
    assert "above that of every tuned one." in said(leavings("studies")[0])


def test_failed_runs_are_counted() -> None:
    text = said(leavings("failing")[0])
    assert "momentum tuned 1 of 10 diverged; momentum untuned 1 of 10 diverged;" in text
    assert "since every setting that was tried failed with a seed: sgd." in text
    blown_up, *_ = leavings("four")
    arm_of(blown_up, "sgd")["tuned"]["loss"]["values"][0] = None
    assert "sgd tuned 1 of 10 ended above 10 times the loss of the initial weights." in said(blown_up)
    assert "infinitely bad" not in said(leavings("four")[0])


def test_the_target_and_who_is_first() -> None:
    result, *_ = leavings("four")
    text = said(result)
    assert f"Target: a validation loss of {result['target']:.4f}, which momentum reaches with more than half" in text
    assert "Fewest steps to it: adam, 220; this was not tested." in text
    assert "There is no target: momentum, which sets it, diverged" in said(leavings("reference failed")[0])
    assert "Fewest" not in said(leavings("one")[0])


def test_what_the_split_means() -> None:
    result, *_ = leavings("four")
    assert "Each seed has its own split" in said(result)
    result["protocol"]["split"] = "fixed"
    assert "What is shown holds for this split alone" in said(result)


def test_what_seconds_are() -> None:
    _, _, timing = leavings("four")
    text = " ".join(seconds_sentences({**timing, "threads": 1}))
    assert "lone training by dlx, one thread, nothing else running" in text
    assert "here 0.30 to 3.7 ms" in text
    assert "2 threads" in " ".join(seconds_sentences({**timing, "threads": 2}))
    assert not list(seconds_sentences({}))


def test_steps_of_several_gradients_do_not_compare() -> None:
    assert "but of lbfgs 12.5" in " ".join(gradient_sentences(leavings("four")[0]))
    assert not list(gradient_sentences(leavings("six")[0]))
