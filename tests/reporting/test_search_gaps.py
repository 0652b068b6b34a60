"""Training against held-out scores."""

from __future__ import annotations

import pytest
from reporting.searches import CASES

from dlx.reporting import search_gaps


@pytest.mark.parametrize("case", ["grid", "random", "huge", "tiny", "loss"])
def test_every_trial_lies_at_its_scores(case: str) -> None:
    result, _ = CASES[case]()
    (axes,) = search_gaps.draw(result).axes
    points = {line.get_gid(): tuple(map(list, line.get_data())) for line in axes.lines if line.get_gid()}
    for trial in result["trials"]:
        assert points[f"trial-{trial['trial']}"] == ([trial["train_score"]["mean"]], [trial["score"]["mean"]])
    best = result["trials"][result["selection"]["best"]]
    assert points["best"] == ([best["train_score"]["mean"]], [best["score"]["mean"]])
    assert points["diagonal"][0] == points["diagonal"][1]
    assert axes.get_xscale() == axes.get_yscale() == ("log" if case == "loss" else "linear")


def test_bars_are_standard_errors_around_their_mark() -> None:
    result, _ = CASES["grid"]()
    (axes,) = search_gaps.draw(result).axes
    lines = {line.get_gid(): tuple(map(list, line.get_data())) for line in axes.lines if line.get_gid()}
    for trial in result["trials"]:
        x, y = trial["train_score"], trial["score"]
        number = trial["trial"]
        assert lines[f"training-{number}"] == ([x["mean"] - x["se"], x["mean"] + x["se"]], [y["mean"]] * 2)
        assert lines[f"held-out-{number}"] == ([x["mean"]] * 2, [y["mean"] - y["se"], y["mean"] + y["se"]])


def test_the_worse_side_is_named_by_the_direction() -> None:
    assert "below the line" in search_gaps.draw(CASES["grid"]()[0]).texts[1].get_text()
    assert "above the line" in search_gaps.draw(CASES["loss"]()[0]).texts[1].get_text()


def test_outliers_are_told_apart() -> None:
    result, _ = CASES["outlier"]()
    figure = search_gaps.draw(result)
    (axes,) = figure.axes
    far = [trial["trial"] for trial in result["trials"] if trial["score"]["mean"] < -1000]
    diamonds = {line.get_gid() for line in axes.lines if line.get_marker() == "D"}
    assert diamonds == {f"trial-{number}" for number in far}
    assert f"beyond the axes ({len(far)})" in [text.get_text() for text in figure.legends[0].get_texts()]


@pytest.mark.parametrize("case", ["grid", "huge"])
def test_sentence_counts_the_worse(case: str) -> None:
    result, _ = CASES[case]()
    count = len(result["trials"])
    assert search_gaps.sentence(result).startswith(f"{count} of {count} trials are worse on held-out examples")
    trial = result["trials"][0]
    trial["score"], trial["train_score"] = trial["train_score"], trial["score"]
    assert search_gaps.sentence(result).startswith(f"{count - 1} of {count} trials are worse")
