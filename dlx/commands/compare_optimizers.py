"""``dlx compare-optimizers``: a race of update rules on one or several problems, each tuned by the same budget."""

from __future__ import annotations

import shlex
import signal
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlx.commands.changes import refuse_changes
from dlx.commands.clock import Clock
from dlx.commands.comparison_facts import describe_comparison
from dlx.commands.comparison_outputs import OUTPUTS, write_outputs
from dlx.commands.interrupt import Interrupt, listening
from dlx.commands.plan import identify, prepare
from dlx.commands.search_saving import SavedSearch, save_search
from dlx.comparison.judge import judge
from dlx.comparison.protocol import Contest, Race
from dlx.comparison.summary import summarise_problems
from dlx.config.comparison_check import check_comparison
from dlx.config.experiment import resolved_yaml
from dlx.config.load import load_experiment, load_experiment_and_data
from dlx.core.errors import DivergedError, RunError, RunInterruptedError, UsageError
from dlx.core.records import AnalysisProgress, AnalysisStarted, Finished, Record
from dlx.engine.cost import measure_cost
from dlx.search.cross_validation import Standing
from dlx.search.journal import JOURNAL, Journal, read_lines
from dlx.tracking.files import finite, write_atomic
from dlx.tracking.provenance import describe_environment, hash_examples
from dlx.tracking.run_dir import RunDir

COMMAND = "compare-optimizers"
SAVE_SECONDS = 30.0
"""Time between saved states: what a killed process loses at most."""
GROWABLE = "compare.seeds"
"""What a resumed comparison may have more of."""
PROBLEMS = "problems"
"""Folder of the problems of a run that has several."""


@dataclass(frozen=True)
class Problem:
    """One config of a comparison.

    Attributes:
        name: What it is called.
        contest: What is compared on what.
        text: The config as it was written.
        folder: Where its files go, relative to the run directory.
    """

    name: str
    contest: Contest
    text: str
    folder: str

    @property
    def identity(self) -> str:
        """Hash of all that must not change between two sittings."""
        return identify(self.contest.experiment, self.contest.data_hash, {"compare": {"seeds"}})


def compare(
    configs: Sequence[Path], overrides: Sequence[str], runs_dir: Path, plugins: Sequence[Path] = ()
) -> Iterator[Record]:
    """Race optimizers on the problem of each config, and leave one run directory.

    Args:
        configs: YAML files; their sections ``compare`` say who takes part.
        overrides: ``KEY=VALUE`` strings, for all of them.
        runs_dir: Folder of run directories.
        plugins: Files of definitions that the user names beside the configs.

    Yields:
        ``AnalysisStarted``, then progress, then ``Finished``.

    Raises:
        DlxError: Any of the tree in ``core/errors.py``; those of the user before the run directory exists.
    """
    problems = load_problems(configs, overrides, plugins)
    run = RunDir.create(runs_dir, COMMAND, "-".join(problem.name for problem in problems)[:64])
    with run.ending():
        for problem in problems:
            folder = run.path / problem.folder
            folder.mkdir(parents=True, exist_ok=True)
            write_atomic(folder / "config.input.yaml", problem.text)
            write_atomic(folder / "config.resolved.yaml", resolved_yaml(problem.contest.experiment))
        yield from race_all(run, problems, is_resumed=False)


def resume_comparison(run: RunDir, overrides: Sequence[str], plugins: Sequence[Path] = ()) -> Iterator[Record]:
    """Go on with a comparison that was stopped, or give one that is done more seeds.

    Args:
        run: Its run directory.
        overrides: ``compare.seeds=N``, more than before; nothing else may change.
        plugins: The files of definitions that it was begun with.

    Yields:
        As ``compare`` does.

    Raises:
        UsageError: If an override would change anything else.
        RunError: If it is done and not extended.
        CheckpointError: If the saved state is damaged or of another comparison.
    """
    configs = problem_configs(run.path)
    before = [load_experiment(config, plugins=plugins).experiment for config in configs]
    problems = load_problems(configs, overrides, plugins)
    after = [problem.contest.experiment for problem in problems]
    for old, new in zip(before, after, strict=True):
        refuse_changes(old, new, {GROWABLE: old.compare.budget.seeds}, COMMAND)
    if run.facts["status"] == "done" and before == after:
        resume = shlex.join(["dlx", "resume", str(run.path), f"{GROWABLE}=N", *after[0].plugin_flags])
        raise RunError(f"{run.path} is done: there is nothing to resume; for more seeds: {resume}")
    for problem in problems:  # what is damaged is refused before anything is changed
        for name, kind in JOURNAL.items():
            read_lines(run.path / problem.folder / name, kind)
        SavedSearch(run.path / problem.folder, problem.identity, problem.contest.device, COMMAND)
    run.begin()
    for name in ("result.json", "timing.json"):
        run.remove(name)
    for folder in (".", *(problem.folder for problem in problems)):
        for name in OUTPUTS:
            run.remove(f"{folder}/{name}")
    for problem in problems:
        write_atomic(run.path / problem.folder / "config.resolved.yaml", resolved_yaml(problem.contest.experiment))
    yield from race_all(run, problems, is_resumed=True)


def problem_configs(path: Path) -> list[Path]:
    """Find the resolved configs of a run: its own, or those of its problems in their order."""
    own = path / "config.resolved.yaml"
    return [own] if own.exists() else sorted(path.glob(f"{PROBLEMS}/*/config.resolved.yaml"))


