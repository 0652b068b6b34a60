"""Tables, sentences, figures and report of `dlx curvature`, from results made by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reporting.curvatures import looked, network
from reporting.pictures import legend

from dlx.reporting.curvature_figures import draw_curvature, spectrum_figure, steps_figure
from dlx.reporting.curvature_report import write_curvature_report
from dlx.reporting.curvature_sentences import curvature_headline, curvature_sentences
from dlx.reporting.curvature_tables import curvature_tables
from dlx.reporting.tables import plain


def told(result: dict[str, Any]) -> str:
    return " ".join(curvature_sentences(result))


def at(kind: str, **more: Any) -> dict[str, Any]:
    point = {"kind": kind, "distance": 0.0, "shape": kind, "zero": 1e-11, "stationary_below": 1e-6}
    return looked(point={**point, **more})


def test_tables() -> None:
    directions, eigenvalues, steps = ("\n".join(plain(table)) for table in curvature_tables(looked()))
    assert "along 40 random directions u of length 1" in directions
    assert directions.splitlines()[2].split()[-5:] == ["-10.05", "-10.00", "0.3000", "9.900", "10.05"]
    assert directions.splitlines()[3].split()[-5:] == ["1.000", "1.200", "5.100", "9.800", "10.00"]
    assert "highest eigenvalue" in eigenvalues
    assert "4.0e-15" in eigenvalues
    assert "2 / 0 / 0" in eigenvalues
    names = [line.split("  ")[1].strip() for line in steps.splitlines()[2:]]
    assert names == ["eps*", "2 / lambda_max", "lr 0.5"], "in the order of their sizes"
    assert steps.splitlines()[2].split()[-2:] == ["-5.095", "-5.095"]
    *_, jacobian = curvature_tables(network())
    assert ("rank", "150") in jacobian.rows


def test_a_step_that_leaves_the_numbers() -> None:
    result = looked()
    for missing in (None, float("inf")):
        result["steps"]["marks"][2]["measured"] = missing
        assert plain(curvature_tables(result)[2])[-1].endswith(" -")


def test_sentences_on_a_slope() -> None:
    text = told(looked())
    assert (
        "if no direction curved more than here, the next point of gradient 0 would be at least 0.70 of the length"
        in text
    )
    assert "were the gradient 0, this would be a minimum" in text
    assert "condition number is 10.00" in text
    assert "leaves 0.818182 of the distance" in text
    assert "eps* = g'g / g'Hg = 0.1009; it promises to lower f by 5.095, and does by 5.095" in text
    assert "right to 10 % for all steps here" in text
    assert "stable below 2 / lambda_max = 0.2000" in text
    assert text.endswith("The learning rate 0.5 of `sgd` is above it.")
    assert curvature_headline(looked()).startswith("a slope: f 5.500  gradient norm 10.05  highest eigenvalue 10.00")


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("minimum", "This is a minimum: the gradient is 0 as far as can be told, and all eigenvalues are positive"),
        (
            "saddle",
            "This is a saddle: the gradient is 0 as far as can be told, and there are eigenvalues of both signs",
        ),
        ("maximum", "This is a maximum"),
        ("flat", "This is a flat place, where second derivatives do not decide"),
    ],
)
def test_sentences_on_stationary_points(kind: str, words: str) -> None:
    text = told({**at(kind), "steps": None, "gradient_norm": 0.0})
    assert words in text
    assert "The lowest value of the surface is 0" in text
    assert "Steps along a gradient that is 0 as far as can be told would tell nothing." in text
    assert "No direction falls faster" not in text
    assert curvature_headline(at(kind)).startswith(f"a {kind}" if kind != "flat" else "a flat place:")


@pytest.mark.parametrize("distance", [None, float("inf")])
def test_a_slope_without_curvature(distance: float | None) -> None:
    assert "a slope without any curvature" in told(at("slope", distance=distance, shape="flat"))


@pytest.mark.parametrize(("is_surface", "remedy"), [(False, "dlx gradcheck finds where"), (True, "backward of its")])
def test_a_wrong_gradient_is_told_first(is_surface: bool, remedy: str) -> None:
    result = looked(doubt={"said": 2.0, "measured": 1.0}, is_surface=is_surface)
    first = next(iter(curvature_sentences(result)))
    assert "it says 2.000, but values of f on both sides say 1.000." in first
    assert remedy in first
    assert curvature_headline(result).startswith("the gradient is wrong")


def test_sentences_on_a_network() -> None:
    text = told(network())
    assert "were the gradient 0, this would be a saddle" in text
    assert "after the work of 15 gradients" in text
    assert "One may lie beyond" in text
    assert "sign of the lowest eigenvalue is not known" not in text
    assert "condition number" not in text
    assert "`adam` is another rule, with a limit of its own" in text
    assert "along 99,850 of the 100,000 dimensions of theta none of them changes" in text
    assert text.endswith("The slope of `relu` jumps.")
    result = network()
    result["spectrum"]["is_outermost"] = False
    assert "Another random start saw one beyond them" in told(result)
    result["spectrum"]["lowest"] = {"value": 1e-3, "bound": 0.1, "along_vector": 1e-3}
    result["spectrum"]["gradient_equivalents"]["highest"] = None
    assert "raise curvature.max_steps" in told(result)
    assert "sign of the lowest eigenvalue is not known" in told(result)


def test_sentences_on_steps() -> None:
    result = looked()
    result["steps"] |= {"best": None, "bend": -3.0, "reliable_to": 0.01, "limit": None}
    text = told(result)
    assert "f does not curve up (g'Hg = -3.000)" in text
    assert "right to 10 % up to eps = 0.0100" in text
    assert "no learning rate is too large" in text
    result["steps"]["reliable_to"] = None
    assert "wrong by more than 10 % even for the smallest step" in told(result)


def heights(figure: Any, name: str) -> float:
    (axes,) = figure.axes
    return float(sum(patch.get_height() for patch in axes.patches if patch.get_gid() == f"bars-{name}"))


def test_every_eigenvalue_is_in_a_bar() -> None:
    values = [-5.0, -1e-3, 0.0, 1e-20, 1e-4, 3.0, 3.1, 1e3]
    result = looked(num_parameters=8)
    result["spectrum"] |= {"values": values, "counts": [1.0] * 8}
    result["spectrum"]["lowest"]["value"], result["spectrum"]["highest"]["value"] = -5.0, 1e3
    figure = spectrum_figure(result)
    assert [heights(figure, name) for name in ("negative", "around", "positive")] == [2, 2, 4]
    assert "2 / lr for lr 0.5" in legend(figure)


@pytest.mark.parametrize(
    ("values", "low", "high"),
    [
        ([2.0, 30.0], (0.3, 1), (31, 60)),
        ([-30.0, -2.0], (-60, -31), (-1, -0.3)),
        ([-5.0, 7.0], (-15, -5), (7, 15)),
        ([0.0, 7.0], (-1e-6, 0), (7, 15)),
        ([3.0], (0.3, 1), (3, 6)),
    ],
)
def test_the_axis_shows_where_eigenvalues_are(
    values: list[float], low: tuple[float, float], high: tuple[float, float]
) -> None:
    result = looked(num_parameters=len(values), rates=[])
    result["spectrum"] |= {"values": values, "counts": [1.0] * len(values)}
    result["spectrum"]["lowest"]["value"], result["spectrum"]["highest"]["value"] = values[0], values[-1]
    figure = spectrum_figure(result)
    (axes,) = figure.axes
    left, right = axes.get_xlim()
    assert low[0] < left < low[1]
    assert high[0] < right < high[1]
    for bar in (bar for container in axes.containers for bar in container):
        assert left < bar.get_x() < bar.get_x() + bar.get_width() < right
    assert any(left < place < right for place in axes.get_xticks())


def test_the_middle_of_an_estimated_density_has_no_sign() -> None:
    figure = spectrum_figure(network())
    assert [heights(figure, name) for name in ("negative", "around", "positive")] == [0, 99003, 997]
    (axes,) = figure.axes
    assert axes.get_yscale() == "log"
    assert not any("lr" in text for text in legend(figure)), "2 / lr is far beyond the axis"


def test_the_steps_that_are_drawn() -> None:
    (axes,) = steps_figure(looked()).axes
    lines = {line.get_gid(): line for line in axes.lines}
    assert list(lines["measured"].get_ydata()) == looked()["steps"]["measured"]
    assert sorted(line.get_xdata()[0] for line in axes.lines if line.get_gid() == "mark") == pytest.approx(
        [101 / 1001, 0.2, 0.5]
    )
    low, high = axes.get_ylim()
    assert low < 5.5 - 101**2 / 2002 < 5.5 < high < 12, "what is gained is to be seen"
    assert legend(steps_figure(looked()))[:3] == ["measured", "predicted", "eps* = 0.101"]


def test_steps_that_gain_nothing_or_leave_the_numbers() -> None:
    result = looked()
    result["steps"]["measured"][-5:] = [None, float("nan"), float("inf"), 1e300, 1e308]
    low, high = steps_figure(result).axes[0].get_ylim()
    assert np.isfinite([low, high]).all()
    result["steps"]["measured"] = result["steps"]["predicted"] = [5.5] * 49
    low, high = steps_figure(result).axes[0].get_ylim()
    assert low < 5.5 < high


@pytest.mark.parametrize("result", [looked(name="odd $\\frac$ 数字"), network(), {**at("minimum"), "steps": None}])
def test_figures_and_report(result: dict[str, Any], tmp_path: Path) -> None:
    pictures = draw_curvature(tmp_path, result)
    write_curvature_report(tmp_path, result, {"point": "(1, 1)"}, pictures)
    text = (tmp_path / "report.md").read_text()
    assert "- point: (1, 1)" in text
    assert len(pictures) == (1 if result["steps"] is None else 2)
    for picture in pictures:
        assert (tmp_path / picture.file).read_bytes().startswith(b"\x89PNG")
        assert f"({picture.file})" in text
