"""Whether the keys of a split fit each other and the data, so that every fold of every seed can be cut."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

import numpy as np

from dlx.config.diagnostics import Fault
from dlx.core.definition import Dataset
from dlx.core.errors import DataError
from dlx.core.registry import nearest
from dlx.core.settings import Split
from dlx.core.types import Examples
from dlx.data.splits import Splitter, is_stratified

SPLIT = ("data", "split")
NOT_STRATIFIED = "set data.split.stratify=false"
MAX_NAMES = 20
"""Columns or values that a message lists, at most."""


def split_settings(data: Dataset) -> Iterator[Fault]:
    """Find settings of the split that contradict each other, whatever the data are."""
    split = data.split
    yield from _exclusions(split)
    if not split.has_folds:
        if split.valid + (split.test or 0) >= 1:
            message = f"the fractions for validation and test, {split.valid:g} + {split.test:g}, leave nothing to train"
            key = "test" if "test" in split.model_fields_set else "valid"
            yield Fault((*SPLIT, key), message, "their sum must be less than 1")
        for key in ("fold", "outer_fold"):
            if key in split.model_fields_set and getattr(split, key) not in (
                None,
                type(split).model_fields[key].default,
            ):
                yield Fault((*SPLIT, key), f"a `{key}` without `folds`", "set data.split.folds")
        return
    if isinstance(split.folds, int):
        yield from _no_such_fold(split, split.folds, split.folds, f"with folds={split.folds}")
    if split.test is not None:
        key = "folds" if split.fold_column is None else "fold_column"
        hint = f"set data.split.test=null, or data.split.{key}=null"
        yield Fault((*SPLIT, "test"), f"`test` together with `{key}`: the held-out fold is the test part", hint)


def _exclusions(split: Split) -> Iterator[Fault]:
    """Find settings that exclude each other: the key at fault, why, and which key mends it."""
    is_single, column, time = split.folds == "leave_one_out", split.fold_column is not None, split.time_series
    excluded = (
        (column and split.folds is not None, "folds", "`folds` together with `fold_column`: its values are the folds",
         "set data.split.folds=null, or data.split.fold_column=null"),
        (column and split.repeat, "repeat", "the folds of `fold_column` are given, so none can be drawn anew",
         "leave repeat out"),
        (column and time, "fold_column", "`time_series` cuts folds in the order of time, not by a column",
         "set data.split.fold_column=null, or data.split.time_series=false"),
        (time and is_single, "folds", "leave_one_out learns from what is later than the example, `time_series` never",
         "set data.split.folds to a number"),
        (time and split.groups is not None, "groups", "a time series is cut by its order alone, so it has no `groups`",
         "set data.split.groups=null, or data.split.time_series=false"),
        (time and split.repeat, "repeat", "a time series is never shuffled, so a repetition would be the same again",
         "leave repeat out"),
        (time and split.seed is None, "seed", "a time series is never shuffled, so another seed would redraw nothing",
         "leave seed out"),
        (time and split.stratify, "stratify", "a time series is cut by its order alone, so it cannot be stratified",
         "leave stratify out"),
        (is_single and split.stratify, "stratify", "folds of one example cannot keep proportions of classes",
         "leave stratify out"),
        (is_single and split.groups is not None, "groups", "leave_one_out takes an example from its group",
         "set data.split.folds to the number of groups: each fold is a group then"),
        (is_single and split.outer_fold is not None, "outer_fold",
         "nested leave_one_out would train a model for every two examples", "set data.split.folds to a number"),
    )  # fmt: skip
    yield from (Fault((*SPLIT, key), message, hint) for is_at_fault, key, message, hint in excluded if is_at_fault)


def _no_such_fold(split: Split, num_folds: int, num_outer_folds: int, where: str) -> Iterator[Fault]:
    for key, number, total in (("fold", split.fold, num_folds), ("outer_fold", split.outer_fold, num_outer_folds)):
        if number is not None and number >= total:
            name = key.replace("_", " ")
            yield Fault((*SPLIT, key), f"there is no {name} {number}: {where} they are 0 to {total - 1}")


def split_of_data(data: Dataset, examples: Examples) -> Iterator[Fault]:
    """Find what the data are not enough for: columns, folds, parts that are empty, classes that are rare."""
    split = data.split
    if any(split_settings(data)):
        return
    if examples.task == "regression" and split.stratify:
        hint = f"{NOT_STRATIFIED}, or leave it out"
        yield Fault((*SPLIT, "stratify"), "a split can keep the proportions of classes only, not of values", hint)
        return
    if faults := list(_columns(split, examples)):
        yield from faults
        return
    splitter = Splitter(examples, split)
    for rule in (_too_few_folds, _divided_groups, _too_few_units, _empty_parts, _rare_classes):
        if faults := list(rule(splitter)):
            yield from faults
            return


def split_draws(data: Dataset, examples: Examples, seeds: int | Sequence[int]) -> Iterator[Fault]:
    """Cut for real what cannot be promised: how many groups a stratified fold takes, chance decides."""
    split = data.split
    if any(split_settings(data)) or any(split_of_data(data, examples)):
        return
    splitter = Splitter(examples, split)
    if not splitter.depends_on_draw:
        return
    members = range(seeds) if isinstance(seeds, int) else seeds
    folds = range(splitter.num_folds)
    try:
        for seed in members if split.seed is None else [0]:
            for outer_fold, fold in itertools.product([None] if split.outer_fold is None else folds, folds):
                splitter.parts(seed, split.repeat, fold, outer_fold)
    except DataError as error:
        hint = f"take fewer folds or another data.split.seed, or {NOT_STRATIFIED}"
        yield Fault((*SPLIT, "folds"), str(error), hint)


def largest_train(data: Dataset, examples: Examples) -> int | None:
    """Give the size of the largest training part, or None if the examples cannot be split as the settings say."""
    if any(split_settings(data)) or any(split_of_data(data, examples)):
        return None
    return Splitter(examples, data.split).sizes.train


def _columns(split: Split, examples: Examples) -> Iterator[Fault]:
    for key in ("groups", "fold_column"):
        name = getattr(split, key)
        if name is None:
            continue
        if name not in examples.column_names:
            near = nearest(name, examples.column_names)
            hint = f"{f'did you mean `{near}`? ' if near else ''}columns: {_listed(examples.column_names)}"
            yield Fault((*SPLIT, key), f"the data have no column `{name}`", hint)
            continue
        values = examples.column(name).tolist()
        missing = [
            row for row, value in enumerate(values) if value is None or (isinstance(value, float) and math.isnan(value))
        ]
        if missing:
            message = f"the column `{name}` has no value in {len(missing)} examples, the first of which is {missing[0]}"
            yield Fault((*SPLIT, key), message, "every example needs one")


def _too_few_folds(splitter: Splitter) -> Iterator[Fault]:
    """A fold column needs two values, three beside an outer fold; a numbered fold must be among them."""
    split, examples, num_folds = splitter.settings, splitter.examples, splitter.num_folds
    if split.fold_column is not None:
        values = _listed(np.unique(examples.column(split.fold_column)).tolist())
        num_values = num_folds + (split.outer_fold is not None)
        if num_folds < 2:
            needed = "3 values, one of them for the outer fold" if num_values > num_folds else "2 values"
            message = f"folds need at least {needed}, but `{split.fold_column}` has {num_values}: {values}"
            yield Fault((*SPLIT, "fold_column"), message)
        else:
            yield from _no_such_fold(split, num_folds, num_values, f"by the values of `{split.fold_column}`, {values},")
    elif split.folds == "leave_one_out":
        if num_folds < 2:
            yield Fault((*SPLIT, "folds"), f"leave_one_out needs at least 2 examples, but there are {num_folds}")
        else:
            yield from _no_such_fold(split, num_folds, num_folds, f"of {num_folds} examples")


def _divided_groups(splitter: Splitter) -> Iterator[Fault]:
    """A group must be within one fold of a fold column."""
    split, examples = splitter.settings, splitter.examples
    if split.groups is None or split.fold_column is None:
        return
    found: dict[Any, Any] = {}
    groups, folds = (examples.column(name).tolist() for name in (split.groups, split.fold_column))
    for group, fold in zip(groups, folds, strict=True):
        if found.setdefault(group, fold) != fold:
            message = f"`{split.fold_column}` divides the group {group} of `{split.groups}`"
            yield Fault((*SPLIT, "fold_column"), f"{message}: it is in the folds {found[group]} and {fold}")
            return


def _too_few_units(splitter: Splitter) -> Iterator[Fault]:
    """Every set of folds needs as many examples or groups as it has folds, a time series one more."""
    split, units = splitter.settings, _units(splitter)
    if not isinstance(split.folds, int):
        return
    needed = split.folds + split.time_series
    wanted = f"at least {needed} {units}" if split.time_series else f"as many {units}"
    if splitter.num_units < needed:
        found = f"`{split.groups}` has" if split.groups else "there are"
        yield Fault((*SPLIT, "folds"), f"{split.folds} folds need {wanted}, but {found} {splitter.num_units}")
    elif split.outer_fold is not None and not splitter.depends_on_draw and (left := min(splitter.pools)) < needed:
        message = f"{split.folds} folds need {wanted}, but of {splitter.num_units} an outer fold leaves {left}"
        yield Fault((*SPLIT, "folds"), message, "take fewer folds")


def _empty_parts(splitter: Splitter) -> Iterator[Fault]:
    if splitter.depends_on_draw:
        return
    split, smallest, units = splitter.settings, splitter.possible[0], _units(splitter)
    if smallest.train < 1:
        total = smallest.train + smallest.valid + smallest.test
        message = f"no {units[:-1]} is left for training: of {total} {units} go {smallest.valid} for validation"
        yield Fault(SPLIT, f"{message} and {smallest.test} for test", underline="key")
        return
    if smallest.valid == 0 and split.valid > 0:
        pool = smallest.train if split.has_folds else splitter.num_units
        message = f"the validation part is empty: {split.valid:g} of {pool} {units} is less than one"
        yield Fault((*SPLIT, "valid"), message, "make data.split.valid larger, or 0 for no such part")
    if smallest.test == 0 and split.test:
        message = f"the test part is empty: {split.test:g} of {splitter.num_units} {units} is less than one"
        yield Fault((*SPLIT, "test"), message, "make data.split.test larger, or 0 for no such part")


def _rare_classes(splitter: Splitter) -> Iterator[Fault]:
    """Where classes keep their proportions, there must be enough examples of each."""
    split, examples = splitter.settings, splitter.examples
    if examples.task == "regression" or not is_stratified(split, examples):
        return
    if split.fold_column is not None:
        if split.groups is None and split.valid > 0:
            yield from _rare_beside_given_folds(splitter)
        return
    if split.groups is not None and split.folds is None:
        return
    yield from _too_few_of_a_class(splitter)
    if split.groups is None:
        yield from _parts_below_classes(splitter)


def _too_few_of_a_class(splitter: Splitter) -> Iterator[Fault]:
    split, examples, needed = splitter.settings, splitter.examples, _needed_per_class(splitter)
    folds = f" with folds={split.folds}" if split.folds else ""
    for label, found in zip(*np.unique(examples.targets, return_counts=True), strict=True):
        if found < needed:
            name = examples.target_names[label]
            message = (
                f"class `{name}` has {found} of the {needed} examples that a stratified split{folds} needs of each"
            )
            yield Fault((*SPLIT, "folds" if split.folds else "stratify"), message, NOT_STRATIFIED)


def _needed_per_class(splitter: Splitter) -> int:
    """Count the examples that each class must have so that every cut finds two of it, and every fold one.

    A cut leaves a class its share of the pool rounded down or up, in floating point as scikit-learn computes it; which
    of the two, chance decides.
    """
    split, sizes = splitter.settings, splitter.possible[0]
    if isinstance(folds := split.folds, int):
        if split.groups is not None:
            return folds
        least = 2 if sizes.valid else 1
        needed = next(n for n in count(folds) if n - -(-n // folds) >= least)
        return needed if split.outer_fold is None else next(n for n in count(needed) if n - -(-n // folds) >= needed)
    if sizes.valid == 0 or sizes.test == 0:
        return 2 if sizes.valid or sizes.test else 1
    rest = sizes.train + sizes.valid
    return next(n for n in count(2) if int(n / splitter.num_units * rest) >= 2)


def _parts_below_classes(splitter: Splitter) -> Iterator[Fault]:
    """A stratified cut needs at least as many examples on both sides as there are classes."""
    smallest, num_classes = splitter.possible[0], len(np.unique(splitter.examples.targets))
    parts = {SPLIT: smallest.train, (*SPLIT, "valid"): smallest.valid}
    if splitter.settings.folds is None:
        parts[*SPLIT, "test"] = smallest.test
    for path, size in parts.items():
        if 0 < size < num_classes:
            name = "train" if path == SPLIT else path[-1]
            message = f"the {name} part has {size} examples, fewer than the {num_classes} classes of a stratified split"
            yield Fault(path, message, NOT_STRATIFIED, underline="key" if path == SPLIT else "value")


def _rare_beside_given_folds(splitter: Splitter) -> Iterator[Fault]:
    """The validation part of a fold column is cut from known examples, which can be counted."""
    split, examples = splitter.settings, splitter.examples
    values, folds = np.unique(examples.column(str(split.fold_column)), return_inverse=True)
    table = np.zeros((len(values), len(examples.target_names)), dtype=np.int64)
    np.add.at(table, (folds, examples.targets), 1)
    num_held_out = 1 if split.outer_fold is None else 2
    num_held_out = 1 if split.outer_fold is None else 2
    held_out = np.array(list(itertools.combinations(range(len(values)), num_held_out)))
    left = table.sum(0) - table[held_out].sum(1)
    total, num_classes = left.sum(1), (left > 0).sum(1)
    num_valid = np.array([round(split.valid * int(each)) for each in total])
    is_rare = (left == 1).any(1) | (np.minimum(num_valid, total - num_valid) < num_classes)
    for row in np.flatnonzero(is_rare)[:1]:
        folds_held_out = " and ".join(f"`{values[fold]}`" for fold in held_out[row])
        smallest = left[row][left[row] > 0].min()
        message = (
            f"beside fold {folds_held_out} are {total[row]} examples of {num_classes[row]} classes, {smallest} of the "
            f"rarest: too few for a stratified validation part of {num_valid[row]}"
        )
        yield Fault((*SPLIT, "fold_column"), message, NOT_STRATIFIED)


def _units(splitter: Splitter) -> str:
    return "examples" if splitter.settings.groups is None else "groups"


def _listed(names: Sequence[Any]) -> str:
    more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
    return ", ".join(map(str, names[:MAX_NAMES])) + more
