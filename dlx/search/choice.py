"""Which trial is chosen, and the sentence that says why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from dlx.search.criterion import STATUS_ORDER, Criterion
from dlx.search.summary import Summary


class Difference(NamedTuple):
    """How the best trial differs from another one.

    Attributes:
        mean: Score of the best less that of the other.
        p: Adjusted for the number of trials tested; None where there is no test.
        indistinguishable: Whether no difference is shown.
    """

    mean: float
    p: float | None
    indistinguishable: bool


class Candidate(NamedTuple):
    """A trial that may be chosen: it has a score, ``mean``, at the full budget."""

    summary: Summary
    mean: float

    @property
    def number(self) -> int:
        """Number of the trial."""
        return self.summary.trial.number


def choose(
    candidates: Sequence[Candidate],
    differences: Mapping[int, Difference],
    criterion: Criterion,
    rule: Literal["best", "one_se"],
    num_trials: int,
) -> tuple[Candidate, str]:
    """Choose a trial: the best, or the simplest within one standard error of it.

    Args:
        candidates: All that may be chosen, best first; at least one.
        differences: Of the best from each other one, by number.
        criterion: What is better and what is simpler.
        rule: How one is chosen.
        num_trials: Number of all trials, these among them.

    Returns:
        The chosen one, and why: a sentence without final stop.

    Source:
        Breiman, Friedman, Olshen and Stone (1984), "Classification and regression trees", chapter 3: one standard
        error, s / sqrt(K), not one standard deviation.
    """
    best, se = candidates[0], candidates[0].summary.se
    if len(candidates) == 1:
        others = f"one of {num_trials} trials with a score at the full budget" if num_trials > 1 else "trial"
        return best, f"trial {best.number} is the only {others}"
    praise = _praise(candidates, criterion, num_trials)
    if rule == "best":
        return best, praise + _about_ties(candidates, criterion)
    if se is None:
        return best, f"{praise}; it has no standard error, so none that is simpler can be held to be as good"
    within = [each for each in candidates if criterion.cost(each.mean) - criterion.cost(best.mean) <= se]
    chosen = min(within, key=lambda each: criterion.simplicity(*each))
    if chosen is not best:
        mine, its = _unequal_traits(chosen, best, criterion)[0]
        return chosen, (
            f"trial {chosen.number}: {mine}, {criterion.score} {number_text(chosen.mean)}, is the simplest of "
            f"{len(within)} within one standard error ({number_text(se, 2)}) of the best, trial {best.number} "
            f"({number_text(best.mean)}, {its}){_doubt(differences[chosen.number])}"
        )
    rivals = "no other is" if len(within) == 1 else f"it is the simplest of {len(within)}"
    return best, f"{praise}, and {rivals} within one standard error ({number_text(se, 2)}) of it"


def nothing_to_choose(summaries: Sequence[Summary]) -> str:
    """Say what became of the trials where none can be chosen: a sentence without final stop."""
    count = Counter(summary.status for summary in summaries)
    texts = [
        f"{count[status]} {'without a finite score' if status == 'done' else status}"
        for status in STATUS_ORDER
        if count[status]
    ]
    return f"no trial has a score at the full budget: {', '.join(texts) or 'there are none'}"


def number_text(value: float, digits: int = 4) -> str:
    """Write a number with so many significant digits; integer digits are not cut below 100000."""
    if 10 ** (digits - 1) <= abs(value) < 1e5:
        return f"{value:.0f}"
    return f"{value:#.{digits}g}".rstrip(".")


def _praise(candidates: Sequence[Candidate], criterion: Criterion, num_trials: int) -> str:
    best, count = candidates[0], len(candidates)
    of = f"{count} trials"
    if count < num_trials:
        of = f"the {count} of {num_trials} trials with a score at the full budget"
    return f"trial {best.number}: {criterion.score} {number_text(best.mean)} is the best of {of}"


def _about_ties(candidates: Sequence[Candidate], criterion: Criterion) -> str:
    best, *others = candidates
    tied = [each for each in others if criterion.cost(each.mean) == criterion.cost(best.mean)]
    if not tied:
        return ""
    names = f"trial{'s' * (len(tied) > 1)} {', '.join(str(each.number) for each in tied)}"
    traits = _unequal_traits(best, tied[0], criterion)
    why = f"it is simpler ({traits[0][0]})" if traits else "none is simpler, and it comes first"
    return f", shared with {names}; {why}"


def _doubt(difference: Difference) -> str:
    """Warn where the paired test, which is sharper than one standard error, shows a difference all the same."""
    if difference.indistinguishable or difference.p is None:
        return ""
    return f"; yet it is worse by more than chance explains (p = {number_text(difference.p, 2)})"


def _unequal_traits(one: Candidate, other: Candidate, criterion: Criterion) -> list[tuple[str, str]]:
    """Give the texts of the traits in which two differ, most important first."""
    pairs = zip(criterion.traits(one.summary), criterion.traits(other.summary), strict=True)
    return [(mine.text, its.text) for mine, its in pairs if mine.order != its.order]
