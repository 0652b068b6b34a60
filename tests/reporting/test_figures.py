"""Learning curves: the drawn data are the data, and every odd run gives a picture without a warning."""

import copy
import math
import struct
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from reporting.results import course

from dlx.reporting.figures import _push_apart, draw_learning_curve, learning_curve


def lines(axes: Axes) -> dict[str, tuple[list[float], list[float]]]:
    """Drawn lines by gid: x and y."""
    return {
        str(line.get_gid()): (list(line.get_xdata()), list(line.get_ydata())) for line in axes.lines if line.get_gid()
    }


def texts(figure: Figure) -> list[str]:
    legends = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    return [text.get_text() for text in figure.texts] + legends


def recorded(epochs: list[dict[str, Any]], seed: int, part: str, score: str) -> tuple[list[float], list[float]]:
    points = [
        (line["epoch"], member[part][score])
        for line in epochs
        for member in line["members"]
        if member["seed"] == seed and part in member
    ]
    return [x for x, _ in points], [y for _, y in points]


def test_every_seed_is_drawn_as_recorded() -> None:
    epochs, result = course({0: 12, 2: 9, 3: 15}, {1: 6})
    figure = draw_learning_curve(epochs, result)
    for axes, score in zip(figure.axes, ("loss", "accuracy"), strict=True):
        drawn = lines(axes)
        for seed in range(4):
            for part in ("train", "valid"):
                assert drawn[f"{part}-{seed}"] == recorded(epochs, seed, part, score)


def test_mean_and_band_only_while_all_train() -> None:
    epochs, result = course({0: 12, 2: 9, 3: 15}, {1: 6})
    axes = draw_learning_curve(epochs, result).axes[0]
    values = np.array([recorded(epochs, seed, "valid", "loss")[1][:9] for seed in (0, 2, 3)])
    x, mean = lines(axes)["valid-mean"]
    assert x == list(range(1, 10))
    assert mean == pytest.approx(values.mean(axis=0))
    (band,) = [each for each in axes.collections if each.get_gid() == "valid-band"]
    vertices = band.get_paths()[0].vertices
    for epoch in x:
        heights = vertices[vertices[:, 0] == epoch][:, 1]
        spread = values[:, int(epoch) - 1]
        assert heights.max() == pytest.approx(spread.mean() + spread.std(ddof=1))
        assert heights.min() == pytest.approx(spread.mean() - spread.std(ddof=1))


def test_marks_of_best_weights_test_and_divergence() -> None:
    epochs, result = course({0: 12, 2: 9}, {1: 6, 4: 1})
    axes = draw_learning_curve(epochs, result).axes[0]
    drawn = lines(axes)
    for member in (result["members"][0], result["members"][2]):
        assert drawn[f"best-{member['seed']}"] == ([member["best_epoch"]], [member["valid"]["loss"]])
    (container,) = axes.containers
    assert list(container.lines[0].get_ydata()) == [result["summary"]["test"]["loss"]["mean"]]
    low, high = axes.get_ylim()
    for gid, epoch in (("diverged-1", 5), ("diverged-4", 1)):
        (x,), (y,) = drawn[gid]
        assert x == epoch
        assert low < y < high, "the cross must be seen where the value is off the axes"
    assert high < 1e4, "a diverging seed must not squeeze the others"
    assert {"1", "4"} <= {text.get_text() for text in axes.texts}


def test_title_says_what_the_band_is() -> None:
    shown = texts(draw_learning_curve(*course({0: 12, 2: 9}, {1: 6})))
    assert "digits: learning curve, 3 seeds" in shown
    assert "mean and ±1 standard deviation (band) over 2 seeds (1 diverged), as far as all of them train" in shown
    assert texts(draw_learning_curve(*course({0: 5, 2: 5}, {})))[1].endswith("over 2 seeds")


def test_one_seed_has_no_mean() -> None:
    drawn = lines(draw_learning_curve(*course({3: 12}, {})).axes[0])
    assert "valid-3" in drawn
    assert not any("mean" in gid for gid in drawn)


def test_diverged_alone_is_marked_at_its_last_value() -> None:
    drawn = lines(draw_learning_curve(*course({}, {0: 4})).axes[0])
    assert drawn["diverged-0"] == ([3], [2e6])


def test_scales() -> None:
    wide = draw_learning_curve(*course({0: 30}, {}))
    assert [axes.get_yscale() for axes in wide.axes] == ["log", "linear"]
    assert draw_learning_curve(*course({0: 4}, {})).axes[0].get_yscale() == "linear"


