"""The numbers that runs of all commands came to."""

from __future__ import annotations

from typing import Any

import pytest
from reporting.comparisons import leavings, problems
from reporting.curvatures import looked
from reporting.results import DIVERGED, finished, member, several_seeds
from reporting.searches import grid, searched
from reporting.test_landscape import surface
from reporting.test_race import held, rule

from dlx.core.errors import RunError
from dlx.reporting.comparison_texts import median, tuned_arms
from dlx.reporting.scores import SCORES, run_scores
from dlx.reporting.tables import headline

SPACE = {"optimizer.lr": [0.1, 0.01]}


def results() -> dict[tuple[str, str | None], dict[str, Any]]:
    """Give a result of every command."""
    return {
        ("train", None): several_seeds(),
        ("cv", None): searched(SPACE, grid(SPACE))[0],
        ("gradcheck", None): {"command": "gradcheck", "status": "suspicious"},
        ("curvature", None): looked(),
        ("landscape", None): surface()[0],
        ("compare-optimizers", "model"): leavings("equal")[0],
        ("compare-optimizers", "problems"): problems(2),
        ("compare-optimizers", "surface"): held([rule("one"), rule("two")])[0],
    }


def test_every_command_is_here() -> None:
    found = results()
    assert found.keys() == SCORES.keys()
    for (command, kind), result in found.items():
        given = {"command": command, "kind": kind} if kind else {"command": command}
        scores = run_scores({**result, **given})
        assert scores
        assert all(score.name and score.text for score in scores)
        assert len({score.name for score in scores}) == len(scores)


def test_a_training_begins_with_what_its_headline_says() -> None:
    result = several_seeds()
    scores = run_scores({**result, "higher_is_better": {"accuracy": True}})
    assert "  ".join(f"{score.name} {score.text}" for score in scores[:2]) == headline(result)
    assert [score.name for score in scores[2:]] == ["valid accuracy", "valid loss", "train accuracy", "train loss"]
    assert [score.is_higher_better for score in scores[:2]] == [True, False]
    assert scores[0].value == result["summary"]["test"]["accuracy"]["mean"]
    assert scores[0].spread == result["summary"]["test"]["accuracy"]["std"]
    assert run_scores(result)[0].is_higher_better is None
    assert run_scores(finished([DIVERGED])) == []
    assert [score.spread for score in run_scores(finished([member(0)]))] == [None] * 6


def test_a_search_begins_with_its_estimate() -> None:
    result, _ = searched(SPACE, grid(SPACE))
    first, *others = run_scores(result)
    assert (first.name, first.metric, first.value) == ("held-out accuracy", "accuracy", result["estimate"]["mean"])
    assert (first.spread, first.is_higher_better) == (result["estimate"]["se"], True)
    assert {score.name for score in others} >= {"chosen trial, train loss", "chosen trial, test accuracy"}
    nested, _ = searched(SPACE, grid(SPACE), outer=True)
    assert run_scores(nested)[0].name == "nested accuracy"
    nothing = {**result, "selection": {**result["selection"], "chosen": None}}
    assert run_scores(nothing) == []


def test_a_comparison_has_the_median_of_each_optimizer() -> None:
    result = leavings("equal")[0]
    scores = run_scores(result)
    assert [score.value for score in scores] == [median(arm) for arm in tuned_arms(result)]
    assert scores[0].name == f"{tuned_arms(result)[0]['name']} {result['judged']['part']} loss"
    assert {score.metric for score in scores} == {"loss"}
    assert {score.metric for score in run_scores(problems(2))} == {""}


@pytest.mark.parametrize(
    "result", [{}, {"command": "fly"}, {"command": "cv"}, {"command": "train", "summary": {"test": 3}}, {"command": []}]
)
def test_what_is_no_result(result: dict[str, Any]) -> None:
    with pytest.raises(RunError, match="not as dlx writes it"):
        run_scores(result)
