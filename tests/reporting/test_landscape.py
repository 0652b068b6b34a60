"""Figures, tables and sentences of a landscape."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reporting.pictures import legend

from dlx.reporting import landscape_lines, landscape_plane
from dlx.reporting.drawing import save_figure
from dlx.reporting.landscape_figures import draw_landscape
from dlx.reporting.landscape_levels import Levels
from dlx.reporting.landscape_tables import landscape_headline, landscape_sentences, landscape_tables
from dlx.reporting.tables import plain

AXIS = np.linspace(-1, 1, 11)


def random_plane(values: Any = None, **more: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    x, y = np.meshgrid(AXIS, AXIS)
    found = np.array(1 + x**2 + 3 * y**2 if values is None else values, dtype=float)
    finite = np.where(np.isfinite(found), found, np.nan)
    extremes = [np.unravel_index(pick(finite), finite.shape) for pick in (np.nanargmin, np.nanargmax)]
    lowest, highest = ({"at": [AXIS[j], AXIS[i]], "value": float(found[i, j])} for i, j in extremes)
    axis = {"low": -1.0, "high": 1.0, "points": 11, "norm": 2.0, "doubled_below": 0.5, "doubled_above": None}
    result = {
        "command": "landscape", "name": "digits", "kind": "random", "error": "train loss", "num_points": 122,
        "num_not_finite": int((~np.isfinite(found)).sum()), "axes": [axis, axis], "barriers": [],
        "marks": [{"name": "centre", "at": [0.0, 0.0], "value": float(found[5, 5])}],
        "lowest": lowest, "highest": highest, "remarks": [], "starts_at_minimum": False, **more,
    }  # fmt: skip
    shown = {"axes": [AXIS.tolist()] * 2, "values": found.tolist(), "edges": [], "paths": [], "path_values": []}
    return result, shown


def path_of(**more: Any) -> dict[str, Any]:
    return {
        "optimizer": "sgd, lr 0.1, momentum 0.9", "label": "sgd, lr 0.1", "steps": 2, "diverged": False,
        "left_box": None, "end": [0.0, 0.0], "value": 0.0, "minimum": 0, "distance": 0.0, "arrived": 2, **more,
    }  # fmt: skip


def surface(**more: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    result, shown = random_plane(kind="surface", error="f", minima={"points": [[0.0, 0.0]], "value": 1.0}, **more)
    gone = path_of(optimizer="sgd, lr 9", label="sgd, lr 9", diverged=True, left_box=1, arrived=None)
    result["paths"] = [path_of(), gone]
    shown["paths"] = [[[0.9, 0.9], [0.4, 0.2], [0.0, 0.0]], [[0.9, 0.9], [-7.0, -7.0], [1e180, 1e200]]]
    shown["path_values"] = [[4.0, 1.3, 1.0], [4.0, 200.0, None]]
    return result, shown


def weights() -> tuple[dict[str, Any], dict[str, Any]]:
    result, shown = random_plane(kind="through")
    result["marks"] = [{"name": f"weights {i + 1}", "at": [0.5 * i, 0.0], "value": 1.0} for i in range(2)]
    result["barriers"] = [{"from": 0, "to": 1, "distance": 0.5, "height": 2.0, "at": 0.5, "highest": 3.0}]
    shown["edges"] = [[1.0, 3.0, 1.0]]
    return result, shown


def test_a_wide_range_is_logarithmic() -> None:
    levels = Levels.of(np.array([0.01, 1, 100]))
    np.testing.assert_allclose(np.diff(np.log(levels.bounds)), np.log(1e4) / 16)
    np.testing.assert_allclose(levels.height(np.array([0.01, 100])), [-2, 2])


def test_a_narrow_range_is_linear() -> None:
    levels = Levels.of(np.array([-3.0, 1.0, 5.0]))
    np.testing.assert_allclose(levels.bounds, np.linspace(-3, 5, 17))
    assert levels.height(np.array([2.0])) == [2.0]


def test_heights_above_a_lowest_value_that_is_not_positive() -> None:
    values = np.concatenate([np.linspace(-1, -0.99, 50), [99.0] * 50])
    levels = Levels.of(values)
    assert levels.bounds[0] == -1
    assert (np.diff(levels.bounds) > 0).all()
    assert levels.height(np.array([99.0])) == pytest.approx(2)
    assert "above" in levels.name("f")


def test_a_valley_narrower_than_the_grid_is_no_row_of_pits() -> None:
    """Rosenbrock's is met by some points and missed by others; its floor is one level in the relief."""
    x, y = np.meshgrid(np.linspace(-2, 2, 51), np.linspace(-1, 3, 51))
    values = (1 - x) ** 2 + 100 * (y - x**2) ** 2
    levels = Levels.of(values)
    crossed = slice(31, 46)  # x from 0.5 to 1.6: the valley is on the grid
    pits, floor = (heights[:, crossed].min(0) for heights in (levels.height(values), levels.relief(values)))
    assert np.ptp(pits) > 1
    assert np.ptp(floor) == 0
    assert (levels.relief(values) >= levels.height(values)).all()
    high = levels.height(values) > floor.max()
    assert (levels.relief(values) == levels.height(values))[high].all()
    assert high.mean() > 0.7, "what is cut off is the valley alone"


def test_a_relief_that_the_grid_resolves_is_left_as_it_is() -> None:
    x, y = np.meshgrid(np.linspace(-1, 1, 51), np.linspace(-1, 1, 51))
    for values in (x**2 + 100 * y**2 + 0.1, x + y, x**2 + 3 * y**2 + 1):
        levels = Levels.of(values)
        np.testing.assert_array_equal(levels.relief(values), levels.height(values))


