"""Says in sentences what came out of a comparison of optimizers: what is shown, what is not, and what may be unfair.

Nothing is claimed beyond the tests: a place in the ranking is no verdict, and no difference shown is not equality.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dlx.reporting.comparison_texts import (
    NO_DIFFERENCE,
    Arm,
    Result,
    best_values,
    failed_arms,
    find_arm,
    finite_or_inf,
    judged_arms,
    listed,
    loss_name,
    loss_text,
    median,
    more_gradients,
    part_name,
    plural,
    ranked,
    short_number,
    shown_better,
    space_text,
    steps_text,
    tuned_arms,
)
from dlx.reporting.tables import format_number

LEVEL = 0.05
"""Chance of any false claim in a comparison, at most."""
MAX_PROVED = 2
"""Optimizers whose evidence a headline gives, at most; more are only named."""
MAX_NAMED = 3
"""Optimizers that a headline or a sentence names together, at most; more are counted."""
INCLUDED = {"momentum": ("sgd",), "nesterov": ("sgd",)}
"""Rules that a more general one can become: with its momentum at 0, it is the other."""
FAILURE = 10
"""A run that ends with more than so many times the loss of its initial weights counts as failed."""


def comparison_headline(result: Result) -> str:
    """Give the verdicts in a line, as "adam practically better than momentum (9 of 10 seeds, p = 0.01 by Holm)"."""
    found, reference, num_seeds = judged_arms(result), result["reference"], len(result["protocol"]["seeds"])
    if not any(arm["tuned"] for arm in result["arms"]):
        return "no optimizer has a setting that worked"
    if not found:
        return _without_verdicts(result)
    if not result["can_show"]:
        many = plural(num_seeds, "seed")
        return f"no verdict: {many} cannot show a difference from {reference} in {plural(len(found), 'comparison')}"
    shown = [arm for arm in found if shown_better(arm["verdict"])]
    silent = plural(len(found) - len(shown), "other")
    parts = list(_claims(result, shown) if len(shown) <= MAX_PROVED else _groups(shown, reference))
    if not shown:
        parts = [f"no difference from {reference} shown for {silent} at n = {num_seeds}"]
    elif len(shown) < len(found):
        parts.append(f"{NO_DIFFERENCE} for {silent} at n = {num_seeds}")
    if names := [arm["name"] for arm in failed_arms(result)]:
        parts.append(f"no setting of {listed(names)} worked")
    return "; ".join(parts)


def _without_verdicts(result: Result) -> str:
    """Say how the arms did where there is nothing to compare, or nothing to compare with."""
    best, reference = ranked(result)[0], find_arm(result, result["reference"])
    if reference and not reference["tuned"]:
        return f"no verdict: the reference, {reference['name']}, has no setting that worked"
    if len(result["arms"]) > 1:
        return f"no verdict: no setting of any optimizer but {result['reference']} worked"
    seeds = plural(len(result["protocol"]["seeds"]), "seed")
    return f"{best['name']} alone: median {loss_name(result)} {loss_text(median(best))} over {seeds}"


def _claims(result: Result, shown: Sequence[Arm]) -> Iterator[str]:
    """Name the optimizers that are shown to differ from the reference, with the evidence."""
    num_seeds = len(result["protocol"]["seeds"])
    for arm in shown:
        verdict = arm["verdict"]
        share = verdict["share"] if shown_better(verdict) > 0 else 1 - verdict["share"]
        evidence = f"{share * num_seeds:g} of {num_seeds} seeds, {p_text(verdict['adjusted_p'])} by Holm"
        yield f"{arm['name']} {verdict['words']} than {result['reference']} ({evidence})"


def _groups(shown: Sequence[Arm], reference: str) -> Iterator[str]:
    """Name the optimizers with each verdict, if they are not too many."""
    for words in dict.fromkeys(arm["verdict"]["words"] for arm in shown):
        names = [arm["name"] for arm in shown if arm["verdict"]["words"] == words]
        more = [f"{len(names) - MAX_NAMED} more"] if len(names) > MAX_NAMED else []
        yield f"{words} than {reference}: {listed([*names[:MAX_NAMED], *more])}"


def p_text(p: float) -> str:
    """Write a p value: "p = 0.012"."""
    return f"p = {format_number(p, 2)}" if p >= 1e-4 else "p < 0.0001"


def comparison_sentences(result: Result) -> list[str]:
    """Say what a person must know to read the tables, a point in each.

    Args:
        result: Content of result.json of one problem.
    """
    return [
        *target_sentences(result),
        *gradient_sentences(result),
        *power_sentences(result),
        *verdict_sentences(result),
        *fairness_sentences(result),
        *inclusion_sentences(result),
        *untuned_sentences(result),
        *failure_sentences(result),
        *split_sentences(result),
    ]


def target_sentences(result: Result) -> Iterator[str]:
    """Say what the target is, and how long it took."""
    reference, arms = result["reference"], tuned_arms(result)
    if result["target"] is None:
        yield f"There is no target: {reference}, which sets it, diverged with at least half of the fresh seeds."
        return
    setter = find_arm(result, reference)
    who = reference if setter and setter["tuned"] else f"untuned {reference}"
    yield (
        f"Target: a {part_name(result)} of {format_number(result['target'])}, which {who} reaches with more than half "
        "of the fresh seeds. Steps to it are counted by whole epochs, and infinite for a seed that never reaches it."
    )
    untrained = statistics.median(map(finite_or_inf, result["untrained"].values()))
    if result["target"] >= untrained:
        yield (
            f"The initial weights have a {part_name(result)} of {format_number(untrained)}, so to reach this "
            "target tells nothing."
        )
        return
    steps = {arm["name"]: median(arm, "steps_to_target") for arm in arms}
    yield from _fewest("steps", steps)
    if more_gradients(result):
        yield from _fewest("gradients", {arm["name"]: steps[arm["name"]] * arm["gradients_per_step"] for arm in arms})


def _fewest(unit: str, costs: Mapping[str, float]) -> Iterator[str]:
    """Name the arms that reach the target at the least cost, if any does and there are others."""
    fewest = min(costs.values(), default=math.inf)
    if len(costs) > 1 and math.isfinite(fewest):
        alike = [name for name, cost in costs.items() if cost == fewest]
        yield f"Fewest {unit} to it: {listed(alike)}, {steps_text(fewest)}; this was not tested."


def power_sentences(result: Result) -> Iterator[str]:
    """Say where so few seeds cannot show anything, and how many could."""
    count, num_seeds = len(judged_arms(result)), len(result["protocol"]["seeds"])
    if result["can_show"] or not count:
        return
    from dlx.statistics.paired import smallest_p

    p = smallest_p(num_seeds)
    needed = next(n for n in range(num_seeds, 10_000) if smallest_p(n) * count < LEVEL)
    adjusted = f", after Holm's correction for {count} comparisons {min(1.0, p * count):.2g}" if count > 1 else ""
    yield (
        f"No verdict is possible: were one optimizer better on every one of {plural(num_seeds, 'seed')}, p would still "
        f"be {p:.2g}{adjusted}. It takes {needed} seeds or more: compare.seeds={needed}."
    )


def verdict_sentences(result: Result) -> Iterator[str]:
    """Say what the tests show, and that they do not show the rest."""
    found, reference = judged_arms(result), result["reference"]
    if not found or not result["can_show"]:
        return
    silent = [arm["name"] for arm in found if arm["verdict"]["words"] == NO_DIFFERENCE]
    if silent:
        yield (
            f"No difference from {reference} is shown for {listed(silent)} at n = {len(result['protocol']['seeds'])}: "
            "this does not say that they are equal."
        )
    first = ranked(result)[0]
    if silent and first["name"] in (reference, *silent):
        yield f"{first['name']} has the lowest median, which alone makes no winner."
    if len(found) > 1:
        yield f"Only differences from {reference} were tested; the order of the others among themselves was not."


def fairness_sentences(result: Result) -> Iterator[str]:
    """Say whose best setting lies at an edge of what was searched."""
    protocol = result["protocol"]
    more = protocol["num_trials"] - protocol["trials"]
    extended = f", though ranges were extended and {more} more settings tried" if more > 0 else ""
    for arm in ranked(result):
        found = [_edge_text(search, *edge) for search in arm["searches"] for edge in search["edges"].items()]
        if places := list(dict.fromkeys(found)):
            yield (
                f"* {arm['name']} is treated unfairly: its best setting has {listed(places)}{extended}; "
                "a wider search may find a better one."
            )


def _edge_text(search: Mapping[str, Any], key: str, side: str) -> str:
    """Say where the best value of a setting lies in the range of its own search."""
    axis = next(axis for axis in search["space"] if axis["key"] == key)
    value = short_number((best_values(search) or {})[key])
    end = "upper" if side == "high" else "lower"
    return f"{key} {value} near the {end} end of {short_number(axis['low'])} to {short_number(axis['high'])}"


def inclusion_sentences(result: Result) -> Iterator[str]:
    """Say where a more general rule lost to one that it includes: then its search was too small."""
    for general, special in _included(result):
        if _is_shown_worse(result, general, special):
            trials = plural(len(general["searches"][0]["trials"]), "trial")
            yield (
                f"{general['name']} includes {special['name']}, which it becomes with momentum 0, so the best of its "
                f"settings cannot be worse. That it is shown to be worse says that its search ({trials} in "
                f"{space_text(general)}) missed a good one, not that {special['name']} is the better rule."
            )


def passed_inclusion_sentences(result: Result) -> Iterator[str]:
    """Say that no more general rule is shown to be worse than one that it includes, where this was tested."""
    tested = [pair for pair in _included(result) if _has_verdict(result, *pair)]
    if tested and result["can_show"] and not any(_is_shown_worse(result, *pair) for pair in tested):
        pairs = listed([f"{general['name']} includes {special['name']}" for general, special in tested])
        yield f"Inclusion check: {pairs}, and is not shown to be worse."


def _included(result: Result) -> Iterator[tuple[Arm, Arm]]:
    """Give pairs of a more general arm and one that it includes."""
    for general in result["arms"]:
        for special in result["arms"]:
            if special["optimizer"]["name"] in INCLUDED.get(general["optimizer"]["name"], ()):
                yield general, special


def _has_verdict(result: Result, general: Arm, special: Arm) -> bool:
    return bool(
        (general["name"] == result["reference"] and special["verdict"])
        or (special["name"] == result["reference"] and general["verdict"])
    )


def _is_shown_worse(result: Result, general: Arm, special: Arm) -> bool:
    if not _has_verdict(result, general, special):
        return False
    if general["name"] == result["reference"]:
        return shown_better(special["verdict"]) > 0
    return shown_better(general["verdict"]) < 0


def untuned_sentences(result: Result) -> Iterator[str]:
    """Set the best of the untuned optimizers against the tuned ones; these are medians, not tests."""
    tuned = tuned_arms(result)
    best = min(result["arms"], key=lambda arm: median(arm, which="untuned"))
    loss = median(best, which="untuned")
    if math.isfinite(loss) and len(tuned) > 1:
        beaten = [arm["name"] for arm in tuned if loss <= median(arm) and arm is not best]
        whom = (
            f"the tuned {listed(beaten)}" if len(beaten) <= MAX_NAMED else f"{len(beaten)} of {len(tuned)} tuned ones"
        )
        than = f"no higher than that of {whom}" if beaten else "above that of every tuned one"
        yield (
            f"The best untuned optimizer is {best['name']}: its untuned settings have the median loss "
            f"{loss_text(loss)}, {than}."
        )
    if losers := [arm["name"] for arm in tuned if arm["space"] and median(arm) > median(arm, which="untuned")]:
        seeds = plural(len(result["protocol"]["tuning_seeds"]), "seed")
        yield (
            f"Tuning did not help {listed(losers)}: the setting that was best on the {seeds} of tuning has a higher "
            "median on the fresh ones than the one that was written."
        )


def failure_sentences(result: Result) -> Iterator[str]:
    """Count the runs that diverged or blew up."""
    texts = [
        f"{arm['name']} {which} {text}"
        for arm in ranked(result)
        for which in ("tuned", "untuned")
        if arm[which] and (text := _failures(arm[which]))
    ]
    if texts:
        yield f"Failed runs, which count as infinitely bad: {'; '.join(texts)}."
    if names := [arm["name"] for arm in failed_arms(result)]:
        yield f"Without tuned runs, since every setting that was tried failed with a seed: {listed(names)}."


def _failures(runs: Mapping[str, Any]) -> str:
    infinite = sum(math.isinf(finite_or_inf(loss)) for loss in runs["loss"]["values"])
    num_diverged = runs["num_diverged"]
    parts = [f"{num_diverged} of {runs['num_runs']} diverged"] if num_diverged else []
    if len(runs["loss"]["values"]) == runs["num_runs"] and infinite > num_diverged:
        end = f"ended above {FAILURE} times the loss of the initial weights"
        parts.append(f"{infinite - num_diverged} of {runs['num_runs']} {end}")
    return " and ".join(parts)


def split_sentences(result: Result) -> Iterator[str]:
    """Say what the seeds vary, and so for what the verdicts hold."""
    split = result["protocol"]["split"]
    if split == "redrawn":
        yield (
            "Each seed has its own split, initial weights and batches: what is said holds over all three, for models "
            "of this kind and examples of these data."
        )
        return
    others = ": with data.split.seed=null the split varies, too" if split == "fixed" else ", the only one in order"
    yield (
        "All seeds share one split, whose validation part tuned the settings, too; initial weights and batches vary. "
        f"What is shown holds for this split alone{others}."
    )


def seconds_sentences(timing: Mapping[str, Any]) -> Iterator[str]:
    """Say what seconds to the target are, and how they were measured."""
    seconds, threads = timing.get("seconds_per_step") or {}, timing.get("threads", 1)
    if not seconds:
        return
    yield "Seconds to the target are its steps times the seconds of a step, measured of each rule alone."
    low, high = (format_number(1e3 * extreme(seconds.values()), 2) for extreme in (min, max))
    yield (
        f"These come from each rule's lone training by dlx, {'one thread' if threads == 1 else f'{threads} threads'}, "
        f"nothing else running: the median over epochs of the mean time of a step, here {low} to {high} ms. The runs "
        "that are compared are trained many at a time, so their own time says nothing."
    )


def gradient_sentences(result: Result) -> Iterator[str]:
    """Say which rules ask for more than a gradient a step, so that steps do not compare."""
    if more := more_gradients(result):
        costs = listed([f"{arm['name']} {arm['gradients_per_step']:.3g}" for arm in more])
        yield f"A step is one gradient, but of {costs}: compare these by seconds or gradients, not by steps."
