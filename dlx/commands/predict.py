"""``dlx predict``: what the best weights of a run say of each example, as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from dlx.commands.learned import Learner, Predicted, predict_part
from dlx.commands.trained import Trained, load_trained
from dlx.core.errors import RunError, UsageError
from dlx.core.types import Examples
from dlx.tracking.files import write_atomic


def predict(
    path: Path, part: str | None = None, device: str | None = None, plugins: Sequence[Path] = ()
) -> tuple[str, Trained]:
    """Predict the run's own data, each seed its own parts.

    Args:
        path: The run directory of a training, or of a search that trained what it chose.
        part: ``train``, ``valid`` or ``test``; by default all of them.
        device: Where to compute; by default as the run's config says.
        plugins: The files of definitions that the run was begun with.

    Returns:
        A line for each seed, part and example as CSV, under a header: number of the example in the data, from 0, its
        target, then the most probable class and the probability of each, or values in the target's own units; and
        what predicted.

    Raises:
        DlxError: For everything that a user can mend.
    """
    trained = load_trained(path, device, plugins)
    parts = trained.parts if part is None else [trained.require_part(part)]
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(_header(trained.plan.examples))
    for name in parts:
        writer.writerows(_rows(trained, name))
    return file.getvalue(), trained


def write_predictions(out: Path, text: str) -> None:
    """Write predictions to a file; one that is there is replaced.

    Raises:
        UsageError: If it cannot be written.
    """
    if out.is_dir() or not out.parent.is_dir():
        why = "it is a folder" if out.is_dir() else f"there is no folder {out.parent}"
        raise UsageError(f"cannot write {out}: {why}")
    try:
        write_atomic(out, text)
    except RunError as error:
        why = getattr(error.__cause__, "strerror", None) or str(error)
        raise UsageError(f"cannot write {out}: {why.lower()}; choose another --out") from error


def _header(examples: Examples) -> list[str]:
    names = examples.target_names
    if examples.task == "classification":
        return ["seed", "part", "example", "target", "class", *(f"probability of {name}" for name in names)]
    return ["seed", "part", "example", *(f"target {name}" for name in names), *(f"predicted {name}" for name in names)]


def _rows(trained: Trained, part: str) -> Iterator[list[Any]]:
    learners = [Learner(member, trained.weights[row]) for row, member in enumerate(trained.members)]
    for each in predict_part(trained.plan, learners, part):
        numbers = getattr(each.learner.member.parts, part).tolist()
        for number, said in zip(numbers, _said(trained.plan.examples, each), strict=True):
            yield [each.learner.seed, part, number, *said]


def _said(examples: Examples, each: Predicted) -> Iterator[list[Any]]:
    """Give target and prediction of each example: names of classes and probabilities, or values."""
    names, predictions = examples.target_names, each.predictions
    if examples.task == "classification":
        best = predictions.argmax(1).tolist()
        for target, guess, odds in zip(each.targets.tolist(), best, predictions.tolist(), strict=True):
            yield [names[target], names[guess], *odds]
        return
    targets = each.targets.reshape(len(predictions), -1).tolist()
    for target, values in zip(targets, predictions.tolist(), strict=True):
        yield [*target, *values]
