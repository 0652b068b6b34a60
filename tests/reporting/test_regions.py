"""Decision regions: the class of every point of the plane, and where seeds disagree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from reporting.pictures import drawn, legend

from dlx.reporting import regions
from dlx.reporting.drawing import COLOURS


def values(predicted: Any, agreeing: Any = None, num_classes: int = 2, num_seeds: int = 1, **more: Any) -> Any:
    size = len(predicted)
    return {
        "features": ["width", "height"],
        "classes": [f"c{number}" for number in range(num_classes)],
        "seed": 3,
        "num_seeds": num_seeds,
        "x": np.linspace(-1, 1, size).tolist(),
        "y": np.linspace(0, 10, size).tolist(),
        "predicted": np.array(predicted).tolist(),
        **({} if agreeing is None else {"agreeing": np.array(agreeing).tolist()}),
        "points": {
            "train": {"num_examples": 3, "inputs": [[-0.5, 0.5, 0.1], [1.0, 2.0, 3.0]], "targets": [0, 1, 0]},
            "test": {"num_examples": 1, "inputs": [[0.2], [5.0]], "targets": [1]},
        },
        **more,
    }


HALVES = np.zeros((8, 8), dtype=int)
HALVES[:, 4:] = 1


def clouds(figure: Figure) -> dict[str, Any]:
    return {
        str(each.get_gid()): each.get_offsets().tolist()
        for each in figure.axes[0].collections
        if "-" in str(each.get_gid())
    }


def test_regions_and_points(tmp_path: Path) -> None:
    figure = drawn(regions, values(HALVES), tmp_path)
    axes = figure.axes[0]
    (image,) = axes.images
    left, right = np.array(image.get_array())[0, [0, -1]]
    blue, orange = (np.array(to_rgb(colour)) for colour in COLOURS[:2])
    np.testing.assert_allclose([left, right], [0.62 + 0.38 * blue, 0.62 + 0.38 * orange])
    assert image.get_extent() == pytest.approx([-1 - 1 / 7, 1 + 1 / 7, -5 / 7, 10 + 5 / 7])
    assert clouds(figure) == {
        "train-0": [[-0.5, 1.0], [0.1, 3.0]],
        "train-1": [[0.5, 2.0]],
        "test-1": [[0.2, 5.0]],
    }
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("width", "height")
    assert legend(figure) == ["class c0", "class c1", "train example", "test example"]
    assert "seed 3" in figure.texts[1].get_text()


def test_a_region_lies_where_its_points_do() -> None:
    corner = np.zeros((8, 8), dtype=int)
    corner[6:, 6:] = 1  # large x and large y
    figure = regions.draw("a", values(corner, points={}))
    figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())[::-1, :, :3] / 255
    for point, colour in (((0.9, 9.5), COLOURS[1]), ((0.9, 0.5), COLOURS[0]), ((-0.9, 9.5), COLOURS[0])):
        x, y = figure.axes[0].transData.transform(point).round().astype(int)
        np.testing.assert_allclose(pixels[y, x], 0.62 + 0.38 * np.array(to_rgb(colour)), atol=0.01)


def test_disagreement(tmp_path: Path) -> None:
    agreeing = np.full((8, 8), 5)
    agreeing[:, 4] = 2
    figure = drawn(regions, values(HALVES, agreeing, num_seeds=5), tmp_path)
    assert legend(figure)[-1] == "seeds disagree"
    assert any(getattr(each, "hatches", None) for each in figure.axes[0].collections)
    assert "In 12 % of the area shown (hatched) 5 seeds" in regions.sentence(values(HALVES, agreeing, num_seeds=5))


@pytest.mark.parametrize(
    "odd",
    [
        values(np.zeros((8, 8), dtype=int), num_classes=1),
        values(HALVES, np.full((8, 8), 2), num_seeds=2),
        values(HALVES, np.full((8, 8), 1), num_seeds=20),
        values(np.arange(64).reshape(8, 8), num_classes=100),
        values(HALVES, classes=["a" * 500, "$\\frac{"], features=["x" * 200, "$y_"]),
        values(HALVES, points={"train": {"num_examples": 1, "inputs": [[0.0], [0.0]], "targets": [1]}}),
    ],
    ids=["one class", "all agree", "all disagree", "100 classes", "long names", "one example"],
)
def test_odd_regions(odd: Any, tmp_path: Path) -> None:
    assert len(legend(drawn(regions, odd, tmp_path))) <= 14
