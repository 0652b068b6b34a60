"""Says what a race on an analytic surface shows, and what it does not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dlx.reporting.race_tables import best_rate, fate_name, per_digit, place
from dlx.reporting.tables import format_number

LONG = 10.0
"""Condition number from which a valley is called long."""
RESTING = ("maximum", "other minimum", "saddle")
"""Where a path may rest though f is not lowest."""


def race_headline(result: dict[str, Any]) -> str:
    """Say in a line how many rules arrive, not which is best."""
    rules = result["optimizers"]
    if result["lowest"] is None:
        return f"{result['surface']} has no lowest value: see where each of {len(rules)} rules goes"
    arrived = sum(each["usual"]["arrived"] is not None for each in rules)
    return f"{arrived} of {len(rules)} rules arrive at a minimum from {place(result['start'])}: geometry, no ranking"


def race_sentences(result: dict[str, Any]) -> list[str]:
    """Say what the numbers mean, and what they do not."""
    return [
        *_about_curvature(result),
        *_about_theory(result),
        *_about_rates(result),
        *_about_fates(result),
        *_about_divergence(result),
    ]


def _longest(result: dict[str, Any]) -> dict[str, Any] | None:
    """Give the minimum in the longest valley: that of the largest condition number."""
    known = [minimum for minimum in result["minima"] if "condition" in minimum]
    return max(known, key=lambda minimum: float(minimum["condition"]), default=None)


def _about_curvature(result: dict[str, Any]) -> Iterator[str]:
    """Say why momentum helps, or that here it need not."""
    minimum = _longest(result)
    if minimum is None:
        return
    condition = minimum["condition"]
    high = format_number(minimum["highest_curvature"])
    crawls = (
        "and along the flattest it then crawls"
        if condition >= LONG
        else "which is right for the flattest, too: a round valley, in which momentum has little to win"
    )
    yield (
        f"At the minimum {place(minimum['point'])} the steepest direction is {format_number(condition)} times as "
        f"curved as the flattest ({high} and {format_number(minimum['lowest_curvature'])}). The steepest bounds the "
        f"learning rate of plain descent, 2 / {high} = {2 / minimum['highest_curvature']:.3g}, {crawls}."
    )
    if condition < LONG:
        return
    descent, ball = (minimum["best"][name] for name in ("descent", "heavy_ball"))
    yield (
        "For each factor of ten in the distance, plain descent at its best rate needs "
        f"{per_digit(descent['steps_per_digit'])} (a factor {descent['factor']:.4f} per step, (k - 1) / (k + 1) with "
        f"condition number k), heavy-ball momentum at its best {per_digit(ball['steps_per_digit'])} "
        f"({ball['factor']:.4f}, the same with the root of k). Along the flat direction slopes are alike, and what "
        "momentum remembers of them adds up to steps of lr / (1 - momentum): ten times lr at 0.9. Across the valley "
        "they change sign and mostly cancel, though a path swings there for a while."
    )


def _about_theory(result: dict[str, Any]) -> Iterator[str]:
    """Say how fast the rules as they are written close in, by theory."""
    minimum = _longest(result)
    if minimum is None:
        return
    number = result["minima"].index(minimum)
    known = [(each["optimizer"], each["theory"][number]) for each in result["optimizers"] if each["theory"]]
    texts = [
        f"{rule}: {per_digit(theory['steps_per_digit'])}"
        if theory["steps_per_digit"] is not None
        else f"{rule}: does not come to rest there"
        for rule, theory in known
    ]
    if texts:
        yield f"As they are written, near that minimum, for each factor of ten: {'; '.join(texts)}."


def _about_rates(result: dict[str, Any]) -> Iterator[str]:
    rates = result["rates"]
    swept = [(each["label"], best_rate(each["sweep"], rates)) for each in result["optimizers"] if each["sweep"]]
    edges = [label for label, best in swept if best and best[0] in (rates[0], rates[-1])]
    if edges:
        yield f"The best learning rate is at the edge of those that were tried: {'; '.join(edges)}."


def _about_fates(result: dict[str, Any]) -> Iterator[str]:
    """Say how many starts end where, where there is more than one place to end."""
    if len(result["minima"]) > 1 and result["num_starts"] > 1:
        yield (
            "Which minimum a path ends at depends on its start and on the rule: the basins of two rules are not the "
            "same."
        )
    resting = [fate for fate in RESTING if any(fate in each["all"]["fates"] for each in result["optimizers"])]
    if resting:
        names = " or ".join(fate_name(fate, result) for fate in resting)
        yield f"Some paths rest {names}, where the gradient is 0 but f is not lowest."
    if result["lowest"] is None:
        yield "This surface has no lowest value: a path that leaves the box and goes down for ever is right."
    elif all(each["usual"]["arrived"] is None for each in result["optimizers"]):
        yield "No path from the usual start arrives: more steps, or other rates, may."


def _about_divergence(result: dict[str, Any]) -> Iterator[str]:
    lost = [
        f"{each['label']} from {count:,}"
        for each in result["optimizers"]
        if (count := each["all"]["fates"].get("diverged", 0))
    ]
    if lost:
        yield (
            f"Diverged, of {result['num_starts']:,} starts: {'; '.join(lost)}. Away from a minimum the surface may be "
            "more curved than there, so that a rate below its limit is too high on the way."
        )
