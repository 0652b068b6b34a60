"""What a person wants to know first about a search, and which examples each fold holds out."""

from __future__ import annotations

import json
import shlex
from itertools import product

from dlx.commands.facts import describe_data, describe_notes, spell, spell_training
from dlx.commands.search_results import fold_kind
from dlx.search.study import Setup


def describe_search(setup: Setup) -> dict[str, str]:
    """Say in a line each what is searched, on what, and how it is judged.

    Returns:
        The lines by name: data, folds, search, score, model ...
    """
    experiment = setup.experiment
    lines = {
        "data": describe_data(experiment.data, setup.examples),
        "notes": describe_notes(setup.examples),
        "folds": _folds(setup),
        "search": _search(setup),
        "score": f"{setup.score} of the held-out folds, {'higher' if setup.higher_is_better else 'lower'} is better",
        "model": spell(experiment.model),
        "loss": spell(experiment.loss),
        "prior": spell(experiment.prior) if experiment.prior else "",
        "optimizer": spell(experiment.optimizer),
        "schedule": spell(experiment.schedule),
        "training": spell_training(experiment, setup.splitter().sizes.train),
        "members": f"trained one by one: {'; '.join(setup.obstacles)}" if setup.obstacles else "",
        "device": f"{setup.device}, {experiment.dtype}",
        "plugins": shlex.join(experiment.plugin_flags),
    }
    varying = {key.partition(".")[0] for key in setup.search.space}
    return {name: f"{line} (varies)" if name in varying else line for name, line in lines.items() if line}


def folds_text(setup: Setup) -> str:
    """Write the content of folds.json: for each fold the examples that are held out and those of its inner validation.

    They are counted from 0; all others are trained on, but for those of the outer fold.
    """
    lines, seed = [], setup.cv.seed_list[0]  # whichever: the folds are the same for all
    for outer_fold in [None, *range(setup.num_folds() if setup.cv.nested else 0)]:
        splitter = setup.splitter(outer_fold)
        for repeat, fold in product(range(setup.cv.repeats), range(splitter.num_folds)):
            parts = splitter.parts(seed, repeat, fold, outer_fold)
            key = {} if outer_fold is None else {"outer_fold": outer_fold}
            held_out = {"test": parts.test.tolist(), "valid": parts.valid.tolist()}
            lines.append(json.dumps({**key, "repeat": repeat, "fold": fold, **held_out}))
    return "[\n" + ",\n".join(lines) + "\n]\n"


def _folds(setup: Setup) -> str:
    cv = setup.cv
    kind, seeds = fold_kind(setup), ", ".join(map(str, cv.seed_list))
    repeats = f", {cv.repeats} repetitions" if cv.repeats > 1 else ""
    nested = ", within each of as many outer folds" if cv.nested else ""
    valid = setup.experiment.data.split.valid
    inner = f"; {valid:g} of the rest is for validation" if valid else ""
    return f"{kind}{repeats}{nested}, cv.seeds {seeds}{inner}"


def _search(setup: Setup) -> str:
    if not setup.search.space:
        return "none: the config alone is cross-validated"
    budget = "" if setup.search.budget == "full" else f", {setup.search.budget} by {setup.search.factor}"
    keys = ", ".join(setup.search.space)
    return f"{setup.search.method}{budget}, {setup.num_trials} trials over {keys}"
