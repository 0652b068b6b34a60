"""What the best weights predict, as the numbers that the figures of a training show: the value of learned.json."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch

from dlx.commands.plan import Plan
from dlx.core.types import Examples, Sums
from dlx.data.splits import Indices
from dlx.engine.evaluation import predict_members
from dlx.engine.population import Member, Population
from dlx.metrics.calibration_error import CalibrationError, reliability
from dlx.reporting.tables import mean_and_std
from dlx.statistics.classification import confusion_counts

Floats = np.ndarray[Any, np.dtype[np.float64]]
CALIBRATION_ERROR = CalibrationError()
GROUP = 64
"""Members that predict at once, at most."""
MAX_VALUES = 1 << 25
"""Input values that they read at once, at most, unless one alone reads more."""
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
    """A member that did not diverge, and its best weights, [P + Q]."""

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
        Learner(member, population.best_weights[row])
        for population in populations
        for row, (member, course) in enumerate(zip(population.members, population.courses, strict=True))
        if course.divergence is None
    ]
    part = list(plan.members[0].parts.named())[-1]
    scored = (each for each in predict_part(plan, learners, part) if np.isfinite(each.predictions).all())
    task = plan.examples.task
    figures = _of_classes(plan, part, scored) if task == "classification" else _of_values(plan, part, list(scored))
    return {name: values for name, values in figures.items() if values is not None}


def learned_text(values: dict[str, Any]) -> str:
    """Write the content of learned.json, a line per figure: long rows of numbers are not for reading line by line."""
    lines = [f"  {json.dumps(name)}: {json.dumps(each, ensure_ascii=False)}" for name, each in values.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


class Predicted(NamedTuple):
    """A member, the targets of its part, [N] or [N, C], and its predictions, [N, C]."""

    learner: Learner
    targets: Any
    predictions: Floats


def predict_part(plan: Plan, learners: Sequence[Learner], part: str) -> Iterator[Predicted]:
    """Predict a part of the data, each member its own, as many members at a time as memory is meant for."""
    examples = plan.examples
    for group in _groups(learners, plan.members[0].parts.named()[part].size * examples.inputs[0].size):
        parts = [getattr(learner.member.parts, part) for learner in group]
        is_shared = all(np.array_equal(each, parts[0]) for each in parts)
        predictions = _predict(group, examples.inputs[parts[0] if is_shared else np.stack(parts)])
        for learner, indices, values in zip(group, parts, predictions, strict=True):
            yield Predicted(learner, examples.targets[indices], values)


def _groups(learners: Sequence[Learner], num_values: int) -> Iterator[Sequence[Learner]]:
    """Cut members into groups that read so many input values each."""
    size = max(1, min(GROUP, MAX_VALUES // num_values))
    for start in range(0, len(learners), size):
        yield learners[start : start + size]


def _predict(learners: Sequence[Learner], inputs: Floats) -> Floats:
    weights = torch.stack([learner.weights for learner in learners])
    return predict_members([learner.member for learner in learners], weights, inputs)


def _of_classes(plan: Plan, part: str, scored: Iterable[Predicted]) -> dict[str, Any]:
    num_classes = len(plan.examples.target_names)
    judged = [
        (
            each.learner,
            confusion_counts(each.targets, each.predictions.argmax(1), num_classes),
            _reliability(each),
        )
        for each in scored
    ]
    if not judged:
        return {}
    learners, matrices, diagrams = map(list, zip(*judged, strict=True))
    return {
        "confusion": _confusion(plan, part, learners, matrices),
        "calibration": _calibration(part, learners, diagrams),
        "regions": _regions(plan, learners),
    }


def _reliability(of: Predicted) -> Sums:
    targets = torch.from_numpy(of.targets)
    return reliability(torch.from_numpy(of.predictions), targets, torch.ones_like(targets), CALIBRATION_ERROR.bins)


def _of_values(plan: Plan, part: str, scored: Sequence[Predicted]) -> dict[str, Any]:
    if not scored:
        return {}
    fitted = _fitted_curve(plan, [each.learner for each in scored])
    return {"fitted_curve": fitted, "predictions": _predictions(plan, part, scored)}


def _confusion(plan: Plan, part: str, learners: Sequence[Learner], matrices: Sequence[Any]) -> dict[str, Any]:
    names = plan.examples.target_names
    single = [
        {"seed": learner.seed, "counts": matrix.tolist()} for learner, matrix in zip(learners, matrices, strict=True)
    ]
    return {
        "part": part,
        "classes": list(names),
        "num_seeds": len(learners),
        "counts": sum(matrices[1:], matrices[0]).tolist(),
        **({"members": single} if len(single) * len(names) ** 2 <= MAX_COUNTS else {}),
    }


def _calibration(part: str, learners: Sequence[Learner], diagrams: Sequence[Sums]) -> dict[str, Any]:
    pooled = {name: torch.stack([diagram[name] for diagram in diagrams]).sum(0).tolist() for name in diagrams[0]}
    errors = [float(CALIBRATION_ERROR.compute(diagram)) for diagram in diagrams]
    mean, std = mean_and_std(errors)
    held = [count or None for count in pooled["count"]]
    return {
        "part": part,
        "num_seeds": len(learners),
        "edges": np.linspace(0, 1, CALIBRATION_ERROR.bins + 1).tolist(),
        "count": pooled["count"],
        "confidence": [n and each / n for n, each in zip(held, pooled["confidence"], strict=True)],
        "accuracy": [n and each / n for n, each in zip(held, pooled["correct"], strict=True)],
        "expected_calibration_error": {"mean": mean, "std": std},
        "members": [
            {"seed": learner.seed, "expected_calibration_error": error}
            for learner, error in zip(learners, errors, strict=True)
        ],
    }


def _regions(plan: Plan, learners: Sequence[Learner]) -> dict[str, Any] | None:
    """Give the class that the first seed predicts at each point of a grid, and how many seeds agree with it."""
    examples, compared = plan.examples, learners[:MAX_SEEDS]
    if examples.inputs.shape[1:] != (2,) or examples.has_missing:
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
    curves = np.concatenate([_predict(group, x[:, None])[..., 0] for group in _groups(learners, CURVE)])
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
    targets = np.concatenate([each.targets for each in scored])
    predictions = np.concatenate([each.predictions for each in scored])
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
