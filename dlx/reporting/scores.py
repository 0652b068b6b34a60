"""Names the numbers that a run came to, whatever its command, so that runs can be listed, sorted and compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dlx.core.errors import RunError
from dlx.reporting.comparison_texts import finite_or_inf, interval_text, loss_text, tuned_arms
from dlx.reporting.tables import format_mean, format_number, present_parts, score_names

Result = Mapping[str, Any]


@dataclass(frozen=True)
class RunScore:
    """A number that a run came to.

    Attributes:
        name: What it is, as "test accuracy".
        metric: What it can be sorted by, as "accuracy"; empty where it is no score.
        value: The number, in the score's unit; None where it is not defined.
        spread: Its standard deviation over seeds or its standard error over folds; None where there is none.
        text: Both as they are shown.
        is_higher_better: Which way it is better; None where nobody says.
    """

    name: str
    metric: str
    value: float | None
    spread: float | None
    text: str
    is_higher_better: bool | None = False


def run_scores(result: Result) -> list[RunScore]:
    """Give the numbers of a run, the one that counts first; none if every member diverged.

    Args:
        result: Content of a result.json.

    Raises:
        RunError: If it is no result of a command of dlx.
    """
    try:
        kind = result.get("kind") if result["command"] == "compare-optimizers" else None
        return list(SCORES[result["command"], kind](result))
    except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
        raise RunError("its result.json is not as dlx writes it; restore it from a copy") from error


def _of_training(result: Result) -> Iterator[RunScore]:
    """Give the metrics, then the loss, of test, valid and train."""
    better, summary = result.get("higher_is_better", {}), result.get("summary") or {}
    for part in reversed(present_parts(summary)):
        for name in [*score_names(dict(result))[1:], "loss"]:
            mean, std = summary[part][name]["mean"], summary[part][name].get("std")
            yield RunScore(f"{part} {name}", name, mean, std, format_mean(mean, std), better.get(name, _falls(name)))


def _falls(name: str) -> bool | None:
    return False if name == "loss" else None


def _of_search(result: Result) -> Iterator[RunScore]:
    """Give the estimate, then the scores of the chosen trial."""
    score, estimate, chosen = result["score"], result["estimate"], result["selection"]["chosen"]
    if chosen is None:
        return
    what, higher = "nested" if estimate["kind"] == "nested" else "held-out", score["higher_is_better"]
    mean, se = estimate["mean"], estimate["se"]
    yield RunScore(f"{what} {score['name']}", score["name"], mean, se, format_mean(mean, se), higher)
    for part, means in result["trials"][chosen]["means"].items():
        for name, found in means.items():
            better = higher if name == score["name"] else _falls(name)
            text = format_mean(found["mean"], found["se"])
            yield RunScore(f"chosen trial, {part} {name}", name, found["mean"], found["se"], text, better)


def _of_comparison(result: Result) -> Iterator[RunScore]:
    """Give the median loss of every tuned optimizer, with its interval, the lowest first."""
    for arm in tuned_arms(result):
        found = arm["tuned"]["loss"]
        text, name = loss_text(finite_or_inf(found["median"])), f"{arm['name']} {result['judged']['part']} loss"
        interval = f" ({interval_text(found)})" if len(found["values"]) > 1 else ""
        yield RunScore(name, "loss", found["median"], None, text + interval)


def _of_problems(result: Result) -> Iterator[RunScore]:
    for problem in result["problems"]:
        for score in _of_comparison(problem):
            # losses of several problems are no scores of one thing
            yield RunScore(f"{problem['name']}: {score.name}", "", score.value, None, score.text)


def _of_race(result: Result) -> Iterator[RunScore]:
    for rule in result["optimizers"]:
        yield _number(f"{rule['label']} at the end", rule["usual"]["value"])


def _of_check(result: Result) -> Iterator[RunScore]:
    yield RunScore("gradient", "", None, None, str(result["status"]), None)


def _of_curvature(result: Result) -> Iterator[RunScore]:
    yield _number("f", result["value"])
    yield _number("gradient norm", result["gradient_norm"])
    yield _number("highest eigenvalue", result["spectrum"]["highest"]["value"])


def _of_landscape(result: Result) -> Iterator[RunScore]:
    for mark in result["marks"]:
        yield _number(f"{result['error']} at the {mark['name']}", mark["value"])


def _number(name: str, value: float | None) -> RunScore:
    return RunScore(name, "", value, None, format_number(value), None)


SCORES = {
    ("train", None): _of_training,
    ("cv", None): _of_search,
    ("gradcheck", None): _of_check,
    ("curvature", None): _of_curvature,
    ("landscape", None): _of_landscape,
    ("compare-optimizers", "model"): _of_comparison,
    ("compare-optimizers", "problems"): _of_problems,
    ("compare-optimizers", "surface"): _of_race,
}
"""What a command's result has, by command and kind."""
