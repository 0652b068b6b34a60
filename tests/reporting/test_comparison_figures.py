"""The figures of a comparison of optimizers: which there are, that they can be read, and that they show the numbers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from reporting.comparisons import CASES, leavings, problems
from reporting.test_search_figures import overlaps

from dlx.reporting import (
    comparison_axes,
    comparison_budget,
    comparison_curves,
    comparison_differences,
    comparison_figures,
    comparison_profiles,
    comparison_rates,
    comparison_target,
)
from dlx.reporting.comparison_arms import arm_labels, arm_styles
from dlx.reporting.comparison_figures import draw_comparison_pictures, draw_profile_pictures
from dlx.reporting.comparison_texts import tuned_arms
from dlx.reporting.report import escape

ALL = ["curves", "differences", "better", "target", "rates", "budget"]


def artists(case: str) -> dict[str, tuple[Callable[[], Figure], str]]:
    """What draws each figure of a case, and its sentence."""
    result, cells, timing = leavings(case)
    found = comparison_figures._artists(result, cells, timing["seconds_per_step"])
    return {name: (draw, sentence) for name, _, draw, sentence in found}


def figure_of(case: str, name: str) -> Figure:
    return artists(case)[name][0]()


def note_of(figure: Figure) -> str:
    return figure.texts[1].get_text()


def lines(axes: Axes, kind: str) -> dict[str, tuple[Any, Any]]:
    """Data of the lines whose gid begins with a word, by the rest of it."""
    found = ((str(line.get_gid()), line.get_data()) for line in axes.lines)
    return {gid.removeprefix(f"{kind}-"): data for gid, data in found if gid.startswith(f"{kind}-")}


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def runs(case: str, name: str) -> tuple[dict[str, Any], dict[str, Any], list[list[dict[str, Any]]]]:
    """Result, arm, and the tuned runs of it, by search and seed."""
    result, cells, _ = leavings(case)
    arm = next(arm for arm in result["arms"] if arm["name"] == name)
    found = [
        [next(line for line in cells if (line["trial"], line["seed"]) == (search["best"], seed))
         for seed in result["protocol"]["seeds"]]
        for search in arm["searches"]
    ]  # fmt: skip
    return result, arm, found


@pytest.mark.parametrize(
    "case",
    [case if case == "failing" else pytest.param(case, marks=pytest.mark.slow) for case in CASES],
)
def test_texts_do_not_overlap(case: str) -> None:
    for name, (draw, sentence) in artists(case).items():
        figure = draw()
        assert overlaps(figure) == [], name
        assert figure.get_figwidth() < 13
        assert len(escape(sentence)) > 40
        assert not {"nan", "inf", "None"} & set(sentence.replace(",", "").replace(".", " ").split())
        assert not any("nan" in text.get_text().split() for text in figure.findobj(Text))


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ("one", ["curves", "target", "rates", "budget"]),
        ("failing", ALL),
        ("reference failed", ["curves", "better", "rates", "budget"]),
        ("all failed", ["rates"]),
        ("two seeds", ALL),
    ],
)
def test_which_figures_there_are(case: str, expected: list[str]) -> None:
    assert list(artists(case)) == expected


def test_figures_are_written(tmp_path: Path) -> None:
    pictures = draw_comparison_pictures(tmp_path, *leavings("all failed"))
    assert [each.file for each in pictures] == ["figures/comparison_rates.png"]
    assert (tmp_path / pictures[0].file).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert "Every optimizer failed" in pictures[0].sentence


def test_arms_are_told_apart_in_grey_and_alike_in_every_figure() -> None:
    many = {"arms": [{"name": str(number)} for number in range(12)]}
    styles = list(arm_styles(many).values())
    assert len({(style.dashes, style.marker) for style in styles}) == 12
    assert len({(style.colour, style.dashes) for style in styles}) == 12
    result, cells, _ = leavings("four")
    curves = comparison_curves.curves_of(result, cells)
    drawn = [
        comparison_curves.draw(result, curves, {}).axes[0],
        comparison_budget.draw(result).axes[0],
        comparison_target.draw(result).axes[0],
    ]
    for axes in drawn:
        looks = {str(line.get_gid()).split("-", 1)[1]: line for line in axes.lines if "-" in str(line.get_gid())}
        assert set(looks) == {arm["name"] for arm in result["arms"]}
        for name, style in arm_styles(result).items():
            assert (looks[name].get_color(), looks[name].get_marker()) == (style.colour, style.marker)


def test_long_names_are_cut_and_stay_different() -> None:
    names = ["adagrad delta=1e-10 weight_decay=1e-4", "adagrad delta=1e-9 weight_decay=1e-4", "sgd"]
    first = arm_labels({"arms": [{"name": name} for name in (names[0], "sgd")]})
    assert first == {names[0]: "adagrad del…decay=1e-4", "sgd": "sgd"}
    both = arm_labels({"arms": [{"name": name} for name in names]})
    assert list(both.values()) == names


@pytest.mark.parametrize(("case", "name"), [("four", "lbfgs"), ("studies", "adam")])
def test_curves_are_medians_and_quartiles_of_the_runs(case: str, name: str) -> None:
    result, _, found = runs(case, name)
    part = result["judged"]["part"]
    losses = np.median([[line["curve"][part] for line in row] for row in found], axis=0)
    cells, timing = leavings(case)[1:]
    figure = comparison_curves.draw(result, comparison_curves.curves_of(result, cells), timing["seconds_per_step"])
    steps, median = lines(figure.axes[0], "median")[name]
    assert steps.tolist() == [20 * epoch for epoch in range(16)]
    scale = figure.axes[0].get_ylim()
    shown = np.median(losses, axis=0) < scale[1]
    assert shown.sum() > 10
    assert median[1:][shown] == pytest.approx(np.median(losses, axis=0)[shown])
    seconds, again = lines(figure.axes[1], "median")[name]
    assert seconds == pytest.approx(steps * timing["seconds_per_step"][name])
    assert again.tolist() == median.tolist()
    curve = next(curve for curve in comparison_curves.curves_of(result, cells) if curve.name == name)
    assert curve.median[0] == pytest.approx(np.median([result["untrained"][str(s)] for s in range(2, 12)]))
    assert curve.low[1:] == pytest.approx(np.sort(losses, axis=0)[2])
    assert curve.high[1:] == pytest.approx(np.sort(losses, axis=0)[7])
    (target,) = (line for line in figure.axes[0].lines if line.get_gid() == "target")
    assert target.get_ydata()[0] == result["target"]


def test_a_median_over_diverged_runs_leaves_the_axis() -> None:
    result, cells, _ = leavings("failing")
    curves = {curve.name: curve for curve in comparison_curves.curves_of(result, cells)}
    assert np.isinf(curves["adam"].median[1:]).all()
    assert np.isfinite(curves["adam"].low).all()
    assert np.isfinite(curves["momentum"].median).all(), "one run that diverged does not move the median so far"
    assert set(curves) == {"momentum", "adam", "rmsprop"}
    figure = comparison_curves.draw(result, list(curves.values()), {})
    _, median = lines(figure.axes[0], "median")["adam"]
    assert (median[1:] > figure.axes[0].get_ylim()[1]).all()
    assert len(figure.axes) == 1, "without timing there are no seconds"
    assert "adam (infinite)" in legend(figure)


def test_curves_are_found_by_their_settings() -> None:
    """Equal settings of two optimizers are trained once, under the number of the first."""
    result, cells, _ = leavings("four")
    moved = [{**line, "trial": 1000 + line["trial"]} for line in cells]
    assert len(comparison_curves.curves_of(result, moved)) == len(tuned_arms(result))


def test_curves_need_their_cells() -> None:
    result, cells, _ = leavings("four")
    tuned = tuned_arms(result)[0]["searches"][0]["best"]
    assert comparison_curves.curves_of(result, [line for line in cells if line["trial"] != tuned]) == []


def test_an_arm_that_takes_long_is_cut_off_and_named() -> None:
    figure = figure_of("four", "curves")
    assert figure.axes[1].get_xlim()[1] == pytest.approx(1.01 * 2 * 300 * 3e-4)
    assert "lbfgs goes on for longer than is shown" in note_of(figure)
    assert "gradients of a step: lbfgs 12.5, the others 1" in note_of(figure)


def test_every_trial_is_drawn_against_its_rate() -> None:
    result, _, _ = leavings("failing")
    figure = comparison_rates.draw(result)
    assert len({axes.get_ylim() for axes in figure.axes}) == 1
    assert len({axes.get_xlim() for axes in figure.axes}) == 1
    for axes, arm in zip(figure.axes, result["arms"], strict=True):
        (search,) = arm["searches"]
        drawn = lines(axes, "trial")
        assert len(drawn) == 16
        for trial in search["trials"]:
            (x,), (y,) = drawn[str(trial["trial"])]
            assert x == trial["values"]["lr"]
            if trial["loss"] is None:
                assert y > result["untrained"]["0"]
            else:
                assert y == trial["loss"]
        best = lines(axes, "best")
        assert list(best) == ([] if search["best"] is None else [str(search["best"])])
        (x,), (y,) = lines(axes, "untuned")[str(arm["untuned"]["trial"])]
        assert x == arm["optimizer"]["lr"]
        assert arm["untuned"]["loss"]["median"] in (y, None)
        edges = [(patch.get_x(), patch.get_x() + patch.get_width()) for patch in axes.patches if patch.get_gid()]
        low, high = (math.log10(arm["space"][0][end]) for end in ("low", "high"))
        tenth = 0.1 * (high - low)
        assert np.log10(edges) == pytest.approx(np.array([[low, low + tenth], [high - tenth, high]]))


def test_failed_and_useless_trials_stand_at_the_top() -> None:
    result, _, _ = leavings("four")
    axes = comparison_rates.draw(result).axes[0]  # sgd, whose lowest rates do nothing
    looks = {str(line.get_gid()): line.get_marker() for line in axes.lines}
    for trial in result["arms"][0]["searches"][0]["trials"]:
        is_beyond = trial["loss"] > np.mean([result["untrained"][seed] for seed in "01"])
        assert (looks[f"trial-{trial['trial']}"] == "^") == is_beyond
    assert "^" in looks.values()
    axes = comparison_rates.draw(leavings("failing")[0]).axes[1]
    assert {line.get_marker() for line in axes.lines if str(line.get_gid()).startswith("trial")} == {"x"}


def test_an_arm_without_anything_to_tune() -> None:
    result, _, _ = leavings("one fixed")
    axes = comparison_rates.draw(result).axes[1]
    assert axes.get_xlabel() == "nothing to be tuned"
    assert len(lines(axes, "trial")) == 1
    _, y = lines(comparison_budget.draw(result).axes[0], "budget")["adam lr=0.003"]
    assert set(y) == set(result["arms"][1]["expected_best"])


def test_a_rate_below_one_is_drawn_as_its_distance_from_one() -> None:
    arm = {
        "space": [{"key": "momentum", "low": 0.5, "high": 0.995, "is_complement": True}],
        "optimizer": {"momentum": 0.9},
        "untuned": {"trial": 0, "loss": {"median": None}},
        "searches": [{"best": None, "trials": [{"trial": 1, "values": {"momentum": 0.75}, "loss": 2.0}]}],
    }
    dots = list(comparison_rates.dots_of(arm))
    assert [(dot.kind, dot.loss) for dot in dots] == [("trial", 2.0), ("untuned", math.inf)]
    assert [dot.rate for dot in dots] == pytest.approx([0.25, 0.1])


def test_budget_is_the_expected_best_of_k_trials() -> None:
    result, _, _ = leavings("two seeds")
    before = result["untrained"]["0"]
    axes = comparison_budget.draw(result).axes[0]
    for arm in result["arms"]:
        trials = [trial["loss"] for trial in arm["searches"][0]["trials"]]
        losses = [before if loss is None else min(loss, before) for loss in trials]
        k, y = lines(axes, "budget")[arm["name"]]
        every = [np.mean([min(few) for few in itertools.combinations(losses, size)]) for size in k]
        assert k.tolist() == list(range(1, 8))
        assert y == pytest.approx(every)


def test_differences_pair_the_seeds() -> None:
    result, _, _ = leavings("four")
    figure = comparison_differences.draw(result)
    axes = figure.axes[0]
    values = {arm["name"]: np.array(arm["tuned"]["loss"]["values"]) for arm in result["arms"]}
    assert [text.get_text() for text in axes.get_yticklabels()] == ["adam", "sgd", "lbfgs"]
    said = [text.get_text() for text in axes.texts if text.get_gid() == "verdict"]
    assert said == ["practically better", "no difference shown", "practically worse"]
    for arm in result["arms"]:
        if arm["name"] == "momentum":
            assert arm["name"] not in lines(axes, "seeds")
            continue
        assert lines(axes, "seeds")[arm["name"]][0] == pytest.approx(values[arm["name"]] - values["momentum"])
        assert lines(axes, "middle")[arm["name"]][0] == pytest.approx([arm["verdict"]["difference"]])
        assert lines(axes, "interval")[arm["name"]][0] == pytest.approx(arm["verdict"]["interval"])
    assert axes.get_xscale() == "symlog", "one arm is far worse"
    assert comparison_differences.draw(leavings("six")[0]).axes[0].get_xscale() == "linear"


def test_failed_runs_stand_at_the_edges() -> None:
    result, _, _ = leavings("failing")
    figure = comparison_differences.draw(result)
    axes = figure.axes[0]
    assert [len(lines(axes, "beyond")[name][0]) for name in ("adam", "rmsprop")] == [5, 1], "both failed: no difference"
    finite = np.concatenate([x for x, _ in lines(axes, "seeds").values()])
    assert min(lines(axes, "beyond")["adam"][0]) > finite.max()
    assert max(lines(axes, "before")["rmsprop"][0]) < finite.min()
    low, high = axes.get_xlim()
    everything = np.concatenate([line.get_xdata() for line in axes.lines])
    assert low < everything.min() < everything.max() < high
    assert legend(figure)[2:] == ["failed", "the reference failed"]
    assert axes.get_yticklabels()[-1].get_text() == "sgd"
    assert [text.get_text() for text in axes.texts if text.get_gid() == "verdict"][-1] == "every trial failed"


def test_too_few_seeds_are_called_so() -> None:
    assert "2 seeds are too few" in note_of(figure_of("two seeds", "differences"))
    assert "too few" not in note_of(figure_of("four", "differences"))


def test_better_counts_the_seeds() -> None:
    result, _, _ = leavings("six")
    arms = tuned_arms(result)
    axes = figure_of("six", "better").axes[0]
    written = {str(text.get_gid()): text.get_text() for text in axes.texts}
    assert len(written) == 6 * 5
    for (i, row), (j, column) in itertools.permutations(enumerate(arms), 2):
        pairs = zip(row["tuned"]["loss"]["values"], column["tuned"]["loss"]["values"], strict=True)
        assert float(written[f"{i}-{j}"]) == sum(a < b for a, b in pairs) / 10
    assert "adam is better than every other on every seed" in artists("six")["better"][1]


def test_target_lines_end_at_the_share_that_arrived() -> None:
    result, _, _ = leavings("failing")
    axes = comparison_target.draw(result).axes[0]
    for arm in tuned_arms(result):
        x, y = lines(axes, "reached")[arm["name"]]
        steps = [each for each in arm["tuned"]["steps_to_target"]["values"] if each is not None]
        assert y[-1] == len(steps) / 10 == arm["tuned"]["reached"]
        for at in range(0, 301, 10):
            assert y[np.searchsorted(x, at, side="right") - 1] == pytest.approx(sum(s <= at for s in steps) / 10)
    assert legend(axes.figure) == ["momentum: 6 of 10", "adam: 4 of 10", "rmsprop: 0 of 10"]


def test_profiles(tmp_path: Path) -> None:
    result = problems(4)
    assert draw_profile_pictures(tmp_path, {**result, "across": {"arms": [], "num_problems": 3, "r_max": 4.0}}) == []
    (picture,) = draw_profile_pictures(tmp_path, result)
    assert (tmp_path / picture.file).exists()
    assert "the pool is sgd, momentum, nesterov, adagrad, rmsprop and adam" in picture.sentence
    figure = comparison_profiles.draw(result)
    assert overlaps(figure) == []
    steps = [[math.inf if (m := arm["tuned"]["steps_to_target"]["median"]) is None else m for arm in p["arms"]]
             for p in result["problems"]]  # fmt: skip
    ratios = np.array(steps) / np.min(steps, axis=1, keepdims=True)
    scores = dict(zip(result["across"]["arms"], np.maximum(4 - ratios, 0).mean(0) / 3, strict=True))
    for number, name in enumerate(result["across"]["arms"]):
        tau, rho = lines(figure.axes[0], "profile")[name]
        assert rho == pytest.approx([(ratios[:, number] <= at + 1e-9).mean() for at in tau])
    order = sorted(scores, key=lambda name: -scores[name])
    assert [text.split(": B = ")[0] for text in legend(figure)] == order
    assert [float(text.split(" = ")[1]) for text in legend(figure)] == pytest.approx(
        [scores[name] for name in order], abs=6e-4
    )


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (1e-5, 10.0, [1e-5, 1e-3, 0.1, 10.0]),
        (0.12, 2.4, [0.2, 0.5, 1.0, 2.0]),
        (0.13, 0.19, [0.14, 0.16, 0.18]),
        (0.02, 4.0, [0.03, 0.1, 0.3, 1.0, 3.0]),
    ],
)
def test_ticks_of_a_logarithmic_axis_are_few_and_round(low: float, high: float, expected: list[float]) -> None:
    assert comparison_axes.log_ticks(low, high)[: len(expected)] == pytest.approx(expected)
    assert all(low <= tick <= high for tick in comparison_axes.log_ticks(low, high))


@pytest.mark.parametrize("values", [[], [math.inf], [0.0, 0.0], [0.3], [1e300, 0.1], [0.0, 1e-200, 1.0]])
@pytest.mark.parametrize("is_log", [False, True])
def test_a_scale_never_degenerates(values: list[float], is_log: bool) -> None:
    scale = comparison_axes.loss_scale(np.array(values), is_log)
    assert scale.low < scale.high < 1e151
    clipped = scale.clip(np.array([-math.inf, 0.0, math.inf]))
    assert np.isfinite(clipped).all()
    assert clipped[0] < scale.low
    assert clipped[2] > scale.high


def test_a_target_of_the_untuned_reference_is_called_so() -> None:
    result, _, _ = leavings("reference failed")
    result["target"] = 0.3
    assert "which untuned momentum reaches" in note_of(comparison_target.draw(result))
    assert "which momentum reaches" in note_of(figure_of("failing", "target"))
