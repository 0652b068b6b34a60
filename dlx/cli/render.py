"""Shows the records of a command: progress and facts on stderr, results on stdout.

With a terminal the progress is two live lines; without one, a plain line per epoch, which a log can keep.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

from dlx.cli.console import open_console, print_labelled, print_text
from dlx.cli.views import LiveLines, Pace, PlainLines, Silent
from dlx.core.errors import DlxError, RunInterruptedError
from dlx.core.records import AnalysisStarted, Finished, Record, SearchStarted, Started
from dlx.reporting.comparison_problems import problem_sentences, problem_tables, problems_headline
from dlx.reporting.comparison_sentences import comparison_headline, comparison_sentences, seconds_sentences
from dlx.reporting.comparison_tables import narrowed, terminal_tables
from dlx.reporting.curvature_sentences import curvature_headline, curvature_sentences
from dlx.reporting.curvature_tables import curvature_tables
from dlx.reporting.gradcheck_tables import cost_sentence, gradcheck_sentences, gradcheck_tables
from dlx.reporting.landscape_tables import landscape_headline, landscape_sentences, landscape_tables
from dlx.reporting.race_sentences import race_headline, race_sentences
from dlx.reporting.race_tables import LABEL, race_tables
from dlx.reporting.search_sentences import search_headline, search_sentences
from dlx.reporting.search_tables import search_tables
from dlx.reporting.tables import Table, headline, member_table, plain, remark_texts, score_tables

COMPARISONS = ("model", "problems")
"""Kinds of comparisons that train models."""
MAX_REMARKS = 10
"""Seeds whose update rule is heard on the terminal; the report has all."""


def show(records: Iterable[Record], *, quiet: bool, json_output: bool) -> dict[str, Any] | None:
    """Show a command's records on this process's stdout and stderr; see ``Terminal.show``."""
    return Terminal(_open(sys.stdout), _open(sys.stderr)).show(records, quiet=quiet, json_output=json_output)


def render_error(error: DlxError, stream: TextIO | None = None) -> None:
    """Print an error's message, its lines as they are: a caret must stay under what it points at.

    Args:
        error: The error.
        stream: Where to print; stderr by default.
    """
    interrupted = isinstance(error, RunInterruptedError)
    label, style = ("interrupted", "bold yellow") if interrupted else ("error", "bold red")
    print_labelled(open_console(stream or _open(sys.stderr)), label, str(error), style)


def _open(stream: TextIO | None) -> TextIO:
    """Give the stream, or one that leads nowhere where the process was started without it (``2>&-``)."""
    return stream or Path(os.devnull).open("w", encoding="utf-8")


class Terminal:
    """Where a command is shown.

    Args:
        out: For results.
        err: For facts, progress and warnings.
        is_live: Whether ``err`` can redraw lines; found out by default.
        clock: Gives seconds from an arbitrary start.
    """

    def __init__(
        self, out: TextIO, err: TextIO, is_live: bool | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        if is_live is None:
            is_live = err.isatty() and os.environ.get("TERM") not in {"dumb", "unknown"}
        self._out = open_console(out)
        self._err = open_console(err, is_live)
        self._is_live = is_live
        self._clock = clock

    def show(self, records: Iterable[Record], *, quiet: bool, json_output: bool) -> dict[str, Any] | None:
        """Consume the records of a command and show them. What the command raises passes through.

        Args:
            records: From a command.
            quiet: Show only warnings, and on stdout the run directory alone.
            json_output: Print nothing on stdout but what result.json holds; progress is shown on a terminal only.

        Returns:
            The result of the command, or None if it gave none.
        """
        result = None
        is_silent = quiet or (json_output and not self._is_live)
        view = Silent(self._err) if is_silent else LiveLines(self._err) if self._is_live else PlainLines(self._err)
        pace = Pace(self._clock)
        try:
            for record in records:
                pace.observe(record)
                if isinstance(record, Finished):
                    view.close()
                    result = record.result
                    self._show_result(record, quiet, json_output)
                else:
                    view = self._show_or_fall_silent(view, record, pace)
                    if isinstance(record, Started | SearchStarted | AnalysisStarted) and quiet and not json_output:
                        print_text(self._out, str(record.run_dir))  # now: an interrupted run has one, too
        finally:
            view.close()
        return result

    def _show_or_fall_silent(self, view: Silent, record: Record, pace: Pace) -> Silent:
        """Show a record; who reads the progress may go away without harm to the training."""
        try:
            view.show(record, pace)
        except OSError:
            return Silent(self._err)
        return view

    def _show_result(self, record: Finished, quiet: bool, json_output: bool) -> None:
        if json_output:
            # As in result.json, NaN and infinities, which JSON has not, are null.
            value = json.loads(json.dumps(record.result), parse_constant=lambda _: None)
            print_text(self._out, json.dumps(value, indent=2, ensure_ascii=False))
            if not quiet:
                print_text(self._err, f"run directory  {record.run_dir}")
        elif not quiet:
            for text, style in result_lines(record.result, record.run_dir):
                print_text(self._out, text, style)


def result_lines(result: dict[str, Any], run_dir: Path) -> list[tuple[str, str]]:
    """Write what a command came to: lines with their styles."""
    kind = result.get("kind") if result["command"] == "compare-optimizers" else None
    write: dict[tuple[str, str | None], Callable[[dict[str, Any], Path], list[tuple[str, str]]]] = {
        ("cv", None): search_lines,
        ("gradcheck", None): gradcheck_lines,
        ("curvature", None): curvature_lines,
        ("landscape", None): landscape_lines,
        ("compare-optimizers", "surface"): race_lines,
        **{("compare-optimizers", each): comparison_lines for each in COMPARISONS},
    }
    return write.get((result["command"], kind), training_lines)(result, run_dir)


def training_lines(result: dict[str, Any], run_dir: Path) -> list[tuple[str, str]]:
    """Write what a training came to: lines with their styles."""
    lines = table_lines([*score_tables(result), member_table(result)])
    remarks = remark_texts(result)
    more = [f"and {len(remarks) - MAX_REMARKS} more seeds: see report.md"] if len(remarks) > MAX_REMARKS else []
    lines += [("", "")] * bool(remarks) + [(text, "") for text in [*remarks[:MAX_REMARKS], *more]]
    lines.append(("", ""))
    scores = headline(result)
    lines += [(scores, "bold green")] if scores else []
    return [*lines, (f"run directory  {run_dir}", "")]


def search_lines(result: dict[str, Any], run_dir: Path) -> list[tuple[str, str]]:
    """Write what a search came to: lines with their styles."""
    lines = table_lines(search_tables(result))
    lines += [("", ""), *((sentence, "") for sentence in search_sentences(result)), ("", "")]
    headline = search_headline(result)
    lines += [(headline, "bold green")] if headline else []
    return [*lines, (f"run directory  {run_dir}", "")]


def gradcheck_lines(result: dict[str, Any], run_dir: Path) -> list[tuple[str, str]]:
    """Write what a gradient check came to: lines with their styles."""
    lines = table_lines(gradcheck_tables(result))
    timing = json.loads((run_dir / "timing.json").read_text(encoding="utf-8"))
    sentences = [*gradcheck_sentences(result), cost_sentence(result, timing)]
    lines += [("", ""), *((sentence, "") for sentence in sentences), ("", "")]
    style = {"ok": "bold green", "suspicious": "bold yellow"}.get(result["status"], "bold red")
    return [*lines, (f"gradient {result['status']}", style), (f"run directory  {run_dir}", "")]


def curvature_lines(result: dict[str, Any], run_dir: Path) -> list[tuple[str, str]]:
    """Write what a look at the curvature came to: lines with their styles."""
    lines = table_lines(curvature_tables(result))
    lines += [("", ""), *((sentence, "") for sentence in curvature_sentences(result)), ("", "")]
    style = "bold red" if result["doubt"] else "bold green"
    return [*lines, (curvature_headline(result), style), (f"run directory  {run_dir}", "")]


def landscape_lines(result: dict[str, Any], run_dir: Path) -> list[tuple[str, str]]:
    """Write what a landscape came to: lines with their styles."""
    lines = table_lines(landscape_tables(result))
    lines += [("", ""), *((sentence, "") for sentence in landscape_sentences(result)), ("", "")]
    return [*lines, (landscape_headline(result), "bold green"), (f"run directory  {run_dir}", "")]


def comparison_lines(result: dict[str, Any], run_dir: Path) -> list[tuple[str, str]]:
    """Write what a comparison of optimizers came to, on one problem or on several: lines with their styles."""
    timing = json.loads((run_dir / "timing.json").read_text(encoding="utf-8"))
    if result["kind"] == "model":
        lines, headline = table_lines(terminal_tables(result, timing)), comparison_headline(result)
        sentences = [*comparison_sentences(result), *islice(seconds_sentences(timing), 1)]
    else:
        lines, headline, sentences = [], problems_headline(result), problem_sentences(result)
        for problem, seconds in zip(result["problems"], timing["problems"], strict=True):
            lines += [("", ""), (str(problem["name"]), "bold cyan")]
            lines += [*table_lines(terminal_tables(problem, seconds)[:1])[1:], (comparison_headline(problem), "green")]
        lines += table_lines(map(narrowed, problem_tables(result)))
    lines += [("", ""), *((sentence, "") for sentence in sentences), ("", "")]
    style = "bold red" if result["status"] == "diverged" else "bold green"
    return [*lines, (headline, style), (f"run directory  {run_dir}", "")]


def race_lines(result: dict[str, Any], run_dir: Path) -> list[tuple[str, str]]:
    """Write what a race on a surface came to: lines with their styles."""
    lines = [("", ""), (LABEL, "bold"), *table_lines(race_tables(result))]
    lines += [("", ""), *((sentence, "") for sentence in race_sentences(result)), ("", "")]
    style = "bold red" if result["status"] == "diverged" else "bold green"
    return [*lines, (race_headline(result), style), (f"run directory  {run_dir}", "")]


def table_lines(tables: Iterable[Table]) -> list[tuple[str, str]]:
    """Write tables, one below the other: lines with their styles."""
    lines: list[tuple[str, str]] = []
    for table in tables:
        title, header, *rows = plain(table)
        lines += [("", ""), (title, "bold"), (header, "dim"), *((row, "") for row in rows)]
    return lines
