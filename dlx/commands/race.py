"""``dlx compare-optimizers`` on an analytic surface: a race from many starts, and what each learning rate comes to."""

from __future__ import annotations

import shlex
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from dlx.commands.analysis import analysis_run, interruptible
from dlx.commands.facts import spell
from dlx.commands.race_results import Found, paths_csv, race_result, shown_of, starts_csv
from dlx.config.experiment import SurfaceExperiment
from dlx.config.load import load_surface
from dlx.core.errors import DivergedError, UsageError
from dlx.core.records import AnalysisProgress, AnalysisStarted, Finished, Record
from dlx.curvature.paths import Floats
from dlx.curvature.race import Crowd, draw_starts, rates_between, sweep
from dlx.curvature.race import race as run_race
from dlx.engine.analytic import second_derivatives
from dlx.engine.device import choose_device, prepare_torch
from dlx.optimizers.torch import Torch
from dlx.tracking.run_dir import RunDir

T = TypeVar("T")


def race(path: Path, overrides: Sequence[str], runs_dir: Path, plugins: Sequence[Path] = ()) -> Iterator[Record]:
    """Let update rules race on an analytic surface.

    Args:
        path: A YAML file of an analytic surface.
        overrides: ``KEY=VALUE`` strings.
        runs_dir: Folder of run directories.
        plugins: Files of definitions that the user names beside the config.

    Yields:
        ``AnalysisStarted``, then progress, then ``Finished``.

    Raises:
        DivergedError: If every rule diverged from every start; after ``Finished``.
        DlxError: Any other of the tree in ``core/errors.py``; those of the user before the run directory exists.
    """
    loaded = load_surface(path, overrides, plugins)
    experiment = loaded.experiment
    if not experiment.optimizers:
        raise UsageError(f"{path} names no `optimizers`, so there is nothing to race")
    choose_device(experiment.device)  # a GPU that is not there is a mistake, though a few variables are faster here
    prepare_torch(experiment.threads, False)
    facts = _facts(experiment)
    with analysis_run(runs_dir, "compare-optimizers", experiment, loaded.source.text, torch.device("cpu")) as run:
        yield AnalysisStarted(run.path, facts)
        found = yield from interruptible(_run(experiment), run)
        result, shown = race_result(experiment, found), shown_of(experiment, found)
        run.write_json("result.json", result)
        run.write_json("race.json", shown)
        run.write("paths.csv", paths_csv(experiment, found))
        run.write("starts.csv", starts_csv(experiment, found))
        again = shlex.join(["dlx", "compare-optimizers", str(path), *overrides, *(f"--plugin={p}" for p in plugins)])
        _write_figures_and_report(run, result, shown, facts, again)
        run.finish("done", result["status"])
    yield Finished(run.path, result)
    if result["status"] == "diverged":
        raise DivergedError("every optimizer diverged from every start; a lower optimizers.0.lr is the usual remedy")


def _facts(experiment: SurfaceExperiment) -> dict[str, str]:
    surface, compare = experiment.surface, experiment.compare
    start = ", ".join(f"{number:.6g}" for number in experiment.point[:8])
    return {
        "surface": f"{spell(surface)}, {surface.dimension:,} variables",
        "starts": f"({start}{', ...' if surface.dimension > 8 else ''}) and {compare.starts:,} at random",
        "optimizers": "; ".join(map(spell, experiment.optimizers)),
        "steps": f"{experiment.steps:,}",
        "rates": f"{compare.rates} learning rates" if compare.rates and surface.minima else "as written alone",
        "device": "cpu, float64",
    }


def _run(experiment: SurfaceExperiment) -> Generator[AnalysisProgress, None, Found]:
    """Hold all races."""
    surface, compare, seed = experiment.surface, experiment.compare, experiment.seed_list[0]
    starts = draw_starts(surface, experiment.point, compare.starts, compare.seed)
    crowds: list[Crowd] = []
    for number, rule in enumerate(experiment.optimizers):
        work = run_race(surface, rule, starts, experiment.steps, seed)
        crowds.append((yield from _one_of(work, number, len(experiment.optimizers))))
    curvatures = _curvatures(experiment)
    # Where nothing is lowest, no rate is best.
    num_rates = compare.rates if surface.minima else 0
    rates = rates_between([2 / each[-1] for each in curvatures if each[-1] > 0], num_rates)
    swept = yield from _sweeps(experiment, rates, starts)
    return Found(starts.numpy(), crowds, curvatures, rates, swept)


def _curvatures(experiment: SurfaceExperiment) -> list[Floats]:
    """Give the eigenvalues of the Hessian at each minimum."""
    surface = experiment.surface
    if surface.minima is None or surface.dimension > experiment.curvature.dense:
        return []
    points = torch.tensor(surface.minima.points, dtype=torch.float64)
    return [torch.linalg.eigvalsh(second_derivatives(surface, point[None])[1][0]).numpy() for point in points]


def _sweeps(
    experiment: SurfaceExperiment, rates: Floats, starts: Tensor
) -> Generator[AnalysisProgress, None, list[Floats | None]]:
    """Let each rule that has a learning rate go down at all of them."""
    found: list[Floats | None] = []
    for number, rule in enumerate(experiment.optimizers):
        swept = None
        if "lr" in rule.tunables() and len(rates):
            # A rule that takes its rows one by one would need minutes for all starts.
            some = starts[:1] if isinstance(rule, Torch) else starts
            work = sweep(experiment.surface, rule, rates.tolist(), some, experiment.steps, experiment.seed_list[0])
            swept = yield from _one_of(work, number, len(experiment.optimizers))
        found.append(swept)
    return found


def _one_of(
    work: Generator[AnalysisProgress, None, T], number: int, count: int
) -> Generator[AnalysisProgress, None, T]:
    """Tell of one work of several as a share of all."""
    while True:
        try:
            progress = next(work)
        except StopIteration as stop:
            result: T = stop.value
            return result
        yield AnalysisProgress(progress.what, (number + progress.share) / count)


def _write_figures_and_report(
    run: RunDir, result: dict[str, Any], shown: dict[str, Any], facts: dict[str, str], again: str
) -> None:
    """Draw paths, starts, courses and learning rates, and write report.md."""
    from dlx.reporting.race_figures import draw_race
    from dlx.reporting.race_report import write_race_report

    write_race_report(run.path, result, facts, draw_race(run.path, result, shown), again)
