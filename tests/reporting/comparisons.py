"""Results, cells and timings as `dlx compare-optimizers` leaves them, of races whose runs follow a simple law.

The loss of a run falls from that of its initial weights to one that depends on the learning rate alone, times what its
seed does to every arm alike, times a little noise; far above its best rate an arm diverges. What is measured of the
runs, and judged, is so by dlx itself.
"""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dlx.comparison.measures import measure
from dlx.comparison.summary import summarise_problems
from dlx.comparison.verdict import better_matrix, can_show, verdicts
from dlx.statistics.paired import expected_best
from dlx.tracking.files import finite

Line = dict[str, Any]
Leavings = tuple[dict[str, Any], list[Line], dict[str, Any]]
"""Result, cells and timing."""
UNTRAINED = 2.3


@dataclass(frozen=True)
class Racer:
    """An optimizer.

    Attributes:
        name: What it is called.
        best_lr: Its best learning rate.
        level: Its loss at that rate.
        low: Lower end of its range of rates.
        high: Upper end.
        default_lr: Its rate as the config has it.
        fails_above: Multiple of the best rate above which it diverges; 0: it always does.
        bad_seeds: Fresh seeds, by position, with which it diverges although tuned.
        noise: Standard deviation of the logarithm of its losses.
        seconds: Seconds of a step.
        gradients: Gradients of a step.
        speed: How fast its loss falls.
        is_tuned: Whether it has anything to be tuned.
        more: Whether its `momentum` is tuned, too, as 1 - momentum.
    """

    name: str
    best_lr: float = 0.1
    level: float = 0.14
    low: float = 1e-4
    high: float = 10.0
    default_lr: float = 0.01
    fails_above: float = 30.0
    bad_seeds: tuple[int, ...] = ()
    noise: float = 0.02
    seconds: float = 3e-4
    gradients: float = 1.0
    speed: float = 5.0
    is_tuned: bool = True
    more: bool = False

    def space(self) -> list[dict[str, Any]]:
        if not self.is_tuned:
            return []
        rate = {"key": "lr", "low": self.low, "high": self.high, "is_complement": False}
        return [rate, *([{"key": "momentum", "low": 0.5, "high": 0.995, "is_complement": True}] if self.more else [])]

    def values(self, rate: float, momentum: float = 0.9) -> dict[str, Any]:
        own = {"name": self.name, **({"lr": rate} if self.is_tuned else {})}
        return {**own, "momentum": momentum} if self.more else own

    def loss(self, rate: float) -> float:
        """Final loss at a rate; infinite where it diverges."""
        if rate > self.fails_above * self.best_lr:
            return math.inf
        return min(self.level + 0.3 * math.log10(rate / self.best_lr) ** 2, UNTRAINED + 0.2)


@dataclass(frozen=True)
class Law:
    """What holds for all arms of a race."""

    name: str = "digits"
    reference: str = "momentum"
    num_seeds: int = 10
    num_tuning_seeds: int = 2
    num_trials: int = 16
    num_studies: int = 1
    epochs: int = 15
    steps_per_epoch: int = 20
    part: str = "valid"
    is_log: bool = True
    scale: float = 1.0
    shift: float = 0.0

    @property
    def tuning_seeds(self) -> range:
        return range(self.num_tuning_seeds)

    @property
    def seeds(self) -> range:
        return range(self.num_tuning_seeds, self.num_tuning_seeds + self.num_seeds)

    def untrained(self, seed: int) -> float:
        return self.scale * UNTRAINED * (1 + 0.01 * math.sin(seed)) + self.shift

    def line(self, racer: Racer, trial: int, seed: int, values: dict[str, Any]) -> Line:
        rng = np.random.default_rng((trial, seed))
        final = racer.loss(values.get("lr", racer.best_lr))
        line = {
            "id": f"{trial:08x}{seed:08x}",
            "values": {"optimizer": values},
            "trial": trial,
            "seed": seed,
            "epochs": self.epochs,
            "num_parameters": 6570,
            "num_train": 1258,
            "num_valid": 180,
            "num_test": 359,
        }
        if math.isinf(final) or seed in [self.seeds[place] for place in racer.bad_seeds]:
            return {**line, "stop_reason": "diverged", "last_epoch": 3, "num_steps": 3 * self.steps_per_epoch}
        final *= math.exp(0.06 * math.cos(3 * seed) + racer.noise * rng.standard_normal())
        final = self.scale * final + self.shift
        time = np.arange(1, self.epochs + 1) / self.epochs
        share = (np.exp(-racer.speed * time) - math.exp(-racer.speed)) / (1 - math.exp(-racer.speed))
        valid = final + (self.untrained(seed) - final) * share
        accuracy = float(np.clip(1 - 0.15 * (final - self.shift) / self.scale, 0, 1))
        return {
            **line,
            "stop_reason": "max_epochs",
            "last_epoch": self.epochs,
            "num_steps": self.epochs * self.steps_per_epoch,
            "best_epoch": int(valid.argmin()) + 1,
            "train": {"loss": final, "accuracy": accuracy},
            "valid": {"loss": final, "accuracy": accuracy},
            "test": {"loss": 1.1 * final, "accuracy": accuracy},
            "curve": {"train": (valid - 0.01 * self.scale).tolist(), "valid": valid.tolist()},
        }

    def outcome(self, line: Line) -> float:
        return math.inf if line["stop_reason"] == "diverged" else float(line["curve"][self.part][-1])


