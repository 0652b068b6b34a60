"""What makes one trial better, and what makes it simpler, than another."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from dlx.core.settings import Range, Search
from dlx.search.summary import Status, Summary

STATUS_ORDER: tuple[Status, ...] = ("done", "dropped", "diverged", "invalid")


class Trait(NamedTuple):
    """Something that makes a trial simpler the lower its ``order`` is; ``text`` says what it is."""

    order: float
    text: str


@dataclass(frozen=True)
class Criterion:
    """What decides between trials.

    Attributes:
        score: Name of a metric, or ``loss``.
        higher_is_better: Which way it is better.
        search: Its ``simpler`` and ``space`` say what is simpler.
    """

    score: str
    higher_is_better: bool
    search: Search

    def cost(self, mean: float) -> float:
        """Turn a score into what is better when lower.

        The last digits are left out: as many right answers, otherwise spread over the folds, are no difference.
        """
        return float(f"{-mean if self.higher_is_better else mean:.12e}")

    def rank(self, summary: Summary) -> tuple[Any, ...]:
        """Give a key that sorts the best first and never compares scores of different budgets.

        Of equal scores the simpler is first, then the lower number.
        """
        is_cut_short = summary.status in ("dropped", "diverged")
        place = STATUS_ORDER.index(summary.status), -summary.trial.epochs if is_cut_short else 0
        if summary.mean is None:
            return *place, True, summary.trial.number
        return *place, False, self.cost(summary.mean), *self._orders(summary), summary.trial.number

    def simplicity(self, summary: Summary, mean: float) -> tuple[Any, ...]:
        """Give a key that sorts the simplest first; of equals the better, then the lower number."""
        return *self._orders(summary), self.cost(mean), summary.trial.number

    def _orders(self, summary: Summary) -> tuple[float, ...]:
        return tuple(trait.order for trait in self.traits(summary))

    def traits(self, summary: Summary) -> tuple[Trait, ...]:
        """Give what counts as simple, most important first."""
        trial = summary.trial
        if self.search.simpler is not None:
            return tuple(self._trait(key, trial.values) for key in self.search.simpler)
        num_parameters = trial.cells[0]["num_parameters"]
        size = Trait(num_parameters, f"{num_parameters:,} parameters")
        return size, Trait(-trial.precision, f"prior precision {trial.precision:g}")

    def _trait(self, signed_key: str, values: Mapping[str, Any]) -> Trait:
        """Order by the value where all are numbers, and by its place in the list elsewhere."""
        key = signed_key.removeprefix("-")
        value, choices = values[key], self.search.space[key]
        order = value if isinstance(choices, Range) or are_numbers(choices) else choices.index(value)
        return Trait(-order if signed_key.startswith("-") else order, f"{key} {json.dumps(value)}")


def are_numbers(choices: Sequence[Any]) -> bool:
    """Tell whether every choice is a number; true and false are none."""
    return all(isinstance(choice, int | float) and not isinstance(choice, bool) for choice in choices)
