"""Names of keys and values: short, and different where what they stand for is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reporting.searches import CASES, SECTIONS, TWO, grid, searched

from dlx.reporting.search_trials import (
    canonical,
    cells_of,
    end_of_key,
    find_trial,
    ranked,
    scored,
    short_keys,
    value_labels,
    value_text,
)


def test_keys_are_named_by_their_last_word_unless_two_have_the_same() -> None:
    keys = ["optimizer.lr", "schedule.rate", "model.rate", "prior"]
    assert list(short_keys(keys).values()) == ["lr", "schedule.rate", "model.rate", "prior"]
    assert short_keys([]) == {}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.001, "0.001"),
        (1e-5, "1e-5"),
        (-1.5e-12, "-1.5e-12"),
        (2.5e20, "2.5e20"),
        (0.123456, "0.1235"),
        (1.0, "1"),
        (100000, "100000"),
        (True, "true"),
        (None, "null"),
        ("relu", "relu"),
        ([64, 32], "[64, 32]"),
        ([0.5, [None]], "[0.5, [null]]"),
        ({"name": "adam", "lr": 0.001}, "adam lr=0.001"),
        ({"lr": 0.1, "name": "adam"}, "adam lr=0.1"),
        ({"patience": 5}, "patience=5"),
    ],
)
def test_value_text(value: Any, text: str) -> None:
    assert value_text(value) == text


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        (SECTIONS["optimizer"], ["adam lr=0.001", "adam lr=0.01", "sgd"]),
        (SECTIONS["prior"], ["null", "gaussian", "laplace"]),
        (["sgd", {"name": "sgd", "lr": 0.1}], ["sgd", "sgd lr=0.1"]),
        ([{"name": "mlp", "a": "relu"}, {"name": "mlp", "a": "tanh"}], ["a=relu", "a=tanh"]),
        ([None, {"patience": 5}], ["null", "patience=5"]),
        ([{"name": "adam"}], ["adam"]),
        (["a" * 40 + "b", "a" * 40 + "c", "d"], ["a" * 13 + "… 1", "a" * 13 + "… 2", "d"]),
        (
            [{"name": "mlp", "activation": each, "dropout": rate} for each in ("relu", "tanh") for rate in (0.0, 0.5)],
            ["relu 0", "relu 0.5", "tanh 0", "tanh 0.5"],
        ),
    ],
)
def test_labels_say_what_differs(values: list[Any], labels: list[str]) -> None:
    assert list(value_labels(values).values()) == labels


@given(st.lists(st.text("ab=[1", min_size=1, max_size=30)))
def test_labels_are_short_and_different(values: list[str]) -> None:
    labels = value_labels(values, 10)
    assert set(labels) == {canonical(value) for value in values}
    assert all(len(label) <= 10 for label in labels.values())
    assert len(set(labels.values())) == len(set(values))


def test_long_keys_keep_their_end() -> None:
    assert end_of_key("optimizer.lr") == "optimizer.lr"
    assert end_of_key("model.blocks.dropout", 10) == "…s.dropout"


def test_trials_in_order() -> None:
    result, _ = CASES["failures"]()
    assert [trial["rank"] for trial in ranked(result)] == list(range(1, 25))
    means = [trial["score"]["mean"] for trial in scored(result)]
    assert means == sorted(means, reverse=True)
    assert len(means) == 7
    assert len(scored(result, "dropped")) == 14
    scored(result)[0]["score"]["mean"] = None  # undefined, as r2 of equal targets
    assert len(scored(result)) == 6


def test_no_best_where_all_diverged() -> None:
    result, cells = CASES["all diverged"]()
    assert find_trial(result, "best") is None
    assert cells_of(None, cells) == []


def test_cells_of_a_trial_are_those_of_its_budget() -> None:
    """Halving writes a line for each rung; trials that are equal share their cells; diverged ones have no curve."""
    result, cells = searched(TWO, grid(TWO), diverged={1: 2})
    first = result["trials"][0]
    rungs = [{**line, "epochs": 3} for line in cells]
    twin = {**first, "trial": 99}
    assert cells_of(twin, [*rungs, *cells, *rungs]) == cells[:5]
    assert len(cells_of(result["trials"][1], cells)) == 3
