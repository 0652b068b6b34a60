"""``dlx runs``: a list of runs, and its commands show, compare and diff."""

from __future__ import annotations

import sys
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dlx.cli.console import write_out
from dlx.cli.options import SameAsJson
from dlx.core.errors import UsageError

if TYPE_CHECKING:
    from dlx.commands.runs import Shown

runs_app = typer.Typer(help="List runs, the newest first; show one, compare several.", rich_markup_mode=None)

HELD_IN = "Folder of run directories."
Folder = Annotated[Path | None, typer.Option("--runs-dir", help=f"{HELD_IN} By default runs.", show_default=False)]
Run = Annotated[str, typer.Argument(metavar="RUN", help="A run directory, or the beginning of a run's id.")]


@runs_app.callback(invoke_without_command=True)
def runs(
    context: typer.Context,
    runs_dir: Annotated[Path, typer.Option(help=HELD_IN)] = Path("runs"),
    command: Annotated[str | None, typer.Option(help="Only runs of this command, as train or cv.")] = None,
    status: Annotated[
        str | None, typer.Option(help="Only these: running, killed, interrupted, failed or done.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Only runs whose id has this text in it.")] = None,
    sort: Annotated[str | None, typer.Option(metavar="METRIC", help="Sort by a score, the best first.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="So many at most.", show_default=False)] = None,
    json: SameAsJson = False,
) -> None:
    """List runs, the newest first."""
    context.obj = runs_dir
    if context.invoked_subcommand is not None:
        if json or any((command, status, name, sort, limit)):
            raise UsageError(f"give the options of `{context.invoked_subcommand}` after it")
        return
    from dlx.commands.runs import Wanted, list_runs

    _show(list_runs(runs_dir, Wanted(command, status, name, sort, limit)), json)


@runs_app.command()
def show(context: typer.Context, run: Run, runs_dir: Folder = None, json: SameAsJson = False) -> None:
    """Show a run: settings that are no defaults, scores, environment, files, and how it goes on."""
    from dlx.commands.runs import show_run

    _show(show_run(runs_dir or context.obj, run), json)


@runs_app.command()
def compare(
    context: typer.Context,
    runs: Annotated[list[str], typer.Argument(metavar="RUN", help="Run directories, or beginnings of ids.")],
    runs_dir: Folder = None,
    json: SameAsJson = False,
) -> None:
    """Put runs side by side: the settings in which they differ, and their scores."""
    from dlx.commands.runs import compare_runs

    _show(compare_runs(runs_dir or context.obj, runs), json)


@runs_app.command()
def diff(
    context: typer.Context,
    first: Run,
    second: Annotated[str, typer.Argument(metavar="RUN", help="Another.")],
    runs_dir: Folder = None,
    json: SameAsJson = False,
) -> None:
    """Say in what two runs differ: settings, scores and environment."""
    from dlx.commands.runs import diff_runs

    _show(diff_runs(runs_dir or context.obj, first, second), json)


def _show(shown: Shown, json: bool) -> None:
    """Print what was found on stdout, and what could not be read on stderr."""
    from dlx.tracking.files import finite

    for fault in shown.faults:
        write_out(f"warning: {fault}\n", sys.stderr)
    write_out(dumps(finite(shown.value), indent=2, ensure_ascii=False) + "\n" if json else shown.text)
