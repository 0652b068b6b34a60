"""report.md of a comparison: the verdict first, every section there is, and nothing about the clock but the seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from reporting.comparisons import CASES, leavings, problems

from dlx.reporting.comparison_report import (
    comparison_report,
    problems_report,
    write_comparison_report,
    write_problems_report,
)
from dlx.reporting.comparison_sentences import comparison_headline
from dlx.reporting.gallery import Picture

FACTS = {"problem": "digits, 1797 examples; mlp_2", "plugins": "--plugin mine.py"}
PICTURES = [Picture("figures/comparison_curves.png", "The tuned optimizers", "adam *is* lowest.")]
LINES = {"adam, tuned, seed 2": "dlx train RUN/config.resolved.yaml 'seeds=[2]'"}


def headings(text: str) -> list[str]:
    return [line.removeprefix("## ") for line in text.splitlines() if line.startswith("## ")]


def cells_of(text: str, start: str) -> list[str]:
    """Give the cells of the first row of the ranking that starts so."""
    section = text[text.index("## Ranking") :]
    return next(line for line in section.splitlines() if line.startswith(start)).split(" | ")


def text_of(case: str, **timing: Any) -> str:
    result, _, own = leavings(case)
    return comparison_report(result, FACTS, PICTURES, {**own, **timing}, LINES)


def test_report_of_a_problem(tmp_path: Path) -> None:
    result, _, timing = leavings("four")
    write_comparison_report(tmp_path, result, FACTS, PICTURES, timing, LINES)
    text = (tmp_path / "report.md").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["report.md"]
    headline = comparison_headline(result)
    assert text.startswith(f"# digits: compare-optimizers\n\n**A{headline[1:]}.**\n")
    assert headings(text) == [
        "Verdict", "Ranking", "Tuned and untuned", "Course and tuning", "What was run", "Figures", "How to read it",
        "Repeat it",
    ]  # fmt: skip
    assert "- problem: digits, 1797 examples; mlp\\_2\n" in text
    assert "![The tuned optimizers](figures/comparison_curves.png)\n\nadam \\*is\\* lowest.\n" in text
    assert "# adam, tuned, seed 2\ndlx train RUN/config.resolved.yaml 'seeds=[2]'\n```\n" in text
    assert "dlx resume RUN compare.seeds=20 --plugin mine.py\n" in text
    for source in ("Choi", "Sivaprasad", "Schmidt", "Bouthillier", "Dahl"):
        assert f"{source} et al." in text
    assert text.count("\n\n\n") == 0
    assert text.endswith("\n")


def test_nothing_but_seconds_depends_on_the_clock() -> None:
    text, slower = text_of("four"), text_of("four", seconds=1e6)
    assert text == slower
    seconds = leavings("four")[2]["seconds_per_step"]
    slower = text_of("four", seconds_per_step={name: 3 * each for name, each in seconds.items()})
    differing = [pair for pair in zip(text.splitlines(), slower.splitlines(), strict=True) if pair[0] != pair[1]]
    (place,) = (place for place, cell in enumerate(cells_of(text, "| optimizer |")) if cell == "seconds to target")
    for before, after in differing[:-1]:
        changed = [
            n for n, pair in enumerate(zip(before.split(" | "), after.split(" | "), strict=True)) if len({*pair}) > 1
        ]
        assert changed == [place]
    assert [before.split(" | ")[0] for before, _ in differing[:-1]] == ["| adam", "| momentum"]
    assert differing[-1][0].startswith("- These come from each rule's lone training")


def test_sections_without_content_are_left_out() -> None:
    result, _, _ = leavings("all failed")
    text = comparison_report(result, {}, [], {}, {})
    assert "No optimizer has a setting that worked." in text
    assert not {"Figures", "What was run"} & set(headings(text))
    assert "Seconds" not in text
    assert "dlx train" not in text
    assert "sign-flip" not in text


def test_report_says_how_it_was_made() -> None:
    result, _, timing = leavings("four")
    text = comparison_report(result, {}, [], timing, {})
    assert "scrambled Sobol points of its own search space, each trained with 2 seeds" in text
    assert "every optimizer is given as many more settings, here 0." in text
    assert "10 fresh seeds, 2 to 11, of which nothing was tuned" in text
    assert "independent searches" not in text
    result["protocol"] |= {"name": "quick", "num_trials": 24, "trials": 20}
    text = comparison_report(result, {}, [], timing, {})
    assert "points of a grid of its own search space" in text
    assert "as many more settings, here 4." in text
    assert "There are 3 independent searches" in text_of("studies")


@pytest.mark.parametrize("case", [*CASES])
def test_every_table_is_whole(case: str) -> None:
    rows = [line for line in text_of(case).splitlines() if line.startswith("|")]
    assert rows
    previous = None
    for row in rows:
        count = row.replace("\\|", "").count("|")
        if row.startswith("| optimizer"):
            previous = count
        assert count == previous


def test_report_of_several_problems(tmp_path: Path) -> None:
    result = problems(6)
    folders = {str(each["name"]): f"problems/0{n}-{each['name']}" for n, each in enumerate(result["problems"], 1)}
    write_problems_report(tmp_path, result, FACTS, PICTURES, folders)
    text = (tmp_path / "report.md").read_text()
    assert headings(text) == [
        "Over all problems", "Each problem", "What was run", "Figures", "How to read it", "Repeat it",
    ]  # fmt: skip
    first = comparison_headline(result["problems"][0])
    assert f"- [digits](<problems/01-digits/report.md>): {first}\n" in text
    assert "[a problem with a long name](<problems/06-a problem with a long name/report.md>)" in text
    assert "Demsar 2006" in text
    assert "Dolan and More" in text
    assert "compare.seeds=10 --plugin mine.py" in text
    few = problems_report(problems(2), {}, [], folders)
    assert "Demsar" not in few
    assert "Dolan" not in few
