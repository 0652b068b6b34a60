"""How the progress of a command looks: on a terminal lines that are redrawn, else plain lines, which a log can keep."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from dlx.cli.console import print_labelled, print_text
from dlx.core.records import (
    AnalysisProgress,
    AnalysisStarted,
    EpochDone,
    Finished,
    MemberEpoch,
    Progress,
    Record,
    SearchProgress,
    SearchStarted,
    Started,
)
from dlx.reporting.tables import divergence_text, format_mean, format_number

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live

REFRESH_SECONDS = 0.1
"""Time between two pictures of the live lines: more often than one can read costs time that training could use."""
SEARCH_SECONDS = 2.0
"""Time between two lines of a search or an analysis, where there is no terminal."""


class Pace:
    """How far a training is and how fast it goes.

    Args:
        clock: Gives seconds.

    Attributes:
        started: The first record, once it is there.
        seconds: From the start to the last record of the training.
        done: Epochs done, with the fraction of the running one.
        num_steps: Steps of an epoch, where that is known.
        search: The first record of a search.
        analysis: What an analysis is doing.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._begin = clock()
        self._first = 0.0
        self.started: Started | None = None
        self.seconds = 0.0
        self.done = 0.0
        self.num_steps: int | None = None
        self.search: SearchStarted | None = None
        self.analysis: str | None = None

    def observe(self, record: Record) -> None:
        """Take in a record."""
        if isinstance(record, Started):
            self.started, self._begin = record, self._clock()
            self._first = self.done = float(record.epochs_done or 0)
        elif isinstance(record, SearchStarted):
            self.search, self._begin = record, self._clock()
            self._first = (record.num_found or 0) / record.num_cells
        elif isinstance(record, AnalysisStarted):
            self._begin = self._clock()
        elif isinstance(record, SearchProgress):
            self.done = record.share
        elif isinstance(record, AnalysisProgress):
            self.analysis, self.done = record.what, record.share
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

    def time_left(self) -> str:
        """Write the time that the rest of a search takes at the speed so far; empty before anything is done."""
        done = self.done - self._first
        return f"about {_duration((1 - self.done) / done * self.seconds)} left" if done > 0 else ""

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
        elif isinstance(record, SearchStarted):
            self.start_search(record)
        elif isinstance(record, SearchProgress):
            self.search(record, pace)
        elif isinstance(record, AnalysisStarted):
            self.start_analysis(record)
        elif isinstance(record, AnalysisProgress):
            self.analysis(record, pace)

    def warn_diverged(self, member: MemberEpoch) -> None:
        """Warn of a member that diverged."""
        if found := member.divergence:
            text = divergence_text(member.cell.seed, found.first_nonfinite_step, found.last_finite_loss)
            print_labelled(self.console, "warning", text, "bold yellow")

    def start(self, record: Started) -> None:
        """Show the facts."""

    def epoch(self, record: EpochDone, pace: Pace) -> None:
        """Show an epoch."""

    def progress(self, record: Progress, pace: Pace) -> None:
        """Show progress within an epoch."""

    def start_search(self, record: SearchStarted) -> None:
        """Show the facts of a search."""

    def search(self, record: SearchProgress, pace: Pace) -> None:
        """Show how far a search is."""

    def start_analysis(self, record: AnalysisStarted) -> None:
        """Show the facts of an analysis."""

    def analysis(self, record: AnalysisProgress, pace: Pace) -> None:
        """Show how far an analysis is."""

    def close(self) -> None:
        """End the view; may be called twice."""


