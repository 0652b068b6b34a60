"""What may be said of two optimizers that were trained with the same seeds: better, worse, or no difference shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from dlx.statistics.paired import differences_of, median_interval, share_better, sign_flip, smallest_p
from dlx.statistics.tests import holm

Floats = np.ndarray[Any, np.dtype[np.float64]]
LEVEL = 0.05
"""Chance of any false claim in a comparison, at most."""
PRACTICALLY = 0.75
"""Share of seeds on which an optimizer must be better for a difference that matters in practice."""


@dataclass(frozen=True)
class Verdict:
    """One optimizer against the reference.

    Attributes:
        words: ``better``, ``practically better``, ``worse``, ``practically worse`` or ``no difference shown``.
        p: Of the exact sign-flip test of the paired differences.
        adjusted_p: The same by Holm, for all comparisons with the reference.
        difference: Median over seeds of its loss less that of the reference.
        interval: Bootstrap interval of that median, of level 0.95.
        share: Share of seeds on which it has the lower loss, ties half.
        share_interval: Clopper-Pearson interval of that share, of level 0.95.
    """

    words: str
    p: float
    adjusted_p: float
    difference: float
    interval: tuple[float, float]
    share: float
    share_interval: tuple[float, float]

    def to_json(self) -> dict[str, Any]:
        """Give the content of result.json."""
        return asdict(self)


def verdicts(losses: Sequence[Floats], reference: Floats) -> list[Verdict]:
    """Compare optimizers with a reference on the same seeds.

    Better is claimed only where the test, adjusted for all comparisons, rejects at ``LEVEL`` and the interval of the
    share of seeds lies above a half; practically better, where moreover that share is at least ``PRACTICALLY``.

    Args:
        losses: Of each optimizer by seed, [n] each; infinite where a run failed.
        reference: Those of the reference.

    Source:
        Bouthillier et al. (2021), "Accounting for variance in machine learning benchmarks", for the share; Holm (1979).
    """
    p_values = [sign_flip(differences_of(each, reference)) for each in losses]
    return [
        _verdict(each, reference, p, float(adjusted))
        for each, p, adjusted in zip(losses, p_values, holm(p_values), strict=True)
    ]


def can_show(num_seeds: int, num_comparisons: int) -> bool:
    """Tell whether so many seeds could show a difference at all, were one optimizer better on every one of them."""
    return smallest_p(num_seeds) * num_comparisons <= LEVEL


def better_matrix(losses: Sequence[Floats]) -> list[list[float | None]]:
    """Give the share of seeds on which the optimizer of the row is better than that of the column; None with itself."""
    return [[None if i == j else share_better(a, b)[0] for j, b in enumerate(losses)] for i, a in enumerate(losses)]


def _verdict(losses: Floats, reference: Floats, p: float, adjusted: float) -> Verdict:
    median, *interval = median_interval(differences_of(losses, reference))
    share, low, high = share_better(losses, reference)
    words = "no difference shown"
    if adjusted < LEVEL and low > 0.5:
        words = "practically better" if share >= PRACTICALLY else "better"
    elif adjusted < LEVEL and high < 0.5:
        words = "practically worse" if share <= 1 - PRACTICALLY else "worse"
    return Verdict(words, p, adjusted, median, (interval[0], interval[1]), share, (low, high))
