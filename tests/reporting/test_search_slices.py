"""Scores against hyperparameters: every trial where its value and its score are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from reporting.searches import CASES, LONG, MIXED, random_values, searched

from dlx.reporting import search_slices
from dlx.reporting.search_trials import keys_of


def drawn(case: str) -> tuple[dict[str, Any], Figure]:
    result, _ = CASES[case]()
    return result, search_slices.draw(result, keys_of(result))


def points(axes: Axes, kind: str) -> dict[str, tuple[Any, Any]]:
    """Data of the lines whose gid begins with a word, by the rest of it."""
    found = ((str(line.get_gid()), line.get_data()) for line in axes.lines)
    return {gid.removeprefix(f"{kind}-"): data for gid, data in found if gid == kind or gid.startswith(f"{kind}-")}


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_every_trial_is_drawn_with_its_folds() -> None:
    result, figure = drawn("random")
    assert len(figure.axes) == 5
    for axes in figure.axes:
        means, folds = points(axes, "trial"), points(axes, "folds")
        assert len(means) == len(folds) == 60
        for trial in result["trials"]:
            number = str(trial["trial"])
            assert means[number][1] == [trial["score"]["mean"]]
            assert sorted(folds[number][1]) == sorted(trial["score"]["folds"])
    x, _ = points(figure.axes[0], "trial")["7"]
    assert 10 ** x[0] == pytest.approx(result["trials"][7]["values"]["optimizer.lr"])


def test_trials_of_one_value_stand_beside_each_other() -> None:
    result, figure = drawn("grid")
    means = points(figure.axes[0], "trial")
    places = [means[str(trial["trial"])][0][0] for trial in result["trials"]]
    assert len(set(places)) == 12
    assert np.round(places).tolist() == [-4] * 3 + [-3] * 3 + [-2] * 3 + [-1] * 3


def test_best_and_chosen_are_marked() -> None:
    result, figure = drawn("grid")
    for axes in figure.axes:
        for which in ("best", "chosen"):
            trial = result["trials"][result["selection"][which]]
            assert points(axes, which)[which][1] == [trial["score"]["mean"]]
            assert points(axes, which)[which][0] == points(axes, "trial")[str(trial["trial"])][0]
    assert legend(figure) == ["trial", "best", "chosen", "best of each value"]


def test_the_line_joins_the_best_of_each_value() -> None:
    result, figure = drawn("grid")
    (line,) = (line for line in figure.axes[0].lines if line.get_gid() == "best-of-each")
    scores = np.array([trial["score"]["mean"] for trial in result["trials"]]).reshape(4, 3)
    assert line.get_ydata() == pytest.approx(scores.max(1))
    assert not any(line.get_gid() == "best-of-each" for line in figure.axes[1].lines), "no order, no line"


def test_failures() -> None:
    _, figure = drawn("failures")
    axes = figure.axes[0]
    assert set(points(axes, "diverged")) == {"2", "21"}
    assert all(data[1] == [axes.get_ylim()[0]] for data in points(axes, "diverged").values())
    assert len(points(axes, "dropped")) == 14
    assert len(points(axes, "trial")) == 7
    assert legend(figure)[:3] == ["trial", "dropped: score of a smaller budget", "diverged"]


def test_losses_diverge_upwards() -> None:
    result, _ = CASES["loss"]()
    result["trials"][0]["status"] = "diverged"
    axes = search_slices.draw(result, keys_of(result)).axes[0]
    assert points(axes, "diverged")["0"][1] == [axes.get_ylim()[1]]
    assert axes.get_yscale() == "log"


def test_of_many_folds_a_bar_is_drawn() -> None:
    result, figure = drawn("leave one out")
    axes = figure.axes[0]
    assert not points(axes, "folds")
    for trial in result["trials"]:
        mean, se = trial["score"]["mean"], trial["score"]["se"]
        assert points(axes, "bar")[str(trial["trial"])][1] == pytest.approx([mean - se, mean + se])


def test_outliers_stand_at_the_edge() -> None:
    result, figure = drawn("outlier")
    axes = figure.axes[0]
    low = axes.get_ylim()[0]
    assert low > 0
    far = [str(trial["trial"]) for trial in result["trials"] if trial["score"]["mean"] < -1000]
    assert far
    assert all(points(axes, "trial")[number][1] == [low] for number in far)
    assert f"beyond the axis ({len(far)})" in legend(figure)


def test_so_many_panels_at_most() -> None:
    result, _ = searched(LONG, random_values(LONG, 3))
    figure = search_slices.draw(result, keys_of(result))
    assert len(figure.axes) == search_slices.MAX_PANELS
    assert "the 9 most important of 11" in figure.texts[1].get_text()


def test_sentence() -> None:
    result, _ = searched(MIXED, random_values(MIXED, 12))
    means = [trial["score"]["mean"] for trial in result["trials"]]
    text = search_slices.sentence(result, keys_of(result))
    assert f"12 trials have a held-out accuracy of {min(means):.4f} (the worst) to {max(means):.4f} (the best)." in text
    assert "the other hyperparameters vary" in text
    assert "vary" not in search_slices.sentence(result, ["optimizer.lr"])
    assert "No trial has a score" in search_slices.sentence(CASES["all diverged"]()[0], ["optimizer.lr"])
