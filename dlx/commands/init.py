"""``dlx init``: looks at a user's table and writes a config that trains on it, with the reasons as comments."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from dlx.commands.survey import Survey, survey
from dlx.config.experiment import flow_yaml, json_schema
from dlx.config.load import load_experiment_and_data
from dlx.core.errors import DlxError, UsageError
from dlx.datasets.csv import Csv
from dlx.datasets.sheet import shown

SCHEMA = "dlx.schema.json"
"""File beside a config that tells an editor which keys there are."""
MIN_STRATIFIED = 10
"""Examples of the rarest class from which on every part and fold has some of it."""
SKEW = 2.0
"""How many times as large as the smallest class the largest may be before accuracy flatters whoever guesses it."""
MAX_BATCH = 64
MIN_STEPS = 4
"""Steps of an epoch, at least, as far as there are examples."""


def init(table: Path, targets: Sequence[str], out: Path | None = None) -> str:
    """Write a config for a table, and beside it the schema for editors unless it is there.

    Args:
        table: The file, a CSV or Parquet.
        targets: Columns to be predicted.
        out: The config; None is the table's name with ``.yaml``, in the working directory.

    Returns:
        What was found and how to go on.

    Raises:
        DataError: If the table cannot be learned from.
        UsageError: If there is such a file already, or it cannot be written.
    """
    out = Path(f"{table.stem}.yaml") if out is None else out
    if out.exists():
        raise UsageError(f"{out} is there already and stays as it is; name another file with --out")
    found = survey(table.resolve(), targets)
    text = config_text(found, os.path.relpath(table.resolve(), out.parent.resolve()))
    try:
        with out.open("x", encoding="utf-8") as file:
            file.write(text)
        _check(out)
        schema = out.parent / SCHEMA
        if not schema.exists():
            schema.write_text(json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{error.filename or out} cannot be written: {error.strerror}") from None
    return "\n".join([*_lines(found), f"wrote {out}; go on with:", *_next(out)]) + "\n"


def _check(out: Path) -> None:
    """Make sure that what was written can be trained and cross-validated; otherwise take it away again."""
    try:
        load_experiment_and_data(out)
        load_experiment_and_data(out, purpose="cv")
    except DlxError:
        out.unlink()
        raise


def _next(out: Path) -> list[str]:
    name = shlex.quote(str(out))
    return [f"  dlx train {name}", f"  dlx cv {name}"]


def _lines(found: Survey) -> Iterator[str]:
    yield f"{found.num_rows} rows, {found.num_columns} columns; {found.reason}"
    yield f"inputs: {', '.join(map(shown, found.inputs))}"
    yield from (f"left out: `{shown(name)}`: {_one_line(reason)}" for name, reason in found.left_out.items())
    if found.lacking:
        yield f"values are missing in {', '.join(map(shown, found.lacking))}: filled in, and marked"


def config_text(found: Survey, path: str) -> str:
    """Write a config.

    Args:
        found: What is known of the table.
        path: The table as the config names it.
    """
    return (
        "\n".join(
            [
                f"# yaml-language-server: $schema={SCHEMA}",
                f"# {_one_line(path)}: {found.num_rows} rows, {found.num_columns} columns. Written by `dlx init`.",
                "# Change what you like, here or for one run on the command line: dlx train CONFIG optimizer.lr=0.01",
                "# What else there is: `dlx list model`, `dlx describe mlp`.",
                *_data(found, path),
                *_training(found),
            ]
        )
        + "\n"
    )


def _data(found: Survey, path: str) -> Iterator[str]:
    table = found.table
    targets = flow_yaml(list(table.targets))
    yield "data:"
    yield f"  name: {table.name}"
    yield f"  path: {_scalar(path)}  # relative to this file"
    if isinstance(table, Csv) and table.separator != ",":
        yield f"  separator: {_scalar(table.separator)}"
    yield f"  target: {targets if len(table.targets) > 1 else targets[1:-1]}"
    yield f"  task: {found.task}  # {_one_line(found.reason)}"
    if found.left_out:
        yield "  # Left out:"
        yield from (f"  #   {_one_line(name)}: {_one_line(reason)}" for name, reason in found.left_out.items())
        yield f"  ignore: {flow_yaml(list(found.left_out))}"
    yield f"  # Inputs: {_one_line(', '.join(found.inputs))}"
    if found.lacking:
        yield f"  # Values are missing in {_one_line(', '.join(found.lacking))}. A number is filled in with the mean of"
        yield "  # the training part, a missing text is a category of its own; one more input says what was missing."
        yield "  missing: impute"
    yield "  scale: standard  # inputs with mean 0 and standard deviation 1 on the training part"
    yield "  split:"
    yield "    valid: 0.2  # decides when training stops"
    yield "    test: 0.2  # looked at once, at the end"
    yield "    seed: 0"
    if found.class_sizes and min(found.class_sizes) < MIN_STRATIFIED:
        yield f"    stratify: false  # the rarest class has {min(found.class_sizes)} examples: too few for every part"


def _training(found: Survey) -> Iterator[str]:
    yield "# A small network; `model=linear` is the yardstick that it should beat."
    yield "model: {name: mlp, hidden: [64, 32], activation: relu}"
    if found.task == "classification":
        yield "loss: cross_entropy  # the negative log of the probability that the model gives the true class"
        yield from _class_metrics(found.class_sizes)
    else:
        yield "loss: mse  # squared error: right for noise of one size; with outliers take huber"
        yield "# r2: share of the variance that is explained; 1 is perfect, 0 no better than the mean. rmse: typical"
        yield "# error in the target's own units. The first metric decides in `dlx cv`."
        yield "metrics: [r2, rmse]"
    yield "optimizer: {name: adam, lr: 0.001}"
    yield "# Training stops once the validation loss has not fallen for `patience` epochs; the best weights are kept."
    yield f"training: {{epochs: 200, batch_size: {_batch_size(found.num_rows)}, early_stopping: {{patience: 20}}}}"
    yield "# `dlx cv` tries each of these rates on each of five folds."
    yield "cv: {folds: 5}"
    yield "search: {space: {optimizer.lr: [0.001, 0.01]}}"


def _class_metrics(sizes: Sequence[int]) -> Iterator[str]:
    share = max(sizes) / sum(sizes)
    if max(sizes) > SKEW * min(sizes):
        yield f"# Classes have {min(sizes)} to {max(sizes)} examples; always guessing the largest is right {share:.0%}"
        yield "# of the time. balanced_accuracy counts each class alike. The first metric decides in `dlx cv`."
        yield "metrics: [balanced_accuracy, accuracy]"
    else:
        yield f"# Share of right guesses; always guessing the largest class is right {share:.0%} of the time."
        yield "metrics: [accuracy]"


def _batch_size(num_rows: int) -> int:
    """Give a power of 2 that leaves some steps in an epoch."""
    most = max(1, min(MAX_BATCH, int(0.6 * num_rows) // MIN_STEPS))
    return 1 << (most.bit_length() - 1)


def _scalar(text: str) -> str:
    return flow_yaml([text])[1:-1]


def _one_line(text: str) -> str:
    return "".join(each if each.isprintable() else "\ufffd" for each in text)
