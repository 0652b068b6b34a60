"""What a race came to: the content of result.json."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dlx.comparison.measures import Runs, measure
from dlx.comparison.protocol import Arm, Race
from dlx.comparison.tuning import Axis
from dlx.comparison.verdict import Verdict, better_matrix, can_show, verdicts
from dlx.core.settings import Split
from dlx.data.batches import num_steps
from dlx.statistics.paired import expected_best

GOOD = 0.1
"""Trials whose loss is higher than that of the best by at most this share of it are as good."""


def judge(race: Race, gradients: Mapping[str, float]) -> dict[str, Any]:
    """Judge a race that is over.

    Args:
        race: The race.
        gradients: Mean number of gradients of a step of each arm, by its name.

    Returns:
        The value of result.json: no clock values, so a repeated comparison gives the same.
    """
    contest = race.contest
    judge_of = _Judge(race)
    tuned = {arm.name: judge_of.tuned(arm) for arm in race.arms}
    runs = {name: each for name, each in tuned.items() if each is not None}
    found = _verdicts(runs, contest.reference)
    arms = [
        {**judge_of.arm(arm, tuned[arm.name], found.get(arm.name)), "gradients_per_step": gradients[arm.name]}
        for arm in race.arms
    ]
    return {
        "schema": 1,
        "command": "compare-optimizers",
        "kind": "model",
        "name": contest.experiment.name,
        "status": "done" if runs else "diverged",
        "loss": contest.experiment.loss.name,
        "metrics": [metric.name for metric in contest.experiment.metrics],
        "judged": {"part": contest.compare.part, "score": contest.compare.score, "is_log": judge_of.is_log},
        "protocol": _protocol(race),
        "reference": contest.reference,
        "can_show": can_show(len(contest.seeds), max(1, len(found))),
        "target": judge_of.target,
        "untrained": {str(seed): loss for seed, loss in race.untrained.items()},
        "arms": arms,
        "better": {"arms": list(runs), "shares": better_matrix([each.loss for each in runs.values()])},
    }


def _verdicts(runs: dict[str, Runs], reference: str) -> dict[str, Verdict]:
    """Compare every optimizer that came through with the reference, if that did."""
    others = {name: each.loss for name, each in runs.items() if name != reference}
    if reference not in runs or not others:
        return {}
    return dict(zip(others, verdicts(list(others.values()), runs[reference].loss), strict=True))


def _protocol(race: Race) -> dict[str, Any]:
    contest = race.contest
    num_trials = max(len(search.trials) for arm in race.arms for search in arm.searches)
    line = race.line(race.arms[0].untuned, contest.seeds[0])
    training = contest.experiment.training
    return {
        "name": contest.compare.protocol,
        **contest.budget._asdict(),
        "num_trials": num_trials,
        "tuning_seeds": list(contest.tuning_seeds),
        "seeds": list(contest.seeds),
        "epochs": training.epochs,
        "steps_per_epoch": num_steps(line["num_train"], training.examples_per_step(line["num_train"])),
        "num_parameters": line["num_parameters"],
        "num_train": line["num_train"],
        "num_valid": line["num_valid"],
        "num_test": line["num_test"],
        "split": _split_kind(contest.experiment.data.split),
        "num_runs": race.num_cells,
    }


def _split_kind(split: Split) -> str:
    """Say whether each seed has a split of its own; a time series has but one."""
    return "redrawn" if split.seed is None else "ordered" if split.time_series else "fixed"


class _Judge:
    """Measures the arms of a race."""

    def __init__(self, race: Race) -> None:
        self._race, self._contest = race, race.contest
        self.is_log = self._contest.experiment.loss.is_nonnegative
        self._untrained = np.array([race.untrained[seed] for seed in self._contest.seeds])
        self.target = self._find_target()
        protocol = _protocol(race)
        self._num_steps = protocol["epochs"] * protocol["steps_per_epoch"]  # also where a run ended early

    def tuned(self, arm: Arm) -> Runs | None:
        """Measure the best settings of an arm; None where a search found none."""
        best = [self._race.best(search) for search in arm.searches]
        found = [number for number in best if number is not None]
        return self._measure(found) if len(found) == len(best) else None

    def arm(self, arm: Arm, tuned: Runs | None, verdict: Verdict | None) -> dict[str, Any]:
        """Tell all that is known of an arm."""
        searches = [self._search(arm, number) for number in range(len(arm.searches))]
        return {
            "name": arm.name,
            "optimizer": arm.optimizer.model_dump(mode="json"),
            "space": _space([search.tuning.axes for search in arm.searches]),
            "searches": searches,
            "at_edge": sorted({key for search in searches for key in search["edges"]}),
            "expected_best": np.mean([self._expected_best(search.trials) for search in arm.searches], 0).tolist(),
            "good": self._good(arm),
            "failed_share": float(np.mean([self._failed_share(search.trials) for search in arm.searches])),
            "tuned": None if tuned is None else tuned.to_json(),
            "untuned": {"trial": arm.untuned, **self._measure([arm.untuned]).to_json()},
            "verdict": None if verdict is None else verdict.to_json(),
            "num_steps": self._num_steps,
        }

    def _find_target(self) -> float:
        """Take a loss that the reference reaches with more than half of the seeds: the upper median of its lowest ones.

        It is that of the tuned reference or, if tuning failed, of the untuned one.
        """
        reference = next(arm for arm in self._race.arms if arm.name == self._contest.reference)
        best = [self._race.best(search) for search in reference.searches]
        found = [number for number in best if number is not None] or [reference.untuned]
        by_search = np.sort([self._measure([number], target=-math.inf).best for number in found], axis=0)
        best_losses = np.sort(by_search[len(found) // 2])  # of two searches both must arrive for a finite median
        return float(best_losses[len(best_losses) // 2])

    def _measure(self, trials: Sequence[int], target: float | None = None) -> Runs:
        race, seeds = self._race, self._contest.seeds
        return measure(
            [[race.line(trial, seed) for seed in seeds] for trial in trials],
            np.array([[race.outcome(trial, seed) for seed in seeds] for trial in trials]),
            self._contest.compare.part,
            self._untrained,
            self.target if target is None else target,
            self.is_log,
        )

    def _search(self, arm: Arm, number: int) -> dict[str, Any]:
        race, search = self._race, arm.searches[number]
        seeds = self._contest.tuning_seeds
        return {
            "trials": [
                {
                    "trial": trial,
                    "values": race.values(trial),
                    "loss": race.score(trial),
                    "losses": [race.outcome(trial, seed) for seed in seeds],
                }
                for trial in search.trials
            ],
            "best": race.best(search),
            "space": [_range(axis) for axis in search.tuning.axes],
            "edges": search.tuning.edges,
        }

    def _expected_best(self, trials: Sequence[int]) -> Any:
        """Give the expected loss of the best of k trials; one that is worse than no training counts as that."""
        seeds = self._contest.tuning_seeds
        untrained = float(np.mean([self._race.untrained[seed] for seed in seeds]))
        return expected_best([min(self._race.score(trial), untrained) for trial in trials])

    def _good(self, arm: Arm) -> dict[str, Any]:
        """Tell how many trials are nearly as good as the best, and from where to where their learning rates reach."""
        race = self._race
        trials = [trial for search in arm.searches for trial in search.trials]
        best = min(map(race.score, trials))
        if not math.isfinite(best):
            return {"share": 0.0, "key": None, "low": None, "high": None}
        good = [trial for trial in trials if race.score(trial) <= best + GOOD * abs(best)]
        key = next((axis.key for axis in arm.searches[0].tuning.axes), None)
        values: list[Any] = [race.values(trial)[key] for trial in good] if key else [None]
        return {"share": len(good) / len(trials), "key": key, "low": min(values), "high": max(values)}

    def _failed_share(self, trials: Sequence[int]) -> float:
        seeds = self._contest.tuning_seeds
        return float(np.mean([math.isinf(self._race.outcome(trial, seed)) for trial in trials for seed in seeds]))


def _range(axis: Axis) -> dict[str, Any]:
    low, high = axis.bounds
    return {"key": axis.key, "low": low, "high": high, "is_complement": axis.searched.is_complement}


def _space(searches: Sequence[Sequence[Axis]]) -> list[dict[str, Any]]:
    """Give the ranges that all searches of an arm together cover."""
    ranges = [[_range(axis) for axis in axes] for axes in zip(*searches, strict=True)]
    return [
        {**each[0], "low": min(one["low"] for one in each), "high": max(one["high"] for one in each)} for each in ranges
    ]
