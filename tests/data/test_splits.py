"""Which examples are in which part."""

from collections.abc import Callable
from dataclasses import astuple

import numpy as np
import pytest

from dlx.core.settings import Split
from dlx.core.types import Examples
from dlx.data.splits import Parts, is_stratified, part_sizes, split_examples

Make = Callable[..., Examples]
SPLITS = [
    Split(),
    Split(valid=0.3, test=0.1, seed=5),
    Split(valid=0.0, test=0.5),
    Split(valid=0.25, test=0.0),
    Split(valid=0.0, test=0.0),
    Split(folds=5, fold=2),
    Split(folds=4, fold=3, valid=0.0, repeat=2),
    Split(folds=7, fold=0, valid=0.5),
]
every_split = pytest.mark.parametrize("split", SPLITS, ids=range(len(SPLITS)))


def equal(a: Parts, b: Parts) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(astuple(a), astuple(b), strict=True))


def folds_of(examples: Examples, split: Split, seed: int = 0) -> list[Parts]:
    return [split_examples(examples, split.model_copy(update={"fold": k}), seed) for k in range(split.folds)]


@every_split
@pytest.mark.parametrize("num_examples", [30, 53, 101])
def test_parts_are_a_partition(split: Split, num_examples: int, values: Make) -> None:
    parts = split_examples(values(num_examples), split, 0)
    assert np.array_equal(np.sort(np.concatenate(astuple(parts))), np.arange(num_examples))
    assert all((np.diff(part) > 0).all() for part in astuple(parts))
    assert parts.named().keys() == {name for name, part in vars(parts).items() if len(part)}


@every_split
@pytest.mark.parametrize("counts", [(30,), (40, 13), (50, 30, 21)])
def test_sizes_are_known_before(split: Split, counts: tuple[int, ...], classes: Make) -> None:
    examples = classes(*counts)
    drawn = folds_of(examples, split) if split.folds else [split_examples(examples, split, 0)]
    largest = np.max([[len(part) for part in astuple(parts)] for parts in drawn], axis=0)
    assert astuple(part_sizes(split, len(examples))) == tuple(largest)


@pytest.mark.parametrize("num_examples", range(5, 60))
def test_ragged_folds_fit_their_sizes(num_examples: int, values: Make) -> None:
    split = Split(folds=5, valid=0.3)
    sizes = part_sizes(split, num_examples)
    for parts in folds_of(values(num_examples), split):
        lengths = [len(part) for part in astuple(parts)]
        assert all(0 <= most - length <= 1 for most, length in zip(astuple(sizes), lengths, strict=True))


def test_fractions_are_of_all_examples(values: Make) -> None:
    parts = split_examples(values(100), Split(valid=0.3, test=0.1), 0)
    assert [len(part) for part in astuple(parts)] == [60, 30, 10]


@every_split
def test_classes_keep_their_proportions(split: Split, classes: Make) -> None:
    examples = classes(50, 30, 21)
    proportions = np.bincount(examples.targets) / len(examples)
    for part in split_examples(examples, split, 0).named().values():
        counts = np.bincount(examples.targets[part], minlength=3)
        assert (np.abs(counts - proportions * len(part)) <= 1 + (split.folds is not None)).all()


def test_folds_keep_proportions_within_one_example(classes: Make) -> None:
    examples = classes(50, 30, 21)
    for parts in folds_of(examples, Split(folds=5, valid=0.0)):
        counts = np.bincount(examples.targets[parts.test])
        assert (np.abs(counts - np.array([50, 30, 21]) / 5) < 1).all()


def test_stratification_can_be_chosen(classes: Make, values: Make) -> None:
    assert is_stratified(Split(), classes(3, 3))
    assert not is_stratified(Split(stratify=False), classes(3, 3))
    assert not is_stratified(Split(), values(6))
    examples = classes(200, 200)
    counts = [
        np.bincount(examples.targets[split_examples(examples, Split(stratify=False, seed=seed), 0).test])
        for seed in range(5)
    ]
    assert any(count[0] != count[1] for count in counts)


@every_split
def test_fixed_seed_ignores_the_members_seed(split: Split, values: Make) -> None:
    assert equal(split_examples(values(53), split, 0), split_examples(values(53), split, 1))


@every_split
def test_seed_null_follows_the_members_seed(split: Split, values: Make) -> None:
    if not (split.folds or split.valid or split.test or split.test is None):
        pytest.skip("one part only")
    free, examples = split.model_copy(update={"seed": None}), values(53)
    first, again, other = (split_examples(examples, free, seed) for seed in (3, 3, 4))
    assert equal(first, again)
    assert not equal(first, other)
    assert equal(first, split_examples(examples, split.model_copy(update={"seed": 3}), 9))


@pytest.mark.parametrize("num_folds", [2, 5, 7])
def test_every_example_is_test_once(num_folds: int, classes: Make) -> None:
    examples = classes(20, 17, 10)
    tests = [parts.test for parts in folds_of(examples, Split(folds=num_folds))]
    assert np.array_equal(np.sort(np.concatenate(tests)), np.arange(47))


def test_leave_one_out(values: Make) -> None:
    tests = [parts.test.tolist() for parts in folds_of(values(9), Split(folds=9, valid=0.0))]
    assert sorted(tests) == [[number] for number in range(9)]


def test_repeats_shuffle_anew(classes: Make) -> None:
    examples = classes(20, 20)
    first, second = (split_examples(examples, Split(folds=4, repeat=repeat), 0) for repeat in (0, 1))
    assert not np.array_equal(first.test, second.test)
