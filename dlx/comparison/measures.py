"""What is measured of the runs of one setting of an optimizer, over the same fresh seeds as those of every other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dlx.search.journal import Line
from dlx.statistics.paired import median_interval

Floats = np.ndarray[Any, np.dtype[np.float64]]
SMALLEST_LOSS = 1e-12
"""Losses below it count as it, where the logarithm of a loss is averaged."""
QUARTILES = (25, 75)


@dataclass(frozen=True)
class Runs:
    """What the runs of an optimizer came to, a number for each seed; with several searches the median over theirs.

    Attributes:
        loss: The loss that is judged; infinite where a run failed.
        final: Loss after the last epoch; infinite where the run diverged.
        best: Loss after the best epoch.
        steps_to_target: Steps until the loss was at or below the target, at the end of an epoch; infinite if never.
        area: Mean over the steps of the logarithm of the loss (of the loss itself, where it may be negative).
        test: Scores on the test part with the weights of the best validation epoch, by name; NaN where there are none.
        num_diverged: Runs that diverged, of all.
        num_runs: Runs, of all searches.
    """

    loss: Floats
    final: Floats
    best: Floats
    steps_to_target: Floats
    area: Floats
    test: Mapping[str, Floats]
    num_diverged: int
    num_runs: int

    def to_json(self) -> dict[str, Any]:
        """Give the content of result.json: each measure with its median, quartiles and values by seed."""
        by_name = {
            "loss": self.loss,
            "final": self.final,
            "best": self.best,
            "steps_to_target": self.steps_to_target,
            "area": self.area,
        }
        return {
            **{name: summary(values) for name, values in by_name.items()},
            "test": {name: summary(values) for name, values in self.test.items()},
            "reached": float(np.isfinite(self.steps_to_target).mean()),
            "num_diverged": self.num_diverged,
            "num_runs": self.num_runs,
        }


def summary(values: Floats) -> dict[str, Any]:
    """Give median, its bootstrap interval, quartiles and the values themselves; nothing but these where any is NaN."""
    if np.isnan(values).any():
        return {"median": None, "interval": None, "quartiles": None, "values": values.tolist()}
    median, low, high = median_interval(values)
    quartiles = np.percentile(values, QUARTILES, method="inverted_cdf").tolist()
    return {"median": median, "interval": [low, high], "quartiles": quartiles, "values": values.tolist()}


def measure(
    lines: Sequence[Sequence[Line]], losses: Floats, part: str, untrained: Floats, target: float, is_log: bool
) -> Runs:
    """Measure the runs of an optimizer.

    Args:
        lines: Lines of its cells, for each search by seed.
        losses: The loss that is judged of each, [searches, seeds].
        part: Whose curve is looked at.
        untrained: Loss of the initial weights of each seed.
        target: Loss that is to be reached.
        is_log: Whether losses are averaged as logarithms: those of a loss that is never negative.
    """

    def over_searches(function: Any) -> Floats:
        found: Floats = np.median(
            [[function(*each) for each in zip(row, untrained, strict=True)] for row in lines], axis=0
        )
        return found

    def curve(line: Line) -> list[float]:
        return [] if line["stop_reason"] == "diverged" else line["curve"][part]

    names = dict.fromkeys(name for row in lines for line in row for name in line.get("test", {}))
    return Runs(
        loss=np.median(losses, axis=0),
        final=over_searches(lambda line, _: curve(line)[-1] if curve(line) else np.inf),
        best=over_searches(lambda line, _: min(curve(line), default=np.inf)),
        steps_to_target=over_searches(lambda line, _: steps_to(target, curve(line), line)),
        area=over_searches(lambda line, before: area([before, *curve(line)], is_log) if curve(line) else np.inf),
        test={name: over_searches(lambda line, _, name=name: _test_score(line, name)) for name in names},
        num_diverged=sum(line["stop_reason"] == "diverged" for row in lines for line in row),
        num_runs=sum(map(len, lines)),
    )


def steps_to(target: float, curve: Sequence[float], line: Line) -> float:
    """Give the steps after which the loss was first at or below the target; infinite if it never was.

    A target of infinity is none, as where the reference itself failed: nothing reaches it.
    """
    if target == np.inf:
        return np.inf
    epoch = next((epoch for epoch, loss in enumerate(curve, 1) if loss <= target), None)
    return np.inf if epoch is None else epoch * line["num_steps"] / line["last_epoch"]


def area(curve: Sequence[float], is_log: bool) -> float:
    """Average a curve over its steps by the trapezoidal rule, its points evenly spaced."""
    values = np.log(np.maximum(curve, SMALLEST_LOSS)) if is_log else np.asarray(curve)
    return float((values[1:] + values[:-1]).mean() / 2)


def _test_score(line: Line, name: str) -> float:
    found = line.get("test", {}).get(name)
    return np.nan if found is None else float(found)