class PlainLines(Silent):
    """One line per epoch, or every few seconds of a search."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._widths: dict[str, int] = {}
        self._printed_at = -math.inf
        self._unfinished: str | None = None

    def start(self, record: Started) -> None:
        """Show the facts and the run directory, aligned."""
        done = record.epochs_done
        where = f"after {done} epochs" if done else "from the beginning: no state was saved"
        self._facts(record, {} if done is None else {"resumed": where})

    def start_search(self, record: SearchStarted) -> None:
        """Show the facts and the run directory, aligned."""
        found = record.num_found
        where = f"after {found} cells; those in training go on where they were"
        self._facts(record, {} if found is None else {"resumed": where})

    def start_analysis(self, record: AnalysisStarted) -> None:
        """Show the facts and the run directory, aligned."""
        self._facts(record, {})

    def _facts(self, record: Started | SearchStarted | AnalysisStarted, more: dict[str, str]) -> None:
        facts = {**record.facts, "run directory": str(record.run_dir), **more}
        width = max(map(len, facts))
        for name, value in facts.items():
            print_text(self.console, f"{name.ljust(width)}  {value}")

    def search(self, record: SearchProgress, pace: Pace) -> None:
        """Print how far it is, if some seconds have passed."""
        if pace.seconds - self._printed_at >= SEARCH_SECONDS:
            self._printed_at = pace.seconds
            print_text(self.console, "  ".join([search_text(record, pace), f"{pace.seconds:.0f} s"]))

    def analysis(self, record: AnalysisProgress, pace: Pace) -> None:
        """Print what is done and how far it is, if some seconds have passed, or what was begun in print is done."""
        is_over = record.share >= 1 and record.what == self._unfinished
        if is_over or pace.seconds - self._printed_at >= SEARCH_SECONDS:
            self._printed_at = pace.seconds
            self._unfinished = None if record.share >= 1 else record.what
            print_text(self.console, f"{record.what}  {record.share:.0%}  {pace.seconds:.0f} s")

    def epoch(self, record: EpochDone, pace: Pace) -> None:
        """Print the means over the members that trained in it."""
        scores = [f"{name} {value.ljust(self._width(name, value))}" for name, value in epoch_scores(record, pace)]
        total = str(pace.epochs)
        first = f"epoch {str(record.epoch).rjust(len(total))}/{total}"
        scores = scores or ["no finite score"]
        print_text(self.console, "  ".join([first, *scores, *_still_training(record, pace), f"{pace.seconds:.1f} s"]))

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
        super().start(record)
        self._begin()

    def _begin(self) -> None:
        from rich.live import Live

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

    def start_search(self, record: SearchStarted) -> None:
        """Show the facts above, then begin to draw."""
        super().start_search(record)
        self._begin()

    def search(self, record: SearchProgress, pace: Pace) -> None:
        """Redraw."""
        self._scores = search_text(record, pace)
        self._draw(pace)

    def start_analysis(self, record: AnalysisStarted) -> None:
        """Show the facts above, then begin to draw."""
        super().start_analysis(record)
        self._begin()

    def analysis(self, record: AnalysisProgress, pace: Pace) -> None:
        """Redraw."""
        self._scores = ""
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
        total = 1 if pace.search or pace.analysis else pace.epochs
        bar = ProgressBar(total, pace.done, width=24, complete_style="cyan", finished_style="green")
        if pace.search or pace.analysis:
            line.add_row(
                Text(pace.analysis or "search", style="bold"), bar, Text(f"{pace.seconds:.1f} s" if is_over else "")
            )
        else:
            epoch = f"epoch {str(math.ceil(pace.done)).rjust(len(str(total)))}/{total}"
            line.add_row(Text(epoch, style="bold"), bar, Text(pace.text(is_over)))
        return Group(line, Text(self._scores, no_wrap=True, overflow="ellipsis"))


def search_text(record: SearchProgress, pace: Pace) -> str:
    """Say how far a search is, which trial is the best so far, and how long it will take."""
    if pace.search is None:
        return ""
    done = [f"{record.num_done}/{pace.search.num_cells} cells"]
    if record.best is not None:
        number, mean, se = record.best
        done.append(f"best so far: trial {number}, {pace.search.score} {format_mean(mean, se)}")
    return "  ".join([*done, pace.time_left()]).rstrip()


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
