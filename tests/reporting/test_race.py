"""Figures, tables and sentences of a race on a surface."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_rgba
from reporting.pictures import legend

from dlx.reporting import race_courses, race_paths, race_rates, race_starts
from dlx.reporting.race_figures import draw_race
from dlx.reporting.race_sentences import race_headline, race_sentences
from dlx.reporting.race_tables import race_tables
from dlx.reporting.tables import plain

AXIS = np.linspace(-1, 1, 11)
FATES = ["minimum 1", "minimum 2", "other minimum", "saddle", "maximum", "under way", "outside", "diverged"]


def rule(label: str, **more: Any) -> dict[str, Any]:
    return {
        "optimizer": f"{label}, whole", "label": label, "lr": 0.1, "swept_starts": 9, "sweep": [2.0, 1.5, None],
        "usual": {"steps": 2, "end": [0.0, 0.0], "value": 1.0, "fate": "minimum 1", "arrived": 2.0, "left_box": None,
                  "distance": 0.0},
        "all": {"fates": dict.fromkeys(FATES, 1) | {"minimum 1": 2}, "median_arrival": None,
                "value": {"lower": 1.0, "median": 1.25, "upper": None}},
        "theory": [{"factor": 0.9, "steps_per_digit": 21.85}] * 2, **more,
    }  # fmt: skip


def minimum(at: float, condition: float) -> dict[str, Any]:
    best = {"lr": 0.1, "momentum": 0.5, "factor": 0.8, "steps_per_digit": 10.3}
    curvatures = {"lowest_curvature": 1.0, "highest_curvature": condition, "condition": condition}
    return {"point": [at, 0.0], **curvatures, "best": {"descent": best, "heavy_ball": {**best, "steps_per_digit": 3.2}}}


def held(rules: list[dict[str, Any]] | None = None, **more: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    lost = {"value": None, "fate": "diverged", "arrived": None, "left_box": 1}
    gone = {"median_arrival": None, "value": {"lower": None, "median": None, "upper": None}, "fates": {"diverged": 9}}
    fast = rule("fast", sweep=[3.0, 1e6, None], theory=[{"factor": 1.5, "steps_per_digit": None}] * 2)
    fast["usual"] |= lost
    fast["all"] = gone
    rules = [rule("slow"), fast, rule("blind", lr=None, sweep=None, swept_starts=0)] if rules is None else rules
    result = {
        "command": "compare-optimizers", "kind": "surface", "name": "bowl", "surface": "bowl", "status": "done",
        "num_variables": 2, "steps": 2, "start": [0.5, 0.5], "num_starts": 9, "median_at_starts": 4.0, "lowest": 1.0,
        "box": [[-1.0, 1.0]] * 2, "minima": [minimum(0.0, 100.0), minimum(0.5, 2.0)], "fates": FATES,
        "limits": [{"rule": "sgd", "formula": "2 / λ", "lr": 0.2}], "rates": [0.01, 0.1, 1.0], "optimizers": rules,
        **more,
    }  # fmt: skip
    x, y = np.meshgrid(AXIS, AXIS)
    course = {"lower": [3.0, 1.5, 1.0], "median": [4.0, 2.0, 1.25], "upper": [5.0, 3.0, None]}
    path = [[0.5, 0.5], [0.1, 0.2], [0.0, 0.0]]
    fates = ["minimum 1", *FATES]
    plane = {
        "axes": [AXIS.tolist()] * 2, "values": (1 + x**2 + 100 * y**2).tolist(), "paths": [path] * len(rules),
        "path_values": [[4.0, 2.0, 1.0]] * len(rules), "fates": [fates] * len(rules),
        "starts": [[0.5, 0.5], *np.linspace((-0.9, -0.9), (0.9, 0.8), 8).tolist()],
    }  # fmt: skip
    broken = {name: [4.0, 1e200, None] for name in course}
    shown = {"steps": [0, 1, 2], "courses": [course, broken, course][: len(rules)], "plane": plane}
    return result, shown


def bottomless() -> tuple[dict[str, Any], dict[str, Any]]:
    falls = rule("slow", sweep=None, theory=None)
    falls["all"]["fates"] = {"outside": 9}
    falls["usual"] |= {"fate": "outside", "left_box": 1, "arrived": None, "distance": None, "value": None}
    result, shown = held([falls], lowest=None, minima=[], limits=[], rates=[])
    shown["courses"] = [{name: [1.0, -1e9, None] for name in ("lower", "median", "upper")}]
    return result, shown


def one_start() -> tuple[dict[str, Any], dict[str, Any]]:
    return held([rule("slow", swept_starts=1)], num_starts=1)


def already_there() -> tuple[dict[str, Any], dict[str, Any]]:
    result, shown = held([rule("slow", sweep=[1.0, 1.0, 1.0])], median_at_starts=1.0)
    shown["courses"] = [{name: [1.0] * 3 for name in ("lower", "median", "upper")}]
    return result, shown


CASES = {"three": held(), "bottomless": bottomless(), "one": one_start(), "there": already_there()}
COUNTS = {"three": 4, "bottomless": 3, "one": 3, "there": 4}


@pytest.mark.parametrize("case", CASES)
def test_every_figure_can_be_drawn(case: str, tmp_path: Path) -> None:
    """A warning would be an error."""
    result, shown = CASES[case]
    pictures = draw_race(tmp_path, {**result, "name": "odd $\\frac$ 数字"}, shown)
    assert len(pictures) == COUNTS[case]
    for picture in pictures:
        assert (tmp_path / picture.file).read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
        assert len(picture.sentence) > 40


def test_without_a_plane(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dlx.reporting.drawing.save_figure", lambda *_: None)
    result, shown = held()
    for plane in (None, {**shown["plane"], "values": [[None] * 11] * 11}):
        names = [picture.file for picture in draw_race(tmp_path, result, {**shown, "plane": plane})]
        assert names == ["figures/race_courses.png", "figures/race_rates.png"]


def test_paths_over_contours() -> None:
    figure = race_paths.draw(*held())
    assert legend(figure)[:2] == ["slow", "fast\n(diverged)"]
    lines = {str(line.get_gid()): line for line in figure.axes[0].get_lines()}
    assert lines["path-0"].get_xydata().tolist() == [[0.5, 0.5], [0.1, 0.2], [0.0, 0.0]]


def test_marks_of_starts_differ_in_grey_print() -> None:
    result, shown = held()
    figure = race_starts.draw(result, shown)
    assert len(figure.axes) == 3
    lines = {str(line.get_gid()): line for line in figure.axes[0].get_lines()}
    marks = [lines[f"start-{number}"] for number in range(9)]
    assert [mark.get_xydata()[0].tolist() for mark in marks] == shown["plane"]["starts"]
    looks = {(mark.get_marker(), to_rgba(mark.get_markerfacecolor()) == to_rgba("white")) for mark in marks[1:]}
    assert len(looks) == len(FATES)
    assert marks[0].get_marker() == marks[1].get_marker()
    assert marks[0].get_markersize() > marks[1].get_markersize()


def test_courses_are_heights_above_the_lowest() -> None:
    figure = race_courses.draw(*held())
    (axes,) = figure.axes
    lines = {str(line.get_gid()): np.asarray(line.get_ydata()) for line in axes.get_lines()}
    np.testing.assert_allclose(lines["course-0"], [3.0, 1.0, 0.25])
    assert axes.get_yscale() == "log"
    assert axes.get_ylim()[1] == 30
    (below,) = race_courses.draw(*bottomless()).axes
    assert below.get_yscale() == "symlog"


def test_learning_rates_with_limits_and_what_is_lost() -> None:
    figure = race_rates.draw(*held())
    lines = {str(line.get_gid()): line for line in figure.axes[0].get_lines()}
    assert np.asarray(lines["sweep-0"].get_ydata())[:2].tolist() == [1.0, 0.5]
    assert np.asarray(lines["lost-0"].get_xdata()).tolist() == [1.0]
    assert np.asarray(lines["lost-1"].get_xdata()).tolist() == [0.1, 1.0], "far above where it began is lost, too"
    assert set(np.asarray(lines["limit-0"].get_xdata()).tolist()) == {0.2}
    assert "sweep-2" not in lines
    assert legend(figure) == ["slow", "fast", "sgd is stable below\n2 / λ = 0.2"]


def test_a_sweep_from_the_usual_start_alone_says_so() -> None:
    result, shown = held([rule("slow", swept_starts=1)])
    assert legend(race_rates.draw(result, shown))[0] == "slow\n(usual start)"
    assert any("slow (usual start)" in line for table in race_tables(result) for line in plain(table))


def test_what_is_told() -> None:
    result, _ = held()
    usual, everywhere, rates, minima = (plain(table) for table in race_tables(result))
    assert any("step 2" in line and "at (0, 0)" in line for line in usual)
    assert any("never" in line and "infinite" in line and "diverged after step 2" in line for line in usual)
    assert any("22%" in line for line in everywhere)
    assert any("has no learning rate" in line for line in rates)
    assert any("100" in line for line in minima)
    text = " ".join(race_sentences(result))
    assert "100.0 times as curved" in text
    assert "crawls" in text
    assert "fast, whole: does not come to rest there" in text
    assert "Diverged, of 9 starts: slow from 1; fast from 9; blind from 1" in text
    assert "rest at a maximum or at another minimum or at a saddle" in text
    assert race_headline(result) == "2 of 3 rules arrive at a minimum from (0.5, 0.5): geometry, no ranking"


def test_a_round_valley_and_no_valley() -> None:
    text = " ".join(race_sentences(held(minima=[minimum(0.0, 2.0), minimum(0.5, 1.5)])[0]))
    assert "momentum has little to win" in text
    assert "crawls" not in text
    text = " ".join(race_sentences(bottomless()[0]))
    assert "no lowest value" in text
    assert "times as curved" not in text
    assert "no lowest value" in race_headline(bottomless()[0])


def test_no_rule_is_called_better() -> None:
    for result, _ in CASES.values():
        text = " ".join([*race_sentences(result), *(line for table in race_tables(result) for line in plain(table))])
        assert not {"better", "worse", "winner", "wins"} & set(text.lower().replace(".", " ").split())
