"""What a person wants to know first about a comparison of optimizers."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence

from dlx.commands.facts import describe_data, describe_notes, spell, spell_training
from dlx.comparison.protocol import Contest


def describe_comparison(contests: Sequence[Contest]) -> dict[str, str]:
    """Say in a line each what is compared on what, and by which budget.

    Args:
        contests: The problems.

    Returns:
        The lines by name: problem, optimizers, budget ...
    """
    first = contests[0]
    problems = {str(each.experiment.name): _problem(each) for each in contests}
    alone = {"problem": next(iter(problems.values()))}
    lines = {
        **(alone if len(contests) == 1 else problems),
        "optimizers": _of_each(contests, lambda each: ", ".join(each.names)),
        "reference": _of_each(contests, lambda each: each.reference),
        "protocol": _of_each(contests, budget_text),
        "judged by": _of_each(contests, judged_text),
        "notes": _of_each(contests, lambda each: describe_notes(each.examples)),
        "splits": _of_each(contests, splits_text),
        "members": _of_each(contests, lambda each: f"trained one by one: {each.obstacle}" if each.obstacle else ""),
        "device": f"{first.device}, {first.experiment.dtype}",
        "plugins": shlex.join(first.experiment.plugin_flags),
    }
    return {name: line for name, line in lines.items() if line}


def _of_each(contests: Sequence[Contest], say: Callable[[Contest], str]) -> str:
    """Say something of all problems; of each by its name where they differ."""
    texts = {str(each.experiment.name): say(each) for each in contests}
    if len(set(texts.values())) == 1:
        return next(iter(texts.values()))
    return "; ".join(f"{name}: {text}" for name, text in texts.items() if text)


def _problem(contest: Contest) -> str:
    experiment = contest.experiment
    sizes = contest.factory.splitter(experiment.data.split).sizes
    parts = [
        describe_data(experiment.data, contest.examples),
        spell(experiment.model),
        spell(experiment.loss),
        *([f"prior {spell(experiment.prior)}"] if experiment.prior else []),
        f"schedule {spell(experiment.schedule)}",
        spell_training(experiment, sizes.train),
    ]
    return "; ".join(parts)


def budget_text(contest: Contest) -> str:
    """Say how much each optimizer gets."""
    budget, compare = contest.budget, contest.compare
    studies = f" in each of {budget.studies} searches" if budget.studies > 1 else ""
    how = "a grid of rates" if compare.protocol == "quick" else "scrambled Sobol points"
    tuning = f"{budget.trials} settings ({how}){studies} x {budget.tuning_seeds} seeds for each optimizer"
    return f"{compare.protocol}: {tuning}, then {budget.seeds} fresh seeds, tuned and untuned"


def judged_text(contest: Contest) -> str:
    """Say what decides."""
    moment = "after the last epoch" if contest.compare.score == "final" else "after its best epoch"
    what = "validation loss" if contest.compare.part == "valid" else "mean training objective of an epoch"
    return f"{what}, {moment}"


def splits_text(contest: Contest) -> str:
    """Say where the parts come from."""
    split = contest.experiment.data.split
    if split.seed is None:
        return "drawn anew for each seed, the same for every optimizer"
    what = "in the order of time" if split.time_series else f"data.split.seed {split.seed}"
    return f"one for all seeds ({what}): what is said holds for this split"
