"""The command line: argv in, exit code out. The one place where errors are caught."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from json import dumps
from pathlib import Path
from typing import Annotated, Any

import typer

from dlx import __version__
from dlx.cli.console import write_out
from dlx.cli.options import (
    Config,
    ConfigOrRun,
    Device,
    Json,
    Name,
    Overrides,
    Plugins,
    Quiet,
    RunsDir,
    SameAsJson,
    Split,
    TrainedRun,
)
from dlx.cli.runs import runs_app
from dlx.cli.words import words_app
from dlx.core.errors import DlxError, UsageError

app = typer.Typer(
    name="dlx",
    help="Run deep-learning experiments from one YAML file.",
    epilog="Exit codes: 0 done, 1 internal error, 2 usage or config, 3 data or run directory, 4 diverged or a "
    "check failed, 5 some seeds diverged, 130/143 interrupted (go on with dlx resume).",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

app.add_typer(runs_app, name="runs")
app.add_typer(words_app)


@app.command()
def train(
    config: Config,
    overrides: Overrides = None,
    device: Device = None,
    runs_dir: RunsDir = Path("runs"),
    name: Name = None,
    plugins: Plugins = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Train a model, or one for each seed at once, and leave a run directory."""
    _announce(quiet)
    from dlx.commands.train import train as command

    _show(command(config, _changes(overrides, device, name), runs_dir, plugins or []), quiet, json)


@app.command()
def cv(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="The experiment, a YAML file; with --cell a run.")],
    overrides: Overrides = None,
    cell: Annotated[
        str | None, typer.Option(metavar="ID", help="Train this cell of the run CONFIG alone and compare.")
    ] = None,
    device: Device = None,
    runs_dir: RunsDir = Path("runs"),
    name: Name = None,
    plugins: Plugins = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Search over settings, each judged by cross-validation, all trained as one, and leave a run directory."""
    _announce(quiet)
    changes = _changes(overrides, device, name)
    if cell is None:
        from dlx.commands.cv import cv as command

        _show(command(config, changes, runs_dir, plugins or []), quiet, json)
        return
    _repeat([config], cell, changes, runs_dir, plugins or [], quiet, json)


@app.command("compare-optimizers")
def compare_optimizers(
    arguments: Annotated[
        list[str],
        typer.Argument(
            metavar="CONFIG|KEY=VALUE",
            help="One or several experiments (with --cell a run), and changes to them.",
        ),
    ],
    cell: Annotated[
        str | None, typer.Option(metavar="ID", help="Train this cell of the run CONFIG alone and compare.")
    ] = None,
    device: Device = None,
    runs_dir: RunsDir = Path("runs"),
    name: Name = None,
    plugins: Plugins = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Race optimizers on one or several problems, each tuned by the same budget, and say what the evidence allows."""
    _announce(quiet)
    from dlx.commands.compare_optimizers import compare
    from dlx.commands.race import race
    from dlx.config.load import is_of_surface

    configs = [Path(each) for each in arguments if _is_config(each)]
    changes = _changes([each for each in arguments if Path(each) not in configs], device, name)
    if not configs:
        raise UsageError("expected a config: dlx compare-optimizers CONFIG ... [KEY=VALUE] ...")
    if name is not None and len(configs) > 1:
        raise UsageError("--name names one experiment, and here are several configs; each has a `name` of its own")
    if cell is None and any(map(is_of_surface, configs)):
        if len(configs) > 1:
            raise UsageError("a race on a surface is one of geometry and stands alone: give its config by itself")
        _show(race(configs[0], changes, runs_dir, plugins or []), quiet, json)
    elif cell is None:
        _show(compare(configs, changes, runs_dir, plugins or []), quiet, json)
    else:
        _repeat(configs, cell, changes, runs_dir, plugins or [], quiet, json)


