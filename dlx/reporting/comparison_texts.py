"""Reads the content of a comparison's result.json: its arms, their order, and their numbers as short texts.

A null among the numbers of a loss or of steps is infinite: a run failed, or never reached the target.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from dlx.reporting.tables import MISSING, format_number, shorten

Result = Mapping[str, Any]
Arm = Mapping[str, Any]

FAILED = "failed"
"""Stands for an infinite loss: a run diverged, or ended far above the loss of its initial weights."""
NEVER = "never"
"""Stands for infinitely many steps."""
NO_DIFFERENCE = "no difference shown"
"""The verdict that claims nothing."""
EDGE_MARK = " *"
"""Follows the name of an arm whose best setting lies at an edge of its ranges."""
LONGEST_ARM = 24
"""Characters of an arm's name in a table, at most."""


def finite_or_inf(value: float | None) -> float:
    """Read a number of result.json that is null where it is infinite."""
    return math.inf if value is None else float(value)


def median(arm: Arm, measure: str = "loss", which: str = "tuned") -> float:
    """Give the median over seeds of a measure; infinite where it is, and where an arm has no such runs.

    Args:
        arm: The arm.
        measure: ``loss``, ``final``, ``best``, ``steps_to_target`` or ``area``.
        which: ``tuned`` or ``untuned``.
    """
    return finite_or_inf(arm[which][measure]["median"]) if arm[which] else math.inf


def values(arm: Arm, measure: str = "loss", which: str = "tuned") -> list[float]:
    """Give a measure by seed; none where an arm has no such runs."""
    return [finite_or_inf(value) for value in arm[which][measure]["values"]] if arm[which] else []


def ranked(result: Result) -> list[Arm]:
    """Order the arms by the median loss that is judged, the lowest first; those without a working setting last."""
    return sorted(result["arms"], key=lambda arm: (arm["tuned"] is None, median(arm)))


def tuned_arms(result: Result) -> list[Arm]:
    """Give the arms whose tuning found a setting that works, that of the lowest median loss first."""
    return [arm for arm in ranked(result) if arm["tuned"]]


def failed_arms(result: Result) -> list[Arm]:
    """Give the arms of which every setting failed."""
    return [arm for arm in ranked(result) if not arm["tuned"]]


def more_gradients(result: Result) -> list[Arm]:
    """Give the arms of which a step takes another number of gradients than one."""
    return [arm for arm in ranked(result) if round(arm["gradients_per_step"], 2) != 1]


def find_arm(result: Result, name: str) -> Arm | None:
    """Find an arm by its name; None if it does not take part."""
    return next((arm for arm in result["arms"] if arm["name"] == name), None)


def judged_arms(result: Result) -> list[Arm]:
    """Give the arms that have a verdict, those with the lowest loss first."""
    return [arm for arm in ranked(result) if arm["verdict"]]


def shown_better(verdict: Mapping[str, Any]) -> int:
    """Give 1 where a verdict claims better, -1 where it claims worse, and 0 where it claims nothing."""
    words = verdict["words"]
    return 1 if words.endswith("better") else -1 if words.endswith("worse") else 0


def loss_text(value: float, digits: int = 4) -> str:
    """Write a loss."""
    return FAILED if math.isinf(value) else format_number(value, digits)


def interval_text(summary: Mapping[str, Any]) -> str:
    """Write the interval of a median loss: "0.130 to 0.141"; one seed has none."""
    if len(summary["values"]) == 1:
        return MISSING
    low, high = (finite_or_inf(end) for end in summary["interval"])
    return FAILED if math.isinf(low) else f"{loss_text(low, 3)} to {loss_text(high, 3)}"


def has_times(result: Result, arm: Arm) -> bool:
    """Tell whether it is known how long an arm took: there is a target, and the arm has a setting that worked."""
    return result["target"] is not None and arm["tuned"] is not None


