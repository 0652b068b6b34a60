"""Config and data together: what can be said only once the examples are known."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import numpy as np

from dlx.config.diagnostics import Fault, render
from dlx.config.experiment import Experiment, Loaded
from dlx.core.errors import ConfigError
from dlx.core.settings import Split
from dlx.core.types import Examples
from dlx.data.splits import Sizes, is_stratified, part_sizes

SPLIT = ("data", "split")
NOT_STRATIFIED = "set data.split.stratify=false"


def check(loaded: Loaded, examples: Examples) -> None:
    """Check that a config fits its data; afterwards every fold and every seed can be split.

    Args:
        loaded: The config.
        examples: What its data set gave.

    Raises:
        ConfigError: If it does not fit; the message shows all faults.
    """
    faults = list(_faults(loaded.experiment, examples))
    if faults:
        raise ConfigError(render(faults, loaded.source))


def _faults(experiment: Experiment, examples: Examples) -> Iterator[Fault]:
    if mismatch := experiment.loss.mismatch(examples):
        yield Fault(("loss",), mismatch)
    num_classes = len(np.unique(examples.targets)) if examples.task == "classification" else 0
    if examples.task == "classification" and num_classes < 2:
        message = f"classification needs at least 2 classes, but the data have {num_classes}"
        yield Fault(("data",), message, underline="key")
    split = experiment.data.split
    if split.folds is not None and split.folds > len(examples):
        yield Fault((*SPLIT, "folds"), f"{split.folds} folds need as many examples, but there are {len(examples)}")
        return
    empty = list(_empty_parts(split, len(examples)))
    yield from empty
    if not empty:
        yield from _batch_faults(experiment, examples)
    if examples.task == "regression" and split.stratify:
        hint = f"{NOT_STRATIFIED}, or leave it out"
        yield Fault((*SPLIT, "stratify"), "a split can keep the proportions of classes only, not of values", hint)
    elif is_stratified(split, examples) and not empty:
        yield from _rare_classes(split, examples)
        yield from _parts_below_classes(split, len(examples), num_classes)


def _possible_sizes(split: Split, num_examples: int) -> list[Sizes]:
    """Give the sizes of the parts for every fold: where folds are ragged there are two, the larger test part first."""
    if split.folds is None:
        return [part_sizes(split, num_examples)]
    tests = sorted({-(-num_examples // split.folds), num_examples // split.folds}, reverse=True)
    rests = [num_examples - test for test in tests]
    valids = [round(split.valid * rest) for rest in rests]
    return [Sizes(rest - valid, valid, test) for rest, valid, test in zip(rests, valids, tests, strict=True)]


def _empty_parts(split: Split, num_examples: int) -> Iterator[Fault]:
    smallest = _possible_sizes(split, num_examples)[0]
    if smallest.train < 1:
        taken = f"{smallest.valid} for validation and {smallest.test} for test"
        message = f"no example is left for training: of {num_examples} examples go {taken}"
        yield Fault(SPLIT, message, underline="key")
        return
    if smallest.valid == 0 and split.valid > 0:
        pool = num_examples - smallest.test if split.folds else num_examples
        message = f"the validation part is empty: {split.valid:g} of {pool} examples is less than one"
        yield Fault((*SPLIT, "valid"), message, "make data.split.valid larger, or 0 for no such part")
    fraction = 0.2 if split.test is None else split.test
    if smallest.test == 0 and fraction > 0:
        message = f"the test part is empty: {fraction:g} of {num_examples} examples is less than one"
        yield Fault((*SPLIT, "test"), message, "make data.split.test larger, or 0 for no such part")


def _batch_faults(experiment: Experiment, examples: Examples) -> Iterator[Fault]:
    size, largest = experiment.training.batch_size, part_sizes(experiment.data.split, len(examples)).train
    if size > largest:
        message = f"a batch of {size} is larger than the training part, which has {largest} examples"
        yield Fault(("training", "batch_size"), message, f"set training.batch_size={largest} or less")


def _rare_classes(split: Split, examples: Examples) -> Iterator[Fault]:
    needed = _needed_per_class(split, len(examples))
    folds = f" with folds={split.folds}" if split.folds else ""
    for label, found in zip(*np.unique(examples.targets, return_counts=True), strict=True):
        if found < needed:
            name = examples.target_names[label]
            message = (
                f"class `{name}` has {found} of the {needed} examples that a stratified split{folds} needs of each"
            )
            yield Fault((*SPLIT, "folds" if split.folds else "stratify"), message, NOT_STRATIFIED)


def _needed_per_class(split: Split, num_examples: int) -> int:
    """Count the examples that each class must have so that every cut finds two of it, and every fold one.

    A cut leaves a class its share of the pool rounded down or up, in floating point as scikit-learn computes it; which
    of the two, chance decides.
    """
    sizes = _possible_sizes(split, num_examples)[0]
    if split.folds is not None:
        return next(n for n in count(split.folds) if sizes.valid == 0 or n - -(-n // split.folds) >= 2)
    if sizes.valid == 0 or sizes.test == 0:
        return 2 if sizes.valid or sizes.test else 1
    rest = sizes.train + sizes.valid
    return next(n for n in count(2) if int(n / num_examples * rest) >= 2)


def _parts_below_classes(split: Split, num_examples: int, num_classes: int) -> Iterator[Fault]:
    """A stratified cut needs at least as many examples on both sides as there are classes."""
    smallest = _possible_sizes(split, num_examples)[0]
    parts = {SPLIT: smallest.train, (*SPLIT, "valid"): smallest.valid}
    if split.folds is None:
        parts[*SPLIT, "test"] = smallest.test
    for path, size in parts.items():
        if 0 < size < num_classes:
            name = "train" if path == SPLIT else path[-1]
            message = f"the {name} part has {size} examples, fewer than the {num_classes} classes of a stratified split"
            yield Fault(path, message, NOT_STRATIFIED, underline="key" if path == SPLIT else "value")
