"""``dlx cv``: a search over settings, cross-validated, trained as one."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dlx.commands.cell import train_line
from dlx.commands.changes import refuse_changes
from dlx.commands.clock import Clock
from dlx.commands.interrupt import Interrupt, listening
from dlx.commands.plan import identify, prepare
from dlx.commands.refit import refit, refit_outer
from dlx.commands.search_facts import describe_search, folds_text
from dlx.commands.search_results import search_result
from dlx.commands.search_saving import SavedSearch, save_search
from dlx.config.experiment import resolved_yaml
from dlx.config.load import load_experiment, load_experiment_and_data
from dlx.config.space import Space
from dlx.core.errors import (
    CheckError,
    DivergedError,
    DlxError,
    PartlyDivergedError,
    RunError,
    RunInterruptedError,
    UsageError,
)
from dlx.core.records import Finished, Record, SearchProgress, SearchStarted
from dlx.search.cross_validation import Standing
from dlx.search.journal import JOURNAL, Journal, Line, read_lines
from dlx.search.study import Setup, Study
from dlx.search.trials import DEFAULT_TRIALS
from dlx.tracking.provenance import describe_environment, hash_examples
from dlx.tracking.run_dir import RunDir

SAVE_SECONDS = 30.0
"""Time between saved states: what a killed process loses at most."""
GROWABLE = {"search.trials": DEFAULT_TRIALS, "cv.repeats": 1}
"""What a resumed search may have more of, and what null stands for."""
RESULTS = (
    "result.json", "timing.json", "report.md", "trials.csv", "best.yaml", "preprocessing.json",
    "checkpoints/best.safetensors", "checkpoints/last.safetensors",
)  # fmt: skip
"""What a run directory has once its search is done, beside figures."""


def cv(config: Path, overrides: Sequence[str], runs_dir: Path, plugins: Sequence[Path] = ()) -> Iterator[Record]:
    """Search over settings, each judged by cross-validation, and leave a run directory.

    Args:
        config: The YAML file; ``cv`` says how trials are judged and ``search`` which there are.
        overrides: ``KEY=VALUE`` strings.
        runs_dir: Folder of run directories.
        plugins: Files of definitions that the user names beside the config.

    Yields:
        ``SearchStarted``, ``SearchProgress`` now and then, ``Finished``.

    Raises:
        DlxError: Any of the tree in ``core/errors.py``; those of the user before the run directory exists.
    """
    setup, text = load_search(config, overrides, plugins)
    run = RunDir.create(runs_dir, "cv", str(setup.experiment.name))
    with run.ending():
        run.write("config.input.yaml", text)
        yield from search(run, setup)


def resume_search(run: RunDir, overrides: Sequence[str], plugins: Sequence[Path] = ()) -> Iterator[Record]:
    """Go on with a search that was stopped, or extend one that is done.

    Args:
        run: Its run directory.
        overrides: ``search.trials=N`` or ``cv.repeats=N``, more than before; nothing else may change.
        plugins: The files of definitions that it was begun with.

    Yields:
        As ``cv`` does.

    Raises:
        UsageError: If an override would change anything else.
        RunError: If the search is done and not extended.
        CheckpointError: If the saved state is damaged or of another search.
    """
    config = run.path / "config.resolved.yaml"
    before = load_experiment(config, plugins=plugins).experiment
    setup, _ = load_search(config, overrides, plugins)
    refuse_changes(before, setup.experiment, GROWABLE, "cv")
    if run.facts["status"] == "done" and setup.experiment == before:
        key = _growing_key(setup)
        resume = shlex.join(["dlx", "resume", str(run.path), f"{key}=N", *setup.experiment.plugin_flags])
        more = f"; to extend it: {resume}" if key else ""
        raise RunError(f"{run.path} is done: there is nothing to resume{more}")
    if setup.search.budget == "hyperband" and setup.search.trials != before.search.trials:
        raise UsageError("the brackets of hyperband follow from the number of trials, which cannot grow; search anew")
    saved = SavedSearch(run.path, _identity(setup), setup.device, "cv")
    for name, kind in JOURNAL.items():  # what is damaged is refused before anything is changed
        read_lines(run.path / name, kind)
    run.begin()
    for name in RESULTS:  # of a search that was done
        run.remove(name)
    yield from search(run, setup, saved)


def _growing_key(setup: Setup) -> str | None:
    """Name what a search that is done can have more of: trials, or else repetitions, unless its folds are given."""
    if setup.search.method != "grid" and setup.search.budget != "hyperband":
        return "search.trials"
    split = setup.experiment.data.split
    return None if split.fold_column or split.time_series else "cv.repeats"


def load_search(config: Path, overrides: Sequence[str], plugins: Sequence[Path] = ()) -> tuple[Setup, str]:
    """Read a config, its data and its space, and check all together; give the search and the config's text.

    Raises:
        DlxError: For everything that a user can mend.
    """
    loaded, examples = load_experiment_and_data(config, overrides, plugins, purpose="cv")
    device, space = prepare(loaded.experiment, examples), Space.of(loaded, examples)
    setup = Setup(loaded.experiment, space, examples, hash_examples(examples), device)
    describe_search(setup)  # what cannot be said of it is refused before there is a run directory
    return setup, loaded.source.text


def search(run: RunDir, setup: Setup, saved: SavedSearch | None = None) -> Iterator[Record]:
    """Train what is not found yet, judge, train the chosen setting on all examples, and write it all down.

    Args:
        run: The run directory.
        setup: The search.
        saved: What was in training when the run was stopped; None if it is new.

    Yields:
        ``SearchStarted``, ``SearchProgress`` now and then, ``Finished``.

    Raises:
        RunInterruptedError: After a signal, when the state is saved.
        DivergedError: If every trial diverged; after ``Finished``.
        PartlyDivergedError: If the chosen setting diverged on all examples; after ``Finished``.
    """
    run.write("config.resolved.yaml", resolved_yaml(setup.experiment))
    environment = describe_environment(str(setup.device), setup.experiment.threads, Path.cwd())
    run.write_json("environment.json", {**environment, "seeds": list(setup.cv.seed_list)})
    run.write("folds.json", folds_text(setup))
    is_resumed = saved is not None
    if saved is None:
        save_search(run.path, _identity(setup), Standing(), 0.0)  # from now on a changed config is found out
        saved = SavedSearch(run.path, _identity(setup), setup.device, "cv")
    facts, clock = describe_search(setup), Clock(saved.seconds)
    with listening() as interrupt, Journal.open(run.path) as journal:
        outer_folds = [None, *range(setup.num_folds() if setup.cv.nested else 0)]
        studies = [Study(setup, journal, saved.restore, outer_fold) for outer_fold in outer_folds]
        num_cells = sum(setup.num_trials * len(study.cells(0)) for study in studies)
        yield SearchStarted(run.path, facts, num_cells, len(journal.cells) if is_resumed else None, setup.score)
        for study in studies:
            for standing in study.run():
                yield _progress(studies, study, standing, num_cells)
                _save(run, setup, journal, standing, clock, interrupt)
        outer = refit_outer(setup, studies[1:], journal) if setup.cv.nested else None
        result = search_result(setup, studies[0], outer)
        result["refit"] = refit(run, setup, studies[0], result)
        journal.sync()
        run.write_json("result.json", result)
        save_search(run.path, _identity(setup), Standing(), clock.seconds())
        run.write_json("timing.json", clock.timing(_num_steps(journal), setup.device))
        write_outputs(run, setup, facts, result, journal)
    run.finish("done", result["status"])
    yield Finished(run.path, result)
    if result["status"] != "done":
        raise _without_choice(result)
    if result["refit"] and "reason" in result["refit"]:
        raise PartlyDivergedError(f"the chosen setting has scores, but no weights: {result['refit']['reason']}")


def _without_choice(result: Mapping[str, Any]) -> DlxError:
    """Say why no trial could be chosen."""
    first = next(trial for trial in result["trials"] if "reason" in trial)
    why = f"trial {first['trial']}: {first['reason']}"
    if result["status"] == "diverged":
        return DivergedError(f"every trial diverged ({why}); a lower optimizer.lr is the usual remedy")
    return CheckError(f"no trial has a score ({why})")


def _identity(setup: Setup) -> str:
    """Hash all that must not change between two sittings."""
    return identify(setup.experiment, setup.data_hash, {"search": {"trials"}, "cv": {"repeats"}})


def _progress(studies: Sequence[Study], study: Study, standing: Standing, num_cells: int) -> SearchProgress:
    num_done = sum(each.num_done for each in studies)
    found = study.best
    best = None if found is None or found.mean is None else (found.trial.number, found.mean, found.se)
    return SearchProgress(num_done, min(1.0, (num_done + standing.epochs_done()) / num_cells), best)


def _save(run: RunDir, setup: Setup, journal: Journal, standing: Standing, clock: Clock, interrupt: Interrupt) -> None:
    """Save the state from time to time, and when a signal asks to stop, which it does then.

    Raises:
        RunInterruptedError: After a signal.
    """
    if interrupt.signum or clock.has_passed(SAVE_SECONDS):
        journal.sync()
        save_search(run.path, _identity(setup), standing, clock.seconds())
    if interrupt.signum:
        found = f"stopped after {len(journal.cells)} cells, all saved"
        resume = shlex.join(["dlx", "resume", str(run.path), *setup.experiment.plugin_flags])
        raise RunInterruptedError(f"{found}; go on with: {resume}", interrupt.signum)


def write_outputs(run: RunDir, setup: Setup, facts: dict[str, str], result: dict[str, Any], journal: Journal) -> None:
    """Write trials.csv, the figures and report.md."""
    from dlx.reporting.search_figures import draw_search_pictures
    from dlx.reporting.search_report import write_search_report
    from dlx.reporting.search_tables import trials_csv
    from dlx.search.importance import importance

    run.write("trials.csv", trials_csv(result))
    done = [trial for trial in result["trials"] if trial["status"] == "done"]
    values, scores = [trial["values"] for trial in done], [trial["score"]["mean"] for trial in done]
    cells = list(journal.cells.values())
    pictures = draw_search_pictures(run.path, result, cells, importance(values, scores, setup.space))
    write_search_report(run.path, result, facts, cells, pictures, train_lines(run, setup, result, cells))


def train_lines(run: RunDir, setup: Setup, result: Mapping[str, Any], cells: Sequence[Line]) -> dict[str, str]:
    """Give the command that repeats each cell of the best trial alone, by the cell's name."""
    best = result["selection"]["best"]
    names = set(result["trials"][best]["cells"]) if best is not None else set()
    flags = setup.experiment.plugin_flags
    return {line["id"]: train_line(run.path, line, flags) for line in cells if line["id"] in names}


def _num_steps(journal: Journal) -> int:
    """Count the steps of all cells; those of a rung of halving are among those of the next."""
    steps: dict[Any, int] = {}
    for line in journal.cells.values():
        key = tuple(str(line.get(name)) for name in ("values", "outer_fold", "seed", "repeat", "fold"))
        steps[key] = max(steps.get(key, 0), line["num_steps"])
    return sum(steps.values())
