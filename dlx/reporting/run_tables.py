"""Turns what is known of runs into tables: a list of them, one alone, or several side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dlx.reporting.tables import MISSING, Table, format_number

Overview = Mapping[str, Any]
"""A run in plain values: id, command, status, stop_reason, data, model, score (name, value, spread, text), seconds."""
WORDS = ("id", "command", "status", "data", "model", "score", "value", "setting", "file", "what")
HEADER = ("id", "command", "status", "data", "model", "score", "seconds")
LONGEST_TEXT = 60
"""Characters of a setting in a table, at most; of several runs side by side half as many."""


def runs_table(runs: Sequence[Overview], title: str) -> Table:
    """List runs, one a line."""
    return Table(title, HEADER, tuple(_overview_row(run) for run in runs), WORDS)


def numbered_runs_table(runs: Sequence[Overview]) -> Table:
    """List runs with the numbers that they have in the tables beside it."""
    rows = (("run " + str(number), *_overview_row(run)) for number, run in enumerate(runs, 1))
    return Table("runs", ("", *HEADER), tuple(rows), WORDS)


def _overview_row(run: Overview) -> tuple[str, ...]:
    score, seconds = run["score"], run["seconds"]
    return (
        *(str(run[key]) or MISSING for key in HEADER[:5]),
        # without a score, why there is none: "diverged", or what a run failed of
        _short(f"{score['name']} {score['text']}" if score else str(run["stop_reason"] or ""), LONGEST_TEXT),
        MISSING if seconds is None else format_number(seconds, 3),
    )


def pairs_table(title: str, header: tuple[str, str], pairs: Mapping[str, str]) -> Table:
    """Tabulate texts by name."""
    rows = tuple((name, _short(text, LONGEST_TEXT)) for name, text in pairs.items())
    return Table(title, header, rows, WORDS)


def side_by_side(
    title: str,
    what: str,
    columns: Sequence[Mapping[str, str]],
    names: Iterable[str],
    heads: Sequence[str] | None = None,
) -> Table:
    """Tabulate texts of several runs by name, a column for each.

    Args:
        title: What the table shows.
        what: What the names are: "setting".
        columns: Texts by name, of each run.
        names: Which of them, in their order.
        heads: What stands above the columns; the numbers of the runs by default.
    """
    header = (what, *(heads or (f"run {number}" for number in range(1, len(columns) + 1))))
    rows = ((name, *(_short(column.get(name, MISSING), LONGEST_TEXT // 2) for column in columns)) for name in names)
    return Table(title, header, tuple(rows), WORDS)


def differing(columns: Sequence[Mapping[str, Any]]) -> list[str]:
    """Name what is not the same in all runs, in the order of the first that has it."""
    names = dict.fromkeys(name for column in columns for name in column)
    return [name for name in names if len({column.get(name) for column in columns}) > 1]


def _short(text: str, longest: int) -> str:
    flat = " ".join(text.split()) or MISSING
    return flat if len(flat) <= longest else f"{flat[: longest - 1]}…"
