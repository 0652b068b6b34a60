"""How much of the variation of the scores each dimension of a space explains."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from dlx.config.space import Dimension, Space

FEWEST, MOST = 4, 500
"""Fewer trials explain nothing; of more than are needed every k-th is taken, since the time grows with them."""
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
    scored = scored[:: -(-len(scored) // MOST) or 1]
    if len(scored) < FEWEST or len({score for _, score in scored}) == 1 or not space.dimensions:
        return {}
    import optuna
    from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances

    from dlx.search.guided import quiet

    # Optuna would take a range evenly, also where it is even in the logarithm.
    described: dict[str, BaseDistribution] = {
        each.key: FloatDistribution(0, 1) if each.range else CategoricalDistribution(range(len(each.grid())))
        for each in space.dimensions
    }
    with quiet():
        study = optuna.create_study()
        study.add_trials(
            optuna.trial.create_trial(
                params={each.key: _place(each, values[each.key]) for each in space.dimensions},
                distributions=described,
                value=score,
            )
            for values, score in scored
        )
        shares = get_param_importances(study, evaluator=FanovaImportanceEvaluator(n_trees=NUM_TREES, seed=0))
    return {each.key: float(shares.get(each.key, 0.0)) for each in space.dimensions}


def _place(dimension: Dimension, value: Any) -> float:
    """Give the index of a value, or where in a range (in its logarithm) it lies, from 0 to 1."""
    if dimension.range is None:
        return dimension.grid().index(value)
    low, high = dimension.range.low, dimension.range.high
    if dimension.range.log:
        low, high, value = math.log(low), math.log(high), math.log(value)
    return float(min(max((value - low) / (high - low), 0.0), 1.0))
