"""Turns the content of a result.json into tables of strings and sentences, for the terminal and for report.md.

Scores of several seeds are written as mean ± standard deviation over the seeds that did not diverge. The gap between
two parts is taken within each seed first, so its deviation is that of the differences.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

from dlx.core.records import PARTS

MISSING = "-"
"""Stands where there is nothing to report: no such part."""
UNDEFINED = "undefined"
"""Stands where a score has no value: it is not finite."""
LONGEST = 16
"""Characters of a name that is given room in a figure, at most."""
STOP_REASONS = {
    "max_epochs": "all epochs done",
    "patience": "patience",
    "solved": "closed form",
    "diverged": "diverged",
}


@dataclass(frozen=True)
class Table:
    """Rows of strings under a header.

    Attributes:
        title: What the table shows, and how its numbers are to be read.
        header: Names of the columns.
        rows: One string per column each.
        words: Names of the columns, besides the first, that hold words, not numbers.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: tuple[str, ...] = ("stopped by", "kind")


def is_number(value: object) -> TypeGuard[float]:
    """Tell whether a value is a finite number: not None, NaN or infinite."""
    return isinstance(value, int | float) and math.isfinite(value)


def format_number(value: float | None, digits: int = 4) -> str:
    """Write a number with a fixed number of significant digits; integer digits are never cut below 100000.

    Args:
        value: The number; None or NaN where it is not defined.
        digits: Significant digits.
    """
    if value is None or math.isnan(value):
        return UNDEFINED
    if value == 0 or math.isinf(value):
        return f"{value:.0f}"
    exponent = _exponent(value, digits)
    if -5 < exponent < 5:
        return f"{value:.{max(0, digits - 1 - exponent)}f}"
    return f"{value:.{digits - 1}e}"


def format_mean(mean: float | None, std: float | None) -> str:
    """Write mean ± standard deviation: the deviation with 2 significant digits, the mean to the same place.

    Args:
        mean: The mean; None or NaN where it is not defined.
        std: The standard deviation, in the unit of the mean; None where there is only one value.
    """
    if not is_number(mean) or not is_number(std):
        return format_number(mean)
    if std == 0:
        return f"{format_number(mean)} ± 0"
    place = _exponent(std, 2) - 1
    if std < 1e-6 * abs(mean):  # the place of such a deviation is beyond what a score can resolve
        return f"{format_number(mean, 7)} ± {std:.1e}"
    power = max(place + 1, _exponent(mean, 4) if mean else place + 1)
    if -5 < power < 5:
        decimals = max(0, -place)
        return f"{_rounded(mean, -place):.{decimals}f} ± {_rounded(std, -place):.{decimals}f}"
    decimals = power - place
    return f"({_rounded(mean / 10.0**power, decimals):.{decimals}f} ± {std / 10.0**power:.{decimals}f})e{power:+03d}"


def _rounded(value: float, decimals: int) -> float:
    """Round to a place that may lie left of the point; never to -0."""
    return round(value, decimals) + 0.0


def _exponent(value: float, digits: int) -> int:
    """Give the power of ten of the leading digit after rounding to ``digits`` significant digits."""
    return int(f"{value:.{digits - 1}e}".split("e")[1])


def score_names(result: dict[str, Any]) -> list[str]:
    """Name the scores of a result: the loss, then the metrics."""
    return ["loss", *result.get("metrics", [])]


def finished_members(result: dict[str, Any]) -> list[dict[str, Any]]:
    """Give the members that did not diverge."""
    return [member for member in result["members"] if member["stop_reason"] != "diverged"]


def present_parts(summary: dict[str, Any]) -> list[str]:
    """Name the parts that a summary or a member has scores of, in the order train, valid, test."""
    return [part for part in PARTS if summary.get(part)]


