"""Puts the comparisons on several problems side by side: tables, a headline and sentences on what holds over them.

Which numbers there are over all problems was decided with the result: tests from five problems on, profiles from four.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from dlx.reporting.comparison_sentences import LEVEL, p_text
from dlx.reporting.comparison_texts import (
    LONGEST_ARM,
    NO_DIFFERENCE,
    Result,
    budget_text,
    find_arm,
    listed,
    loss_name,
    loss_text,
    median,
    plural,
    shown_better,
)
from dlx.reporting.tables import LONGEST, MISSING, Table, format_number, shorten

MIN_PROFILED = 4
"""Problems that a performance profile needs."""
MIN_TESTED = 5
"""Problems that a test over problems needs."""
VERDICTS = {"better": 1, "worse": -1, NO_DIFFERENCE: 0}
"""Columns of the table of verdicts, and what ``shown_better`` says of a verdict that counts there."""


def problem_tables(result: Result) -> list[Table]:
    """Tabulate a comparison on several problems.

    Args:
        result: Content of result.json, of the kind ``problems``.

    Returns:
        The medians on each problem with ranks and profile scores where there are any, the verdicts counted over
        problems, and the tests over problems where there are any.
    """
    tests = result["across"].get("tests")
    return [median_table(result), _verdict_table(result), *([_test_table(result, tests)] if tests else [])]


def _names(result: Result) -> list[str]:
    """Name the optimizers that take part on every problem, the lowest mean rank first where there are ranks."""
    across = result["across"]
    ranks = dict(zip(across["arms"], across.get("tests", {}).get("mean_ranks", ()), strict=False))
    return sorted(across["arms"], key=lambda name: ranks.get(name, 0.0))


def median_table(result: Result) -> Table:
    """Tabulate the median loss of each optimizer on each problem, with mean ranks and profile scores if any."""
    across, names = result["across"], _names(result)
    columns: list[tuple[str, Mapping[str, str]]] = [("optimizer", {name: shorten(name, LONGEST_ARM) for name in names})]
    if "tests" in across:
        columns.append(("mean rank", _by_name(across["arms"], across["tests"]["mean_ranks"], 3)))
    if "profile" in across:
        columns.append(("profile score", _by_name(across["arms"], across["profile"]["scores"], 2)))
    for problem in result["problems"]:
        columns.append((shorten(str(problem["name"]), LONGEST), {name: _loss_text(problem, name) for name in names}))
    rows = tuple(tuple(column[name] for _, column in columns) for name in names)
    budgets = " or ".join(dict.fromkeys(budget_text(problem) for problem in result["problems"]))
    title = f"median {loss_name(result['problems'][0])} of the tuned optimizers on each problem; {budgets}"
    return Table(title, tuple(name for name, _ in columns), rows)


def _by_name(names: list[str], numbers: list[float], digits: int) -> dict[str, str]:
    return {name: format_number(number, digits) for name, number in zip(names, numbers, strict=True)}


def _loss_text(problem: Result, name: str) -> str:
    arm = find_arm(problem, name)
    return loss_text(median(arm)) if arm and arm["tuned"] else MISSING


def _verdict_table(result: Result) -> Table:
    reference, names = _reference(result), _names(result)
    rows = []
    for name in names:
        found = _verdicts(result, name)
        if name != reference:
            counts = [sum(shown == side for shown in found.values()) for side in VERDICTS.values()]
            rows.append((shorten(name, LONGEST_ARM), *map(str, counts), str(len(result["problems"]) - len(found))))
    title = f"verdicts against {reference}, counted over {plural(len(result['problems']), 'problem')}"
    return Table(title, ("optimizer", *VERDICTS, "no verdict"), tuple(rows))


def _verdicts(result: Result, name: str) -> dict[str, int]:
    """Say by problem whether an optimizer is shown to be better than the reference (1), or worse (-1), or neither."""
    arms = {str(problem["name"]): find_arm(problem, name) for problem in result["problems"] if problem["can_show"]}
    return {problem: shown_better(arm["verdict"]) for problem, arm in arms.items() if arm and arm["verdict"]}


def _test_table(result: Result, tests: Mapping[str, Any]) -> Table:
    reference, problems = tests["reference"], result["problems"]
    rows = []
    for pair in tests["pairs"]:
        pairs = [(_median(problem, pair["arm"]), _median(problem, reference)) for problem in problems]
        lower = f"{sum(a < b for a, b in pairs)} of {len(pairs)}"
        texts = [format_number(pair[name], 2) for name in ("p", "adjusted_p")]
        rows.append((shorten(pair["arm"], LONGEST_ARM), lower, *texts))
    title = f"against {reference} over problems: Wilcoxon's signed-rank test of the medians"
    return Table(title, ("optimizer", "lower median on", "p", "p by Holm"), tuple(rows))


def _median(problem: Result, name: str) -> float:
    arm = find_arm(problem, name)
    return median(arm) if arm else math.inf


def _reference(result: Result) -> str:
    return str(result["problems"][0]["reference"])


def problems_headline(result: Result) -> str:
    """Give the verdicts over problems in a line: "3 problems against momentum: adam better on 2, sgd worse on 1"."""
    reference, count = _reference(result), plural(len(result["problems"]), "problem")
    parts = []
    for name in result["across"]["arms"]:
        shown = list(_verdicts(result, name).values())
        sides = [f"{words} on {shown.count(side)}" for words, side in VERDICTS.items() if side and side in shown]
        parts += [f"{name} {' and '.join(sides)}"] if sides else []
    if not any(_verdicts(result, name) for name in result["across"]["arms"]):
        said = f"no verdict against {reference} on any alone"
    else:
        said = (
            f"against {reference} {', '.join(parts)}" if parts else f"no difference from {reference} shown on any alone"
        )
    tests = result["across"].get("tests")
    return f"{count}: {said}{f'; {_rank_text(tests)}' if tests else ''}"


def _rank_text(tests: Mapping[str, Any]) -> str:
    p = tests["friedman_p"]
    found = "over all the optimizers' ranks differ" if p < LEVEL else "over all no difference between ranks is shown"
    return f"{found} ({p_text(p)}, Friedman's test)"


def problem_sentences(result: Result) -> list[str]:
    """Say what holds over all problems, and what so few cannot tell."""
    return [*_order_sentences(result), *_test_sentences(result), *_profile_sentences(result)]


def _order_sentences(result: Result) -> Iterator[str]:
    firsts: dict[str, list[str]] = {}
    for problem in result["problems"]:
        losses = {name: _median(problem, name) for name in result["across"]["arms"]}
        best = min(losses.values(), default=math.inf)
        for name, loss in losses.items():
            if loss == best < math.inf:
                firsts.setdefault(name, []).append(str(problem["name"]))
    if firsts:
        texts = [f"{name} on {listed(problems)}" for name, problems in firsts.items()]
        yield f"Lowest median: {'; '.join(texts)}. A place in an order is no verdict."


def _test_sentences(result: Result) -> Iterator[str]:
    tests, count = result["across"].get("tests"), len(result["problems"])
    if not tests:
        yield f"{plural(count, 'problem')} are too few for a test over problems, which takes {MIN_TESTED}."
        return
    from dlx.statistics.paired import smallest_p

    pairs, ranks = tests["pairs"], _rank_text(tests)
    yield f"{ranks[:1].upper()}{ranks[1:]}."
    shown = [pair for pair in pairs if pair["adjusted_p"] < LEVEL]
    for pair in shown:
        lower = sum(_median(each, pair["arm"]) < _median(each, tests["reference"]) for each in result["problems"])
        evidence = f"lower median on {lower} of {count} problems, {p_text(pair['adjusted_p'])} by Holm"
        yield f"{pair['arm']} differs from {tests['reference']} over the problems ({evidence})."
    if smallest_p(count) * len(pairs) >= LEVEL:
        needed = next(n for n in range(count, 10_000) if smallest_p(n) * len(pairs) < LEVEL)
        yield (
            f"{count} problems cannot show a difference from {tests['reference']} in "
            f"{plural(len(pairs), 'comparison')}, were one lower on all of them: that takes {needed}."
        )
    elif not shown:
        yield f"No difference from {tests['reference']} is shown over problems; this does not say that all are equal."


def _profile_sentences(result: Result) -> Iterator[str]:
    across = result["across"]
    if "profile" not in across:
        yield f"A performance profile takes {MIN_PROFILED} problems."
        return
    yield (
        f"The profile score is the area under an optimizer's performance profile of {across['profile']['unit']} to "
        f"the target, from 1 to {across['r_max']:g} times those of the fastest, between 0 and 1. It is relative to "
        f"the pool, here {listed(across['arms'])}: without one of these, others may change places, so read only the "
        "first off it."
    )
