"""Rungs, brackets and survivors: by hand, by the papers' formulas, and by brute force."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlx.core.settings import Search
from dlx.search.halving import all_rungs, brackets, survivors

SETTINGS = st.builds(
    Search,
    factor=st.integers(2, 7),
    min_epochs=st.none() | st.integers(1, 300),
    budget=st.sampled_from(["full", "halving", "hyperband"]),
)


@pytest.mark.parametrize(
    ("epochs", "settings", "expected"),
    [
        (30, {}, [3, 10, 30]),
        (27, {"min_epochs": 1}, [1, 3, 9, 27]),
        (27, {"min_epochs": 4}, [9, 27]),
        (100, {"factor": 2, "min_epochs": 10}, [12, 25, 50, 100]),
        (100, {"factor": 10}, [1, 10, 100]),
        (2, {"min_epochs": 1}, [2]),
        (3, {"min_epochs": 1}, [1, 3]),
        (3, {"factor": 2}, [1, 2, 3]),
        (5, {"factor": 2, "min_epochs": 1}, [1, 2, 5]),
        (1, {}, [1]),
        (5, {"min_epochs": 9}, [5]),
    ],
)
def test_rungs_by_hand(epochs: int, settings: dict[str, Any], expected: list[int]) -> None:
    assert all_rungs(Search(**settings), epochs) == expected


@given(SETTINGS, st.integers(1, 1000))
def test_rungs_increase_to_all_epochs(search: Search, epochs: int) -> None:
    rungs = all_rungs(search, epochs)
    assert rungs[-1] == epochs
    assert rungs == sorted(set(rungs)), "each once"
    least = search.min_epochs or max(1, epochs // search.factor**2)
    assert rungs[0] >= min(least, epochs)
    assert rungs[0] / search.factor < least, "there is no room for one more below"
    for above, rung in enumerate(reversed(rungs)):
        assert abs(rung - epochs / search.factor**above) <= 0.5


@given(st.integers(2, 5), st.integers(0, 4))
def test_rungs_of_a_power_are_the_papers(factor: int, power: int) -> None:
    """Successive halving of Hyperband's algorithm 1 with R = eta ** s: r_i = R eta ** (i - s)."""
    rungs = all_rungs(Search(factor=factor, min_epochs=1), factor**power)
    assert rungs == [factor**i for i in range(power + 1)]


@given(SETTINGS, st.integers(1, 200), st.integers(1, 100), st.integers(1, 30))
def test_every_trial_is_in_one_bracket(search: Search, epochs: int, num_trials: int, batch: int) -> None:
    found, rungs = brackets(search, epochs, num_trials, batch), all_rungs(search, epochs)
    assert sum(bracket.num_trials for bracket in found) == num_trials
    assert all(bracket.num_trials > 0 for bracket in found)
    for bracket in found:
        assert bracket.rungs == rungs[-len(bracket.rungs) :]
        assert search.budget == "hyperband" or bracket.rungs == ([epochs] if search.budget == "full" else rungs)
    if search.budget != "hyperband":
        assert [bracket.num_trials for bracket in found[:-1]] == [batch] * (len(found) - 1)
        assert found[-1].num_trials <= batch


@given(st.integers(2, 4), st.integers(1, 4), st.integers(1, 500))
def test_brackets_have_the_shares_of_hyperband(factor: int, last: int, num_trials: int) -> None:
    """Algorithm 1, before it rounds up: n = (s_max + 1) eta ** s / (s + 1) trials begin at R eta ** -s."""
    search = Search(budget="hyperband", factor=factor, min_epochs=1)
    counts = dict.fromkeys(range(last + 1), 0)
    counts |= {len(rungs) - 1: count for count, rungs in brackets(search, factor**last, num_trials, batch=1)}
    wanted = {s: (last + 1) * factor**s / (s + 1) for s in range(last + 1)}
    for s, count in counts.items():
        assert abs(count - num_trials * wanted[s] / sum(wanted.values())) <= 1


def test_the_brackets_of_the_paper() -> None:
    """Table 1 of Li et al.: R = 81, eta = 3; 143 trials are what its rounding up comes to."""
    found = brackets(Search(budget="hyperband", min_epochs=1), 81, 143, batch=1)
    assert [bracket.rungs[0] for bracket in found] == [1, 3, 9, 27, 81]
    paper = [math.ceil(5 * 3**s / (s + 1)) for s in (4, 3, 2, 1, 0)]
    assert paper == [81, 34, 15, 8, 5]
    assert all(abs(bracket.num_trials - n) <= 1 for bracket, n in zip(found, paper, strict=True))


@pytest.mark.parametrize(
    ("scores", "factor", "higher", "expected"),
    [
        ([0.3, 0.1, 0.2], 3, False, [1]),
        ([0.3, 0.1, 0.2], 3, True, [0]),
        ([0.5, 0.5, 0.5, 0.5], 2, True, [0, 1]),
        ([0.1, 0.9, 0.5, 0.7, 0.6], 2, True, [1, 3, 4]),
        ([None, 0.9, None, 0.1], 2, False, [1, 3]),
        ([None, None, None, 0.1], 2, False, [3]),
        ([None, None], 2, True, []),
        ([], 3, True, []),
        ([4.0], 3, True, [0]),
        ([-1.0, 0.0, -3.0], 3, False, [2]),
    ],
)
def test_survivors_by_hand(scores: list[float | None], factor: int, higher: bool, expected: list[int]) -> None:
    assert survivors(scores, factor, higher) == expected


SCORES = st.lists(st.none() | st.integers(-3, 3).map(float) | st.floats(allow_nan=False, allow_infinity=False))


@given(SCORES, st.integers(2, 5), st.booleans())
def test_nobody_who_goes_on_is_worse_than_one_who_does_not(
    scores: list[float | None], factor: int, higher: bool
) -> None:
    kept = survivors(scores, factor, higher)
    assert kept == sorted(set(kept))
    scored = [number for number, score in enumerate(scores) if score is not None]
    assert set(kept) <= set(scored)
    assert len(kept) == min(len(scored), -(-len(scores) // factor))
    for one in kept:
        for other in set(scored) - set(kept):
            mine, its = scores[one], scores[other]
            assert (mine > its if higher else mine < its) or (mine == its and one < other)
