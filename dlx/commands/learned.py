"""What the best weights predict, as the numbers that the figures of a training show: the value of learned.json."""

from __future__ import annotations

import functools
import json
import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from dlx.commands.plan import Plan
from dlx.core.types import Examples
from dlx.data.splits import Indices
from dlx.engine.evaluation import predict_members
from dlx.engine.population import Member, Population
from dlx.reporting.tables import mean_and_std
from dlx.statistics.classification import Reliability, bin_edges, confusion_counts

Floats = np.ndarray[Any, np.dtype[np.float64]]
GROUP = 64
"""Members that predict at once, at most."""
GRID = 128
"""Points along each side of a map of decision regions."""
CURVE = 200
"""Points along a fitted curve."""
MAX_SEEDS = 20
"""Seeds whose decision regions are compared, at most."""
MAX_POINTS = 1000
"""Examples in a cloud of points, at most: more cover each other. Of more, every k-th is taken."""
MAX_COUNTS = 20_000
"""Entries of the confusion matrices of single seeds, at most; where there are more, their sum stands alone."""
MAX_TARGETS = 3
"""Target columns that are shown, at most."""


@dataclass(frozen=True)
class Learner:
    """A member that did not diverge, and its best weights, [P]."""

    member: Member
    weights: torch.Tensor

    @property
    def seed(self) -> int:
        """Its seed."""
        return self.member.cell.seed


def learned(plan: Plan, populations: Sequence[Population]) -> dict[str, Any]:
    """Predict with the best weights of every member that did not diverge.

    Args:
        plan: What was trained.
        populations: All members, finished.

    Returns:
        By the name of each figure the plain values that it shows; a figure that these data and models do not have is
        left out. No clock values, so a repeated run gives the same.
    """
    learners = [
        Learner(member, population.best_theta[row])
        for population in populations
        for row, (member, course) in enumerate(zip(population.members, population.courses, strict=True))
        if course.divergence is None
    ]
    part = list(plan.members[0].parts.named())[-1]
    scored = [each for each in predict_part(plan, learners, part) if np.isfinite(each[2]).all()]
    if not scored:
        return {}
    shown = [learner for learner, _, _ in scored]
    if plan.examples.task == "classification":
        figures = {
            "confusion": _confusion(plan, part, scored),
            "calibration": _calibration(part, scored),
            "regions": _regions(plan, shown),
        }
    else:
        figures = {"fitted_curve": _fitted_curve(plan, shown), "predictions": _predictions(plan, part, scored)}
    return {name: values for name, values in figures.items() if values is not None}


