"""Turns the content of a comparison's result.json into tables of strings, for the terminal and report.md.

Optimizers stand in the order of their median loss; this order is no verdict, which the last column of a ranking gives.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from dlx.reporting.comparison_texts import (
    Arm,
    Result,
    arm_text,
    budget_text,
    finite_or_inf,
    has_times,
    interval_text,
    judged_arms,
    loss_name,
    loss_text,
    median,
    metric_text,
    more_gradients,
    part_name,
    percent,
    plural,
    ranked,
    setting_text,
    short_number,
    shown_metric,
    space_text,
    steps_text,
    tuned_arms,
    values,
)
from dlx.reporting.tables import MISSING, Table, format_number, plain

REFERENCE = "reference"
"""Stands for the verdict of the arm that the others are compared with."""
WORDS = ("tuned setting", "searched", "best setting", "at the edge", "verdict")
"""Columns that hold words."""
TERMINAL = 100
"""Characters of a line that a terminal is expected to show."""
SHORT = {"steps to target": "steps", "seconds to target": "seconds"}
"""Headers that are shortened for a terminal; the sentences below the table say what they are."""
LEAST = (
    "gradients per step", "share lower, 95 % interval", "p", "diverged", "untuned test", "lower on", "reached",
    "tuned setting", "seconds", "95 % interval", "gain",
)  # fmt: skip
"""How the columns begin that a terminal can do without, the least important first."""
GRADIENTS = "gradients per step"
"""Column that is there where steps of the optimizers differ in what they take."""
FEW_TRIALS = 4
"""A small budget, for which the expected best of a search is given."""

Timing = Mapping[str, Any]
NO_VERDICT = "no verdict"


def comparison_tables(result: Result, timing: Timing) -> list[Table]:
    """Tabulate a comparison on one problem.

    Args:
        result: Content of result.json of that problem.
        timing: Content of timing.json: ``seconds_per_step`` by arm; an arm that it lacks has no seconds.

    Returns:
        The ranking, tuned against untuned, the differences to the reference if there are any, the whole course of the
        loss, and the tuning.
    """
    against = [against_table(result)] if judged_arms(result) else []
    tables = [ranking_table(result, timing), untuned_table(result), *against]
    return [*tables, course_table(result), tuning_table(result)]


def terminal_tables(result: Result, timing: Timing) -> list[Table]:
    """Tabulate what a terminal shows of a comparison on one problem: columns that find no room are left out."""
    against = [against_table(result)] if judged_arms(result) else []
    return [narrowed(table) for table in (ranking_table(result, timing), untuned_table(result), *against)]


def ranking_table(result: Result, timing: Timing) -> Table:
    """Tabulate the tuned optimizers, the lowest median loss first, under the budget that each was given."""
    arms = ranked(result)
    metric = shown_metric(result)
    columns: dict[str, list[str]] = {
        "optimizer": [arm_text(arm) for arm in arms],
        "tuned setting": [setting_text(arm) for arm in arms],
        "median loss": [loss_text(median(arm)) if arm["tuned"] else MISSING for arm in arms],
        "95 % interval": [interval_text(arm["tuned"]["loss"]) if arm["tuned"] else MISSING for arm in arms],
    }
    if metric:
        columns[f"test {metric}"] = [metric_text(result, arm, "tuned") for arm in arms]
    columns |= {
        "steps to target": [_steps_text(result, arm) for arm in arms],
        "reached": [percent(arm["tuned"]["reached"]) if has_times(result, arm) else MISSING for arm in arms],
        "seconds to target": [_seconds_text(result, arm, timing) for arm in arms],
    }
    if more_gradients(result):
        columns[GRADIENTS] = [f"{arm['gradients_per_step']:.3g}" for arm in arms]
    if any(arm["tuned"] and arm["tuned"]["num_diverged"] for arm in arms):
        columns["diverged"] = [_diverged_text(arm) for arm in arms]
    columns["verdict"] = [_verdict_text(result, arm) for arm in arms]
    return _table(f"ranking by {loss_name(result)}; {budget_text(result)}", columns)


def untuned_table(result: Result) -> Table:
    """Tabulate what tuning brought: the median loss of the settings as they were written against that of the best."""
    arms = ranked(result)
    metric = shown_metric(result)
    columns = {
        "optimizer": [arm_text(arm) for arm in arms],
        "tuned setting": [setting_text(arm) for arm in arms],
        "untuned loss": [loss_text(median(arm, which="untuned")) for arm in arms],
        "tuned loss": [loss_text(median(arm)) if arm["tuned"] else MISSING for arm in arms],
        "gain": [_gain_text(arm) for arm in arms],
        "lower on": [_lower_text(arm) for arm in arms],
    }
    if metric:
        columns[f"untuned test {metric}"] = [metric_text(result, arm, "untuned") for arm in arms]
    seeds = plural(len(result["protocol"]["seeds"]), "fresh seed")
    return _table(f"tuned and untuned: median {loss_name(result)}, the same {seeds}", columns)


def against_table(result: Result) -> Table:
    """Tabulate the paired differences to the reference, with their tests and verdicts."""
    arms, num_seeds = judged_arms(result), len(result["protocol"]["seeds"])
    found = [arm["verdict"] for arm in arms]
    columns = {
        "optimizer": [arm_text(arm) for arm in arms],
        "difference": [_difference_text(each["difference"]) for each in found],
        "95 % interval": [_difference_interval(each["interval"], num_seeds) for each in found],
        "lower on": [f"{each['share'] * num_seeds:g} of {num_seeds}" for each in found],
        "share lower, 95 % interval": [" to ".join(map(percent, each["share_interval"])) for each in found],
        "p": [format_number(each["p"], 2) for each in found],
        "p by Holm": [format_number(each["adjusted_p"], 2) for each in found],
        "verdict": [_words(result, each) for each in found],
    }
    reference = result["reference"]
    return _table(f"against {reference}: loss minus that of {reference}, median over seeds", columns)


def course_table(result: Result) -> Table:
    """Tabulate the loss over the whole training: at its end, at its best, and over all steps."""
    arms = tuned_arms(result)
    columns = {
        "optimizer": [arm_text(arm) for arm in arms],
        "after the last epoch": [loss_text(median(arm, "final")) for arm in arms],
        "after the best epoch": [loss_text(median(arm, "best")) for arm in arms],
        "mean over all steps": [_area_text(result, arm) for arm in arms],
        "steps to target, quartiles": [_quartiles_text(result, arm) for arm in arms],
    }
    mean = "geometric mean" if result["judged"]["is_log"] else "mean"
    return _table(f"course of the {part_name(result)}, tuned, medians over seeds ({mean} over the steps)", columns)


def tuning_table(result: Result) -> Table:
    """Tabulate the searches: where was looked, what was found, and how much the budget mattered."""
    arms = ranked(result)
    columns = {
        "optimizer": [arm_text(arm) for arm in arms],
        "searched": [space_text(arm) for arm in arms],
        "trials": [" + ".join(str(len(search["trials"])) for search in arm["searches"]) for arm in arms],
        "best setting": [setting_text(arm) for arm in arms],
        "at the edge": [", ".join(arm["at_edge"]) or "no" for arm in arms],
        "good trials": [percent(arm["good"]["share"]) for arm in arms],
        "good lr from": [_good_text(arm, "low") for arm in arms],
        "to": [_good_text(arm, "high") for arm in arms],
        "decades": [_decades_text(arm["good"]) for arm in arms],
        "failed": [percent(arm["failed_share"]) for arm in arms],
        "expected best of 1": [_expected_text(arm, 1) for arm in arms],
        f"of {FEW_TRIALS}": [_expected_text(arm, FEW_TRIALS) for arm in arms],
        "of all": [_expected_text(arm, None) for arm in arms],
    }
    over = plural(len(result["protocol"]["tuning_seeds"]), "seed")
    title = f"tuning by mean {loss_name(result)} over {over}; good: at most 10 % above the best"
    return _table(title, columns)


def _difference_text(value: float | None) -> str:
    """Write a difference of losses; null is infinite: one of the two failed."""
    return "infinite" if value is None else format_number(value, 3)


def _difference_interval(interval: Sequence[float | None], num_seeds: int) -> str:
    return " to ".join(map(_difference_text, interval)) if num_seeds > 1 else MISSING


def narrowed(table: Table, width: int = TERMINAL) -> Table:
    """Shorten headers and leave out columns, those that matter least first, until a table is as wide as a terminal.

    Args:
        table: The table; its first column stays, and its last, unless it is one that a terminal can do without.
        width: Characters.
    """
    table = replace(table, header=tuple(SHORT.get(name, name) for name in table.header))
    least = [name for words in LEAST for name in table.header[1:] if _begins(name, words)]
    if GRADIENTS in least and {"steps", "seconds"} <= set(table.header):
        least.insert(least.index("seconds"), "steps")  # which do not compare
    for name in (*least, *reversed(table.header[1:-1])):
        if max(map(len, plain(table)[1:])) <= width:
            break
        table = _without(table, name)
    return table


def _begins(name: str, words: str) -> bool:
    return name == words or name.startswith(f"{words} ")


def _without(table: Table, name: str) -> Table:
    kept = [column for column, each in enumerate(table.header) if each != name]
    header, *rows = (tuple(row[column] for column in kept) for row in (table.header, *table.rows))
    return replace(table, header=header, rows=tuple(rows))


def _table(title: str, columns: Mapping[str, Sequence[str]]) -> Table:
    return Table(title, tuple(columns), tuple(zip(*columns.values(), strict=True)), WORDS)


def _words(result: Result, verdict: Mapping[str, Any]) -> str:
    """Give the words of a verdict; none was possible where so few seeds can show nothing."""
    return str(verdict["words"]) if result["can_show"] else NO_VERDICT


def _verdict_text(result: Result, arm: Arm) -> str:
    if arm["name"] == result["reference"]:
        return REFERENCE
    return _words(result, arm["verdict"]) if arm["verdict"] else MISSING


def _steps_text(result: Result, arm: Arm) -> str:
    return steps_text(median(arm, "steps_to_target")) if has_times(result, arm) else MISSING


def _seconds_text(result: Result, arm: Arm, timing: Timing) -> str:
    """Write the median steps to the target times the seconds of a step."""
    seconds = timing.get("seconds_per_step", {}).get(arm["name"])
    if seconds is None or not has_times(result, arm):
        return MISSING
    steps = median(arm, "steps_to_target")
    return steps_text(steps) if math.isinf(steps) else format_number(steps * seconds, 2)


def _quartiles_text(result: Result, arm: Arm) -> str:
    if not has_times(result, arm):
        return MISSING
    return " to ".join(steps_text(finite_or_inf(end)) for end in arm["tuned"]["steps_to_target"]["quartiles"])


def _diverged_text(arm: Arm) -> str:
    return f"{arm['tuned']['num_diverged']} of {arm['tuned']['num_runs']}" if arm["tuned"] else MISSING


def _gain_text(arm: Arm) -> str:
    gain = median(arm, which="untuned") - median(arm)
    return format_number(gain) if math.isfinite(gain) else MISSING


def _lower_text(arm: Arm) -> str:
    pairs = list(zip(values(arm), values(arm, which="untuned"), strict=True)) if arm["tuned"] else []
    return f"{sum(tuned < untuned for tuned, untuned in pairs)} of {len(pairs)}" if pairs else MISSING


def _area_text(result: Result, arm: Arm) -> str:
    area = median(arm, "area")
    if math.isinf(area):
        return loss_text(area)
    return format_number(math.exp(area) if result["judged"]["is_log"] else area)


def _good_text(arm: Arm, end: str) -> str:
    good = arm["good"]
    if good[end] is None:
        return MISSING
    return f"{'' if good['key'] == 'lr' else good['key'] + ' '}{short_number(good[end])}"


def _decades_text(good: Mapping[str, Any]) -> str:
    return f"{math.log10(good['high'] / good['low']):.1f}" if good["low"] else MISSING


def _expected_text(arm: Arm, num_trials: int | None) -> str:
    expected = arm["expected_best"]
    if num_trials is not None and num_trials > len(expected):
        return MISSING
    return loss_text(finite_or_inf(expected[-1 if num_trials is None else num_trials - 1]))