def score_tables(result: dict[str, Any]) -> list[Table]:
    """Tabulate parts against scores, for the best weights and for the last.

    Args:
        result: Content of a result.json.

    Returns:
        A table for the best weights and one for the last; one alone where they are the same; none if every member
        diverged.
    """
    summary, count = result.get("summary") or {}, len(finished_members(result))
    if not count or not present_parts(summary):
        return []
    over = f", mean ± standard deviation over {count} seeds" if count > 1 else ""
    if "valid" not in present_parts(summary):
        return [_score_table(result, "last" if "last" in summary else None, f"last weights{over}")]
    best = "best weights (lowest validation loss)"
    if all(member.get("best_epoch") == member.get("last_epoch") for member in finished_members(result)):
        return [_score_table(result, None, f"{best}, which are also the last{over}")]
    tables = [_score_table(result, None, f"{best}{over}")]
    if present_parts(summary.get("last") or {}):
        tables.append(_score_table(result, "last", f"last weights{over}"))
    return tables


def _score_table(result: dict[str, Any], weights: str | None, title: str) -> Table:
    summary = result["summary"] if weights is None else result["summary"][weights]
    names, parts = score_names(result), present_parts(summary)
    rows = [(part, *(summary_text(summary, part, name) for name in names)) for part in parts]
    compared = gap_parts(summary)
    if compared:
        texts = (gap_text(result, name, *compared, weights) for name in names)
        rows.append((f"gap ({compared[1]} - {compared[0]})", *texts))
    return Table(title, ("", *names), tuple(rows))


def summary_text(summary: dict[str, Any], part: str, name: str) -> str:
    """Write one score of a part, as mean ± standard deviation if there are several seeds."""
    score = (summary.get(part) or {}).get(name)
    return format_mean(score["mean"], score.get("std")) if score else MISSING


def gap_parts(summary: dict[str, Any]) -> tuple[str, str] | None:
    """Name the parts whose difference is the gap: train and test, else train and valid; None if there is only one."""
    parts = present_parts(summary)
    return (parts[0], parts[-1]) if parts[:1] == ["train"] and len(parts) > 1 else None


def differences(
    result: dict[str, Any], name: str, first: tuple[str | None, str], second: tuple[str | None, str]
) -> list[float] | None:
    """Subtract within each seed that did not diverge: a score in one place minus the same score in another.

    Args:
        result: Content of a result.json.
        name: The score.
        first: Where it is subtracted: None for the best weights or "last", and a part.
        second: Where it is subtracted from.

    Returns:
        One difference per seed, in the score's unit; None if any of them is not defined.
    """
    pairs = [(_score(member, *first, name), _score(member, *second, name)) for member in finished_members(result)]
    values = [b - a for a, b in pairs if a is not None and b is not None]
    return values if values and len(values) == len(pairs) else None


def gap(
    result: dict[str, Any], name: str, lower: str, upper: str, weights: str | None = None
) -> tuple[float | None, float | None]:
    """Give mean and standard deviation over seeds of a score on one part minus that on another.

    Args:
        result: Content of a result.json.
        name: The score.
        lower: The part that is subtracted.
        upper: The part it is subtracted from.
        weights: None for the best weights, or "last".

    Returns:
        Mean, and standard deviation (None with one seed), in the score's unit; None where they are not defined.
    """
    return mean_and_std(differences(result, name, (weights, lower), (weights, upper)))


def gap_text(result: dict[str, Any], name: str, lower: str, upper: str, weights: str | None = None) -> str:
    """Write a gap as ``gap`` gives it: of one seed, to the last place that both scores are written to."""
    mean, std = gap(result, name, lower, upper, weights)
    if mean is None or std is not None:
        return format_mean(mean, std)
    summary = result["summary"] if weights is None else result["summary"][weights]
    scores = [summary_text(summary, part, name) for part in (lower, upper)]
    if any("e" in score for score in scores):
        return format_number(mean)
    return f"{mean:.{min(len(score.partition('.')[2]) for score in scores)}f}"


def mean_and_std(values: Sequence[float] | None) -> tuple[float | None, float | None]:
    """Give the mean and the standard deviation (n - 1 in its denominator; None for one value)."""
    if not values:
        return None, None
    try:
        return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None
    except OverflowError:  # finite scores near 1e308 have a sum that is not
        return None, None


def _score(member: dict[str, Any], weights: str | None, part: str, name: str) -> float | None:
    parts = member if weights is None else member.get(weights) or {}
    value = (parts.get(part) or {}).get(name)
    return float(value) if is_number(value) else None


