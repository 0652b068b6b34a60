"""What may be said over several problems: only where there are enough of them."""

from __future__ import annotations

from typing import Any

import pytest
from scipy import stats

from dlx.comparison.summary import summarise_problems


def problem(name: str, losses: dict[str, float | None], steps: dict[str, float | None]) -> dict[str, Any]:
    arms = [
        {
            "name": arm,
            "gradients_per_step": 1.0,
            "tuned": {"loss": {"median": losses[arm]}, "steps_to_target": {"median": steps[arm]}},
        }
        for arm in losses
    ]
    return {"name": name, "status": "done", "reference": "b", "arms": arms}


def problems(count: int) -> list[dict[str, Any]]:
    """Arm a is always ahead of b, and c only sometimes; c never reaches the target of the first."""
    return [
        problem(
            f"p{i}",
            {"a": 1.0 + i, "b": 2.0 + i, "c": 1.5 + i if i % 2 else 3.0 + i},
            {"a": 10.0, "b": 20.0, "c": None if i == 0 else 40.0},
        )
        for i in range(count)
    ]


def test_few_problems_tell_nothing_in_common() -> None:
    across = summarise_problems(problems(3))["across"]
    assert across == {"arms": ["a", "b", "c"], "num_problems": 3, "r_max": 4.0}


def test_profiles_from_four_problems_on() -> None:
    """B = mean of max(0, 4 - r) / 3: of a 1, of b (4 - 2) / 3, of c 0, which takes 4 times as long or never arrives."""
    across = summarise_problems(problems(4))["across"]
    assert across["profile"]["scores"] == pytest.approx([1, 2 / 3, 0])
    assert "tests" not in across


def test_profiles_count_what_a_step_costs() -> None:
    """Arm a needs half as many steps as b, each of three gradients: r is 1.5 for it, 1 for b and 2 for c."""
    found = problems(4)
    for each in found:
        each["arms"][0]["gradients_per_step"] = 3.0
        each["arms"][2]["tuned"]["steps_to_target"]["median"] = 40.0
    across = summarise_problems(found)["across"]
    assert across["profile"]["unit"] == "gradients"
    assert across["profile"]["scores"] == pytest.approx([2.5 / 3, 1, 2 / 3])
    assert summarise_problems(problems(4))["across"]["profile"]["unit"] == "steps"


def test_p_values_from_five_problems_on() -> None:
    found = problems(6)
    tests = summarise_problems(found)["across"]["tests"]
    losses = [[arm["tuned"]["loss"]["median"] for arm in each["arms"]] for each in found]
    assert tests["friedman_p"] == pytest.approx(stats.friedmanchisquare(*zip(*losses, strict=True)).pvalue)
    assert tests["mean_ranks"] == pytest.approx(stats.rankdata(losses, axis=1).mean(0))
    assert tests["reference"] == "b"
    assert [pair["arm"] for pair in tests["pairs"]] == ["a", "c"]
    assert tests["pairs"][0]["p"] == pytest.approx(2 / 2**6)
    assert tests["pairs"][0]["adjusted_p"] == pytest.approx(4 / 2**6)


def test_only_arms_of_all_problems_are_compared_over_them() -> None:
    found = problems(5)
    found[2]["arms"] = found[2]["arms"][:2]
    assert summarise_problems(found)["across"]["arms"] == ["a", "b"]


def test_an_arm_that_failed_is_last() -> None:
    found = problems(5)
    for each in found:
        each["arms"][0]["tuned"] = None
    across = summarise_problems(found)["across"]
    assert across["profile"]["scores"][0] == 0
    assert across["tests"]["mean_ranks"][0] == 3
