"""Shows the records of a command: progress and facts on stderr, results on stdout.

With a terminal the progress is two live lines; without one, a plain line per epoch, which a log can keep.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from dlx.core.errors import DlxError, RunInterruptedError
from dlx.core.records import EpochDone, Finished, MemberEpoch, Progress, Record, Started
from dlx.reporting.tables import (
    divergence_text,
    format_number,
    headline,
    member_table,
    plain,
    remark_texts,
    score_tables,
)

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live

REFRESH_SECONDS = 0.1
"""Time between two pictures of the live lines: more often than one can read costs time that training could use."""
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
    _print_labelled(_console(stream or _open(sys.stderr)), label, str(error), style)


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
        self._out = _console(out)
        self._err = _console(err, is_live)
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
                    if isinstance(record, Started) and quiet and not json_output:
                        _print(self._out, str(record.run_dir))  # now: an interrupted run has one, too
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
            _print(self._out, json.dumps(value, indent=2, ensure_ascii=False))
            if not quiet:
                _print(self._err, f"run directory  {record.run_dir}")
        elif not quiet:
            for text, style in result_lines(record.result, record.run_dir):
                _print(self._out, text, style)


def result_lines(result: dict[str, Any], run_dir: Path) -> list[tuple[str, str]]:
    """Write what a command came to: lines with their styles."""
    lines: list[tuple[str, str]] = []
    for table in [*score_tables(result), member_table(result)]:
        title, header, *rows = plain(table)
        lines += [("", ""), (title, "bold"), (header, "dim"), *((row, "") for row in rows)]
    remarks = remark_texts(result)
    more = [f"and {len(remarks) - MAX_REMARKS} more seeds: see report.md"] if len(remarks) > MAX_REMARKS else []
    lines += [("", "")] * bool(remarks) + [(text, "") for text in [*remarks[:MAX_REMARKS], *more]]
    lines.append(("", ""))
    scores = headline(result)
    lines += [(scores, "bold green")] if scores else []
    return [*lines, (f"run directory  {run_dir}", "")]


class Pace:
    """How far a training is and how fast it goes.

    Args:
        clock: Gives seconds.

    Attributes:
        started: The first record, once it is there.
        seconds: From the start to the last record of the training.
        done: Epochs done, with the fraction of the running one.
        num_steps: Steps of an epoch, where that is known.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._begin = clock()
        self._first = 0.0
        self.started: Started | None = None
        self.seconds = 0.0
        self.done = 0.0
        self.num_steps: int | None = None

    def observe(self, record: Record) -> None:
        """Take in a record."""
        if isinstance(record, Started):
            self.started, self._begin = record, self._clock()
            self._first = self.done = float(record.epochs_done or 0)
        elif isinstance(record, Progress):
            self.num_steps = record.num_steps
            self.done = record.epoch - 1 + record.step / record.num_steps
        elif isinstance(record, EpochDone):
            self.done = float(record.epoch)
        if not isinstance(record, Finished):  # after training come scores and figures, which are no part of its rate
            self.seconds = self._clock() - self._begin

    @property
    def epochs(self) -> int:
        """Epochs at most."""
        return self.started.epochs if self.started else max(1, math.ceil(self.done))

    def text(self, is_over: bool) -> str:
        """Write the rate, and the time left, which early stopping may cut short, or taken; empty before a step."""
        done = self.done - self._first
        if self.seconds <= 0 or done <= 0:
            return ""
        rate = done / self.seconds
        speed = f"{rate * self.num_steps:.0f} steps/s" if self.num_steps else f"{format_number(rate, 2)} epochs/s"
        if is_over:
            return f"{speed}  {self.seconds:.1f} s"
        return f"{speed}  at most {_duration((self.epochs - self.done) / rate)} left"


class Silent:
    """Shows only warnings; what the other views have in common."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def show(self, record: Record, pace: Pace) -> None:
        """Show a record."""
        if isinstance(record, Started):
            self.start(record)
        elif isinstance(record, EpochDone):
            for member in record.members:
                self.warn_diverged(member)
            self.epoch(record, pace)
        elif isinstance(record, Progress):
            self.progress(record, pace)

    def warn_diverged(self, member: MemberEpoch) -> None:
        """Warn of a member that diverged."""
        if found := member.divergence:
            text = divergence_text(member.cell.seed, found.first_nonfinite_step, found.last_finite_loss)
            _print_labelled(self.console, "warning", text, "bold yellow")

    def start(self, record: Started) -> None:
        """Show the facts."""

    def epoch(self, record: EpochDone, pace: Pace) -> None:
        """Show an epoch."""

    def progress(self, record: Progress, pace: Pace) -> None:
        """Show progress within an epoch."""

    def close(self) -> None:
        """End the view; may be called twice."""


class PlainLines(Silent):
    """One line per epoch."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._widths: dict[str, int] = {}

    def start(self, record: Started) -> None:
        """Show the facts and the run directory, aligned."""
        facts = {**record.facts, "run directory": str(record.run_dir)}
        width = max(map(len, facts))
        for name, value in facts.items():
            _print(self.console, f"{name.ljust(width)}  {value}")
        if record.epochs_done is not None:
            where = (
                f"after {record.epochs_done} epochs" if record.epochs_done else "from the beginning: no state was saved"
            )
            _print(self.console, f"{'resumed'.ljust(width)}  {where}")

    def epoch(self, record: EpochDone, pace: Pace) -> None:
        """Print the means over the members that trained in it."""
        scores = [f"{name} {value.ljust(self._width(name, value))}" for name, value in epoch_scores(record, pace)]
        total = str(pace.epochs)
        first = f"epoch {str(record.epoch).rjust(len(total))}/{total}"
        scores = scores or ["no finite score"]
        _print(self.console, "  ".join([first, *scores, *_still_training(record, pace), f"{pace.seconds:.1f} s"]))

    def _width(self, name: str, value: str) -> int:
        """Give the width of the widest value of a column so far, so that columns stay where they are."""
        self._widths[name] = max(len(value), self._widths.get(name, 7))
        return self._widths[name]