def steps_text(value: float) -> str:
    """Write a number of steps."""
    return NEVER if math.isinf(value) else f"{value:,.0f}"


def percent(share: float) -> str:
    """Write a share in [0, 1]."""
    return f"{100 * share:.0f} %"


def short_number(value: float) -> str:
    """Write a setting with three significant digits; one close to 1, as a decay is, with those of its distance to 1."""
    if 0.9 < value < 1:
        return f"{value:.{1 - math.floor(math.log10(1 - value))}f}".rstrip("0")
    return f"{value:.3g}"


def setting_text(arm: Arm) -> str:
    """Write what tuning chose: "lr 0.0998, momentum 0.923"; of several searches all values, as "lr 0.1 / 0.3"."""
    keys = [axis["key"] for axis in arm["space"]]
    if not keys:
        return "nothing to tune"
    is_found = any(search["best"] is not None for search in arm["searches"])
    return ", ".join(f"{key} {best_text(arm, key)}" for key in keys) if is_found else MISSING


def best_text(arm: Arm, key: str) -> str:
    """Write the best value of a setting; of several searches all of them."""
    found = [best_values(search) for search in arm["searches"]]
    return " / ".join(short_number(each[key]) if each else FAILED for each in found)


def best_values(search: Mapping[str, Any]) -> dict[str, Any] | None:
    """Give the best setting of a search: the optimizer's values by key; None where every trial failed."""
    return next((trial["values"] for trial in search["trials"] if trial["trial"] == search["best"]), None)


def space_text(arm: Arm) -> str:
    """Write the ranges that were searched: "lr 0.0001 to 10, momentum 0.5 to 0.995"."""
    ranges = (f"{axis['key']} {short_number(axis['low'])} to {short_number(axis['high'])}" for axis in arm["space"])
    return ", ".join(ranges) or "nothing to tune"


def arm_text(arm: Arm) -> str:
    """Write the name of an arm in a table, with its mark."""
    return f"{shorten(arm['name'], LONGEST_ARM)}{EDGE_MARK if arm['at_edge'] else ''}"


def shown_metric(result: Result) -> str | None:
    """Name the score on the test part that is shown: the first metric, or the loss; None without a test part."""
    scores = [arm[which]["test"] for arm in result["arms"] for which in ("tuned", "untuned") if arm[which]]
    names = [name for name in (*result["metrics"], "loss") if any(name in score for score in scores)]
    return names[0] if names else None


def metric_text(result: Result, arm: Arm, which: str) -> str:
    """Write the median of the test score that is shown."""
    summary = arm[which]["test"].get(shown_metric(result)) if arm[which] else None
    return format_number(summary["median"]) if summary and summary["median"] is not None else MISSING


def part_name(result: Result) -> str:
    """Say whose loss is judged."""
    return "validation loss" if result["judged"]["part"] == "valid" else "training loss"


def loss_name(result: Result) -> str:
    """Say what is judged: "validation loss after the last epoch"."""
    return f"{part_name(result)} after the {'last' if result['judged']['score'] == 'final' else 'best'} epoch"


def budget_text(result: Result) -> str:
    """Say what each optimizer was given: "16 + 4 settings x 2 seeds, 10 fresh seeds"."""
    protocol = result["protocol"]
    more = protocol["num_trials"] - protocol["trials"]
    settings = f"{protocol['trials']} + {more} settings" if more > 0 else plural(protocol["num_trials"], "setting")
    searches = f"{protocol['studies']} searches of " if protocol["studies"] > 1 else ""
    seeds, fresh = len(protocol["tuning_seeds"]), len(protocol["seeds"])
    return f"{searches}{settings} x {plural(seeds, 'seed')}, {plural(fresh, 'fresh seed')}"


def plural(count: int, what: str) -> str:
    """Count something: "1 seed", "2 seeds"."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def listed(names: Sequence[str]) -> str:
    """List names: "a", "a and b", "a, b and c"."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
