"""What a comparison leaves beside result.json, for each problem and for all: figures, report.md, CSV and LaTeX."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlx.commands.cell import train_line
from dlx.commands.comparison_facts import describe_comparison
from dlx.search.journal import CELL, Line, read_lines
from dlx.tracking.files import write_atomic
from dlx.tracking.run_dir import RunDir

if TYPE_CHECKING:
    from dlx.commands.compare_optimizers import Problem

Content = Mapping[str, Any]
OUTPUTS = ("runs.csv", "table.tex", "report.md")
"""Files that are made of the results, besides figures."""
RUN = Path("RUN")
"""Stands for the run directory in the lines of a report: it can be moved."""


def write_outputs(
    run: RunDir, problems: Sequence[Problem], result: Content, results: Sequence[Content], timings: Sequence[Content]
) -> None:
    """Draw and write all that is made of the results, which are saved by then.

    Args:
        run: The run directory.
        problems: What was raced on.
        result: Content of result.json.
        results: What each problem came to.
        timings: How long each took, and the seconds of a step of each arm.

    Raises:
        RunError: If a file cannot be written.
    """
    for problem, own, timing in zip(problems, results, timings, strict=True):
        _write_problem(run.path / problem.folder, problem, own, timing)
    if len(problems) > 1:
        _write_joint(run, problems, result)


def _write_problem(folder: Path, problem: Problem, result: Content, timing: Content) -> None:
    from dlx.reporting.comparison_exports import comparison_csv, comparison_latex
    from dlx.reporting.comparison_figures import draw_comparison_pictures
    from dlx.reporting.comparison_report import write_comparison_report

    write_atomic(folder / "runs.csv", comparison_csv(result))
    write_atomic(folder / "table.tex", comparison_latex(result, timing))
    cells = read_lines(folder / "cells.jsonl", CELL)
    pictures = draw_comparison_pictures(folder, result, cells, timing)
    facts, lines = describe_comparison([problem.contest]), repeat_lines(problem, result, cells)
    write_comparison_report(folder, result, facts, pictures, timing, lines)


def _write_joint(run: RunDir, problems: Sequence[Problem], result: Content) -> None:
    from dlx.reporting.comparison_exports import comparison_csv, problems_latex
    from dlx.reporting.comparison_figures import draw_profile_pictures
    from dlx.reporting.comparison_report import write_problems_report

    run.write("runs.csv", comparison_csv(result))
    run.write("table.tex", problems_latex(result))
    pictures = draw_profile_pictures(run.path, result)
    facts = describe_comparison([problem.contest for problem in problems])
    write_problems_report(run.path, result, facts, pictures, {problem.name: problem.folder for problem in problems})


def repeat_lines(problem: Problem, result: Content, cells: Sequence[Line]) -> dict[str, str]:
    """Give the commands that train the best arm and the reference, tuned, with the first fresh seed.

    Args:
        problem: What was raced on.
        result: What it came to.
        cells: Lines of its cells.jsonl.

    Returns:
        Lines of ``dlx train``, by what they train: "adam, tuned, seed 2".
    """
    from dlx.reporting.comparison_texts import best_values, find_arm, ranked

    seed, flags = result["protocol"]["seeds"][0], problem.contest.experiment.plugin_flags
    found = {}
    for arm in (ranked(result)[0], find_arm(result, result["reference"])):
        values = best_values(arm["searches"][0]) if arm else None
        # by its values: equal settings of two optimizers are trained once, under the number of the first
        line = next(
            (each for each in cells if each["seed"] == seed and each["values"].get("optimizer") == values), None
        )
        if arm and line:
            found[f"{arm['name']}, tuned, seed {seed}"] = train_line(RUN / problem.folder, line, flags)
    return found