class Race:
    """A race that is run at once.

    Args:
        racers: Who takes part.
        law: How it is run.
    """

    def __init__(self, racers: Sequence[Racer], law: Law) -> None:
        self.racers, self.law = racers, law
        self.lines: dict[tuple[int, int], Line] = {}
        self.values: list[dict[str, Any]] = [racer.values(racer.default_lr) for racer in racers]
        for number, racer in enumerate(racers):
            self._run(racer, number, law.seeds)
        self.searches = [[self._search(racer, study) for study in range(law.num_studies)] for racer in racers]
        for racer, searches in zip(racers, self.searches, strict=True):
            for search in searches:
                if search["best"] is not None:
                    self._run(racer, search["best"], law.seeds)

    def leavings(self) -> Leavings:
        """Give result, cells and timing."""
        law = self.law
        best = [[search["best"] for search in searches] for searches in self.searches]
        tuned = {
            racer.name: self._measure(own, target)
            for target in [self._target()]
            for racer, own in zip(self.racers, best, strict=True)
            if None not in own
        }
        others = [name for name in tuned if name != law.reference] if law.reference in tuned else []
        found = verdicts([tuned[name].loss for name in others], tuned[law.reference].loss) if others else []
        said = dict(zip(others, found, strict=True))
        result = {
            "schema": 1,
            "command": "compare-optimizers",
            "kind": "model",
            "name": law.name,
            "status": "done" if tuned else "diverged",
            "loss": "cross_entropy",
            "metrics": ["accuracy"],
            "judged": {"part": law.part, "score": "final", "is_log": law.is_log},
            "protocol": self._protocol(),
            "reference": law.reference,
            "can_show": can_show(law.num_seeds, max(1, len(others))),
            "target": self._target(),
            "untrained": {str(seed): law.untrained(seed) for seed in (*law.tuning_seeds, *law.seeds)},
            "arms": [self._arm(number, tuned.get(racer.name), said) for number, racer in enumerate(self.racers)],
            "better": {"arms": list(tuned), "shares": better_matrix([each.loss for each in tuned.values()])},
        }
        timing = {"seconds": 84.1, "seconds_per_step": {racer.name: racer.seconds for racer in self.racers}}
        return dict(finite(result)), list(self.lines.values()), timing

    def _run(self, racer: Racer, trial: int, seeds: Sequence[int]) -> None:
        for seed in seeds:
            self.lines[trial, seed] = self.law.line(racer, trial, seed, self.values[trial])

    def _search(self, racer: Racer, study: int) -> dict[str, Any]:
        count = self.law.num_trials if racer.is_tuned else 1
        places = (np.arange(count) * 0.6180339887 + 0.17 * study + 0.05) % 1
        numbers = [len(self.values) + place for place in range(count)]
        for place in places:
            rate = float(f"{racer.low * (racer.high / racer.low) ** place:.6g}")
            self.values.append(racer.values(rate, round(1 - 0.005 * 100**place, 6)))
        for number in numbers:
            self._run(racer, number, self.law.tuning_seeds)
        losses = [[self.law.outcome(self.lines[number, seed]) for seed in self.law.tuning_seeds] for number in numbers]
        means = np.mean(losses, axis=1)
        best = int(means.argmin())
        edge = racer.is_tuned and ("low" if places[best] < 0.1 else "high" if places[best] > 0.9 else None)
        return {
            "trials": [
                {"trial": number, "values": self.values[number], "loss": float(mean), "losses": own}
                for number, mean, own in zip(numbers, means, losses, strict=True)
            ],
            "best": numbers[best] if math.isfinite(means[best]) else None,
            "space": racer.space(),
            "edges": {"lr": edge} if edge and math.isfinite(means[best]) else {},
        }

    def _measure(self, trials: Sequence[int], target: float) -> Any:
        lines = [[self.lines[trial, seed] for seed in self.law.seeds] for trial in trials]
        losses = np.array([[self.law.outcome(line) for line in row] for row in lines])
        untrained = np.array([self.law.untrained(seed) for seed in self.law.seeds])
        return measure(lines, losses, self.law.part, untrained, target, self.law.is_log)

    def _target(self) -> float:
        number = next(place for place, racer in enumerate(self.racers) if racer.name == self.law.reference)
        found = [search["best"] for search in self.searches[number] if search["best"] is not None]
        return float(np.sort(self._measure(found or [number], -math.inf).best)[self.law.num_seeds // 2])

    def _protocol(self) -> dict[str, Any]:
        law = self.law
        return {
            "name": "default",
            "trials": law.num_trials,
            "tuning_seeds": list(law.tuning_seeds),
            "seeds": list(law.seeds),
            "studies": law.num_studies,
            "num_trials": max(len(search["trials"]) for searches in self.searches for search in searches),
            "epochs": law.epochs,
            "steps_per_epoch": law.steps_per_epoch,
            "num_parameters": 6570,
            "num_train": 1258,
            "num_valid": 180,
            "num_test": 359,
            "split": "redrawn",
            "num_runs": len(self.lines),
        }

    def _arm(self, number: int, tuned: Any, said: dict[str, Any]) -> dict[str, Any]:
        racer, searches, law = self.racers[number], self.searches[number], self.law
        trials = [trial for search in searches for trial in search["trials"]]
        before = float(np.mean([law.untrained(seed) for seed in law.tuning_seeds]))
        curves = [expected_best([min(t["loss"], before) for t in search["trials"]]) for search in searches]
        best = min(trial["loss"] for trial in trials)
        good = [trial["values"] for trial in trials if trial["loss"] <= best + 0.1 * abs(best) < math.inf]
        rates = [values["lr"] for values in good if "lr" in values]
        key = "lr" if rates else None
        return {
            "name": racer.name,
            "optimizer": self.values[number],
            "space": racer.space(),
            "searches": searches,
            "at_edge": sorted({key for search in searches for key in search["edges"]}),
            "expected_best": np.mean(curves, axis=0).tolist(),
            "good": {"share": len(good) / len(trials), "key": key, "low": min(rates, default=None),
                     "high": max(rates, default=None)},
            "failed_share": float(np.mean([math.isinf(loss) for trial in trials for loss in trial["losses"]])),
            "tuned": tuned and tuned.to_json(),
            "untuned": {"trial": number, **self._measure([number], self._target()).to_json()},
            "verdict": said[racer.name].to_json() if racer.name in said else None,
            "num_steps": law.epochs * law.steps_per_epoch,
            "gradients_per_step": racer.gradients,
        }  # fmt: skip


def raced(racers: Sequence[Racer], **settings: Any) -> Leavings:
    """Run a race.

    Args:
        racers: Who takes part.
        settings: Those of ``Law``.
    """
    return Race(racers, Law(**settings)).leavings()


SGD = Racer("sgd", best_lr=0.4, level=0.145, speed=3.5)
MOMENTUM = Racer("momentum", best_lr=0.05, level=0.14, more=True)
ADAM = Racer("adam", best_lr=0.004, level=0.125, low=1e-5, high=1.0, default_lr=1e-3, speed=7)
LBFGS = Racer("lbfgs", best_lr=0.8, level=0.3, noise=0.3, seconds=3.7e-3, gradients=12.5, default_lr=1.0, speed=12)
FOUR = (SGD, MOMENTUM, ADAM, LBFGS)
SIX = (
    SGD,
    MOMENTUM,
    replace(MOMENTUM, name="nesterov", level=0.139, speed=6),
    replace(SGD, name="adagrad", level=0.17, best_lr=5.0, fails_above=10),
    replace(ADAM, name="rmsprop", level=0.135, best_lr=0.002),
    ADAM,
)
TWELVE = (
    *SIX,
    replace(ADAM, name="torch NAdam", level=0.124),
    replace(ADAM, name="adam lr=0.003", level=0.126, is_tuned=False),
    replace(SGD, name="adagrad delta=1e-10 weight_decay=1e-4", level=0.2),
    replace(ADAM, name="torch AdamW", level=0.13, noise=0.05),
    replace(ADAM, name="torch RAdam", level=0.15, speed=4),
    LBFGS,
)
FAILING = (
    replace(MOMENTUM, bad_seeds=(3,)),
    replace(SGD, fails_above=0.0),
    replace(ADAM, bad_seeds=(0, 1, 2, 3, 5, 8)),
    replace(ADAM, name="rmsprop", bad_seeds=(4,), level=0.3, fails_above=2.0),
)


def _many(count: int) -> dict[str, Any]:
    names = ["digits", "wine", "iris", "moons", "diabetes", "a problem with a long name"]
    levels = np.random.default_rng(3).uniform(0.7, 1.4, (count, len(SIX)))
    speeds = np.random.default_rng(4).uniform(3, 9, (count, len(SIX)))
    problems = [
        raced([replace(r, level=r.level * k, speed=s, noise=0.05) for r, k, s in zip(SIX, own, fast, strict=True)],
              name=name, num_trials=8, num_seeds=5)[0]
        for name, own, fast in zip(names, levels, speeds, strict=False)
    ]  # fmt: skip
    return dict(finite(summarise_problems(problems)))


_RACES: dict[str, Callable[[], Leavings]] = {
    "one": lambda: raced([MOMENTUM]),
    "four": lambda: raced(FOUR, num_trials=20),
    "six": lambda: raced(SIX),
    "twelve": lambda: raced(TWELVE, name="a $name$ of a problem that goes on and on"),
    "one fixed": lambda: raced(
        (MOMENTUM, replace(ADAM, name="adam lr=0.003", is_tuned=False)), num_trials=4, num_seeds=3
    ),
    "failing": lambda: raced(FAILING),
    "reference failed": lambda: raced((SGD, replace(MOMENTUM, fails_above=0.0), ADAM), num_trials=4),
    "all failed": lambda: raced([replace(each, fails_above=0.0) for each in FOUR], num_trials=3),
    "two seeds": lambda: raced(FOUR, num_seeds=2, num_tuning_seeds=1, num_trials=7),
    "one seed": lambda: raced((SGD, MOMENTUM), num_seeds=1, num_trials=4),
    "studies": lambda: raced(FOUR[:3], num_studies=3, num_trials=8, part="train"),
    "negative": lambda: raced(FOUR[:3], is_log=False, scale=10.0, shift=-4.0),
    "huge": lambda: raced(FOUR[:3], scale=1e5),
    "equal": lambda: raced([MOMENTUM, replace(MOMENTUM, name="momentum again")]),
    "edges": lambda: raced((MOMENTUM, replace(SGD, best_lr=20.0), replace(ADAM, best_lr=5e-6)), num_trials=8),
    "tiny": lambda: raced((SGD, MOMENTUM, replace(ADAM, level=3e-9)), scale=1e-3),
}
CASES = tuple(_RACES)
"""The races there are."""


@functools.cache
def _run(case: str) -> Leavings:
    return _RACES[case]()


@functools.cache
def _run_many(count: int) -> dict[str, Any]:
    return _many(count)


def leavings(case: str) -> Leavings:
    """Give result, cells and timing of a case, which may be changed."""
    return copy.deepcopy(_run(case))


def problems(count: int) -> dict[str, Any]:
    """Give the result of so many problems, 2 to 6: profiles from 4 on, tests from 5 on; it may be changed."""
    return copy.deepcopy(_run_many(count))