def learned_text(values: dict[str, Any]) -> str:
    """Write the content of learned.json, a line per figure: long rows of numbers are not for reading line by line."""
    lines = [f"  {json.dumps(name)}: {json.dumps(each, ensure_ascii=False)}" for name, each in values.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


Predicted = tuple[Learner, Any, Floats]
"""A member, its targets, [N] or [N, C], and its predictions, [N, C]."""


def predict_part(plan: Plan, learners: Sequence[Learner], part: str) -> Iterator[Predicted]:
    """Predict a part of the data, each member its own, some members at a time."""
    for start in range(0, len(learners), GROUP):
        group = learners[start : start + GROUP]
        indices = np.stack([getattr(learner.member.parts, part) for learner in group])
        predictions = _predict(group, plan.examples.inputs[indices])
        yield from zip(group, plan.examples.targets[indices], predictions, strict=True)


def _predict(learners: Sequence[Learner], inputs: Floats) -> Floats:
    weights = torch.stack([learner.weights for learner in learners])
    return predict_members([learner.member for learner in learners], weights, inputs)


def _confusion(plan: Plan, part: str, scored: Sequence[Predicted]) -> dict[str, Any]:
    names = plan.examples.target_names
    matrices = [confusion_counts(targets, values.argmax(1), len(names)) for _, targets, values in scored]
    single = [{"seed": each[0].seed, "counts": matrix.tolist()} for each, matrix in zip(scored, matrices, strict=True)]
    return {
        "part": part,
        "classes": list(names),
        "num_seeds": len(scored),
        "counts": sum(matrices[1:], matrices[0]).tolist(),
        **({"members": single} if len(single) * len(names) ** 2 <= MAX_COUNTS else {}),
    }


def _calibration(part: str, scored: Sequence[Predicted]) -> dict[str, Any]:
    diagrams = [Reliability.of(targets, values) for _, targets, values in scored]
    pooled = functools.reduce(operator.add, diagrams)
    errors = [diagram.error for diagram in diagrams]
    mean, std = mean_and_std(errors)
    held = [count or None for count in pooled.count.tolist()]
    return {
        "part": part,
        "num_seeds": len(scored),
        "edges": bin_edges().tolist(),
        "count": pooled.count.tolist(),
        "confidence": [n and each / n for n, each in zip(held, pooled.confidence.tolist(), strict=True)],
        "accuracy": [n and each / n for n, each in zip(held, pooled.correct.tolist(), strict=True)],
        "expected_calibration_error": {"mean": mean, "std": std},
        "members": [
            {"seed": each[0].seed, "expected_calibration_error": error}
            for each, error in zip(scored, errors, strict=True)
        ],
    }


def _regions(plan: Plan, learners: Sequence[Learner]) -> dict[str, Any] | None:
    """Give the class that the first seed predicts at each point of a grid, and how many seeds agree with it."""
    examples, compared = plan.examples, learners[:MAX_SEEDS]
    if examples.inputs.shape[1:] != (2,):
        return None
    x, y = (_span(column, GRID) for column in examples.inputs.T)
    points = np.stack(np.meshgrid(x, y), -1).reshape(-1, 2)
    guesses = _predict(compared, points).argmax(-1)
    agreeing = (guesses == guesses[0]).sum(0)
    return {
        "features": list(examples.feature_names),
        "classes": list(examples.target_names),
        "seed": learners[0].seed,
        "num_seeds": len(compared),
        "x": _rounded(x),
        "y": _rounded(y),
        "predicted": guesses[0].reshape(GRID, GRID).tolist(),
        **({"agreeing": agreeing.reshape(GRID, GRID).tolist()} if len(compared) > 1 else {}),
        "points": _points(learners[0].member, examples),
    }


def _fitted_curve(plan: Plan, learners: Sequence[Learner]) -> dict[str, Any] | None:
    """Give mean and deviation over seeds of what is predicted along the one feature, for the first target."""
    examples = plan.examples
    if examples.inputs.shape[1:] != (1,):
        return None
    x = _span(examples.inputs[:, 0], CURVE)
    groups = [learners[start : start + GROUP] for start in range(0, len(learners), GROUP)]
    curves = np.concatenate([_predict(group, x[:, None])[..., 0] for group in groups])
    return {
        "feature": examples.feature_names[0],
        "target": examples.target_names[0],
        "num_seeds": len(learners),
        "seed": learners[0].seed,
        "x": _rounded(x),
        "mean": _rounded(curves.mean(0)),
        **({"std": _rounded(curves.std(0, ddof=1))} if len(learners) > 1 else {}),
        "points": _points(learners[0].member, examples),
    }


def _predictions(plan: Plan, part: str, scored: Sequence[Predicted]) -> dict[str, Any]:
    """Give true and predicted values of a part, those of all seeds in one cloud for each target."""
    targets = np.concatenate([targets for _, targets, _ in scored])
    predictions = np.concatenate([values for _, _, values in scored])
    kept = _thinned(np.arange(len(targets)))
    return {
        "part": part,
        "num_seeds": len(scored),
        "num_values": len(targets),
        "targets": [
            {"name": name, "true": _rounded(targets[kept, column]), "predicted": _rounded(predictions[kept, column])}
            for column, name in enumerate(plan.examples.target_names[:MAX_TARGETS])
        ],
    }


def _points(member: Member, examples: Examples) -> dict[str, dict[str, Any]]:
    """Give examples of the training and test part of a member: inputs by column, and the first target."""
    found = {}
    for part, indices in member.parts.named().items():
        if part != "valid":
            kept = _thinned(indices)
            targets = examples.targets[kept].reshape(len(kept), -1)[:, 0]
            found[part] = {
                "num_examples": len(indices),
                "inputs": [_rounded(column) for column in examples.inputs[kept].T],
                "targets": targets.tolist() if examples.task == "classification" else _rounded(targets),
            }
    return found


def _thinned(indices: Indices) -> Indices:
    return indices[:: -(-len(indices) // MAX_POINTS)]


def _span(values: Floats, count: int) -> Floats:
    """Give evenly spaced points over the values and a little beyond."""
    low, high = float(values.min()), float(values.max())
    margin = 0.06 * (high - low) or 0.1 * abs(high) or 1.0
    return np.linspace(low - margin, high + margin, count)


def _rounded(values: Floats) -> list[float]:
    """Round to what a figure can show: five significant digits."""
    return [float(f"{value:.5g}") for value in values.tolist()]
