"""``dlx runs``: lists runs, shows one, and puts several side by side. Nothing is computed anew, nothing written."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlx.commands.run_overview import Overview, score_value
from dlx.core.errors import UsageError
from dlx.reporting.comparison_texts import plural
from dlx.reporting.run_tables import differing, numbered_runs_table, pairs_table, runs_table, side_by_side
from dlx.reporting.tables import Table, is_number, plain
from dlx.tracking.stored_runs import STATUSES, StoredRun, find_run, leaves, stored_runs

EXTENDED_BY = {"train": "training.epochs=N", "cv": "cv.repeats=N", "compare-optimizers": "compare.seeds=N"}
"""What a run that is done can have more of, by command; other commands are not resumed."""
DIFFERENCE = "run 2 - run 1"


@dataclass(frozen=True)
class Shown:
    """What was found: plain values, the same as text, and what could not be read, a sentence each."""

    value: Any
    text: str
    faults: list[str]


@dataclass(frozen=True)
class Wanted:
    """Which runs are listed, and how.

    Attributes:
        command: Only those of this command.
        status: Only those of this status.
        name: Only those whose id has this text in it.
        sort: A score to sort by, the best first; without it by time, the newest first.
        limit: So many of them at most.
    """

    command: str | None = None
    status: str | None = None
    name: str | None = None
    sort: str | None = None
    limit: int | None = None

    def takes(self, run: StoredRun) -> bool:
        """Tell whether a run is one of them."""
        is_named = self.command in (None, run.command) and (self.name or "") in run.name
        return is_named and self.status in (None, run.status)


def list_runs(runs_dir: Path, wanted: Wanted) -> Shown:
    """List runs.

    Args:
        runs_dir: Folder of run directories.
        wanted: Which, and in what order.

    Raises:
        UsageError: If there is no such status, or no run has the score.
        RunError: If there is no such folder.
    """
    if wanted.status not in (None, *STATUSES):
        raise UsageError(f"there is no status `{wanted.status}`; known: {', '.join(STATUSES)}")
    runs, faults = stored_runs(runs_dir)
    chosen = [run for run in runs if wanted.takes(run)]
    found = [Overview.of(run, faults) for run in (chosen if wanted.sort else chosen[: wanted.limit])]
    if wanted.sort and found:
        found = _sorted(found, wanted.sort)[: wanted.limit]
    order = f"the best {wanted.sort} first" if wanted.sort else "the newest first"
    count = f"{len(found)} of {len(chosen)} runs" if len(found) < len(chosen) else plural(len(found), "run")
    values = [each.value(wanted.sort) for each in found]
    text = _text([runs_table(values, f"{count} in {runs_dir}, {order}")]) if found else f"no such run in {runs_dir}\n"
    return Shown(values, text, faults)


def _sorted(found: Sequence[Overview], metric: str) -> list[Overview]:
    """Order runs by a score, the best first; those without it last, as they were."""
    scores = [score for each in found if (score := each.score(metric))]
    if not scores:
        known = sorted({score.metric for each in found for score in each.scores if score.metric})
        raise UsageError(f"no run here has a score `{metric}`; there are: {', '.join(known) or 'none'}")
    is_higher_better = next((score.is_higher_better for score in scores if score.is_higher_better is not None), False)

    def rank(each: Overview) -> float:
        score = each.score(metric)
        value = score.value if score else None
        return math.inf if value is None else -value if is_higher_better else value

    return sorted(found, key=rank)


def show_run(runs_dir: Path, word: str) -> Shown:
    """Show one run: settings that are no defaults, scores, environment, files, and how it goes on.

    Args:
        runs_dir: Folder of run directories.
        word: Its folder, or the beginning of its id.

    Raises:
        DlxError: If there is none, or it is damaged.
    """
    run, faults = find_run(runs_dir, word), list[str]()
    overview = Overview.of(run, faults)
    found = {
        **overview.value(),
        "settings": run.given(),
        "scores": [score_value(score) for score in overview.scores],
        "environment": _environment(run),
        "files": run.files,
        "next": dict(_next_steps(run)),
    }
    names = ("command", "status", "stop_reason", "created", "data", "model", "seconds")
    facts = {name.replace("_", " "): str(found[name]) for name in names if found[name]}
    tables = [
        pairs_table(str(run.path), ("what", "value"), facts),
        pairs_table("settings that the config or the command line names", ("setting", "value"), found["settings"]),
        pairs_table("scores", ("score", "value"), {score.name: score.text for score in overview.scores}),
        pairs_table("environment", ("what", "value"), found["environment"]),
        pairs_table("files", ("file", "bytes"), {name: f"{size:,}" for name, size in found["files"].items()}),
    ]
    steps = "".join(f"\n{what}: {line}" for what, line in found["next"].items())
    return Shown(found, f"{_text(tables)}{steps}\n", faults)


def _next_steps(run: StoredRun) -> Iterator[tuple[str, str]]:
    """Say how a run goes on, and how it is repeated."""
    if not run.configs:
        return
    flags = [word for file in run.plugins for word in ("--plugin", file)]
    if run.command in EXTENDED_BY and not run.is_on_surface:
        resume = shlex.join(["dlx", "resume", str(run.path), *flags])
        if run.status == "done":
            yield "extend", f"{resume} {EXTENDED_BY[run.command]}"
        elif run.status != "running":
            yield "go on", resume
    yield "repeat", shlex.join(["dlx", run.command, *map(str, run.configs), *flags])


def compare_runs(runs_dir: Path, words: Sequence[str]) -> Shown:
    """Put runs side by side: the settings in which they differ, and their scores.

    Args:
        runs_dir: Folder of run directories.
        words: Their folders, or the beginnings of their ids.

    Raises:
        UsageError: If there are fewer than two.
        DlxError: If one is not there, or is damaged.
    """
    overviews, faults = _find(runs_dir, words)
    settings = [each.run.settings() for each in overviews]
    scores = [{score.name: score.text for score in each.scores} for each in overviews]
    values = [each.value() for each in overviews]
    tables = [
        numbered_runs_table(values),
        side_by_side("settings that differ", "setting", settings, differing(settings)),
        side_by_side("scores", "score", scores, dict.fromkeys(name for each in scores for name in each)),
    ]
    exact = [{score.name: score_value(score) for score in each.scores} for each in overviews]
    value = {"runs": values, "settings": _differences(settings), "scores": exact}
    return Shown(value, _text(tables), faults)


def diff_runs(runs_dir: Path, first: str, second: str) -> Shown:
    """Say in what two runs differ: settings, scores and environment.

    Args:
        runs_dir: Folder of run directories.
        first: The folder of one, or the beginning of its id.
        second: That of the other.

    Raises:
        DlxError: If one is not there, or is damaged.
    """
    overviews, faults = _find(runs_dir, [first, second])
    settings, places = ([read(each.run) for each in overviews] for read in (StoredRun.settings, _environment))
    exact = [{score.name: score.value for score in each.scores} for each in overviews]
    scores = [{score.name: score.text for score in each.scores} for each in overviews]
    names = [name for name in differing(scores) if name in differing(exact)]
    names = [*names, *(name for name in differing(exact) if name not in names)]
    columns = [*scores, {name: _difference(exact, name) for name in names}]
    values = [each.value() for each in overviews]
    is_same = overviews[0].run.result == overviews[1].run.result and overviews[0].run.result is not None
    tables = [
        numbered_runs_table(values),
        side_by_side("settings that differ", "setting", settings, differing(settings)),
        side_by_side("scores that differ", "score", columns, names, ("run 1", "run 2", DIFFERENCE)),
        side_by_side("environment that differs", "what", places, differing(places)),
    ]
    value = {
        "runs": values,
        "settings": _differences(settings),
        "scores": {name: [each.get(name) for each in exact] for name in names},
        "environment": _differences(places),
        "is_same_result": is_same,
    }
    same = "\nresult.json holds the same in both, to the last bit\n" if is_same else ""
    return Shown(value, _text(tables) + same, faults)


def _find(runs_dir: Path, words: Sequence[str]) -> tuple[list[Overview], list[str]]:
    if len(words) < 2:
        raise UsageError("one run alone has nothing to be compared with: dlx runs compare RUN RUN ...")
    faults = list[str]()
    return [Overview.of(find_run(runs_dir, word), faults) for word in words], faults


def _environment(run: StoredRun) -> dict[str, str]:
    return leaves(run.read_object("environment.json") or {})


def _differences(columns: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    return {name: [column.get(name) for column in columns] for name in differing(columns)}


def _difference(columns: Sequence[Mapping[str, float | None]], name: str) -> str:
    first, second = (column.get(name) for column in columns)
    return f"{second - first:+.4g}" if is_number(first) and is_number(second) else ""


def _text(tables: Sequence[Table]) -> str:
    """Write tables one below the other; of one without rows its title alone says so."""
    blocks = [plain(table) if table.rows else [f"{table.title}: none"] for table in tables]
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"
