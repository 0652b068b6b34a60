"""What may be said over several problems: ranks, tests and performance profiles, where there are enough of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dlx.statistics.problems import friedman, profile, wilcoxon
from dlx.statistics.tests import holm

MIN_PROFILED = 4
"""Problems from which on performance profiles are drawn."""
MIN_TESTED = 5
"""Problems from which on p values over problems are given."""
R_MAX = 4.0
"""Largest multiple of the fastest time in a profile."""

Result = Mapping[str, Any]


def summarise_problems(results: Sequence[Result]) -> dict[str, Any]:
    """Put the results of several problems together.

    Args:
        results: Those of single problems, each as ``judge`` gives it.

    Returns:
        The value of result.json: the results, and what holds over them.
    """
    statuses = [result["status"] for result in results]
    return {
        "schema": 1,
        "command": "compare-optimizers",
        "kind": "problems",
        "name": ", ".join(str(result["name"]) for result in results),
        "status": "done" if "done" in statuses else "diverged",
        "problems": list(results),
        "across": _across(results),
    }


def _across(results: Sequence[Result]) -> dict[str, Any]:
    names = [arm["name"] for arm in results[0]["arms"]]
    shared = [name for name in names if all(_arm(result, name) for result in results)]
    losses = np.array([[_median(result, name, "loss") for name in shared] for result in results])
    steps = np.array([[_median(result, name, "steps_to_target") for name in shared] for result in results])
    gradients = np.array([[_gradients(result, name) for name in shared] for result in results])
    found: dict[str, Any] = {"arms": shared, "num_problems": len(results), "r_max": R_MAX}
    if len(results) >= MIN_PROFILED and shared:
        tau, rho, scores = profile(steps * gradients, R_MAX)  # a step of one rule may cost many of another
        unit = "steps" if (gradients == 1).all() else "gradients"
        found["profile"] = {"unit": unit, "tau": tau.tolist(), "rho": rho.tolist(), "scores": scores.tolist()}
    if len(results) >= MIN_TESTED and len(shared) > 1:
        found["tests"] = _tests(losses, shared, results[0]["reference"])
    return found


def _tests(losses: np.ndarray[Any, np.dtype[np.float64]], names: Sequence[str], reference: str) -> dict[str, Any]:
    """Test over problems: Friedman for any difference, Wilcoxon with Holm for each pair with the reference."""
    p, ranks = friedman(losses)
    base = names.index(reference) if reference in names else 0
    others = [i for i in range(len(names)) if i != base]
    p_values = [wilcoxon(losses[:, i], losses[:, base]) for i in others]
    pairs = [
        {"arm": names[i], "p": p, "adjusted_p": float(adjusted)}
        for i, p, adjusted in zip(others, p_values, holm(p_values), strict=True)
    ]
    return {"friedman_p": p, "mean_ranks": ranks.tolist(), "reference": names[base], "pairs": pairs}


def _arm(result: Result, name: str) -> Mapping[str, Any] | None:
    return next((arm for arm in result["arms"] if arm["name"] == name), None)


def _gradients(result: Result, name: str) -> float:
    """Give the gradients that a step of an arm takes, as exactly as they are shown."""
    arm = _arm(result, name)
    return round(float(arm["gradients_per_step"]), 2) if arm else math.inf


def _median(result: Result, name: str, measure: str) -> float:
    """Give an arm's median over the seeds; infinite where there is none."""
    arm = _arm(result, name)
    found = arm["tuned"][measure]["median"] if arm and arm["tuned"] else None
    return math.inf if found is None else float(found)
