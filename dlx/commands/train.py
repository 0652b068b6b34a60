"""``dlx train``: one config, one member per seed, all trained as one population."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from dlx.commands.clock import Clock
from dlx.commands.facts import describe
from dlx.commands.interrupt import listening
from dlx.commands.learned import learned, learned_text
from dlx.commands.plan import Plan
from dlx.commands.results import epoch_line, preprocessing, train_result
from dlx.commands.saving import keep_epochs, save_state, save_weights
from dlx.config.experiment import Experiment, resolved_yaml
from dlx.config.load import load_experiment_and_data
from dlx.core.errors import DivergedError, PartlyDivergedError, RunInterruptedError
from dlx.core.records import EpochDone, Finished, Record, Started
from dlx.engine.fit import fit, populations_of
from dlx.engine.population import Population
from dlx.reporting.gallery import TITLES, picture_file
from dlx.reporting.tables import divergence_texts
from dlx.tracking.files import finite
from dlx.tracking.ledger import Ledger
from dlx.tracking.provenance import describe_environment
from dlx.tracking.run_dir import RunDir

CHECKPOINT_SECONDS = 10.0
"""Time between saved states: what a killed process loses at most."""
RESULTS = (
    "result.json", "learned.json", "timing.json", "report.md", "figures/learning_curve.png",
    *map(picture_file, TITLES),
)  # fmt: skip
"""What a run directory has once its run is done."""
MAX_NAMED = 3
"""Members that an error names one by one; the others are counted."""


def train(config: Path, overrides: Sequence[str], runs_dir: Path, plugins: Sequence[Path] = ()) -> Iterator[Record]:
    """Train what a config says, and leave a run directory.

    Args:
        config: The YAML file.
        overrides: ``KEY=VALUE`` strings.
        runs_dir: Folder of run directories.
        plugins: Files of definitions that the user names beside the config.

    Yields:
        ``Started``, then progress and epochs, then ``Finished``.

    Raises:
        DlxError: Any of the tree in ``core/errors.py``; those of the user before the run directory exists.
    """
    loaded, examples = load_experiment_and_data(config, overrides, plugins)
    plan = Plan.make(loaded.experiment, examples)
    run = RunDir.create(runs_dir, "train", str(plan.experiment.name))
    with run.ending():
        run.write("config.input.yaml", loaded.source.text)
        run.write("config.resolved.yaml", resolved_yaml(plan.experiment))  # from here on the run can be resumed
        yield from train_populations(run, plan, build_populations(plan))


def build_populations(plan: Plan) -> list[Population]:
    """Draw initial weights, in as many populations as can advance at once."""
    return list(populations_of(plan.members, plan.device))


def train_populations(
    run: RunDir, plan: Plan, populations: Sequence[Population], is_resumed: bool = False
) -> Iterator[Record]:
    """Train populations from where they stand to the end, and write everything that a run directory holds.

    Yields:
        ``Started``, then progress and epochs, then ``Finished``.

    Raises:
        RunInterruptedError: After a signal, when the state is saved.
        DivergedError: If every member diverged; after ``Finished``.
        PartlyDivergedError: If some did; after ``Finished``.
    """
    run.write_json("preprocessing.json", preprocessing(plan.members, plan.examples))
    environment = describe_environment(str(plan.device), plan.experiment.threads, Path.cwd())
    run.write_json("environment.json", {**environment, "seeds": list(plan.experiment.seed_list)})
    facts = describe(plan)
    epochs = keep_epochs(run, plan, populations)
    clock = Clock(epochs[-1]["time"]["seconds"] if epochs else 0.0)
    data = plan.device_examples()
    with listening() as interrupt, contextlib.closing(Ledger(run.path / "metrics.jsonl")) as ledger:
        yield started(run, plan, facts, len(epochs) if is_resumed else None)
        for record in fit(populations, data):
            if isinstance(record, EpochDone):
                epochs.append(epoch_line(record, clock.seconds()))
                ledger.append(epochs[-1])
            yield record
            if interrupt.signum:
                break
            if clock.has_passed(CHECKPOINT_SECONDS):
                ledger.sync()
                save_state(run, plan, populations, epochs)
        ledger.sync()
        save_state(run, plan, populations, epochs)
        save_weights(run, plan, populations)
        if interrupt.signum and not all(population.is_finished for population in populations):
            raise RunInterruptedError(_where(populations, run.path, plan.experiment), interrupt.signum)
        result = train_result(plan.experiment, populations, data)
        run.write_json("result.json", result)
        run.write("learned.json", learned_text(found := finite(learned(plan, populations))))
        num_steps = sum(course.num_steps for population in populations for course in population.courses)
        run.write_json("timing.json", clock.timing(num_steps, plan.device))
        write_figures_and_report(run, plan, facts, epochs, result, found)
    run.finish("done", result["status"])
    yield Finished(run.path, result)
    raise_divergence(result, plan.experiment)


def started(run: RunDir, plan: Plan, facts: dict[str, str], epochs_done: int | None) -> Started:
    """Build the first record."""
    metrics = plan.experiment.metrics
    return Started(
        run_dir=run.path,
        command="train",
        facts=facts,
        num_members=len(plan.members),
        epochs=plan.experiment.training.epochs,
        epochs_done=epochs_done,
        metric=metrics[0].name if metrics else None,
    )


def write_figures_and_report(
    run: RunDir,
    plan: Plan,
    facts: dict[str, str],
    epochs: list[dict[str, Any]],
    result: dict[str, Any],
    found: dict[str, Any],
) -> None:
    """Draw the learning curve and what was learned, and write report.md."""
    from dlx.reporting.figures import learning_curve
    from dlx.reporting.gallery import draw_pictures
    from dlx.reporting.report import write_report

    learning_curve(epochs, result, run.path / "figures" / "learning_curve.png")
    pictures = draw_pictures(run.path, str(result["name"]), epochs, found, plan.recipe.layout().parameters)
    write_report(run.path, result, facts, pictures)


def _where(populations: Sequence[Population], path: Path, experiment: Experiment) -> str:
    furthest = max(populations, key=lambda population: (population.epoch, len(population.losses)))
    steps = f" and {len(furthest.losses)} steps" if len(furthest.losses) else ""
    resume = shlex.join(["dlx", "resume", str(path), *experiment.plugin_flags])
    return f"stopped after {furthest.epoch} epochs{steps}, all saved; go on with: {resume}"


def raise_divergence(result: dict[str, Any], experiment: Experiment) -> None:
    """Raise if members diverged, naming each."""
    diverged = divergence_texts(result)
    if not diverged:
        return
    more = f"; and {len(diverged) - MAX_NAMED} more" if len(diverged) > MAX_NAMED else ""
    named = "; ".join(diverged[:MAX_NAMED]) + more
    at_once = any(member.get("first_nonfinite_step") == 1 for member in result["members"])
    known = type(experiment.optimizer).model_fields
    lower = [f"{what} optimizer.{key}" for key, what in (("lr", "a lower"), ("damping", "a higher")) if key in known]
    usual = f"{' or '.join(lower) or 'a milder setting of the optimizer'} is the usual remedy"
    remedy = "look for extreme values in data, prior, noise and the optimizer's settings" if at_once else usual
    if result["status"] == "diverged":
        raise DivergedError(f"every member diverged ({named}); {remedy}")
    raise PartlyDivergedError(f"{len(diverged)} of {len(result['members'])} members diverged ({named}); {remedy}")
