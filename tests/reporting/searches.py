"""Cells and results as `dlx cv` writes them, made by a small model of a search whose numbers fit together."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

Values = dict[str, Any]


def grid(space: Mapping[str, Sequence[Any]]) -> list[Values]:
    return [dict(zip(space, point, strict=True)) for point in itertools.product(*space.values())]


def random_values(space: Mapping[str, Any], count: int, seed: int = 0) -> list[Values]:
    """Draw values from lists and ranges."""
    rng = np.random.default_rng(seed)

    def draw(how: Any) -> Any:
        if isinstance(how, Mapping):
            if how["log"]:
                return float(np.exp(rng.uniform(np.log(how["low"]), np.log(how["high"]))))
            return float(rng.uniform(how["low"], how["high"]))
        return how[int(rng.integers(len(how)))]

    return [{key: draw(how) for key, how in space.items()} for _ in range(count)]


def searched(
    space: Mapping[str, Any],
    points: Sequence[Values],
    level: Callable[[Values], float] = lambda values: 0.9,
    *,
    score: str = "accuracy",
    higher: bool = True,
    noise: float = 0.01,
    gap: float = 0.02,
    folds: int = 5,
    repeats: int = 1,
    seeds: Sequence[int] = (0,),
    dropped: Mapping[int, int] | None = None,
    diverged: Mapping[int, int] | None = None,
    invalid: Mapping[int, str] | None = None,
    outer: bool = False,
    length: int = 20,
    name: str = "digits",
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Make a result and its cells.

    Args:
        space: Lists and ranges by key.
        points: Values of each trial.
        level: Expected held-out score of values.
        score: Name of the score; ``loss`` for the loss.
        higher: Whether a higher score is better.
        noise: Standard deviation of a cell's score.
        gap: How much better the training score is.
        folds: Number of folds; more than 100 are taken for leave-one-out.
        repeats: Repetitions of the folds.
        seeds: Seeds in each fold.
        dropped: Epochs after which trials were dropped, by trial.
        diverged: Number of diverged cells, by trial.
        invalid: Reason, by trial.
        outer: Whether the estimate is nested.
        length: Epochs of the full budget.
        name: Name of the experiment.
    """
    dropped, diverged, invalid = dropped or {}, diverged or {}, invalid or {}
    rng = np.random.default_rng(7)
    sign = 1 if higher else -1
    cells: list[dict[str, Any]] = []
    trials: list[dict[str, Any]] = []
    for number, values in enumerate(points):
        if number in invalid:
            trials.append({"trial": number, "values": values, "status": "invalid", "reason": invalid[number]})
            continue
        epochs = dropped.get(number, length)
        own = [
            cell(number, seed, repeat, fold, epochs, rng)
            for repeat, fold, seed in itertools.product(range(repeats), range(folds), seeds)
        ]
        for place, each in enumerate(own):
            if place < diverged.get(number, 0):
                diverge(each)
            else:
                score_cell(each, score, level(values), noise, sign * gap, rng)
        cells += own
        trials.append(summed_up(number, values, own, score, folds))
        if number in dropped:
            trials[-1]["status"] = "dropped"
    rank(trials, sign)
    selection, estimate = judged(trials, sign, score, outer)
    metrics = [] if score == "loss" else [score]
    refit = {"epochs": 17, "seed": 0, "train": {"loss": 0.1, **dict.fromkeys(metrics, 0.99)}}
    result = {
        "schema": 1,
        "command": "cv",
        "name": name,
        "status": "diverged" if selection["best"] is None else "done",
        "loss": "cross_entropy",
        "metrics": metrics,
        "score": {"name": score, "higher_is_better": higher},
        "folds": {
            "kind": "leave-one-out" if folds > 100 else f"stratified {folds}-fold",
            "num_folds": folds,
            "repeats": repeats,
            "seeds": list(seeds),
            "nested": outer,
            "pooled": folds > 100,
            "num_train": 1797 * (folds - 1) / folds,
            "num_test": 1797 / folds,
        },
        "search": {
            "method": "grid",
            "budget": "halving" if dropped else "full",
            "space": dict(space),
            "num_trials": len(trials),
        },
        "trials": trials,
        "selection": selection,
        "estimate": estimate,
        "refit": None if selection["chosen"] is None else refit,
    }
    return result, cells


