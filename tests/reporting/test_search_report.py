"""report.md of a search: every section says what the numbers support, and nothing about the clock."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from reporting.searches import CASES, SECTIONS, grid, searched

from dlx.reporting.gallery import Picture
from dlx.reporting.search_report import search_report_text, write_search_report

FACTS = {"data": "digits: 1797 examples", "model": "mlp, 9_610 parameters"}
PICTURES = [Picture("figures/search_gaps.png", "Training against held-out score", "12 of 12 trials are *worse*.")]


def text_of(case: str) -> tuple[dict[str, Any], str]:
    result, cells = CASES[case]()
    lines = {line["id"]: f"dlx train RUN/config.resolved.yaml fold={line['fold']}" for line in cells}
    return result, search_report_text(result, FACTS, cells, PICTURES, lines)


def headings(text: str) -> list[str]:
    return [line.removeprefix("## ") for line in text.splitlines() if line.startswith("## ")]


def test_report_of_a_grid(tmp_path: Path) -> None:
    result, cells = CASES["grid"]()
    best = result["trials"][result["selection"]["best"]]
    write_search_report(tmp_path, result, FACTS, cells, PICTURES, {best["cells"][0]: "dlx train RUN/x.yaml fold=0"})
    text = (tmp_path / "report.md").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["report.md"]
    assert headings(text) == [
        "What was run", "Estimate", "Trials", "Choice", "How to read the numbers", "Scores and folds", "Fit",
        "Figures", "Use it", "Repeat it",
    ]  # fmt: skip
    assert text.startswith("# digits: cv\n\nSelection score (optimistic): accuracy 0.")
    assert "- model: mlp, 9\\_610 parameters\n" in text
    assert "- trials: 12, grid\n" in text
    assert "- folds: stratified 5-fold: about 1,438 training and 359 held-out examples each\n" in text
    assert "![Training against held-out score](figures/search_gaps.png)\n\n12 of 12 trials are \\*worse\\*.\n" in text
    assert "dlx train RUN/best.yaml\n" in text
    assert f"```sh\ndlx cv RUN --cell {best['cells'][0]}\ndlx train RUN/x.yaml fold=0\n```\n" in text
    assert "`trials.csv`" in text
    assert "for 17 epochs, seed 0: training loss 0.1000, accuracy 0.9900" in text
    assert "With cv.nested=true" in text
    assert "Nadeau and Bengio" in text
    assert text.count("\n\n\n") == 0


def test_a_search_of_one_setting_is_not_optimistic() -> None:
    _, text = text_of("one trial")
    assert "optimistic" not in text
    assert "There was no choice between settings" in text
    assert "Nadeau" not in text
    assert "Choice" not in headings(text)
    assert "- space" not in text


def test_nested() -> None:
    result, text = text_of("nested")
    assert "The whole search, its choice included, was repeated for each outer fold" in text
    assert "The 5 outer folds chose 2 different settings" in text
    assert "What each outer fold chose" in text
    assert "With cv.nested" not in text
    assert "2 repeats: about" in text
    for each in result["estimate"]["outer"]:
        each["values"] = result["estimate"]["outer"][0]["values"]
    assert "All 5 outer folds chose the same setting." in search_report_text(result, {}, [], [], {})


def test_all_diverged() -> None:
    _, text = text_of("all diverged")
    assert text.startswith("# digits: cv\n\nNo trial has a held-out score.\n")
    assert headings(text) == ["What was run", "Trials", "Choice", "Figures", "Repeat it"]
    assert "every trial diverged" in text
    assert "best.yaml" not in text
    assert "--cell" not in text


def test_failures_and_budgets() -> None:
    _, text = text_of("failures")
    assert "- trials: 24, grid, budget: halving\n" in text
    assert "| diverged: 5 of 5 cells diverged, the first in fold 0 at step 14 |" in text
    assert "Dropped trials are ranked by the budget they reached" in text


def test_leave_one_out() -> None:
    _, text = text_of("leave one out")
    assert "its standard error by the jackknife" in text
    assert "over all examples, each held out once" in text


def test_without_refit_and_without_train_lines() -> None:
    result, cells = CASES["grid"]()
    result["refit"] = None
    text = search_report_text(result, FACTS, cells, [], {})
    assert "trained on all examples" not in text
    assert "both lines" not in text
    assert "--cell" in text


@pytest.mark.parametrize("case", CASES)
def test_every_report_is_whole_and_deterministic(case: str) -> None:
    _, text = text_of(case)
    assert text == text_of(case)[1]
    assert text.endswith("\n")
    assert "nan" not in text.lower().split()
    assert "None" not in text


def test_markup_in_values_is_shown_as_it_is() -> None:
    space = {"model.activation": ["<b>", "a|b"], **SECTIONS}
    result, cells = searched(space, grid(space), name="<i>")
    text = search_report_text(result, {}, cells, [], {})
    assert "# \\<i\\>: cv" in text
    assert "a\\|b" in text
    assert "<b>" not in text.replace("\\<b\\>", "")
