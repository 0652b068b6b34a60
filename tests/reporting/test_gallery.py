"""Every figure of the list has its module, its file and its place in the report."""

from __future__ import annotations

import importlib
from pathlib import Path

from reporting.results import course, one_seed
from reporting.test_calibration import MANY
from reporting.test_confusion import values

from dlx.commands.train import RESULTS
from dlx.reporting.gallery import TITLES, draw_pictures, picture_file
from dlx.reporting.report import report_text


def test_every_figure_has_a_module_and_is_removed_when_a_run_goes_on() -> None:
    for name in TITLES:
        module = importlib.import_module(f"dlx.reporting.{name}")
        assert module.draw
        assert module.sentence
        assert picture_file(name) in RESULTS


def test_what_there_is_is_drawn_and_reported(tmp_path: Path) -> None:
    epochs, _ = course({0: 4}, {})
    epochs[2]["members"][0]["lr"] = 0.0005
    learned = {"confusion": values([[3, 1], [0, 5]], ["<b>", "x_y"]), "calibration": MANY}
    pictures = draw_pictures(tmp_path, "mine", epochs, learned, {})
    assert [each.title for each in pictures] == ["Confusion matrix", "Calibration", "Learning rate"]
    assert all((tmp_path / each.file).read_bytes().startswith(b"\x89PNG") for each in pictures)
    report = report_text(one_seed(), {}, pictures)
    assert "![Confusion matrix](figures/confusion.png)" in report
    assert "\\<b\\> taken for x\\_y, 1 times" in report
    assert "What was learned" not in report_text(one_seed(), {})


def test_nothing_learned_draws_nothing(tmp_path: Path) -> None:
    assert draw_pictures(tmp_path, "mine", course({}, {0: 2})[0], {}, {}) == []
    assert list(tmp_path.iterdir()) == []