def diverge(each: dict[str, Any]) -> None:
    for key in ("train", "valid", "test", "curve"):
        del each[key]
    each |= {"stop_reason": "diverged", "first_nonfinite_step": 14, "last_finite_loss": 1e30}


def score_cell(
    each: dict[str, Any], score: str, level: float, noise: float, gap: float, rng: np.random.Generator
) -> None:
    """Give a cell its scores; held-out and training ones have most of their noise in common."""
    if score == "loss":
        held_out = level * float(np.exp(noise * rng.standard_normal()))
        for part, factor in (("train", 1 + gap), ("valid", 1.0), ("test", 1.0)):
            each[part]["loss"] = held_out * factor
        return
    held_out = level + noise * float(rng.standard_normal())
    training = held_out + gap + 0.1 * noise * float(rng.standard_normal())
    for part, value in (("train", training), ("valid", held_out), ("test", held_out)):
        each[part][score] = min(value, 1.0) if "accuracy" in score else value


def cell(trial: int, seed: int, repeat: int, fold: int, epochs: int, rng: np.random.Generator) -> dict[str, Any]:
    """A cell whose training loss falls, whose validation loss rises again at its end."""
    last = max(1, epochs - int(rng.integers(0, 1 + epochs // 3)))
    time = np.arange(1, last + 1)
    train = 2.3 * np.exp(-time / 5) * (1 + 0.05 * rng.standard_normal(last)) + 0.02
    valid = train + 0.05 + 0.006 * time * (1 + 0.3 * rng.random())
    best = int(valid.argmin())
    return {
        "id": f"{trial:04x}{seed:04x}{repeat:04x}{fold:04x}",
        "trial": trial,
        "seed": seed,
        "repeat": repeat,
        "fold": fold,
        "epochs": epochs,
        "stop_reason": "patience" if last < epochs else "max_epochs",
        "last_epoch": last,
        "best_epoch": best + 1,
        "num_parameters": 1000 + 100 * (trial % 4),
        "num_train": 1149,
        "num_valid": 288,
        "num_test": 360,
        "train": {"loss": float(train[best])},
        "valid": {"loss": float(valid[best])},
        "test": {"loss": float(valid[best]) + 0.02 * float(rng.standard_normal())},
        "curve": {"train": train.tolist(), "valid": valid.tolist()},
    }


def over_folds(own: Sequence[dict[str, Any]], part: str, name: str, folds: int) -> dict[str, Any]:
    """Mean over seeds in each fold, then mean and standard error over folds."""
    groups: dict[tuple[int, int], list[float]] = {}
    for each in own:
        groups.setdefault((each["repeat"], each["fold"]), []).append(each[part][name])
    scores = [statistics.fmean(group) for group in groups.values()]
    se = statistics.stdev(scores) / folds**0.5 if len(scores) > 1 else None
    return {"mean": statistics.fmean(scores), "se": se, "folds": scores}


def summed_up(number: int, values: Values, own: Sequence[dict[str, Any]], score: str, folds: int) -> dict[str, Any]:
    bad = sum(each["stop_reason"] == "diverged" for each in own)
    trial: dict[str, Any] = {
        "trial": number,
        "values": values,
        "status": "diverged" if bad else "done",
        "epochs": own[0]["epochs"],
        "num_parameters": own[0]["num_parameters"],
        "num_diverged": bad,
        "cells": [each["id"] for each in own],
    }
    if bad:
        return trial | {"reason": f"{bad} of {len(own)} cells diverged, the first in fold 0 at step 14"}
    means = {
        part: {
            name: {key: value for key, value in over_folds(own, part, name, folds).items() if key != "folds"}
            for name in own[0][part]
        }
        for part in ("train", "valid", "test")
    }
    trial |= {"best_epoch": int(statistics.median_low([each["best_epoch"] for each in own])), "means": means}
    trial |= {"score": over_folds(own, "test", score, folds), "train_score": means["train"][score]}
    if len({each["seed"] for each in own}) > 1:
        trial |= {"fold_std": 0.011, "seed_std": 0.0042}
    return trial


def rank(trials: list[dict[str, Any]], sign: int) -> None:
    order = {"done": 0, "dropped": 1, "diverged": 2, "invalid": 3}

    def place(trial: dict[str, Any]) -> tuple[float, ...]:
        mean = trial["score"]["mean"] if trial["status"] in ("done", "dropped") else 0.0
        return order[trial["status"]], -trial.get("epochs", 0), -sign * mean, trial["trial"]

    for number, trial in enumerate(sorted(trials, key=place), 1):
        trial["rank"] = number


def judged(trials: list[dict[str, Any]], sign: int, score: str, outer: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    done = sorted((trial for trial in trials if trial["status"] == "done"), key=lambda trial: trial["rank"])
    if not done:
        selection = {"best": None, "chosen": None, "rule": "one_se", "reason": "every trial diverged"}
        empty = {"kind": "selection", "mean": None, "se": None}
        return {**selection, "indistinguishable": [], "edges": []}, empty
    best = done[0]
    se = best["score"]["se"] or 0.0
    near = [each for each in done if sign * (best["score"]["mean"] - each["score"]["mean"]) <= se]
    chosen = min(near, key=lambda each: (each["num_parameters"], each["rank"]))
    for each in done[1:]:
        distance = sign * (best["score"]["mean"] - each["score"]["mean"])
        each["difference"] = {
            "mean": best["score"]["mean"] - each["score"]["mean"],
            "p": float(np.exp(-distance / (se or 1.0))),
            "indistinguishable": bool(distance <= 2 * se),
        }
    selection = {
        "best": best["trial"],
        "chosen": chosen["trial"],
        "rule": "one_se",
        "reason": f"trial {chosen['trial']}: {chosen['num_parameters']:,} parameters, is within one standard error",
        "indistinguishable": [each["trial"] for each in done[1:] if each["difference"]["indistinguishable"]],
        "edges": [],
    }
    estimate = {"kind": "selection", "mean": chosen["score"]["mean"], "se": chosen["score"]["se"]}
    if outer:
        rows = [
            {
                "outer_fold": fold,
                "trial": each["trial"],
                "values": each["values"],
                "epochs": each["epochs"],
                "score": each["score"]["mean"] - sign * 0.01 * (1 + fold % 2),
                "selection_score": each["score"]["mean"],
            }
            for fold, each in enumerate(itertools.islice(itertools.cycle(done[:2]), 5))
        ]
        scores = [row["score"] for row in rows]
        mean, spread = statistics.fmean(scores), statistics.stdev(scores) / 5**0.5
        estimate = {"kind": "nested", "mean": mean, "se": spread, "outer": rows}
    return selection, estimate


LR = {"low": 1e-4, "high": 1e-1, "log": True}
TWO: dict[str, Any] = {"optimizer.lr": [1e-4, 1e-3, 1e-2, 1e-1], "model.hidden": [[32], [64, 32], [128, 64, 32]]}
SECTIONS: dict[str, Any] = {
    "optimizer": [{"name": "adam", "lr": 0.001}, {"name": "adam", "lr": 0.01}, {"name": "sgd", "lr": 0.1}],
    "prior": [None, {"name": "gaussian", "precision": 1e-4}, {"name": "laplace", "precision": 1e-4}],
    "training.clip_norm": [None, 1.0],
}
MIXED: dict[str, Any] = {
    "optimizer.lr": LR,
    "model.hidden": [[32], [64, 32], [128, 64, 32]],
    "prior.precision": {"low": 1e-6, "high": 1.0, "log": True},
    "model.dropout": {"low": 0.0, "high": 0.5, "log": False},
    "training.batch_size": [16, 32, 64, 128, 256],
}
WIDE: dict[str, Any] = {
    "optimizer.lr": [10 ** (-5 + place / 6) for place in range(30)],
    "model.activation": ["relu", "tanh", "sigmoid", "gelu", "$\\frac$ a long name 数字", "elu", "selu", "leaky_relu"],
}
LONG: dict[str, Any] = {f"model.section_{n}.a_rather_long_name_of_a_key_{n}": [1, 2, 3] for n in range(11)}


def quality(values: Values) -> float:
    """A score that is best at a learning rate of 10^-2.5 and 64 units."""
    distance = np.log10(values["optimizer.lr"]) + 2.5
    return float(0.97 - 0.02 * distance**2 - 0.01 * abs(values.get("model.hidden", [64])[0] - 64) / 32)


def error(values: Values) -> float:
    return float(1 + (np.log10(values["optimizer.lr"]) + 2.5) ** 2)


CASES: dict[str, Callable[[], tuple[dict[str, Any], list[dict[str, Any]]]]] = {
    "one trial": lambda: searched({}, [{}]),
    "grid": lambda: searched(TWO, grid(TWO), quality),
    "one key": lambda: searched({"optimizer.lr": LR}, random_values({"optimizer.lr": LR}, 6), quality),
    "sections": lambda: searched(SECTIONS, grid(SECTIONS), lambda values: 0.9 + 0.01 * (values["prior"] is None)),
    "random": lambda: searched(MIXED, random_values(MIXED, 60), quality),
    "failures": lambda: searched(
        MIXED,
        random_values(MIXED, 24),
        quality,
        dropped={number: 2 if number % 2 else 6 for number in range(6, 20)},
        diverged={2: 3, 21: 5},
        invalid={4: "optimizer.rho1: sgd has no such setting\nexpected lr; " + "and so on " * 12},
    ),
    "all diverged": lambda: searched(TWO, grid(TWO), quality, diverged=dict.fromkeys(range(12), 2)),
    "leave one out": lambda: searched(
        {"optimizer.lr": LR}, random_values({"optimizer.lr": LR}, 4), quality, folds=442, noise=0.3
    ),
    "huge": lambda: searched(
        {"optimizer.lr": LR}, random_values({"optimizer.lr": LR}, 15), lambda values: 3e7 * error(values),
        score="mse", higher=False, noise=2e6, gap=1e7,
    ),
    "tiny": lambda: searched(
        {"optimizer.lr": LR}, random_values({"optimizer.lr": LR}, 15), lambda values: 3e-7 * error(values),
        score="mse", higher=False, noise=2e-8, gap=1e-7,
    ),
    "loss": lambda: searched(
        TWO, grid(TWO), lambda values: 0.1 * 100 ** abs(np.log10(values["optimizer.lr"]) + 3),
        score="loss", higher=False, noise=0.3, gap=0.5,
    ),
    "outlier": lambda: searched(
        MIXED, random_values(MIXED, 30),
        lambda values: quality(values) - 0.4 if values["optimizer.lr"] < 0.05 else -1e6,
        score="r2", seeds=(0, 1),
    ),
    "overflow": lambda: searched(
        {"optimizer.lr": [1e-3, 1e-2]}, grid({"optimizer.lr": [1e-3, 1e-2]}),
        lambda values: 0.9 if values["optimizer.lr"] < 0.005 else -1e300, score="r2",
    ),
    "equal": lambda: searched(TWO, grid(TWO), noise=0.0, gap=0.0),
    "nested": lambda: searched(TWO, grid(TWO), quality, outer=True, repeats=2),
    "many values": lambda: searched(WIDE, random_values(WIDE, 60), score="balanced_accuracy"),
    "many keys": lambda: searched(LONG, random_values(LONG, 40)),
}  # fmt: skip
"""Searches of every kind, by name: result and cells."""
