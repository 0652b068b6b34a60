"""Confusion matrices show their counts, whatever the classes are called and however many there are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reporting.pictures import drawn

from dlx.reporting import confusion


def values(counts: Any, classes: list[str] | None = None, num_seeds: int = 1) -> dict[str, Any]:
    names = classes or [str(number) for number in range(len(counts))]
    return {"part": "test", "classes": names, "num_seeds": num_seeds, "counts": np.array(counts).tolist()}


def test_counts_and_shares(tmp_path: Path) -> None:
    figure = drawn(confusion, values([[8, 2, 0], [0, 5, 0], [1, 0, 9]], ["a", "b", "c"], 5), tmp_path)
    axes = figure.axes[0]
    written = {(text.get_position()[1], text.get_position()[0]): text.get_text() for text in axes.texts}
    assert written == {(0, 0): "8", (0, 1): "2", (1, 1): "5", (2, 0): "1", (2, 2): "9"}
    (image,) = axes.images
    np.testing.assert_allclose(image.get_array(), [[0.8, 0.2, 0], [0, 1, 0], [0.1, 0, 0.9]])
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["a", "b", "c"]
    assert "summed over 5 seeds" in figure.texts[1].get_text()
    assert "22 of 25 predictions are right" in figure.texts[1].get_text()


def test_the_worst_mistake_is_named() -> None:
    text = confusion.sentence(values([[8, 2, 0], [0, 5, 0], [3, 0, 9]], ["cat", "dog", "cow"]))
    assert "cow taken for cat, 3 times (25 % of cow)" in text
    assert "All predictions are right" in confusion.sentence(values([[3, 0], [0, 2]]))


@pytest.mark.parametrize(
    "odd",
    [
        values([[7]]),
        values([[1, 0], [0, 0]]),
        values([[0, 3], [0, 0]]),
        values(np.full((100, 100), 123456), num_seeds=1000),
        values(np.eye(20, dtype=int) * 10**7),
        values(np.ones((7, 7), dtype=int), ["a name\nthat is " + "very " * 50 + "long $x_{", *["b$c"] * 6]),
    ],
    ids=["one class", "one example", "all wrong", "100 classes", "large", "long names"],
)
def test_odd_matrices(odd: dict[str, Any], tmp_path: Path) -> None:
    figure = drawn(confusion, odd, tmp_path)
    assert len(figure.axes[0].get_xticks()) <= 40
    assert all(len(tick.get_text()) <= 14 for tick in figure.axes[0].get_xticklabels())
