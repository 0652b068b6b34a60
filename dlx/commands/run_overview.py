"""What is known of a run in a few values, for a list and for tables of several."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dlx.core.errors import RunError
from dlx.reporting.scores import RunScore, run_scores
from dlx.tracking.stored_runs import StoredRun


@dataclass(frozen=True)
class Overview:
    """A run and the numbers that it came to.

    Attributes:
        run: The run.
        scores: Its numbers, the one that counts first; none if it has no result, or a damaged one.
        seconds: How long it took; None if that is not known.
    """

    run: StoredRun
    scores: list[RunScore]
    seconds: float | None

    @classmethod
    def of(cls, run: StoredRun, faults: list[str]) -> Overview:
        """Look at a run; what cannot be read is added to the faults, a sentence each."""
        scores, seconds = list[RunScore](), None
        try:
            seconds = run.seconds
            scores = _scores(run)
        except RunError as error:
            faults.append(str(error))
        return cls(run, scores, seconds)

    def score(self, metric: str | None = None) -> RunScore | None:
        """Give the number that counts, or the first one of a metric."""
        return next((score for score in self.scores if metric in (None, score.metric)), None)

    def value(self, metric: str | None = None) -> dict[str, Any]:
        """Give the run in plain values, with the number that counts, or the first one of a metric."""
        score, (data, model) = self.score(metric), self.run.data_and_model
        return {
            "id": self.run.name,
            "path": str(self.run.path),
            "created": self.run.facts["created"],
            "command": self.run.command,
            "status": self.run.status,
            "stop_reason": self.run.facts.get("stop_reason"),
            "data": data,
            "model": model,
            "score": score and score_value(score),
            "seconds": self.seconds,
        }


def score_value(score: RunScore) -> dict[str, Any]:
    """Give a score in plain values."""
    return {"name": score.name, "value": score.value, "spread": score.spread, "text": score.text}


def _scores(run: StoredRun) -> list[RunScore]:
    if run.result is None:
        return []
    try:
        return run_scores(run.result)
    except RunError as error:
        raise RunError(f"{run.path}: {error}") from error
