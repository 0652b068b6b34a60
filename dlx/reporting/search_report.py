"""Writes report.md of a search: what was tried, what was chosen and why, what the numbers say and what they do not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dlx.reporting.gallery import Picture
from dlx.reporting.report import plugin_flags, replace_file, shown_pictures
from dlx.reporting.search_sentences import (
    choice_sentences,
    edge_sentences,
    equality_sentences,
    failure_sentences,
    gap_sentences,
    search_headline,
    space_text,
    underfit_sentences,
    variation_sentences,
)
from dlx.reporting.search_tables import HELD_OUT, search_tables
from dlx.reporting.search_trials import Result, canonical, cells_of, find_trial, keys_of
from dlx.reporting.tables import escape, format_mean, format_number, markdown

MAX_ROWS = 100
"""Trials in the table of the report, at most."""


def write_search_report(
    run_dir: Path,
    result: Result,
    facts: Mapping[str, str],
    cells: Sequence[Mapping[str, Any]],
    pictures: Sequence[Picture],
    train_lines: Mapping[str, str],
) -> None:
    """Write report.md of a search into its run directory.

    Args:
        run_dir: The run directory.
        result: Content of result.json.
        facts: What was run, by name: data, model, loss ...
        cells: Lines of cells.jsonl.
        pictures: The figures that were drawn.
        train_lines: Command lines of ``dlx train`` that repeat cells, by the cells' ids; the first cell of the best
            trial's is shown.

    Raises:
        RunError: If the file cannot be written.
    """
    text = search_report_text(result, facts, cells, pictures, train_lines)
    replace_file(run_dir / "report.md", text.encode())


def search_report_text(
    result: Result,
    facts: Mapping[str, str],
    cells: Sequence[Mapping[str, Any]],
    pictures: Sequence[Picture],
    train_lines: Mapping[str, str],
) -> str:
    """Compose the report; see ``write_search_report``. It holds no clock values: a repeated run gives the same text."""
    name = escape(str(result["name"]))
    ranking, *tables = (markdown(table) + "\n" for table in search_tables(result, MAX_ROWS))
    chosen = find_trial(result, "chosen")
    sections = {
        "What was run": [f"- {escape(key)}: {escape(value)}\n" for key, value in _facts(result, facts).items()],
        "Estimate": _paragraphs(estimate_sentences(result)),
        "Trials": [ranking, *_items(failure_sentences(result))],
        "Choice": _items([*choice_sentences(result), *equality_sentences(result), *edge_sentences(result)]),
        "How to read the numbers": _items(meaning_sentences(result) if chosen else ()),
        "Scores and folds": [*tables, *_items(variation_sentences(result))],
        "Fit": _paragraphs([*gap_sentences(result), *underfit_sentences(result, cells_of(chosen, cells))]),
        "Figures": list(shown_pictures(pictures)),
        "Use it": _use(result, plugin_flags(facts)),
        "Repeat it": _repetition(result, train_lines, plugin_flags(facts)),
    }
    kept = (f"## {title}\n\n{''.join(parts).rstrip()}\n" for title, parts in sections.items() if parts)
    return "\n".join([f"# {name}: {escape(result['command'])}\n\n{_status(result)}\n", *kept])


def _status(result: Result) -> str:
    headline = search_headline(result)
    if headline is None:
        return f"No trial has a {HELD_OUT} score."
    return escape(headline[:1].upper() + headline[1:]) + "."


def _facts(result: Result, facts: Mapping[str, str]) -> dict[str, str]:
    search, folds = result["search"], result["folds"]
    budget = "" if search["budget"] == "full" else f", budget: {search['budget']}"
    sizes = "nothing was trained"
    if folds["num_train"] is not None:
        sizes = f"about {folds['num_train']:,.0f} training and {folds['num_test']:,.0f} {HELD_OUT} examples each"
    counts = [("repeats", folds["repeats"]), ("seeds", len(folds["seeds"]))]
    several = "".join(f", {count} {name}" for name, count in counts if count > 1)
    found = {"folds": f"{folds['kind']}{several}: {sizes}"}
    if keys_of(result):
        found |= {"space": space_text(result), "trials": f"{search['num_trials']}, {search['method']}{budget}"}
    return {**facts, **found}


def _items(sentences: Iterable[str]) -> list[str]:
    return [f"- {escape(sentence)}\n" for sentence in sentences]


def _paragraphs(sentences: Iterable[str]) -> list[str]:
    text = " ".join(map(escape, sentences))
    return [f"{text}\n"] if text else []


def estimate_sentences(result: Result) -> Iterator[str]:
    """Say how well the chosen setting can be expected to do on new examples, and how sure that is."""
    estimate, chosen = result["estimate"], find_trial(result, "chosen")
    if chosen is None:
        return
    if estimate["kind"] == "nested":
        outer = estimate["outer"]
        own = format_mean(chosen["score"]["mean"], chosen["score"]["se"])
        choices = len({canonical(each["values"]) for each in outer})
        yield "The whole search, its choice included, was repeated for each outer fold without that fold's examples,"
        yield "and its choice was scored by them: so the estimate is free of the optimism of a choice."
        yield f"The selection score of trial {chosen['trial']}, {own}, is not."
        if choices == 1:
            yield f"All {len(outer)} outer folds chose the same setting."
        else:
            yield f"The {len(outer)} outer folds chose {choices} different settings: the choice depends on the"
            yield "examples, and the estimate is of the whole procedure, not of one setting."
    elif len(result["trials"]) > 1:
        yield f"The score is optimistic: the same {HELD_OUT} examples chose the setting and score it, and the best of"
        yield f"{len(result['trials'])} is partly the luckiest. With cv.nested=true the whole procedure is scored by"
        yield "examples that took no part in the choice."
    else:
        yield f"There was no choice between settings, so the {HELD_OUT} examples chose nothing."


def meaning_sentences(result: Result) -> Iterator[str]:
    """Explain the words and signs of the table, and what error bars of cross-validation cannot tell."""
    if result["folds"]["pooled"]:
        yield (
            "Every example is held out once, and the score is that of all predictions together; ± is its standard "
            "error by the jackknife, from what the score would be without each example."
        )
    else:
        yield (
            f"A {HELD_OUT} score is that of the part of a fold that neither trained nor stopped the training. ± is one "
            "standard error of its mean over folds: their standard deviation by the root of the number of folds in "
            "one repeat."
        )
    yield (
        "Any error bar of cross-validation is approximate, and mostly too small: folds share training examples, so "
        "their scores are not independent (Bengio and Grandvalet 2004)."
    )
    if any(trial.get("difference") for trial in result["trials"]):
        yield (
            "Marked = are the trials that are indistinguishable from the best: a corrected resampled t-test, which "
            "allows for the shared examples (Nadeau and Bengio 2003), with Holm's correction, shows no difference at "
            "the 5 % level. That no difference is shown does not mean that there is none."
        )
    if any(trial["status"] == "dropped" for trial in result["trials"]):
        yield "Dropped trials are ranked by the budget they reached: scores of different budgets are not compared."


def _use(result: Result, flags: str) -> list[str]:
    chosen = find_trial(result, "chosen")
    if chosen is None:
        return []
    lines = [
        "`best.yaml` is the config of the chosen trial, with this folder for RUN:\n\n",
        f"```sh\ndlx train RUN/best.yaml{flags}\n```\n\n",
    ]
    refit = result["refit"]
    if refit and "reason" in refit:
        lines.append(f"There are no weights: {escape(refit['reason'])}.\n")
    elif refit:
        scores = ", ".join(f"{name} {format_number(value)}" for name, value in refit["train"].items())
        lines.append(
            f"It was also trained on all examples for {refit['epochs']} epochs, seed {refit['seed']}: training "
            f"{escape(scores)}. No example is left to score it by: the estimate above is the one to quote.\n"
        )
    return lines


def _repetition(result: Result, train_lines: Mapping[str, str], flags: str) -> list[str]:
    """Show how a cell is repeated alone, and where all trials and cells are."""
    text = "`trials.csv` has every trial with all its scores, `cells.jsonl` every cell.\n"
    best = find_trial(result, "best")
    if best is None:
        return [text]
    first = best["cells"][0]
    lines = [f"dlx cv RUN --cell {first}{flags}", *([train_lines[first]] if first in train_lines else [])]
    how = "To the same bits, both lines do the same" if len(lines) > 1 else "To the same bits"
    code = "\n".join(lines)
    return [
        f"{text}\nA cell is repeated alone, here the first of trial {best['trial']}. {how}:\n\n```sh\n{code}\n```\n"
    ]
