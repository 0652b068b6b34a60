"""Trains what a search has chosen: on all examples, and, for a nested estimate, on those beside each outer fold."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from dlx.commands.plan import Plan
from dlx.commands.results import preprocessing
from dlx.commands.saving import save_weights
from dlx.commands.search_results import judge_study
from dlx.config.experiment import Experiment, resolved_yaml
from dlx.core.records import Cell
from dlx.core.settings import CrossValidation, Search
from dlx.engine.evaluation import score_members
from dlx.engine.fit import fit_each, populations_of
from dlx.engine.population import Population
from dlx.search.cells import Trial, cell_name
from dlx.search.cross_validation import Standing, train_cells
from dlx.search.journal import Journal, Line
from dlx.search.study import Setup, Study
from dlx.tracking.run_dir import RunDir

ALL_EXAMPLES = {"folds": None, "fold_column": None, "test": 0.0}
"""Keys of a split that holds out nothing."""


def refit(run: RunDir, setup: Setup, study: Study, result: Mapping[str, Any]) -> dict[str, Any] | None:
    """Write down the chosen setting for all examples and the median of its best epochs; train and save it if wanted.

    Args:
        run: Gets best.yaml, which ``dlx train`` runs as it is, its checkpoints and preprocessing.json.
        setup: The search.
        study: The one on all examples.
        result: Its judgement.

    Returns:
        ``refit`` of result.json, with a ``reason`` instead of scores if it diverged; None if nothing was chosen or no
        refit is wanted.
    """
    chosen = result["selection"]["chosen"]
    if chosen is None:
        return None
    epochs, seed = result["trials"][chosen]["best_epoch"], setup.cv.seed_list[0]
    experiment = refit_experiment(study.trials[chosen].experiment, epochs, ALL_EXAMPLES)
    experiment = experiment.model_copy(update={"seeds": (seed,), "cv": CrossValidation(), "search": Search()})
    run.write("best.yaml", resolved_yaml(experiment))
    if not setup.cv.refit:
        return None
    plan = Plan.make(experiment, setup.examples)
    population = Population.build(plan.members, plan.device)
    for _ in fit_each([population], setup.bench.data):
        pass
    (scores,) = score_members(plan.members, population.best_weights, setup.bench.data, ("train",)).values()
    if population.courses[0].divergence or not math.isfinite(scores["train"]["loss"]):
        reason = f"trained on all examples it diverged in step {population.courses[0].num_steps} or before"
        return {"epochs": epochs, "seed": seed, "reason": reason}
    save_weights(run, plan, [population])
    run.write_json("preprocessing.json", preprocessing(plan.members, plan.examples))
    return {"epochs": epochs, "seed": seed, **scores}


def refit_experiment(experiment: Experiment, epochs: int, split: Mapping[str, Any]) -> Experiment:
    """Give a setting that trains for so many epochs on all that is not held out.

    A validation part stays only where the schedule watches it.

    Args:
        experiment: The setting.
        epochs: How long.
        split: Keys of its split that change.
    """
    valid = experiment.data.split.valid if experiment.schedule.reads_history else 0.0
    data = experiment.data.model_copy(
        update={"split": experiment.data.split.model_copy(update={**split, "valid": valid})}
    )
    training = experiment.training.model_copy(update={"epochs": epochs, "early_stopping": None})
    return experiment.model_copy(update={"data": data, "training": training})


def _with_refit(values: Mapping[str, Any], experiment: Experiment) -> dict[str, Any]:
    """Add what ``refit_experiment`` changes but for the epochs, by key; keys of early stopping go with it."""
    kept = {key: value for key, value in values.items() if not key.startswith("training.early_stopping")}
    return {**kept, "data.split.valid": experiment.data.split.valid, "training.early_stopping": None}


def refit_outer(setup: Setup, studies: Sequence[Study], journal: Journal) -> list[dict[str, Any]]:
    """Score what each outer fold's study chose, trained on all examples beside that fold, on the fold.

    Args:
        setup: The search.
        studies: One for each outer fold, done.
        journal: Gets the cells.

    Returns:
        What each outer fold came to, in order; a fold whose study chose nothing has no score.
    """
    trials, identities = dict[Cell, Trial](), dict[Cell, Line]()
    found: list[tuple[int, Mapping[str, Any], list[Cell]]] = []
    for study in studies:
        judged = judge_study(setup, study)
        chosen = judged["selection"]["chosen"]
        if study.outer_fold is None:
            continue
        if chosen is None:
            found.append((study.outer_fold, {}, []))
            continue
        line = judged["trials"][chosen]
        experiment = refit_experiment(study.trials[chosen].experiment, line["best_epoch"], {})
        trial = Trial(chosen, _with_refit(line["values"], experiment), experiment)
        cells = [Cell(seed, fold=study.outer_fold, trial=chosen) for seed in setup.cv.seed_list]
        trials |= dict.fromkeys(cells, trial)
        identities |= {
            cell: {"id": cell_name(trial, cell, trial.epochs, setup.data_hash), "values": trial.values}
            for cell in cells
        }
        found.append((study.outer_fold, line, cells))
    members = [setup.member(trials[cell], cell) for cell in trials if identities[cell]["id"] not in journal.cells]
    for now in train_cells(
        populations_of(members, setup.device), Standing(), setup.bench, lambda cell, epochs: identities[cell]
    ):
        journal.add_cells(now.lines)
    return [
        {
            "outer_fold": outer_fold,
            "trial": line.get("trial"),
            "values": line.get("values"),
            "epochs": line.get("best_epoch"),
            "score": _mean_score([journal.cells[identities[cell]["id"]] for cell in cells], setup.score),
            "selection_score": line["score"]["mean"] if line else None,
        }
        for outer_fold, line, cells in found
    ]


def _mean_score(lines: Sequence[Mapping[str, Any]], name: str) -> float | None:
    """Average a held-out score over seeds; None if any diverged, or there is none."""
    scores = [line.get("test", {}).get(name) for line in lines]
    return None if None in scores or not scores else statistics.mean(scores)
