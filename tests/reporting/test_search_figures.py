"""The figures of a search: which there are, and that each can be read whatever was searched."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from reporting.searches import CASES

from dlx.reporting import search_figures
from dlx.reporting.report import escape
from dlx.reporting.search_figures import draw_search_pictures
from dlx.reporting.search_trials import keys_of

ALL = ["slices", "pairs", "importance", "curves", "gaps"]


def importance(result: dict[str, Any]) -> dict[str, float]:
    return {key: 0.5 ** (place + 1) for place, key in enumerate(keys_of(result))}


def texts(figure: Figure) -> Iterator[Text]:
    """Everything that is written in a figure and shown."""
    yield from figure.texts
    for legend in figure.legends:
        yield from legend.get_texts()
    for axes in figure.axes:
        yield from (*axes.texts, axes.xaxis.label, axes.yaxis.label, axes.title, axes._left_title)
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            yield axis.get_offset_text()
            yield from (tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high)
            yield from (tick.label2 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high)


def overlaps(figure: Figure) -> list[tuple[str, str]]:
    """Pairs of texts that lie over each other, and texts that leave the figure."""
    figure.canvas.draw()
    boxes = [
        (text.get_text(), text.get_window_extent())
        for text in texts(figure)
        if text.get_visible() and text.get_text().strip()
    ]
    whole = Bbox.from_extents(-1, -1, figure.bbox.width + 1, figure.bbox.height + 1)
    out = [(name, "outside") for name, box in boxes if not (whole.contains(*box.min) and whole.contains(*box.max))]
    for (first, a), (second, b) in itertools.combinations(boxes, 2):
        width, height = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
        if width > 1 and height > 1:
            out.append((first, second))
    return out


@pytest.mark.parametrize(
    "case",
    [case if number % 3 == 0 else pytest.param(case, marks=pytest.mark.slow) for number, case in enumerate(CASES)],
)
def test_texts_do_not_overlap(case: str) -> None:
    result, cells = CASES[case]()
    result["name"] = "a $name$ of a run that goes on and on"
    for name, _, draw, sentence in search_figures._artists(result, cells, importance(result)):
        figure = draw()
        assert overlaps(figure) == [], name
        assert figure.get_figwidth() < 16
        assert len(escape(sentence)) > 40
        assert not {"nan", "inf", "None"} & set(sentence.split())
        assert all(axes.get_xlabel() for axes in figure.axes if axes.get_gid() != "colours")


def test_an_overlap_would_be_seen() -> None:
    result, cells = CASES["grid"]()
    figure = next(search_figures._artists(result, cells, {}))[2]()
    figure.axes[0].set_xticks([-3.0, -2.99], ["a long label", "another one"])
    assert ("a long label", "another one") in overlaps(figure)
    figure.text(0.98, 0.5, "a text that leaves the figure")
    assert ("a text that leaves the figure", "outside") in overlaps(figure)


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ("one trial", ["curves"]),
        ("one key", ["slices", "curves", "gaps"]),
        ("grid", ALL),
        ("failures", ALL),
        ("all diverged", ["slices", "importance"]),
    ],
)
def test_which_figures_there_are(case: str, expected: list[str], tmp_path: Path) -> None:
    result, cells = CASES[case]()
    pictures = draw_search_pictures(tmp_path, result, cells, importance(result))
    assert [each.file for each in pictures] == [f"figures/search_{name}.png" for name in expected]
    for each in pictures:
        assert (tmp_path / each.file).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_what_cannot_be_drawn_is_left_out(tmp_path: Path) -> None:
    result, cells = CASES["grid"]()
    for line in cells:
        del line["curve"]
    found = draw_search_pictures(tmp_path, result, cells)
    assert [each.file for each in found] == [f"figures/search_{name}.png" for name in ("slices", "pairs", "gaps")]


def test_keys_are_drawn_by_importance() -> None:
    result, cells = CASES["random"]()
    shares = {"training.batch_size": 0.6, "model.dropout": 0.3, "optimizer.lr": 0.1}
    figure = next(search_figures._artists(result, cells, shares))[2]()
    assert [axes.get_xlabel() for axes in figure.axes][:3] == list(shares)
