"""Which examples are for training, validation and test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dlx.core.seeding import integer_seed
from dlx.core.settings import Split
from dlx.core.types import Examples

Indices = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Parts:
    """Indices of the examples of each part, each sorted; disjoint, together all examples."""

    train: Indices
    valid: Indices
    test: Indices

    def named(self) -> dict[str, Indices]:
        """Give the parts that are not empty, by name."""
        parts = {"train": self.train, "valid": self.valid, "test": self.test}
        return {name: indices for name, indices in parts.items() if len(indices)}


@dataclass(frozen=True)
class Sizes:
    """Number of examples in each part; the largest over all folds, so that it depends on the plan alone."""

    train: int
    valid: int
    test: int


def is_stratified(settings: Split, examples: Examples) -> bool:
    """Tell whether the split keeps class proportions: as asked, or where the targets are classes."""
    return examples.task == "classification" if settings.stratify is None else settings.stratify


def part_sizes(settings: Split, num_examples: int) -> Sizes:
    """Count the examples of each part before splitting.

    Args:
        settings: The split.
        num_examples: Number of examples N.

    Returns:
        The sizes; with folds, which may be ragged, the largest of each part over the folds.
    """
    if settings.folds is None:
        num_test = round((settings.test or 0) * num_examples)
        num_valid = round(settings.valid * num_examples)
        return Sizes(num_examples - num_test - num_valid, num_valid, num_test)
    num_test = -(-num_examples // settings.folds)
    rest = num_examples - num_examples // settings.folds
    num_valid = round(settings.valid * rest)
    return Sizes(rest - num_valid, num_valid, num_test)


def split_examples(examples: Examples, settings: Split, seed: int) -> Parts:
    """Split the examples as the settings say.

    Args:
        examples: The data; the settings must fit them (``config/check.py`` says so before).
        settings: The split.
        seed: The member's seed, which counts only where ``settings.seed`` is null.

    Returns:
        The three parts.
    """
    split_seed = seed if settings.seed is None else settings.seed
    classes = examples.targets if is_stratified(settings, examples) else None
    everything = np.arange(len(examples))
    if settings.folds is None:
        sizes = part_sizes(settings, len(examples))
        rest, test = _cut(everything, sizes.test, classes, integer_seed("split test", split_seed))
    else:
        rest, test = _fold(everything, settings, classes, integer_seed("split folds", split_seed, settings.repeat))
    num_valid = round(settings.valid * len(rest)) if settings.folds else sizes.valid
    valid_key = (split_seed, settings.repeat, settings.fold)
    train, valid = _cut(rest, num_valid, classes, integer_seed("split valid", *valid_key))
    return Parts(train, valid, test)


def _cut(pool: Indices, size: int, classes: Indices | None, seed: int) -> tuple[Indices, Indices]:
    """Cut ``size`` examples off a pool, at random: what is left, and the cut."""
    from sklearn.model_selection import train_test_split

    if size == 0:
        return pool, pool[:0]
    labels = None if classes is None else classes[pool]
    rest, cut = train_test_split(pool, test_size=size, random_state=seed, stratify=labels)
    return np.sort(rest), np.sort(cut)


def _fold(pool: Indices, settings: Split, classes: Indices | None, seed: int) -> tuple[Indices, Indices]:
    from sklearn.model_selection import KFold, StratifiedKFold

    splitter = KFold if classes is None else StratifiedKFold
    folds = splitter(settings.folds, shuffle=True, random_state=seed).split(pool, classes)
    rest, held_out = list(folds)[settings.fold]
    return pool[rest], pool[held_out]
