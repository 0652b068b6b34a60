"""Runs as CSV and the ranking as LaTeX, each read back by other means than those that wrote it."""

from __future__ import annotations

import csv
import io
import math
import re
from typing import Any

import pytest
from reporting.comparisons import leavings, problems

from dlx.reporting.comparison_exports import comparison_csv, comparison_latex, latex_text, problems_latex
from dlx.reporting.comparison_tables import ranking_table

PLAIN = {
    r"\textbackslash{}": "\\", r"\textasciitilde{}": "~", r"\textasciicircum{}": "^", r"\textless{}": "<",
    r"\textgreater{}": ">", r"\ldots{}": "…", r"$\pm$": "±",
}  # fmt: skip


def read_text(latex: str) -> str:
    """Read a text as LaTeX shows it.

    Raises:
        ValueError: If a character in it means something else there.
    """
    pattern = "|".join([*map(re.escape, PLAIN), r"\\[&%$#_{}]", r"\$-[\d.e+-]+\$", r"[^\\&%$#_{}~^<>]"])
    found = list(re.finditer(pattern, latex))
    if "".join(each.group() for each in found) != latex:
        raise ValueError(f"not plain LaTeX: {latex}")
    return "".join(PLAIN.get(each.group(), each.group().strip("$") or "$") if len(each.group()) != 2
                   else each.group()[1] for each in found)  # fmt: skip


def read_table(latex: str) -> tuple[str, str, list[list[str]]]:
    """Read a booktabs table: its caption, its columns and its rows, the header first."""
    for name in ("table", "tabular"):
        assert latex.count(f"\\begin{{{name}}}") == latex.count(f"\\end{{{name}}}") == 1
    match = re.fullmatch(
        r"% needs \\usepackage\{booktabs\}\n\\begin\{table\}\s+\\centering\s+\\caption\{(?P<caption>.*)\}\s+"
        r"\\begin\{tabular\}\{(?P<columns>[lr]+)\}\s+\\toprule\s+(?P<header>.*) \\\\\s+\\midrule\s+"
        r"(?P<rows>(?:.* \\\\\s+)+)\\bottomrule\s+\\end\{tabular\}\s+\\end\{table\}\n",
        latex,
    )
    assert match
    lines = [match["header"], *re.findall(r"^\s*(.*) \\\\$", match["rows"], re.MULTILINE)]
    rows = [[read_text(cell) for cell in re.split(r"(?<!\\) & ", line)] for line in lines]
    assert {len(row) for row in rows} == {len(match["columns"])}
    return read_text(match["caption"]), match["columns"], rows


def read_csv(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_latex_shows_the_ranking() -> None:
    result, _, timing = leavings("four")
    caption, columns, rows = read_table(comparison_latex(result, timing))
    table = ranking_table(result, timing)
    assert rows == [list(table.header), *map(list, table.rows)]
    assert columns == "llrrrrrrrl"
    assert caption.startswith("digits: optimizers by validation loss after the last epoch, median over 10 seeds")
    assert "Budget of each: 20 settings x 2 seeds, 10 fresh seeds." in caption
    assert f"Target: a validation loss of {result['target']:.4f}." in caption
    assert "asterisk" not in caption
    edges, _, timing = leavings("edges")
    assert "An asterisk: the best setting lies at an edge" in read_table(comparison_latex(edges, timing))[0]


def test_latex_escapes_what_means_something_there() -> None:
    name = r"50 % of $5 & #1_{a} ~ ^ \cmd <b> … ±"
    assert read_text(latex_text(name)) == name
    result, _, timing = leavings("two seeds")
    result["name"] = name
    result["arms"][0]["name"] = "50 %_#&"
    caption, _, rows = read_table(comparison_latex(result, timing))
    assert caption.startswith(name)
    assert "50 %_#&" in [row[0] for row in rows]


def test_latex_of_negative_losses_has_a_minus() -> None:
    result, _, timing = leavings("negative")
    latex = comparison_latex(result, timing)
    lowest = min(arm["tuned"]["loss"]["median"] for arm in result["arms"])
    assert lowest < 0
    assert f" & ${lowest:.3f}$ & " in latex


def test_latex_of_several_problems() -> None:
    result = problems(2)
    caption, columns, rows = read_table(problems_latex(result))
    assert rows[0] == ["optimizer", "digits", "wine"]
    assert columns == "lrr"
    assert "2 problems" in caption
    losses = {arm["name"]: arm["tuned"]["loss"]["median"] for arm in result["problems"][1]["arms"]}
    assert {row[0]: float(row[2]) for row in rows[1:]} == pytest.approx(losses, rel=1e-3)


def test_csv_has_every_run() -> None:
    result, *_ = leavings("failing")
    rows = read_csv(comparison_csv(result))
    found = {(row["optimizer"], row["settings"], int(row["seed"])): row for row in rows}
    assert len(found) == len(rows) == 10 * (3 + 4)
    assert not any(name == "sgd" and which == "tuned" for name, which, _ in found)
    for arm in result["arms"]:
        for which in ("tuned", "untuned"):
            for place, seed in enumerate(result["protocol"]["seeds"] if arm[which] else ()):
                row, runs = found[arm["name"], which, seed], arm[which]
                for measure in ("loss", "final", "best", "steps_to_target", "area"):
                    value = runs[measure]["values"][place]
                    assert float(row[measure]) == (math.inf if value is None else value)
                score = runs["test"].get("accuracy", {"values": [None] * 10})["values"][place]
                assert row["test_accuracy"] == ("" if score is None else repr(score))


def test_csv_of_several_problems_names_them() -> None:
    result: dict[str, Any] = problems(2)
    rows = read_csv(comparison_csv(result))
    assert [row["problem"] for row in rows] == ["digits"] * 60 + ["wine"] * 60