class LiveLines(PlainLines):
    """Two lines that are redrawn: how far, how fast; and the scores of the last epoch."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._live: Live | None = None
        self._drawn_at = -math.inf
        self._scores = ""
        self._pace: Pace | None = None

    def start(self, record: Started) -> None:
        """Show the facts above, then begin to draw."""
        from rich.live import Live

        super().start(record)
        self._live = Live(console=self.console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)
        self._live.start()

    def epoch(self, record: EpochDone, pace: Pace) -> None:
        """Take in the scores and redraw."""
        scores = [f"{name} {value}" for name, value in epoch_scores(record, pace)]
        self._scores = "  ".join([*scores, *_still_training(record, pace)])
        self._draw(pace)

    def progress(self, record: Progress, pace: Pace) -> None:
        """Redraw."""
        self._draw(pace)

    def close(self) -> None:
        """Leave the last picture on the screen."""
        if self._live is not None:
            if self._pace is not None:
                self._live.update(self._picture(self._pace, is_over=True), refresh=True)
            self._live.stop()
            self._live = None

    def _draw(self, pace: Pace) -> None:
        self._pace = pace
        if self._live is not None and pace.seconds - self._drawn_at >= REFRESH_SECONDS:
            self._drawn_at = pace.seconds
            self._live.update(self._picture(pace, is_over=False), refresh=True)

    def _picture(self, pace: Pace, is_over: bool) -> RenderableType:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        line = Table.grid(padding=(0, 2))
        line.add_column(no_wrap=True)
        line.add_column()
        line.add_column(no_wrap=True, overflow="ellipsis")
        total = str(pace.epochs)
        epoch = f"epoch {str(math.ceil(pace.done)).rjust(len(total))}/{total}"
        bar = ProgressBar(pace.epochs, pace.done, width=24, complete_style="cyan", finished_style="green")
        line.add_row(Text(epoch, style="bold"), bar, Text(pace.text(is_over)))
        return Group(line, Text(self._scores, no_wrap=True, overflow="ellipsis"))


def epoch_scores(record: EpochDone, pace: Pace) -> list[tuple[str, str]]:
    """Name the scores of an epoch that are shown: losses, and the metric of valid, else of train.

    Each is the mean over the members that were still training in it.
    """
    metric = pace.started.metric if pace.started else None
    parts = [part for part in ("train", "valid") if any(part in member.scores for member in record.members)]
    wanted = [(part, "loss") for part in parts] + [(part, metric) for part in parts[-1:] if metric]
    return [(f"{part} {name}", _mean(record.members, part, name)) for part, name in wanted]


def _mean(members: Sequence[MemberEpoch], part: str, name: str) -> str:
    scores = (member.scores.get(part, {}).get(name) for member in members if member.divergence is None)
    values = [value for value in scores if value is not None]
    return format_number(sum(values) / len(values) if values else None, 3)


def _still_training(record: EpochDone, pace: Pace) -> list[str]:
    """Count the members that go on, where there are several."""
    if pace.started is None or pace.started.num_members == 1:
        return []
    return [f"{sum(member.stop_reason is None for member in record.members)} training"]


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


def _console(stream: TextIO, is_live: bool | None = None) -> Console:
    from rich.console import Console

    class Patient(Console):
        """Falls silent where its reader goes away; rich would end the process, and a training with it."""

        def on_broken_pipe(self) -> None:
            self.quiet = True
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # what is still buffered must go somewhere

    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="replace")  # where the encoding lacks ±, a run must still end well
    return Patient(file=stream, force_terminal=is_live, highlight=False, markup=False, emoji=False)


def _print(console: Console, text: str, style: str = "") -> None:
    """Print a text as it is: not wrapped, not cropped, nothing in it read as markup."""
    from rich.text import Text

    console.print(Text(text, style=style), soft_wrap=True)


def _print_labelled(console: Console, label: str, text: str, style: str) -> None:
    from rich.text import Text

    console.print(Text.assemble((f"{label}:", style), " ", text), soft_wrap=True)
