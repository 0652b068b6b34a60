"""Which examples are for training, validation and test."""

from __future__ import annotations

import itertools
import warnings
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from dlx.core.errors import DataError
from dlx.core.seeding import integer_seed
from dlx.core.settings import Split
from dlx.core.types import Examples

Indices = np.ndarray[Any, np.dtype[np.int64]]
KINDS = {
    (False, False): "KFold",
    (True, False): "StratifiedKFold",
    (False, True): "GroupKFold",
    (True, True): "StratifiedGroupKFold",
}
"""scikit-learn's splitters into folds, by whether there are classes to stratify and groups."""
NUM_DRAWS = 20
"""Random cuts of groups, of which the one nearest to the wanted fraction is taken."""


@dataclass(frozen=True)
class Parts:
    """Indices of the examples of each part, each sorted; disjoint.

    Together they are all examples, but for an outer fold that is set aside and what is later than the test part of a
    time series.
    """

    train: Indices
    valid: Indices
    test: Indices

    def named(self) -> dict[str, Indices]:
        """Give the parts that are not empty, by name."""
        parts = {"train": self.train, "valid": self.valid, "test": self.test}
        return {name: indices for name, indices in parts.items() if len(indices)}


@dataclass(frozen=True, order=True)
class Sizes:
    """Number of examples, or of groups, in each part."""

    train: int
    valid: int
    test: int


def is_stratified(settings: Split, examples: Examples) -> bool:
    """Tell whether the split keeps class proportions: as asked, or where the targets are classes.

    Single examples have no proportions, and the order of time leaves nothing to choose.
    """
    if settings.folds == "leave_one_out" or settings.time_series:
        return False
    return examples.task == "classification" if settings.stratify is None else settings.stratify