def test_labels_do_not_overlap() -> None:
    moved = _push_apart([100.0, 101.0, 102.0, 300.0], [13.0, 26.0, 13.0, 13.0])
    assert moved[1] - moved[0] >= 19.4
    assert moved[2] - moved[1] >= 19.4
    assert moved[3] == 300
    assert moved[1] == pytest.approx(101, abs=0.5)


def png_size(path: Path) -> tuple[int, int]:
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert data[-8:-4] == b"IEND"
    return struct.unpack(">II", data[16:24])


def with_values(change: Any, **settings: Any) -> Any:
    """A course whose every value is changed by a function of epoch and value."""
    epochs, result = copy.deepcopy(course({0: 6, 1: 8}, {}, **settings))
    for line in epochs:
        for member in line["members"]:
            for part in ("train", "valid"):
                member[part] = {name: change(line["epoch"], value) for name, value in member[part].items()}
    return epochs, result


ODD = {
    "one epoch": course({0: 1}, {}),
    "one epoch, seeds": course({0: 1, 1: 1}, {}),
    "no valid": course({0: 9, 1: 12}, {}, valid=False),
    "all diverged": course({}, {0: 4, 1: 1, 2: 1, 3: 1, 4: 1, 5: 2}),
    "all diverged at once": course({}, {0: 1}),
    "one is left": course({0: 5}, {1: 2}),
    "wide": with_values(lambda epoch, value: value * 10.0 ** (30 - 10 * epoch)),
    "rising to 1e30": with_values(lambda epoch, value: -value * 10.0 ** (30 - 5 * epoch)),
    "near the largest": with_values(lambda epoch, value: value * 1e307 * (-1) ** epoch),
    "constant": with_values(lambda epoch, value: 1.0),
    "zero": with_values(lambda epoch, value: 0.0),
    "undefined": with_values(lambda epoch, value: None),
    "undefined at times": with_values(lambda epoch, value: value if epoch % 2 else math.nan),
    "nothing": ([], {**course({0: 1}, {})[1], "members": []}),
}


@pytest.mark.parametrize("case", ODD)
def test_odd_runs_have_a_picture(case: str, tmp_path: Path) -> None:
    epochs, result = ODD[case]
    path = tmp_path / "figures" / "learning_curve.png"
    learning_curve(epochs, result, path)
    assert png_size(path) == (1792, 705)
    assert [each.name for each in path.parent.iterdir()] == ["learning_curve.png"]


def test_without_metric_one_panel(tmp_path: Path) -> None:
    learning_curve(*course({0: 9}, {}, metric=False), tmp_path / "a.png")
    assert png_size(tmp_path / "a.png") == (1027, 705)


def test_a_panel_for_every_metric() -> None:
    epochs, result = copy.deepcopy(course({0: 6, 1: 8}, {2: 3}))
    result["metrics"] = ["accuracy", "second", "third"]
    for line in epochs:
        for member in line["members"]:
            for part in ("train", "valid"):
                if part in member:
                    member[part] |= {"second": member[part]["accuracy"] / 2, "third": member[part]["loss"] * 2}
    figure = draw_learning_curve(epochs, result)
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss (cross_entropy)", "accuracy", "second", "third"]
    for axes, score in zip(figure.axes[1:], result["metrics"], strict=True):
        assert lines(axes)["valid-1"] == recorded(epochs, 1, "valid", score)
    assert len({axes.get_position().y0 for axes in figure.axes}) == 2, "more than three stand in two rows"


def test_a_wide_axis_of_what_is_never_negative_begins_at_zero() -> None:
    figure = draw_learning_curve(*with_values(lambda epoch, value: value * 10.0 ** (5 * epoch)))
    assert all(axes.get_ylim()[0] >= 0 for axes in figure.axes)


def test_names_that_are_no_formula(tmp_path: Path) -> None:
    epochs, result = course({0: 3}, {})
    learning_curve(epochs, {**result, "name": "$\\frac$ 数字 🙂", "loss": "a_$b$"}, tmp_path / "a.png")


def test_leaves_matplotlib_as_it_was(tmp_path: Path) -> None:
    epochs, result = course({0: 3}, {})
    learning_curve(epochs, result, tmp_path / "a.png")
    with mpl.rc_context({"font.size": 30, "lines.linewidth": 9}):
        learning_curve(epochs, result, tmp_path / "b.png")
        assert mpl.rcParams["font.size"] == 30
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert "matplotlib.pyplot" not in sys.modules
