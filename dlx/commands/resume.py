"""``dlx resume``: goes on with a run where it was last saved."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from dlx.commands.changes import refuse_changes
from dlx.commands.compare_optimizers import problem_configs, resume_comparison
from dlx.commands.cv import resume_search
from dlx.commands.plan import Plan
from dlx.commands.saving import load_state
from dlx.commands.train import RESULTS, build_populations, train_populations
from dlx.config.experiment import Experiment, resolved_yaml
from dlx.config.load import is_of_surface, load_experiment, load_experiment_and_data
from dlx.core.errors import RunError
from dlx.core.records import Record
from dlx.engine.population import Population
from dlx.tracking.run_dir import RunDir

GROWABLE = "training.epochs"
RESUMABLE = ("train", "cv", "compare-optimizers")
"""Commands whose runs can go on: an analysis is over within minutes."""


def resume(path: Path, overrides: Sequence[str], plugins: Sequence[Path] = ()) -> Iterator[Record]:
    """Go on with an interrupted, killed or failed run, or extend one that is done.

    Args:
        path: The run directory.
        overrides: ``training.epochs=N``, or of a search ``search.trials=N`` and ``cv.repeats=N``, of a comparison
            ``compare.seeds=N``, more than before; nothing else may change.
        plugins: The files of definitions that it was begun with.

    Yields:
        As ``train``, ``cv`` or ``compare`` does.

    Raises:
        UsageError: If an override would change anything else.
        RunError: If the folder is no run, is in use, or is done and not extended.
        CheckpointError: If the saved state is damaged or of another experiment.
    """
    run = RunDir.open(path)
    with run.ending():
        config = path / "config.resolved.yaml"
        command = run.facts["command"]
        if not config.exists() and not (command == "compare-optimizers" and problem_configs(path)):
            raise RunError(f"{path} was stopped before it began; train anew")
        if command not in RESUMABLE:
            raise RunError(f"{path} is a run of dlx {command}, which is not resumed: run it again on {config}")
        if command == "cv":
            yield from resume_search(run, overrides, plugins)
            return
        if command == "compare-optimizers" and config.exists() and is_of_surface(config):
            raise RunError(f"{path} is a race on a surface, which is over in seconds: race anew on {config}")
        if command == "compare-optimizers":
            yield from resume_comparison(run, overrides, plugins)
            return
        before = load_experiment(config, plugins=plugins).experiment
        loaded, examples = load_experiment_and_data(config, overrides, plugins)
        refuse_changes(before, loaded.experiment, {GROWABLE: before.training.epochs}, "train")
        plan = Plan.make(loaded.experiment, examples)
        populations = load_state(run, plan) or build_populations(plan)
        if run.facts["status"] == "done":
            _refuse_what_changes_nothing(path, before, loaded.experiment, populations)
        run.begin()
        run.write("config.resolved.yaml", resolved_yaml(plan.experiment))
        for name in RESULTS:  # of a run that was done: they would stand beside weights that they are not about
            run.remove(name)
        yield from train_populations(run, plan, populations, is_resumed=True)


def _refuse_what_changes_nothing(
    path: Path, before: Experiment, after: Experiment, populations: Sequence[Population]
) -> None:
    """Refuse to go on with a run that is done, unless it has members that more epochs can train further."""
    reasons = {course.stop_reason for population in populations for course in population.courses}
    if reasons <= {"patience", "solved", "diverged"}:
        raise RunError(f"{path} is done: every seed stopped early or diverged, so more epochs would change nothing")
    if after.training.epochs == before.training.epochs:
        epochs = f"{GROWABLE}={2 * before.training.epochs}"
        more = shlex.join(["dlx", "resume", str(path), epochs, *before.plugin_flags])
        raise RunError(f"{path} is done: there is nothing to resume; for more epochs: {more}")