def member_table(result: dict[str, Any]) -> Table:
    """Tabulate the members: seed, why and where they stopped, and their scores on the last of train, valid and test."""
    members = result["members"]
    part = next((part for part in reversed(PARTS) if any(member.get(part) for member in members)), None)
    names = score_names(result) if part else []
    header = ("seed", "stopped by", "best epoch", "last epoch", *(f"{part} {name}" for name in names))
    rows = tuple(_member_row(member, part or "", names) for member in members)
    which = "best" if any(member.get("valid") for member in members) else "last"
    return Table(f"members, {part} scores of their {which} weights" if part else "members", header, rows)


def _member_row(member: dict[str, Any], part: str, names: Iterable[str]) -> tuple[str, ...]:
    scores = member.get(part)
    texts = [format_number(scores.get(name)) if scores else MISSING for name in names]
    epochs = [str(member.get(key) or MISSING) for key in ("best_epoch", "last_epoch")]
    return str(member["seed"]), STOP_REASONS.get(member["stop_reason"], member["stop_reason"]), *epochs, *texts


def divergence_text(seed: int, first_nonfinite_step: int, last_finite_loss: float | None) -> str:
    """Say in a sentence, without a final stop, when a member diverged.

    Args:
        seed: Its seed.
        first_nonfinite_step: The step, from 1, whose loss was not finite.
        last_finite_loss: The objective one step before, or None if no step was finite.
    """
    before = (
        "no finite loss before" if last_finite_loss is None else f"last finite loss {format_number(last_finite_loss)}"
    )
    return f"seed {seed} diverged: first non-finite loss at step {first_nonfinite_step}, {before}"


def divergence_texts(result: dict[str, Any]) -> list[str]:
    """Say of each diverged member when it diverged, one sentence each."""
    return [
        divergence_text(member["seed"], member["first_nonfinite_step"], member.get("last_finite_loss"))
        for member in result["members"]
        if member["stop_reason"] == "diverged"
    ]


def remark_texts(result: dict[str, Any]) -> list[str]:
    """Give what the update rule says of each member, one sentence each without final stop; one alone if all agree."""
    remarks = [(member["seed"], member["remark"]) for member in result["members"] if member.get("remark")]
    texts = list(dict.fromkeys(remark for _, remark in remarks))
    if len(texts) == 1 and len(remarks) == len(result["members"]):
        return texts
    return [f"seed {seed}: {remark}" for seed, remark in remarks]


def headline(result: dict[str, Any]) -> str | None:
    """Name the scores that count in one line, as "test accuracy 0.9722 ± 0.0041"; None if every member diverged."""
    summary = result.get("summary") or {}
    parts = present_parts(summary)
    if not parts or not finished_members(result):
        return None
    names = [*score_names(result)[1:], "loss"]
    return "  ".join(f"{parts[-1]} {name} {summary_text(summary, parts[-1], name)}" for name in names)


def plain(table: Table) -> list[str]:
    """Align a table for a terminal: its title, its header and its rows, without a final line break each."""
    lines = [table.header, *table.rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(table.header))]
    cells = [
        [
            cell.ljust(width) if is_left else cell.rjust(width)
            for cell, width, is_left in zip(line, widths, _left_columns(table), strict=True)
        ]
        for line in lines
    ]
    return [table.title, *("  " + "   ".join(line).rstrip() for line in cells)]


def _left_columns(table: Table) -> list[bool]:
    """Tell which columns are words, not numbers."""
    return [column == 0 or name in table.words for column, name in enumerate(table.header)]


def markdown(table: Table) -> str:
    """Write a table in Markdown, with a blank line under its title and a final line break."""
    ruler = ["---" if is_left else "---:" for is_left in _left_columns(table)]
    lines = ["| " + " | ".join(escape(cell) for cell in row) + " |" for row in (table.header, ruler, *table.rows)]
    title = escape(table.title[:1].upper() + table.title[1:])
    return "\n".join([f"{title}:", "", *lines, ""])


def escape(text: str) -> str:
    """Write a text so that Markdown shows it as it is, in one line."""
    flat = " ".join(text.split())
    return "".join(f"\\{char}" if char in "\\`*_[]<>|#" else char for char in flat)


def shorten(name: str, longest: int = LONGEST) -> str:
    """Cut a name that is too long for its place."""
    flat = " ".join(name.split())
    return flat if len(flat) <= longest else flat[: longest - 1] + "…"
