"""Writes report.md: what was run, what came out of it, what the numbers say and what they do not, how to repeat it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dlx.reporting.gallery import Picture
from dlx.reporting.tables import (
    differences,
    divergence_texts,
    escape,
    finished_members,
    format_mean,
    format_number,
    gap_parts,
    gap_text,
    is_number,
    markdown,
    mean_and_std,
    member_table,
    remark_texts,
    score_tables,
    summary_text,
)
from dlx.tracking.files import naming_failures, write_atomic

WHY_STOPPED = {
    "patience": "stopped early, because the validation loss had not fallen for as many epochs as the patience allows",
    "max_epochs": "trained for all epochs",
    "solved": "came to the minimum in closed form, where training ends",
}

LEARNED = {
    "accuracy": "Of the training examples, {} % are classified wrongly",
    "r2": "Of the variance of the training targets, {} % is not explained",
}
"""What a metric of the training part leaves open, by the metric."""


def write_report(
    run_dir: Path, result: dict[str, Any], facts: dict[str, str], pictures: Sequence[Picture] = ()
) -> None:
    """Write report.md into a run directory; it shows ``figures/learning_curve.png`` and the pictures beside it.

    Args:
        run_dir: The run directory.
        result: Content of result.json.
        facts: What was run, by name: data, model, loss ...
        pictures: Figures of what was learned.

    Raises:
        RunError: If the file cannot be written.
    """
    replace_file(run_dir / "report.md", report_text(result, facts, pictures).encode())


def report_text(result: dict[str, Any], facts: dict[str, str], pictures: Sequence[Picture] = ()) -> str:
    """Compose the report. It holds no clock values: a repeated run gives the same text."""
    name = escape(str(result["name"]))
    sections = {
        "What was run": [f"- {escape(key)}: {escape(value)}\n" for key, value in facts.items()],
        "Scores": [*(markdown(table) + "\n" for table in score_tables(result)), markdown(member_table(result))],
        "Learning curve": [f"![Learning curve of {name}](figures/learning_curve.png)\n"],
        "Fit": _paragraphs(fit_sentences(result)),
        "Early stopping": _paragraphs(stopping_sentences(result)),
        "Update rule": [f"- {escape(text)}.\n" for text in remark_texts(result)],
        "What was learned": list(shown_pictures(pictures)),
        "Diverged seeds": [f"- {text}.\n" for text in divergence_texts(result)],
        "Repeat it": _repetition(result, plugin_flags(facts)),
    }
    kept = (f"## {title}\n\n{''.join(parts).rstrip()}\n" for title, parts in sections.items() if parts)
    head = f"# {name}: {escape(result['command'])}\n\n{_status(result)}\n"
    return "\n".join([head, *kept])


def _status(result: dict[str, Any]) -> str:
    members, finished = result["members"], finished_members(result)
    seeds = f"{len(members)} seeds" if len(members) > 1 else f"Seed {members[0]['seed']}" if members else "No seeds"
    ends = [member["last_epoch"] for member in members] or [0]
    epochs = f"{min(ends)} to {max(ends)}" if min(ends) < max(ends) else str(max(ends))
    ended = "" if len(finished) == len(members) else f"; {len(members) - len(finished)} of {len(members)} diverged"
    return f"{seeds}, trained for {epochs} epoch{'' if epochs == '1' else 's'}{ended}."


def _paragraphs(sentences: Iterable[str]) -> list[str]:
    text = " ".join(sentences)
    return [f"{text}\n"] if text else []


def fit_sentences(result: dict[str, Any]) -> Iterator[str]:
    """Say what the losses tell about over- and underfitting, and no more.

    Args:
        result: Content of a result.json.

    Yields:
        Sentences; none if there is no gap to speak of.
    """
    summary = result.get("summary") or {}
    parts = gap_parts(summary)
    count = len(finished_members(result))
    if parts is None or not count:
        return
    lower, upper = parts
    means = [summary_text(summary, part, "loss") for part in parts]
    over = f" over {count} seeds (mean ± standard deviation)" if count > 1 else ""
    difference = gap_text(result, "loss", lower, upper)
    weights = "best" if "valid" in summary else "last"
    yield f"With the {weights} weights the {lower} loss is {means[0]}, the {upper} loss {means[1]}:"
    yield f"the gap is {difference}{over}."
    if remark := result.get("loss_remark"):
        yield remark
    values = differences(result, "loss", (None, lower), (None, upper))
    if values and count > 1:
        yield f"The {upper} loss is the higher one in {sum(value > 0 for value in values)} of {count} seeds."
    if upper == "valid":
        yield "The epoch was chosen by this validation loss, so the gap is estimated too small."
    yield from _after_best(result, upper)
    if values:
        yield _gap_verdict(values, upper, is_one_split=result.get("split_seed") is not None)
    yield from _what_is_not_learned(result)
    yield "How low the loss can get on these data one run does not tell: compare it with a larger and a smaller model."
    if count == 1:
        yield "One seed does not tell how much of this is chance."


def _gap_verdict(values: Sequence[float], upper: str, is_one_split: bool) -> str:
    """Say what the gaps of the seeds are a sign of; a difference of losses, so their signs and scales do not matter."""
    low, high = min(values), max(values)
    grounds = ""
    mean, std = mean_and_std(values)
    if mean is not None and std is not None:
        from scipy.special import stdtrit

        margin = float(stdtrit(len(values) - 1, 0.975)) * std / math.sqrt(len(values))
        low, high = mean - margin, mean + margin
        luck = "; the luck of the split, which all seeds share, is not in it" if is_one_split else ""
        grounds = f" (95 % interval of its mean over seeds: {format_number(low)} to {format_number(high)}{luck})"
    if low > 0:
        return (
            f"The gap is positive{grounds}: examples trained on are fitted better than new ones. "
            "A large gap means overfitting."
        )
    if high < 0:
        return (
            f"A negative gap says that the {upper} examples happen to be the easier ones; it shows no overfitting"
            f"{grounds}."
        )
    return f"These seeds cannot tell the gap from 0{grounds}: overfitting is neither shown nor ruled out."


def _what_is_not_learned(result: dict[str, Any]) -> Iterator[str]:
    """Give the signs of underfitting: what the best weights miss of the training examples, and a training cut short."""
    summary, members = result["summary"], finished_members(result)
    yield from unlearned_sentences(summary["train"])
    is_cut = [each["stop_reason"] == "max_epochs" and each["best_epoch"] == each["last_epoch"] for each in members]
    if "valid" in summary and any(is_cut):
        where = f"in {sum(is_cut)} of {len(members)} seeds" if len(members) > 1 else "here"
        yield f"The validation loss was lowest at the last of all epochs {where}: trained too briefly, it underfits."


def unlearned_sentences(train: Mapping[str, Any]) -> Iterator[str]:
    """Say what a model misses of the examples it was trained on.

    Args:
        train: Scores of the training part, by name, each with its ``mean``.
    """
    yield "A high training loss means underfitting."
    for name, what in LEARNED.items():
        score = (train.get(name) or {}).get("mean")
        if is_number(score) and score < 1:
            yield f"{what.format(format_number(100 * (1 - score), 3))}; what no model could learn is part of it."
        elif is_number(score):
            yield "The training examples are learned by heart: there is no underfitting."


def _after_best(result: dict[str, Any], upper: str) -> Iterator[str]:
    """Say how the losses change from the best to the last weights, where a test set can tell without bias."""
    is_moved = [member["last_epoch"] > (member.get("best_epoch") or 0) for member in finished_members(result)]
    if upper != "test" or "valid" not in result["summary"] or not all(is_moved):
        return
    train = differences(result, "loss", (None, "train"), ("last", "train"))
    test = differences(result, "loss", (None, "test"), ("last", "test"))
    if not train or not test:
        return
    changes = [format_mean(*mean_and_std(values)) for values in (train, test)]
    yield f"From the best to the last weights the train loss changes by {changes[0]}, the test loss by {changes[1]}."
    if all(value < 0 for value in train) and all(value > 0 for value in test):
        where = f"in all {len(test)} seeds" if len(test) > 1 else "here"
        yield f"After the best epoch, training examples are fitted better and new ones worse {where}: overfitting."


def stopping_sentences(result: dict[str, Any]) -> Iterator[str]:
    """Say why the members stopped and how their best weights were chosen."""
    members = finished_members(result)
    if not members:
        return
    counts = Counter(member["stop_reason"] for member in members)
    which = " that did not diverge" if len(members) < len(result["members"]) else ""
    for reason, what in WHY_STOPPED.items():
        if counts[reason]:
            who = f"{counts[reason]} of {len(members)} seeds" if len(members) > 1 else "The seed"
            yield f"{who}{which} {what}."
    if not any(member.get("valid") for member in members):
        yield "There is no validation data, so nothing chose an epoch: the best weights are the last."
        return
    epochs = sorted(member["best_epoch"] for member in members)
    span = f"epoch {epochs[0]}" if epochs[0] == epochs[-1] else f"epochs {epochs[0]} to {epochs[-1]}"
    yield f"The best weights are those of the lowest validation loss, of {span}."
    if any(member.get("test") for member in members):
        yield "The test data chose nothing."


def shown_pictures(pictures: Sequence[Picture]) -> Iterator[str]:
    """Show each figure under its title, with its sentence."""
    for picture in pictures:
        yield f"### {picture.title}\n\n![{picture.title}]({picture.file})\n\n{escape(picture.sentence)}\n\n"


def plugin_flags(facts: Mapping[str, str]) -> str:
    """Give what a command line must end with to load the plugins of a run again."""
    return f" {facts['plugins']}" if "plugins" in facts else ""


def _repetition(result: dict[str, Any], flags: str) -> list[str]:
    """Show the commands that repeat the run; where it lies they do not say, for it can be moved."""
    lines = [f"To the same bits, with this folder for RUN:\n\n```sh\ndlx train RUN/config.resolved.yaml{flags}\n"]
    if len(result["members"]) > 1:
        seeds = [member["seed"] for member in finished_members(result) or result["members"]]
        lines.append(f"dlx train RUN/config.resolved.yaml 'seeds=[{seeds[-1]}]'{flags}    # one seed alone\n")
    return [*lines, "```\n"]


def replace_file(path: Path, content: bytes) -> None:
    """Replace a file whole: temporary file beside it, fsync, rename. Its folder is made if it is missing.

    Raises:
        RunError: If the operating system refuses; the old file is still there.
    """
    with naming_failures("make", path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, content)