@pytest.mark.parametrize("value", [0.0, 3.0, -1e9])
def test_a_flat_landscape_has_levels(value: float) -> None:
    assert (np.diff(Levels.of(np.full(9, value)).bounds) > 0).all()


HOLES = np.full((11, 11), np.nan)
HOLES[5, 4:7] = [2.0, 1.0, 3.0]
CASES = {
    "plane": random_plane(),
    "holes": random_plane(HOLES),
    "flat": random_plane(np.ones((11, 11))),
    "infinite": random_plane(np.where(np.abs(AXIS) > 0.5, np.inf, 1.0)[None].repeat(11, 0)),
    "huge": random_plane(10.0 ** (300 * np.abs(AXIS))[None].repeat(11, 0)),
    "through": weights(),
    "surface": surface(),
}


@pytest.mark.parametrize("case", CASES)
def test_every_figure_can_be_drawn(case: str, tmp_path: Path) -> None:
    """A warning would be an error."""
    result, shown = CASES[case]
    pictures = draw_landscape(tmp_path, {**result, "name": "odd $\\frac$ 数字"}, shown)
    assert len(pictures) == (2 if case == "surface" else 3)
    for picture in pictures:
        assert (tmp_path / picture.file).read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
        assert len(picture.sentence) > 40


def test_nothing_finite_is_no_figure(tmp_path: Path) -> None:
    result, shown = random_plane()
    assert draw_landscape(tmp_path, {**result, "lowest": None}, shown) == []


def test_contours_lie_where_the_values_do(tmp_path: Path) -> None:
    values = np.ones((11, 11))
    values[:, 6:] = 100.0  # at the right
    figure = landscape_plane.draw_contour(*random_plane(values))
    figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())[::-1, :, :3].astype(float).sum(2)
    places = [figure.axes[0].transData.transform(point).round().astype(int) for point in ((-0.7, 0.7), (0.7, -0.7))]
    dark, bright = (pixels[y, x] for x, y in places)
    assert dark < bright


def test_paths_and_what_the_legend_says(tmp_path: Path) -> None:
    result, shown = surface()
    figure = landscape_plane.draw_contour(result, shown)
    assert legend(figure) == ["sgd, lr 0.1", "sgd, lr 9\n(diverged)", "centre", "known minimum"]
    lines = {str(line.get_gid()): line for line in figure.axes[0].get_lines()}
    assert lines["path-0"].get_xydata().tolist() == shown["paths"][0]
    assert len(lines["path-1"].get_xydata()) == 2, "cut where it leaves"
    assert lines["path-0"].get_linestyle() != lines["path-1"].get_linestyle()
    assert lines["path-0"].get_marker() != lines["path-1"].get_marker()


def test_lines_through_the_centre() -> None:
    result, shown = random_plane()
    figure = landscape_lines.draw(result, shown)
    lines = {str(line.get_gid()): np.asarray(line.get_ydata()) for line in figure.axes[0].get_lines()}
    np.testing.assert_allclose(lines["line-0"], 1 + AXIS**2)
    np.testing.assert_allclose(lines["line-1"], 1 + 3 * AXIS**2)


def test_figures_are_small(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    save_figure(lambda: landscape_plane.draw_surface(*random_plane()), path, 100)
    assert path.stat().st_size < 400_000


def test_what_a_plane_tells() -> None:
    result, _ = random_plane()
    text = " ".join(landscape_sentences(result))
    assert "The centre is the lowest point of the grid" in text
    assert "doubled at 0.50" in text
    assert any("beyond 1" in line for line in plain(landscape_tables(result)[1]))
    assert landscape_headline(result) == "train loss at the centre 1.000"


def test_a_centre_that_is_not_lowest() -> None:
    x, _ = np.meshgrid(AXIS, AXIS)
    text = " ".join(landscape_sentences(random_plane(5 - x)[0]))
    assert "not the lowest point" in text
    assert "lower by 1.00" in text


def test_barriers_are_told() -> None:
    result, _ = weights()
    assert "there is a barrier: 50% of the way the error is 2.00 above" in " ".join(landscape_sentences(result))
    assert landscape_headline(result) == "highest barrier 2.00"
    result["barriers"][0].update(height=0.0, at=None)
    assert "there is no barrier" in " ".join(landscape_sentences(result))
    result["barriers"][0].update(height=None, highest=None)
    assert "not finite" in landscape_headline(result)
    assert landscape_tables(result)


def test_paths_are_told() -> None:
    result, _ = surface()
    lines = plain(landscape_tables(result)[-1])
    assert any("step 2" in line for line in lines)
    assert any("diverged after step 2" in line for line in lines)
    text = " ".join(landscape_sentences(result))
    assert "from step 2 on" in text
    assert "Diverged: sgd, lr 9" in text


def test_a_start_at_the_minimum_is_told() -> None:
    text = " ".join(landscape_sentences(surface(starts_at_minimum=True)[0]))
    assert "The start is a minimum" in text
    assert "First to stay" not in text


def test_remarks_are_told() -> None:
    assert landscape_sentences(random_plane(remarks=["It differs."])[0])[-1] == "It differs."


def test_a_surface_without_lowest_value() -> None:
    result, _ = surface()
    result["minima"] = None
    for path in result["paths"]:
        path.update(minimum=None, distance=None, arrived=None)
    assert "no lowest value" in " ".join(landscape_sentences(result))
    assert landscape_tables(result)


def test_holes_are_told() -> None:
    assert "At 118 of 122 points" in " ".join(landscape_sentences(random_plane(HOLES)[0]))