@app.command()
def gradcheck(
    config: ConfigOrRun,
    overrides: Overrides = None,
    self_test: Annotated[
        bool, typer.Option("--self-test", help="Plant faults in the gradient and prove that each is found.")
    ] = False,
    device: Device = None,
    runs_dir: RunsDir = Path("runs"),
    name: Name = None,
    plugins: Plugins = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Check the gradient: backprop by hand, autograd and central differences, tensor by tensor, in float64."""
    _announce(quiet)
    from dlx.commands.gradcheck import gradcheck as command

    _show(command(config, _changes(overrides, device, name), runs_dir, plugins or [], self_test), quiet, json)


@app.command()
def init(
    table: Annotated[Path, typer.Argument(metavar="TABLE", help="A CSV or Parquet file.")],
    target: Annotated[
        list[str], typer.Option(metavar="COLUMN", help="The column to predict; may be given again for several.")
    ],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The config; the table's name with .yaml unless given.")
    ] = None,
) -> None:
    """Look at a table of your own and write a config that trains on it, every choice explained."""
    from dlx.commands.init import init as command

    sys.stdout.write(command(table, target, out))


@app.command()
def resume(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run directory.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY=VALUE", help="More of training.epochs, search.trials, cv.repeats or compare.seeds."
        ),
    ] = None,
    plugins: Plugins = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Go on with a run that was interrupted or killed, or extend one that is done."""
    _announce(quiet)
    from dlx.commands.resume import resume as command

    _show(command(run, overrides or [], plugins or []), quiet, json)


@app.command()
def inspect(
    config: Config,
    overrides: Overrides = None,
    device: Device = None,
    plugins: Plugins = None,
    json: SameAsJson = False,
) -> None:
    """Look at an experiment before training: layers, cost, initial loss, and whether it can overfit one batch."""
    _announce(json)
    from dlx.commands.inspect import inspect as command
    from dlx.reporting.inspection import inspection_text
    from dlx.tracking.files import finite

    given = [] if device is None else [f"device={dumps(device)}"]
    found = finite(command(config, [*(overrides or []), *given], plugins or []))
    sys.stdout.write(dumps(found, indent=2, ensure_ascii=False) + "\n" if json else inspection_text(found))


@app.command()
def curvature(
    config: ConfigOrRun,
    overrides: Overrides = None,
    device: Device = None,
    runs_dir: RunsDir = Path("runs"),
    name: Name = None,
    plugins: Plugins = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Look at slope and curvature around a model's weights, or around a point of an analytic surface."""
    _announce(quiet)
    from dlx.commands.curvature import curvature as command

    _show(command(config, _changes(overrides, device, name), runs_dir, plugins or []), quiet, json)


@app.command()
def landscape(
    config: ConfigOrRun,
    overrides: Overrides = None,
    device: Device = None,
    runs_dir: RunsDir = Path("runs"),
    name: Name = None,
    plugins: Plugins = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Look at the error on a plane through a model's weights, or at an analytic surface with paths of optimizers."""
    _announce(quiet)
    from dlx.commands.landscape import landscape as command

    _show(command(config, _changes(overrides, device, name), runs_dir, plugins or []), quiet, json)


@app.command()
def evaluate(
    run: TrainedRun,
    split: Split = None,
    device: Device = None,
    plugins: Plugins = None,
    json: SameAsJson = False,
) -> None:
    """Score the best weights of every seed of a run on a part of its data."""
    _announce(json)
    from dlx.commands.evaluate import evaluate as command
    from dlx.reporting.evaluation import evaluation_text
    from dlx.tracking.files import finite

    found = finite(command(run, split, device, plugins or []))
    write_out(dumps(found, indent=2, ensure_ascii=False) + "\n" if json else evaluation_text(found))


@app.command()
def predict(
    run: TrainedRun,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The CSV file to write; - is stdout.", show_default=False)],
    split: Split = None,
    device: Device = None,
    plugins: Plugins = None,
) -> None:
    """Write what the best weights of a run predict for each example of its data, as CSV."""
    _announce(str(out) == "-")
    from dlx.commands.predict import predict as command
    from dlx.commands.predict import write_predictions
    from dlx.reporting.comparison_texts import plural

    text, trained = command(run, split, device, plugins or [])
    for seed, why in trained.left_out.items():
        write_out(f"warning: seed {seed} is left out: {why}\n", sys.stderr)
    if str(out) == "-":
        write_out(text)
        return
    write_predictions(out, text)
    write_out(f"{plural(len(trained.members), 'seed')}, {text.count(chr(10)) - 1:,} predictions: {out}\n")


@app.callback(invoke_without_command=True)
def _main(
    show_version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False,
) -> None:
    if show_version:
        sys.stdout.write(f"dlx {__version__}\n")
        raise typer.Exit


def _is_config(argument: str) -> bool:
    """Tell a config from a change to it; a file may have a = in its name."""
    try:
        return "=" not in argument or Path(argument).is_file()
    except OSError:  # too long for the name of a file
        return False


def _changes(overrides: list[str] | None, device: str | None, name: str | None) -> list[str]:
    """Give the changes to a config, those by options as YAML in quotes: `--name null` is a name."""
    given = [f"{key}={dumps(value)}" for key, value in (("device", device), ("name", name)) if value is not None]
    return [*(overrides or []), *given]


def _repeat(
    runs: list[Path], cell: str, changes: list[str], runs_dir: Path, plugins: list[Path], quiet: bool, json: bool
) -> None:
    """Train one cell of a run alone, and compare."""
    from dlx.commands.cell import repeat_cell

    if changes or len(runs) != 1:
        raise UsageError("a cell is repeated as it was: with --cell name its run, and nothing can be changed")
    _show(repeat_cell(runs[0], cell, runs_dir, plugins), quiet, json)
    if not (quiet or json):
        sys.stdout.write(f"cell {cell} comes to the same bits alone as in the run\n")


def _announce(quiet: bool) -> None:
    """Say on a terminal that something happens while torch is loaded, for seconds; the next line overwrites it."""
    if not quiet and sys.stderr is not None and sys.stderr.isatty():
        sys.stderr.write("loading ...\r")
        sys.stderr.flush()


def _show(records: Iterator[Any], quiet: bool, json_output: bool) -> None:
    from dlx.cli.render import show

    show(records, quiet=quiet, json_output=json_output)


def main() -> None:
    """Run the command line and exit with the code of ``core/errors.py``."""
    # Until a run listens to signals there is nothing to save: Ctrl-C ends the process, without a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        app()
    except DlxError as error:
        from dlx.cli.render import render_error

        render_error(error)
        sys.exit(error.exit_code)
    except Exception as error:  # whatever a definition of a user's own raises; of dlx itself it is a bug
        from dlx.core.plugins import mistake

        if (text := mistake(error)) is None:
            raise
        from dlx.cli.render import render_error

        render_error(UsageError(text))
        sys.exit(UsageError.exit_code)