def load_problems(configs: Sequence[Path], overrides: Sequence[str], plugins: Sequence[Path]) -> list[Problem]:
    """Read configs and their data, and check each with the comparison.

    Raises:
        DlxError: For everything that a user can mend.
    """
    problems = [
        _load_problem(config, overrides, plugins, number if len(configs) > 1 else None)
        for number, config in enumerate(configs, 1)
    ]
    names = [problem.name for problem in problems]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UsageError(f"two configs are called `{twice}`; give one another `name`")
    for key in ("reference", "part", "score"):
        _refuse_different(key, problems)
    return problems


def _refuse_different(key: str, problems: Sequence[Problem]) -> None:
    """Refuse problems that are judged in different ways: what one table holds must be of one kind.

    Raises:
        UsageError: If a setting of ``compare`` differs.
    """
    found: dict[str, str] = {}
    for problem in problems:
        contest = problem.contest
        value = contest.reference if key == "reference" else str(getattr(contest.compare, key))
        found.setdefault(value, problem.name)
    if len(found) > 1:
        texts = " but ".join(f"{value} in {name}" for value, name in found.items())
        raise UsageError(
            f"problems are compared together only if all are judged alike, and compare.{key} is {texts}; "
            f"set it for all, as in compare.{key}={next(iter(found))}, or compare them one by one"
        )


def _load_problem(config: Path, overrides: Sequence[str], plugins: Sequence[Path], number: int | None) -> Problem:
    loaded, examples = load_experiment_and_data(config, overrides, plugins, purpose="compare")
    device, names = prepare(loaded.experiment, examples), check_comparison(loaded, examples)
    contest = Contest(loaded.experiment, names, examples, hash_examples(examples), device)
    name = str(loaded.experiment.name)
    return Problem(name, contest, loaded.source.text, f"{PROBLEMS}/{number:02}-{name}" if number else ".")


def race_all(run: RunDir, problems: Sequence[Problem], is_resumed: bool) -> Iterator[Record]:
    """Race on every problem, one after the other, and write all of it down.

    Args:
        run: The run directory, which has the configs.
        problems: What to race on.
        is_resumed: Whether there may be cells that are done.

    Yields:
        ``AnalysisStarted``, then progress, then ``Finished``.

    Raises:
        RunInterruptedError: After a signal, when the state is saved.
        DivergedError: If every setting of every optimizer failed; after ``Finished``.
    """
    first = problems[0].contest
    environment = describe_environment(str(first.device), first.experiment.threads, Path.cwd())
    run.write_json("environment.json", {**environment, "seeds": list(first.seeds)})
    yield AnalysisStarted(run.path, describe_comparison([problem.contest for problem in problems]))
    results, timings = [], []
    with listening() as interrupt:
        for problem in problems:
            result, timing = yield from _race_one(run, problem, is_resumed, interrupt)
            results.append(result)
            timings.append(timing)
    result = results[0] if len(results) == 1 else summarise_problems(results)
    run.write_json("result.json", result)
    run.write_json("timing.json", timings[0] if len(timings) == 1 else {"problems": timings})
    write_outputs(run, problems, result, results, timings)
    run.finish("done", result["status"])
    yield Finished(run.path, result)
    if result["status"] == "diverged":
        raise DivergedError("every setting of every optimizer diverged; look at the data, the loss and the model")


def _race_one(
    run: RunDir, problem: Problem, is_resumed: bool, interrupt: Interrupt
) -> Generator[Record, None, tuple[dict[str, Any], dict[str, Any]]]:
    """Race on one problem; give what it came to, and how long it took."""
    folder, contest = run.path / problem.folder, problem.contest
    saved = SavedSearch(folder, problem.identity, contest.device, COMMAND)
    clock = Clock(saved.seconds)
    if not is_resumed:
        save_search(folder, problem.identity, Standing(), 0.0)  # from now on a changed config is found out
    with Journal.open(folder) as journal:
        race = Race(contest, journal, saved.restore)
        for standing in race.run():
            share = (race.num_done + standing.epochs_done()) / race.num_cells
            yield AnalysisProgress(f"{problem.name}: {race.stage}", min(1.0, share))
            if interrupt.signum or clock.has_passed(SAVE_SECONDS):
                journal.sync()
                save_search(folder, problem.identity, standing, clock.seconds())
            if interrupt.signum:
                _stop(run, contest, journal, interrupt.signum)
        journal.sync()
        save_search(folder, problem.identity, Standing(), clock.seconds())
        yield AnalysisProgress(f"{problem.name}: measuring the cost of a step", 1.0)
        costs = {arm.name: measure_cost(race.member(arm), contest.bench.data) for arm in race.arms}
        result = dict(finite(judge(race, {name: cost.gradients for name, cost in costs.items()})))
        num_steps = sum(line["num_steps"] for line in journal.cells.values())
        return result, {
            **clock.timing(num_steps, contest.device),
            "threads": contest.experiment.threads,
            "seconds_per_step": {name: cost.seconds for name, cost in costs.items()},
        }


def _stop(run: RunDir, contest: Contest, journal: Journal, signum: signal.Signals) -> None:
    """End after a signal.

    Raises:
        RunInterruptedError: Always.
    """
    resume = shlex.join(["dlx", "resume", str(run.path), *contest.experiment.plugin_flags])
    found = f"stopped after {len(journal.cells)} cells, all saved"
    raise RunInterruptedError(f"{found}; go on with: {resume}", signum)
