"""Turns the content of a search's result.json into tables of strings, for the terminal and report.md, and a CSV.

Scores are written as mean ± standard error over folds; of leave-one-out as the score of all held-out predictions
together ± its jackknife standard error.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from typing import Any

from dlx.core.records import PARTS
from dlx.reporting.search_trials import (
    Result,
    Trial,
    canonical,
    find_trial,
    keys_of,
    ranked,
    short_keys,
    value_labels,
)
from dlx.reporting.tables import (
    MISSING,
    Table,
    format_mean,
    format_number,
    is_number,
    score_names,
    shorten,
)

MAX_ROWS = 20
"""Trials that the terminal shows, at most."""
LONGEST_VALUE = 28
"""Characters of a value in a table, at most."""
LONGEST_REASON = 70
"""Characters of the reason why a trial has no rank, at most; trials.csv has it whole."""
HELD_OUT = "held-out"
"""What the test parts of the folds are called."""


def search_tables(result: Result, max_rows: int = MAX_ROWS) -> list[Table]:
    """Tabulate a search: the ranked trials, the scores of the chosen one, and the outer folds if it is nested.

    Args:
        result: Content of result.json.
        max_rows: Trials that are shown, at most; the best and the chosen one always are.
    """
    tables = [ranked_table(result, max_rows)]
    chosen = find_trial(result, "chosen")
    if chosen is not None:
        tables.append(_chosen_table(result, chosen))
    if result["estimate"].get("outer"):
        tables.append(_outer_table(result))
    return tables


def ranked_table(result: Result, max_rows: int = MAX_ROWS) -> Table:
    """Tabulate the trials, the best first, those without a rank at the end with the reason."""
    trials, name = ranked(result), result["score"]["name"]
    shown = _shown(result, trials, max_rows)
    more = f"; {len(trials) - len(shown)} more in trials.csv" if len(shown) < len(trials) else ""
    better = "higher" if result["score"]["higher_is_better"] else "lower"
    title = f"trials by {HELD_OUT} {name} ({better} is better), {spread_text(result)}; gap: {HELD_OUT} - training{more}"
    labels = _labels(result)
    header = ("rank", "trial", *short_keys(keys_of(result)).values())
    header += (f"{HELD_OUT} {name}", "training", "gap", "best epoch", "parameters", "note")
    width = len(str(len(trials)))
    rows = tuple(
        (
            str(trial["rank"]).rjust(width),
            str(trial["trial"]),
            *(labels[key][canonical(value)] for key, value in trial["values"].items()),
            _score_text(trial, "score"),
            _score_text(trial, "train_score"),
            _gap_text(trial),
            _count_text(trial.get("best_epoch")),
            _count_text(trial.get("num_parameters")),
            _note(result, trial),
        )
        for trial in shown
    )
    return Table(title, header, rows, (*_word_columns(result), "note"))


def spread_text(result: Result) -> str:
    """Say what ± means."""
    if result["folds"]["pooled"]:
        return "± jackknife standard error"
    return "mean ± standard error over folds"


def _shown(result: Result, trials: list[Trial], max_rows: int) -> list[Trial]:
    marked = {result["selection"]["best"], result["selection"]["chosen"]}
    below = [trial for trial in trials[max_rows:] if trial["trial"] in marked]
    return [*trials[: max_rows - len(below)], *below]


def _labels(result: Result) -> dict[str, dict[str, str]]:
    """Give short texts of all values of each key, by canonical value."""
    return {
        key: value_labels([trial["values"][key] for trial in result["trials"]], LONGEST_VALUE)
        for key in keys_of(result)
    }


def _word_columns(result: Result) -> tuple[str, ...]:
    """Name the columns of the keys that have values other than numbers."""
    short = short_keys(keys_of(result))
    return tuple(
        name for key, name in short.items() if not all(is_number(trial["values"][key]) for trial in result["trials"])
    )


def _score_text(trial: Trial, name: str) -> str:
    score = trial.get(name)
    return format_mean(score["mean"], score.get("se")) if score else MISSING


def _gap_text(trial: Trial) -> str:
    """Write held-out minus training score, to the last place that both are written to."""
    texts = [_score_text(trial, name) for name in ("score", "train_score")]
    means = [(trial.get(name) or {}).get("mean") for name in ("score", "train_score")]
    held_out, training = means
    if not is_number(held_out) or not is_number(training):
        return MISSING
    if any("e" in text for text in texts):
        return format_number(held_out - training)
    places = min(len(text.partition(" ")[0].partition(".")[2]) for text in texts)
    return f"{round(held_out - training, places) + 0.0:.{places}f}"


def _count_text(count: int | None) -> str:
    return MISSING if count is None else f"{count:,}"


def _note(result: Result, trial: Trial) -> str:
    """Say what is special about a trial."""
    if trial["status"] == "dropped":
        return f"dropped after {trial['epochs']} epochs"
    if trial["status"] != "done":
        return shorten(f"{trial['status']}: {trial.get('reason', '')}", LONGEST_REASON)
    marks = [which for which in ("best", "chosen") if trial["trial"] == result["selection"][which]]
    equal = ["="] if (trial.get("difference") or {}).get("indistinguishable") else []
    return ", ".join([*equal, *marks])


def _chosen_table(result: Result, chosen: Trial) -> Table:
    means = chosen["means"]
    rows = tuple(
        (HELD_OUT if part == "test" else part, *(_score_text(means[part], name) for name in score_names(dict(result))))
        for part in PARTS
        if means.get(part)
    )
    title = f"scores of the chosen trial, {chosen['trial']}, {spread_text(result)}"
    return Table(title, ("", *score_names(dict(result))), rows)


def _outer_table(result: Result) -> Table:
    name, outer = result["score"]["name"], result["estimate"]["outer"]
    keys = short_keys(keys_of(result))
    found = [each["values"] for each in outer if each["values"] is not None]  # None where every trial diverged
    labels = {key: value_labels([values[key] for values in found], LONGEST_VALUE) for key in keys}
    rows = tuple(
        (
            str(each["outer_fold"]),
            _count_text(each["trial"]),
            *(labels[key][canonical(each["values"][key])] if each["values"] is not None else MISSING for key in keys),
            _count_text(each["epochs"]),
            format_number(each["score"]),
            format_number(each["selection_score"]),
        )
        for each in outer
    )
    header = ("outer fold", "trial", *keys.values(), "epochs", f"outer {name}", f"selection {name} (optimistic)")
    return Table("what each outer fold chose, and how that did on its examples", header, rows, _word_columns(result))


def trials_csv(result: Result) -> str:
    """Write all trials, the best first, as CSV: values that are lists or sections as JSON, undefined numbers empty.

    Args:
        result: Content of result.json.

    Returns:
        A header and one line per trial.
    """
    rows = [_csv_row(result, trial) for trial in ranked(result)]
    columns = list(dict.fromkeys(column for row in rows for column in row))
    columns += [columns.pop(columns.index("reason"))]
    file = io.StringIO()
    writer = csv.DictWriter(file, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


def _csv_row(result: Result, trial: Trial) -> dict[str, Any]:
    row: dict[str, Any] = {name: trial[name] for name in ("rank", "trial", "status")}
    row |= {"is_best": trial["trial"] == result["selection"]["best"]}
    row |= {"is_chosen": trial["trial"] == result["selection"]["chosen"]}
    row |= {key: value if isinstance(value, str) else json.dumps(value) for key, value in trial["values"].items()}
    row |= _mean_columns("score", trial.get("score")) | _mean_columns("train_score", trial.get("train_score"))
    for part in PARTS:
        for name, score in ((trial.get("means") or {}).get(part) or {}).items():
            row |= _mean_columns(f"{part}_{name}", score)
    difference = trial.get("difference") or {}
    row |= {f"difference_{name}": difference.get(name) for name in ("mean", "p")}
    row |= {"indistinguishable": difference.get("indistinguishable")}
    names = ("fold_std", "seed_std", "epochs", "best_epoch", "num_parameters", "num_diverged", "reason")
    return row | {name: trial.get(name) for name in names}


def _mean_columns(name: str, score: Mapping[str, Any] | None) -> dict[str, Any]:
    return {f"{name}_mean": (score or {}).get("mean"), f"{name}_se": (score or {}).get("se")}