class Splitter:
    """Cuts the examples into parts as a plan says, each set of folds once.

    What is cut are units: examples, or with ``groups`` whole groups. Then ``valid`` and ``test`` are fractions of the
    groups, at least one, and of ``NUM_DRAWS`` random cuts into so many groups the one is taken that comes nearest to
    the same fraction of the examples: of each class where the split is stratified. A time series is cut in its order,
    valid from the end of what comes before test.

    Args:
        examples: The data; the settings must fit them (``config/check_split.py`` says so before).
        settings: The plan. Which fold, repetition and outer fold it names does not matter here, only whether there is
            an outer one.

    Attributes:
        examples: The data.
        settings: The plan.
        num_units: Number of units.
        depends_on_draw: Whether chance decides how many groups a fold has, and so whether there are enough.

    Source:
        scikit-learn's ``model_selection``: ``train_test_split``, ``KFold``, ``StratifiedKFold``, ``GroupKFold``,
        ``StratifiedGroupKFold``, ``GroupShuffleSplit``, ``TimeSeriesSplit``, and what its ``LeaveOneOut`` and
        ``PredefinedSplit`` do. To take the best of some random cuts is the rerandomization of Morgan & Rubin (2012).
    """

    def __init__(self, examples: Examples, settings: Split) -> None:
        self.examples, self.settings = examples, settings
        self._classes = examples.targets if is_stratified(settings, examples) else None
        self._groups = None if settings.groups is None else codes(examples.column(settings.groups))
        self._values = None if settings.fold_column is None else codes(examples.column(settings.fold_column))
        self._everything = np.arange(len(examples))
        self.num_units = self._count(self._everything)
        is_counted = isinstance(settings.folds, int)
        self.depends_on_draw = is_counted and self._classes is not None and self._groups is not None
        self._folds: dict[tuple[int, ...], list[Indices]] = {}
        self._parts: dict[tuple[int | None, ...], Parts] = {}

    @property
    def num_folds(self) -> int:
        """Number of folds that ``fold`` can name; the other folds of an outer one where they come from a column."""
        settings = self.settings
        if self._values is not None:
            return len(np.unique(self._values)) - (settings.outer_fold is not None)
        return len(self.examples) if settings.folds == "leave_one_out" else settings.folds or 1

    @cached_property
    def possible(self) -> list[Sizes]:
        """Sizes that the parts can have, in units, in the order of train: whichever the fold, repetition and seed.

        Where they depend on the draw, the extremes.
        """
        settings = self.settings
        if not settings.has_folds:
            test, valid = (self._share(part or 0, self.num_units) for part in (settings.test, settings.valid))
            return [Sizes(self.num_units - test - valid, valid, test)]
        valids = {rest: self._share(settings.valid, rest) for rest, _ in self._cuts}
        return sorted(Sizes(rest - valids[rest], valids[rest], test) for rest, test in self._cuts)

    @cached_property
    def sizes(self) -> Sizes:
        """The largest size of each part, in examples.

        It follows from plan and data alone, not from fold, repetition or seed: it is the shape that all members of the
        plan are padded to. Without groups some fold has it; with groups it is a bound.
        """
        largest = (max(each) for each in zip(*((p.train, p.valid, p.test) for p in self.possible), strict=True))
        if self._groups is None:
            return Sizes(*largest)
        descending = np.sort(np.bincount(self._groups))[::-1]
        return Sizes(*(int(descending[: max(count, 0)].sum()) for count in largest))

    def parts(self, seed: int, repeat: int = 0, fold: int = 0, outer_fold: int | None = None) -> Parts:
        """Give the parts of one member.

        Args:
            seed: The member's seed, which counts only where the split has none of its own.
            repeat: Which repetition of the folds.
            fold: Which fold is the test part.
            outer_fold: The fold of all examples that is set aside first, if any.

        Returns:
            The three parts; the same object when asked again.

        Raises:
            DataError: If the parts depend on the draw, and it leaves too few groups.
        """
        key = (seed if self.settings.seed is None else self.settings.seed, repeat, fold, outer_fold)
        if key not in self._parts:
            self._parts[key] = self._cut(*key)
        return self._parts[key]

    def _cut(self, seed: int, repeat: int, fold: int, outer_fold: int | None) -> Parts:
        outer = () if outer_fold is None else (outer_fold,)
        if self.settings.has_folds:
            pool, held_out = self._pool(seed, repeat, *outer), self._fold_set(seed, repeat, *outer)[fold]
            rest = self._without(pool, held_out)
            num_valid = self._share(self.settings.valid, self._count(rest))
        else:
            sizes = self.possible[0]
            rest, held_out = self._cut_off(self._everything, sizes.test, integer_seed("split test", seed))
            num_valid = sizes.valid
        if self.depends_on_draw and num_valid >= self._count(rest):
            raise DataError(
                f"{_drawn(seed, repeat)}, {num_valid} of {self._count(rest)} groups beside fold {fold} would be for "
                "validation, which leaves none for training"
            )
        train, valid = self._cut_off(rest, num_valid, integer_seed("split valid", seed, repeat, fold, *outer))
        return Parts(train, valid, held_out)

    def _pool(self, seed: int, repeat: int, *outer: int) -> Indices:
        """Give what is cut into folds: everything, or what is left beside the outer fold."""
        return self._without(self._everything, self._fold_set(seed, repeat)[outer[0]]) if outer else self._everything

    def _fold_set(self, seed: int, repeat: int, *outer: int) -> list[Indices]:
        """Give the held-out examples of every fold; the outer folds are those that a plan without them has."""
        key = (seed, repeat, *outer)
        if key not in self._folds:
            pool = self._pool(*key)
            try:
                folds = self._cut_into_folds(pool, key)
            except ValueError as error:
                if not self.depends_on_draw:
                    raise
                # Beside an outer fold there may be fewer groups than folds, or no class with enough examples.
                raise DataError(f"{_drawn(seed, repeat)}: {error}") from None
            if not all(map(len, folds)):
                raise DataError(f"{_drawn(seed, repeat)}, scikit-learn's StratifiedGroupKFold leaves a fold empty")
            self._folds[key] = folds
        return self._folds[key]

    def _cut_into_folds(self, pool: Indices, key: tuple[int, ...]) -> list[Indices]:
        from sklearn import model_selection

        folds = self.settings.folds
        if self._values is not None:
            values = self._values[pool]
            return [pool[values == value] for value in np.unique(values)]
        if folds == "leave_one_out":
            return [pool[number : number + 1] for number in range(len(pool))]
        if self.settings.time_series:
            return [pool[held_out] for _, held_out in model_selection.TimeSeriesSplit(folds).split(pool)]
        classes, groups = (None if each is None else each[pool] for each in (self._classes, self._groups))
        kind = KINDS[classes is not None, groups is not None]
        splitter = getattr(model_selection, kind)(folds, shuffle=True, random_state=integer_seed("split folds", *key))
        with warnings.catch_warnings():
            # Beside an outer fold of groups a class may be rarer than the folds.
            warnings.filterwarnings("ignore", "The least populated class", UserWarning)
            return [pool[held_out] for _, held_out in splitter.split(pool, classes, groups)]

    def _without(self, pool: Indices, held_out: Indices) -> Indices:
        """Give what of a pool may be learned from while some of it is held out: the others, or those before."""
        if self.settings.time_series:
            before: Indices = pool[pool < held_out[0]]
            return before
        is_left = np.ones(len(self.examples), dtype=bool)
        is_left[held_out] = False
        return pool[is_left[pool]]

    def _cut_off(self, pool: Indices, size: int, seed: int) -> tuple[Indices, Indices]:
        """Cut ``size`` units off a pool, at random or from its end: what is left, and the cut."""
        from sklearn.model_selection import train_test_split

        if size == 0:
            return pool, pool[:0]
        if self.settings.time_series:
            return pool[:-size], pool[-size:]
        if self._groups is not None:
            return self._cut_groups_off(pool, self._groups[pool], size, seed)
        labels = None if self._classes is None else self._classes[pool]
        rest, cut = train_test_split(pool, test_size=size, random_state=seed, stratify=labels)
        return np.sort(rest), np.sort(cut)

    def _cut_groups_off(self, pool: Indices, groups: Indices, size: int, seed: int) -> tuple[Indices, Indices]:
        from sklearn.model_selection import GroupShuffleSplit

        labels = np.zeros_like(pool) if self._classes is None else self._classes[pool]
        counts = np.bincount(labels)
        wanted = counts * size / len(np.unique(groups))
        draws = GroupShuffleSplit(NUM_DRAWS, test_size=size, random_state=seed).split(pool, groups=groups)
        rest, cut = min(
            draws, key=lambda draw: np.abs(np.bincount(labels[draw[1]], minlength=len(counts)) - wanted).sum()
        )
        return pool[rest], pool[cut]

    def _count(self, pool: Indices) -> int:
        """Count the units of a pool."""
        return len(pool) if self._groups is None else len(np.unique(self._groups[pool]))

    def _share(self, fraction: float, num_units: int) -> int:
        """Give how many units a fraction is: of groups at least one."""
        count = round(fraction * num_units)
        return max(count, 1) if self._groups is not None and fraction else count

    @cached_property
    def _cuts(self) -> set[tuple[int, int]]:
        """Units that are left and that are held out, whichever the fold, repetition and seed."""
        if self._values is not None:
            units = self._everything if self._groups is None else self._groups
            held_out = Counter(Counter(value for value, _ in set(zip(self._values, units, strict=True))).values())
            if self.settings.outer_fold is None:
                return {(self.num_units - count, count) for count in held_out}
            pairs = itertools.product(held_out, held_out)
            return {(self.num_units - a - b, b) for a, b in pairs if a != b or held_out[a] > 1}
        return {cut for pool in self.pools for cut in self._cuts_of(pool)}

    @cached_property
    def pools(self) -> set[int]:
        """Numbers of units that may be cut into folds: all, or beside an outer fold what it leaves."""
        is_nested = self.settings.outer_fold is not None
        return {rest for rest, _ in self._cuts_of(self.num_units)} if is_nested else {self.num_units}

    def _cuts_of(self, num_units: int) -> set[tuple[int, int]]:
        """Give the units that a cut into folds leaves and holds out, of so many units."""
        folds = self.num_folds
        if self.settings.time_series:
            held_out = num_units // (folds + 1)
            return {(num_units - held_out * later, held_out) for later in range(1, folds + 1)}
        least, most = num_units // folds, -(-num_units // folds)
        if self.depends_on_draw:
            least, most = 1, max(num_units - folds + 1, 1)
        return {(num_units - held_out, held_out) for held_out in (least, most)}


def codes(column: np.ndarray[Any, np.dtype[Any]]) -> Indices:
    """Number the distinct values of a column in their order, [N]."""
    numbers: Indices = np.unique(column, return_inverse=True)[1]
    return numbers


def _drawn(seed: int, repeat: int) -> str:
    return f"with split seed {seed}, repetition {repeat}"
