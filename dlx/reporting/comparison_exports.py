"""Writes a comparison for other programs: every run as CSV, the ranking as a LaTeX table."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator
from typing import Any

from dlx.reporting.comparison_problems import median_table, problems_headline
from dlx.reporting.comparison_tables import Timing, ranking_table
from dlx.reporting.comparison_texts import Arm, Result, budget_text, finite_or_inf, loss_name, part_name
from dlx.reporting.tables import Table, format_number

MEASURES = ("loss", "final", "best", "steps_to_target", "area")
"""Columns of the CSV, besides the scores on the test part."""
SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "…": r"\ldots{}",
    "±": r"$\pm$",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}
"""What stands in LaTeX for a character that would mean something else there."""


def comparison_csv(result: Result) -> str:
    """Write every run with fresh seeds as CSV, of one problem or of several.

    A row is an optimizer, tuned or untuned, and a seed; with several searches its numbers are the median over their
    best settings. An infinite number is ``inf``: a run failed, or never reached the target. A score without value is
    empty.

    Args:
        result: Content of result.json.
    """
    problems = result["problems"] if result["kind"] == "problems" else [result]
    rows = [row for problem in problems for row in _rows(problem)]
    columns = list(dict.fromkeys(column for row in rows for column in row))
    file = io.StringIO()
    writer = csv.DictWriter(file, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


def _rows(result: Result) -> Iterator[dict[str, Any]]:
    for arm in result["arms"]:
        for which in ("tuned", "untuned"):
            if arm[which]:
                yield from _arm_rows(result, arm, which)


def _arm_rows(result: Result, arm: Arm, which: str) -> Iterator[dict[str, Any]]:
    runs = arm[which]
    for number, seed in enumerate(result["protocol"]["seeds"]):
        row = {"problem": result["name"], "optimizer": arm["name"], "settings": which, "seed": seed}
        row |= {name: finite_or_inf(runs[name]["values"][number]) for name in MEASURES}
        yield row | {f"test_{name}": score["values"][number] for name, score in runs["test"].items()}


def comparison_latex(result: Result, timing: Timing) -> str:
    """Write the ranking as a LaTeX table, which needs the package booktabs.

    Args:
        result: Content of result.json of one problem.
        timing: Content of timing.json, as for ``comparison_tables``.
    """
    table = ranking_table(result, timing)
    edge = " An asterisk: the best setting lies at an edge of its range." if _has_mark(table) else ""
    caption = (
        f"{result['name']}: optimizers by {loss_name(result)}, median over {len(result['protocol']['seeds'])} seeds "
        f"with its bootstrap interval. Budget of each: {budget_text(result)}. Target: a "
        f"{part_name(result)} of {format_number(result['target'])}. Verdicts are against {result['reference']}: exact "
        f"sign-flip test, Holm's correction.{edge}"
    )
    return _latex_table(table, caption)


def problems_latex(result: Result) -> str:
    """Write the medians on several problems as a LaTeX table, which needs the package booktabs.

    Args:
        result: Content of result.json, of the kind ``problems``.
    """
    table = median_table(result)
    return _latex_table(table, f"{table.title[:1].upper()}{table.title[1:]}. {problems_headline(result)}.")


def _latex_table(table: Table, caption: str) -> str:
    columns = "".join("l" if column == 0 or name in table.words else "r" for column, name in enumerate(table.header))
    lines = [
        "% needs \\usepackage{booktabs}",
        "\\begin{table}",
        "  \\centering",
        f"  \\caption{{{latex_text(caption)}}}",
        f"  \\begin{{tabular}}{{{columns}}}",
        "    \\toprule",
        f"    {_latex_row(table.header)}",
        "    \\midrule",
        *(f"    {_latex_row(row)}" for row in table.rows),
        "    \\bottomrule",
        "  \\end{tabular}",
        "\\end{table}",
    ]
    return "\n".join(lines) + "\n"


def latex_text(text: str) -> str:
    """Write a text so that LaTeX shows it as it is."""
    return "".join(SPECIAL.get(character, character) for character in " ".join(text.split()))


def _latex_row(cells: tuple[str, ...]) -> str:
    return " & ".join(map(_latex_cell, cells)) + r" \\"


def _latex_cell(text: str) -> str:
    """Write a cell; the sign of a negative number is a minus, not a hyphen."""
    try:
        is_negative = math.copysign(1, float(text)) < 0
    except ValueError:
        is_negative = False
    return f"${text}$" if is_negative else latex_text(text)


def _has_mark(table: Table) -> bool:
    return any("*" in row[0] for row in table.rows)
