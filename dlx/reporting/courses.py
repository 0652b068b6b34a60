"""The scores of each member over its epochs, read from the lines of metrics.jsonl, and their mean over members."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dlx.reporting.tables import is_number

Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass
class Course:
    """The scores of one member over its epochs.

    Attributes:
        seed: Its seed.
        epochs: Numbers of its epochs that have scores.
        scores: Values in those epochs by part and score; NaN where one is not defined.
        end: Its last epoch, with scores or not.
        is_diverged: Whether it diverged there.
    """

    seed: int
    epochs: list[int] = field(default_factory=list)
    scores: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    end: int = 0
    is_diverged: bool = False

    def values(self, part: str, score: str) -> Floats:
        """Give a score at ``epochs``, all NaN where there is no such part."""
        return np.array(self.scores.get((part, score), [math.nan] * len(self.epochs)), dtype=np.float64)


def read_courses(epochs: Iterable[dict[str, Any]]) -> list[Course]:
    """Turn lines of metrics.jsonl into one course per member, in the order of their seeds."""
    courses: dict[tuple[int, int, int], Course] = {}
    for line in epochs:
        for record in line["members"]:
            key = record["seed"], record.get("repeat", 0), record.get("fold", 0)
            course = courses.setdefault(key, Course(record["seed"]))
            course.end = line["epoch"]
            course.is_diverged = record.get("stop_reason") == "diverged"
            _add_scores(course, line["epoch"], record)
    return [courses[key] for key in sorted(courses)]


def _add_scores(course: Course, epoch: int, record: dict[str, Any]) -> None:
    found = {(part, name): value for part in ("train", "valid") for name, value in (record.get(part) or {}).items()}
    if not found:
        return
    for key in {**course.scores, **found}:
        value = found.get(key)
        past = course.scores.setdefault(key, [math.nan] * len(course.epochs))
        past.append(float(value) if value is not None and is_number(value) else math.nan)
    course.epochs.append(epoch)


def common_epochs(courses: Sequence[Course]) -> list[int]:
    """Give the epochs that every course has scores of, in order."""
    sets = [set(course.epochs) for course in courses]
    return sorted(set.intersection(*sets)) if sets else []


def mean_and_band(courses: Sequence[Course], part: str, score: str) -> tuple[list[int], Floats, Floats]:
    """Average courses over the epochs that all of them have.

    Args:
        courses: Two or more.
        part: Train or valid.
        score: Loss or a metric.

    Returns:
        Epochs, means, and standard deviations (n - 1 in their denominator), in the score's unit.
    """
    epochs = common_epochs(courses)
    rows = []
    for course in courses:
        at = dict(zip(course.epochs, course.values(part, score), strict=True))
        rows.append([at[epoch] for epoch in epochs])
    values = np.array(rows, dtype=np.float64)
    return epochs, values.mean(axis=0), values.std(axis=0, ddof=1)
