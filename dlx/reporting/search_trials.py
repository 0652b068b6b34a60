"""What tables and figures of a search share: its trials, and short names of keys and of their values.

A result is the content of a result.json of ``dlx cv``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from dlx.reporting.tables import LONGEST, is_number, shorten

Result = Mapping[str, Any]
Trial = Mapping[str, Any]


def keys_of(result: Result) -> list[str]:
    """Name the keys of the space, in its order."""
    return list(result["search"]["space"])


def ranked(result: Result) -> list[Trial]:
    """Give all trials, the best first; those that were dropped, diverged or could not be come last."""
    return sorted(result["trials"], key=lambda trial: trial["rank"])


def scored(result: Result, status: str = "done") -> list[Trial]:
    """Give the trials of a status whose held-out score is a finite number, the best first."""
    return [
        trial
        for trial in ranked(result)
        if trial["status"] == status and is_number((trial.get("score") or {}).get("mean"))
    ]


def find_trial(result: Result, which: str) -> Trial | None:
    """Give the trial that is ``best`` or ``chosen``; None where there is none, for all diverged."""
    number = result["selection"][which]
    return next((trial for trial in result["trials"] if trial["trial"] == number), None)


def num_fold_scores(result: Result) -> int:
    """Count the folds of all repeats: so many scores a trial has."""
    return int(result["folds"]["num_folds"] * result["folds"]["repeats"])


def cells_of(trial: Trial | None, cells: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Give a trial's cells at its own budget that did not diverge.

    Args:
        trial: The trial, or none.
        cells: Lines of cells.jsonl; trials that are equal share them.
    """
    if trial is None:
        return []
    found = {line["id"]: line for line in cells if line["epochs"] == trial["epochs"]}
    lines = (found.get(name) for name in trial["cells"])
    return [line for line in lines if line is not None and line["stop_reason"] != "diverged"]


def short_keys(keys: Sequence[str]) -> dict[str, str]:
    """Name keys by their last word, as ``lr``, where no other key has the same."""
    last = [key.rpartition(".")[2] for key in keys]
    return {key: name if last.count(name) == 1 else key for key, name in zip(keys, last, strict=True)}


def end_of_key(key: str, longest: int = 30) -> str:
    """Cut a key that is too long for its place at its beginning: its end tells it apart."""
    return key if len(key) <= longest else f"…{key[1 - longest :]}"


def canonical(value: Any) -> str:
    """Write a value such that equal values are written equally."""
    return json.dumps(value, sort_keys=True)


def value_text(value: Any) -> str:
    """Write a value of the space in short: numbers with 4 digits, a section as ``adam lr=0.001``."""
    if isinstance(value, Mapping):
        name = [str(value["name"])] if "name" in value else []
        return " ".join([*name, *(f"{key}={value_text(each)}" for key, each in value.items() if key != "name")])
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(value_text, value))}]"
    if isinstance(value, float):
        return re.sub(r"e([+-])0*", lambda found: "e" + found[1].strip("+"), f"{value:.4g}")
    return value if isinstance(value, str) else json.dumps(value)


def value_labels(values: Sequence[Any], longest: int = LONGEST) -> dict[str, str]:
    """Write the values of a key in short, those that differ differently.

    Of a section only that is written which tells it from the others, without the keys if they do not fit. What is cut
    to the same text is numbered.

    Args:
        values: All values of the key.
        longest: Characters of a label, at most.

    Returns:
        Labels by canonical value.
    """
    distinct = {canonical(value): value for value in values}
    full = {key: _fitting(_distinguishing(value, distinct.values()), longest) for key, value in distinct.items()}
    labels = {key: shorten(text, longest) for key, text in full.items()}
    texts = list(labels.values())
    for place, (key, text) in enumerate(zip(distinct, texts, strict=True)):
        if text != full[key] and texts.count(text) > 1:
            number = f" {texts[: place + 1].count(text)}"
            labels[key] = shorten(full[key], longest - len(number)) + number
    return labels


def _fitting(value: Any, longest: int) -> str:
    text = value_text(value)
    is_short = len(text) <= longest or not isinstance(value, Mapping)
    return text if is_short else " ".join(value_text(each) for each in value.values())


def _distinguishing(value: Any, values: Collection[Any]) -> Any:
    """Leave of a section its name, if another has a different one, and what is not the same in all of its name."""
    if not isinstance(value, Mapping):
        return value
    sections = [{"name": each} if isinstance(each, str) else each for each in values]
    sections = [each for each in sections if isinstance(each, Mapping)]
    named = [each for each in sections if each.get("name") == value.get("name")]
    own = {
        key: each
        for key, each in value.items()
        if not all(key in other and canonical(other[key]) == canonical(each) for other in named)
    }
    is_told_by_name = len(named) < len(sections) or any(isinstance(each, str) for each in values)
    if "name" in value and (is_told_by_name or not own):
        own = {"name": value["name"], **own}
    return own or value
