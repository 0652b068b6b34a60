"""Says in sentences what came out of a search: the choice, what cannot be told from the best, what to try next.

Every sentence says what its numbers support: an error bar over folds is approximate, because the training sets of
folds overlap (Bengio and Grandvalet 2004: no unbiased estimate of its variance exists).
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator, Sequence

from dlx.reporting.report import unlearned_sentences
from dlx.reporting.search_trials import Result, Trial, find_trial, keys_of, num_fold_scores, value_text
from dlx.reporting.tables import format_mean, format_number, is_number

MAX_LISTED = 12
"""Trials that a sentence names, at most."""
ENDS = {"done": "done", "dropped": "dropped on the way", "diverged": "diverged", "invalid": "not valid"}
"""How trials end, by status."""


def search_headline(result: Result) -> str | None:
    """Give the estimate in a line, as "selection score (optimistic): accuracy 0.9733 ± 0.0041 over 5 folds".

    Without a choice between trials a score is not optimistic. None if every trial diverged.
    """
    estimate = result["estimate"]
    if not is_number(estimate["mean"]):
        return None
    score = f"{result['score']['name']} {format_mean(estimate['mean'], estimate['se'])}"
    if estimate["kind"] == "nested":
        return f"nested estimate: {score} over {len(estimate['outer'])} outer folds"
    what = "held-out score" if len(result["trials"]) == 1 else "selection score (optimistic)"
    return f"{what}: {score} {over_text(result)}"


def over_text(result: Result) -> str:
    """Say over what a score is taken."""
    folds = result["folds"]
    if folds["pooled"]:
        return "over all examples, each held out once"
    repeats = f" of {folds['repeats']} repeats" if folds["repeats"] > 1 else ""
    seeds = f" with {len(folds['seeds'])} seeds each" if len(folds["seeds"]) > 1 else ""
    return f"over {num_fold_scores(result)} folds{repeats}{seeds}"


def search_sentences(result: Result) -> list[str]:
    """Say what came out of a search, one sentence or two a line.

    Args:
        result: Content of result.json.
    """
    sentences = [
        *choice_sentences(result),
        *equality_sentences(result),
        *edge_sentences(result),
        *failure_sentences(result),
        *variation_sentences(result),
        *gap_sentences(result),
    ]
    return list(sentences)


def choice_sentences(result: Result) -> Iterator[str]:
    """Name the chosen trial, if there was a choice, and the reason."""
    chosen = find_trial(result, "chosen")
    if chosen is None:
        yield f"No trial was chosen: {result['selection']['reason'].rstrip('.')}."
    elif len(result["trials"]) > 1:
        values = ", ".join(f"{key} = {value_text(value)}" for key, value in chosen["values"].items())
        yield f"Chosen: trial {chosen['trial']} ({values})."
        yield _ended(result["selection"]["reason"])


def _ended(text: str) -> str:
    """Begin a sentence with a capital and end it with a stop."""
    return text[:1].upper() + text[1:].rstrip(".") + "."


def _listed(numbers: Sequence[int]) -> str:
    """Name trials, or count those that are too many to name."""
    names = ", ".join(map(str, numbers[:MAX_LISTED]))
    more = f" and {len(numbers) - MAX_LISTED} more" if len(numbers) > MAX_LISTED else ""
    return f"trial{'s' if len(numbers) > 1 else ''} {names}{more}"


def equality_sentences(result: Result) -> Iterator[str]:
    """Say which trials are not shown to differ from the best."""
    selection = result["selection"]
    differences = [trial["difference"] for trial in result["trials"] if trial.get("difference")]
    if not differences:
        return
    tested = sum(difference["p"] is not None for difference in differences)
    best, equal = selection["best"], selection["indistinguishable"]
    others = "other trial" if tested + 1 == len(result["trials"]) else "other trial of the full budget"
    if not tested:
        yield "There are too few folds for a test of differences between trials."
        return
    how = "corrected resampled t-test at the 5 % level"
    how += f", Holm's correction for {tested} comparisons" if tested > 1 else ""
    if not equal:
        yield f"Every {others} is shown to be worse than the best, trial {best} ({how})."
        return
    every = f"every {others}" if len(equal) == tested > 1 else _listed(equal)
    yield f"Indistinguishable from the best, trial {best}: {every}: no difference shown ({how})."


def edge_sentences(result: Result) -> Iterator[str]:
    """Say which chosen values lie at an end of what was tried."""
    for edge in result["selection"]["edges"]:
        is_high = edge["side"] == "high"
        value, bound = value_text(edge["value"]), value_text(edge["bound"])
        if isinstance(result["search"]["space"][edge["key"]], Sequence):
            place = f"the {'largest' if is_high else 'smallest'} value tried"
        else:
            end = f"the {'upper' if is_high else 'lower'} end of its range"
            place = f"at {end}" if value == bound else f"near {end}, {bound}"
        yield f"{edge['key']} = {value} is {place}: try {'higher' if is_high else 'lower'}."


def failure_sentences(result: Result) -> Iterator[str]:
    """Count the trials that have no score at the full budget."""
    counts = Counter(trial["status"] for trial in result["trials"])
    if counts["done"] < len(result["trials"]):
        parts = [f"{counts[status]} {what}" for status, what in ENDS.items() if counts[status]]
        scores = " A dropped trial's score is that of its smaller budget." if counts["dropped"] else ""
        yield f"{len(result['trials'])} trials: {', '.join(parts)}.{scores}"


def variation_sentences(result: Result) -> Iterator[str]:
    """Say how much the chosen trial's score varies between folds and between seeds."""
    chosen = find_trial(result, "chosen")
    if chosen is None or result["folds"]["pooled"]:
        return
    who = f"The {result['score']['name']} of trial {chosen['trial']}"
    fold_std, seed_std = chosen.get("fold_std"), chosen.get("seed_std")
    if is_number(fold_std) and is_number(seed_std):
        yield (
            f"{who} varies by {format_number(seed_std, 2)} between seeds and, beyond that, by "
            f"{format_number(fold_std, 2)} between folds (standard deviations)."
        )
        return
    scores = [score for score in chosen["score"]["folds"] if is_number(score)]
    if len(scores) > 1:
        low, high = (format_number(score) for score in (min(scores), max(scores)))
        std = format_number(statistics.stdev(scores), 2)
        yield f"{who} lies between {low} and {high} in single folds (standard deviation {std})."


