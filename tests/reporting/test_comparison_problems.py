"""Comparisons on several problems: medians side by side, verdicts counted, and no test of too few problems."""

from __future__ import annotations

import statistics
from typing import Any

import numpy as np
import pytest
from reporting.comparisons import problems
from scipy.stats import friedmanchisquare, rankdata, wilcoxon

from dlx.reporting.comparison_problems import problem_sentences, problem_tables, problems_headline
from dlx.reporting.comparison_tables import narrowed
from dlx.reporting.tables import Table, plain


def columns_of(table: Table) -> dict[str, dict[str, str]]:
    """Give the columns by their names, each by optimizer."""
    return {name: {row[0]: row[place] for row in table.rows} for place, name in enumerate(table.header[1:], 1)}


def medians_of(result: dict[str, Any]) -> Any:
    """Compute the medians anew, [problems, optimizers]."""
    return np.array([
        [statistics.median(arm["tuned"]["loss"]["values"]) for arm in problem["arms"]] for problem in result["problems"]
    ])  # fmt: skip


def test_few_problems_have_no_joint_numbers() -> None:
    result = problems(2)
    medians, verdicts = problem_tables(result)
    assert medians.header == ("optimizer", "digits", "wine")
    found = columns_of(medians)["wine"]
    assert list(map(float, found.values())) == pytest.approx(medians_of(result)[1], rel=1e-3)
    assert verdicts.header == ("optimizer", "better", "worse", "no difference shown", "no verdict")
    text = "\n".join(problem_sentences(result))
    assert "2 problems are too few for a test over problems, which takes 5." in text
    assert "A performance profile takes 4 problems." in text
    assert "Friedman" not in text + problems_headline(result)


def test_tests_and_ranks_over_problems() -> None:
    result = problems(6)
    losses = medians_of(result)
    names = [arm["name"] for arm in result["problems"][0]["arms"]]
    medians, _, tests = problem_tables(result)
    ranks = dict(zip(names, rankdata(losses, axis=1).mean(0), strict=True))
    assert {name: float(text) for name, text in columns_of(medians)["mean rank"].items()} == pytest.approx(
        ranks, abs=0.005
    )
    assert [row[0] for row in medians.rows] == sorted(names, key=ranks.__getitem__)
    assert "profile score" in medians.header
    rows = {row[0]: row for row in tests.rows}
    assert set(rows) == set(names) - {"momentum"}
    reference = losses[:, names.index("momentum")]
    for name, (_, lower, p, _) in rows.items():
        own = losses[:, names.index(name)]
        assert lower == f"{(own < reference).sum()} of 6"
        assert float(p) == pytest.approx(wilcoxon(own, reference).pvalue, rel=0.05)
    p = friedmanchisquare(*losses.T).pvalue
    assert f"ranks differ (p = {p:.3f}, Friedman's test)" in problems_headline(result)
    text = "\n".join(problem_sentences(result))
    assert "6 problems cannot show a difference from momentum in 5 comparisons, were one lower on all of them" in text
    assert "that takes 8." in text
    assert f"pool, here {', '.join(names[:-1])} and {names[-1]}" in text


def test_verdicts_are_counted() -> None:
    result = problems(4)
    words = {
        "adam": ["better", "practically better", "worse", "no difference shown"],
        "sgd": ["no difference shown"] * 4,
    }
    for number, problem in enumerate(result["problems"]):
        problem["can_show"] = True
        for arm in problem["arms"]:
            if arm["verdict"]:
                arm["verdict"]["words"] = words.get(arm["name"], ["practically worse"] * 4)[number]
    result["problems"][3]["arms"][0].update(tuned=None, verdict=None)
    rows = {row[0]: row[1:] for row in problem_tables(result)[1].rows}
    assert rows["adam"] == ("2", "1", "1", "0")
    assert rows["sgd"] == ("0", "0", "3", "1")
    assert rows["rmsprop"] == ("0", "4", "0", "0")
    headline = problems_headline(result)
    assert headline.startswith("4 problems: against momentum nesterov worse on 4, adagrad worse on 4,")
    assert headline.endswith("adam better on 2 and worse on 1")
    assert columns_of(problem_tables(result)[0])["moons"]["sgd"] == "-"


def test_nothing_shown_is_no_winner() -> None:
    result = problems(4)
    for problem in result["problems"]:
        problem["can_show"] = True
        for arm in problem["arms"]:
            if arm["verdict"]:
                arm["verdict"]["words"] = "no difference shown"
    assert problems_headline(result) == "4 problems: no difference from momentum shown on any alone"
    lowest = [result["problems"][0]["arms"][place]["name"] for place in medians_of(result).argmin(1)]
    text = "\n".join(problem_sentences(result))
    assert text.startswith("Lowest median: ")
    assert f"{lowest[0]} on digits" in text
    assert "A place in an order is no verdict." in text
    assert problems_headline(problems(4)) == "4 problems: no verdict against momentum on any alone"


def test_a_terminal_shows_the_first_problems() -> None:
    result = problems(6)
    for number, problem in enumerate(result["problems"]):
        problem["name"] = f"a problem with the number {number}"
    for table in problem_tables(result):
        assert max(map(len, plain(narrowed(table))[1:])) <= 100
    assert narrowed(problem_tables(result)[0]).header[:3] == ("optimizer", "mean rank", "profile score")
