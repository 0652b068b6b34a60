"""How much of the variation of the scores each dimension of a space explains."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dlx.config.space import Dimension, Space

FEWEST, MOST = 4, 500
"""Fewer trials explain nothing; of more a sample is taken, since the time grows with them."""
NUM_TREES = 32
"""Half of Optuna's: its time grows with trees times trials, a second for some hundred."""


def importance(trials: Sequence[Mapping[str, Any]], scores: Sequence[float | None], space: Space) -> dict[str, float]:
    """Give the share of each dimension in the variance of the score over the space, the others averaged out.

    A range counts evenly, or evenly in its logarithm, as it is drawn. Interactions count for none, and the shares are
    scaled to sum to 1.

    Args:
        trials: The values of each trial, by key.
        scores: Their scores; trials without one are left out.
        space: What varies.

    Returns:
        The shares by key, in the order of the space; empty with fewer than four scores or where all are equal.

    Source: functional ANOVA on a random forest: Hutter, Hoos, Leyton-Brown (2014), "An efficient approach for assessing
    hyperparameter importance".
    """
    scored = [(values, score) for values, score in zip(trials, scores, strict=True) if score is not None]
    if len(scored) > MOST:  # at random: every k-th of a grid would be the same value of its last key again and again
        scored = [scored[i] for i in np.random.default_rng(0).choice(len(scored), MOST, replace=False)]
    if len(scored) < FEWEST or len({score for _, score in scored}) == 1 or not space.dimensions:
        return {}
    import optuna
    from optuna.distributions import FloatDistribution
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances

    from dlx.search.guided import quiet

    with quiet():
        study = optuna.create_study()
        study.add_trials(
            optuna.trial.create_trial(
                params={each.key: _place(each, values[each.key]) for each in space.dimensions},
                distributions={each.key: FloatDistribution(0, 1) for each in space.dimensions},
                value=score,
            )
            for values, score in scored
        )
        shares = get_param_importances(study, evaluator=FanovaImportanceEvaluator(n_trees=NUM_TREES, seed=0))
    return {each.key: float(shares.get(each.key, 0.0)) for each in space.dimensions}


def _place(dimension: Dimension, value: Any) -> float:
    """Give where a value lies, from 0 to 1: in its range (in its logarithm), or in the middle of its share of a list.

    Optuna would take a log range evenly; and as categories, the values of two lists of 20 take it minutes.
    """
    if dimension.range is None:
        values = dimension.grid()
        return (values.index(value) + 0.5) / len(values)
    low, high = dimension.range.low, dimension.range.high
    if dimension.range.log:
        low, high, value = math.log(low), math.log(high), math.log(value)
    return float(min(max((value - low) / (high - low), 0.0), 1.0))