def gap_sentences(result: Result) -> Iterator[str]:
    """Say what the losses of the chosen trial tell about over- and underfitting.

    The standard error of a difference is at most the sum of both standard errors, whatever their correlation; so what
    is more than twice that sum is called a gap, and what is less is called nothing.
    """
    chosen = find_trial(result, "chosen")
    if chosen is None:
        return
    train, test = (chosen["means"][part]["loss"] for part in ("train", "test"))
    if not is_number(train["mean"]) or not is_number(test["mean"]):
        return
    texts = [format_mean(each["mean"], each["se"]) for each in (train, test)]
    gap = test["mean"] - train["mean"]
    yield f"Trial {chosen['trial']}: training loss {texts[0]}, held-out loss {texts[1]}: {_verdict(gap, train, test)}"


def _verdict(gap: float, train: Trial, test: Trial) -> str:
    if not is_number(train["se"]) or not is_number(test["se"]):
        return "without a second fold the gap cannot be judged."
    if abs(gap) <= 2 * (train["se"] + test["se"]):
        return "the gap is no larger than chance may make it: overfitting is neither shown nor ruled out."
    if gap > 0:
        return "examples trained on are fitted better than new ones; a large gap means overfitting."
    return "the held-out loss is the lower one; this shows no overfitting."


def underfit_sentences(result: Result, cells: Sequence[Trial]) -> Iterator[str]:
    """Give the signs that the chosen trial underfits: what it misses of its training examples, a training cut short.

    Args:
        result: Content of result.json.
        cells: The chosen trial's lines of cells.jsonl.
    """
    chosen = find_trial(result, "chosen")
    if chosen is None:
        return
    yield from unlearned_sentences(chosen["means"]["train"])
    is_cut = [
        bool(each.get("valid")) and each["stop_reason"] == "max_epochs" and each["best_epoch"] == each["last_epoch"]
        for each in cells
    ]
    if any(is_cut):
        yield (
            f"In {sum(is_cut)} of {len(is_cut)} cells the validation loss was lowest at the last of all epochs: "
            "more epochs may help."
        )


def space_text(result: Result) -> str:
    """Write the space in a line, key by key."""
    return "; ".join(f"{key}: {_tried(result['search']['space'][key])}" for key in keys_of(result))


def _tried(how: object) -> str:
    if isinstance(how, dict):
        spread = ", evenly in the logarithm" if how.get("log") else ""
        return f"{value_text(how['low'])} to {value_text(how['high'])}{spread}"
    return ", ".join(map(value_text, how)) if isinstance(how, Sequence) else value_text(how)
