"""Which examples are in which part."""

from collections.abc import Callable
from dataclasses import astuple, replace
from typing import Any

import numpy as np
import pytest
from sklearn import model_selection
from sklearn.model_selection import (
    GroupKFold,
    GroupShuffleSplit,
    KFold,
    LeaveOneOut,
    PredefinedSplit,
    StratifiedGroupKFold,
    StratifiedKFold,
    TimeSeriesSplit,
    train_test_split,
)

from dlx.core.errors import DataError
from dlx.core.seeding import integer_seed
from dlx.core.settings import Split
from dlx.core.types import Examples
from dlx.data.splits import Parts, Splitter, is_stratified

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


def cut(examples: Examples, split: Split, seed: int = 0) -> Parts:
    return Splitter(examples, split).parts(seed, split.repeat, split.fold, split.outer_fold)


def folds_of(examples: Examples, split: Split, seed: int = 0) -> list[Parts]:
    splitter = Splitter(examples, split)
    return [splitter.parts(seed, split.repeat, k, split.outer_fold) for k in range(splitter.num_folds)]


@every_split
@pytest.mark.parametrize("num_examples", [30, 53, 101])
def test_parts_are_a_partition(split: Split, num_examples: int, values: Make) -> None:
    parts = cut(values(num_examples), split, 0)
    assert np.array_equal(np.sort(np.concatenate(astuple(parts))), np.arange(num_examples))
    assert all((np.diff(part) > 0).all() for part in astuple(parts))
    assert parts.named().keys() == {name for name, part in vars(parts).items() if len(part)}


@every_split
@pytest.mark.parametrize("counts", [(30,), (40, 13), (50, 30, 21)])
def test_sizes_are_known_before(split: Split, counts: tuple[int, ...], classes: Make) -> None:
    examples = classes(*counts)
    drawn = folds_of(examples, split) if split.folds else [cut(examples, split, 0)]
    largest = np.max([[len(part) for part in astuple(parts)] for parts in drawn], axis=0)
    assert astuple(Splitter(examples, split).sizes) == tuple(largest)


@pytest.mark.parametrize("num_examples", range(5, 60))
def test_ragged_folds_fit_their_sizes(num_examples: int, values: Make) -> None:
    split = Split(folds=5, valid=0.3)
    examples = values(num_examples)
    sizes = Splitter(examples, split).sizes
    for parts in folds_of(examples, split):
        lengths = [len(part) for part in astuple(parts)]
        assert all(0 <= most - length <= 1 for most, length in zip(astuple(sizes), lengths, strict=True))


def test_fractions_are_of_all_examples(values: Make) -> None:
    parts = cut(values(100), Split(valid=0.3, test=0.1), 0)
    assert [len(part) for part in astuple(parts)] == [60, 30, 10]


@every_split
def test_classes_keep_their_proportions(split: Split, classes: Make) -> None:
    examples = classes(50, 30, 21)
    proportions = np.bincount(examples.targets) / len(examples)
    for part in cut(examples, split, 0).named().values():
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
    assert not is_stratified(Split(folds="leave_one_out"), classes(3, 3))
    assert not is_stratified(Split(time_series=True), classes(3, 3))
    examples = classes(200, 200)
    counts = [
        np.bincount(examples.targets[cut(examples, Split(stratify=False, seed=seed), 0).test]) for seed in range(5)
    ]
    assert any(count[0] != count[1] for count in counts)


@every_split
def test_fixed_seed_ignores_the_members_seed(split: Split, values: Make) -> None:
    assert equal(cut(values(53), split, 0), cut(values(53), split, 1))


@every_split
def test_seed_null_follows_the_members_seed(split: Split, values: Make) -> None:
    if not (split.folds or split.valid or split.test or split.test is None):
        pytest.skip("one part only")
    free, examples = split.model_copy(update={"seed": None}), values(53)
    first, again, other = (cut(examples, free, seed) for seed in (3, 3, 4))
    assert equal(first, again)
    assert not equal(first, other)
    assert equal(first, cut(examples, split.model_copy(update={"seed": 3}), 9))


@pytest.mark.parametrize("num_folds", [2, 5, 7])
def test_every_example_is_test_once(num_folds: int, classes: Make) -> None:
    examples = classes(20, 17, 10)
    tests = [parts.test for parts in folds_of(examples, Split(folds=num_folds))]
    assert np.array_equal(np.sort(np.concatenate(tests)), np.arange(47))


def test_repeats_shuffle_anew(classes: Make) -> None:
    examples = classes(20, 20)
    first, second = (cut(examples, Split(folds=4, repeat=repeat), 0) for repeat in (0, 1))
    assert not np.array_equal(first.test, second.test)


def grouped(examples: Examples, seed: int = 0) -> Examples:
    """Add 30 groups of very unequal size, some of a single class, and three sites made of whole groups."""
    rng = np.random.default_rng(seed)
    groups = np.where(
        examples.targets.ravel() == 0, rng.integers(0, 12, len(examples)), rng.geometric(0.1, len(examples))
    )
    return replace(examples, columns={"group": groups, "site": np.array(["oslo", "bonn", "rome"])[groups % 3]})


CUT_BY_HAND: list[tuple[dict[str, Any], Callable[[int], Any]]] = [
    ({"folds": 4}, lambda seed: KFold(4, shuffle=True, random_state=seed)),
    ({"folds": 4, "stratify": True}, lambda seed: StratifiedKFold(4, shuffle=True, random_state=seed)),
    ({"folds": 4, "groups": "group"}, lambda seed: GroupKFold(4, shuffle=True, random_state=seed)),
    ({"folds": 4, "groups": "group", "stratify": True},
     lambda seed: StratifiedGroupKFold(4, shuffle=True, random_state=seed)),
    ({"folds": "leave_one_out", "stratify": None}, lambda _: LeaveOneOut()),
    ({"folds": 4, "time_series": True, "stratify": None}, lambda _: TimeSeriesSplit(4)),
]  # fmt: skip


@pytest.mark.parametrize(("settings", "splitter"), CUT_BY_HAND, ids=range(len(CUT_BY_HAND)))
@pytest.mark.parametrize("repeat", [0, 2])
def test_folds_are_those_of_scikit_learn(
    settings: dict[str, Any], splitter: Callable[[int], Any], repeat: int, classes: Make
) -> None:
    examples = grouped(classes(40, 27, 20))
    split = Split(**{"stratify": False, "seed": 3, "repeat": repeat, **settings})
    groups, everything = examples.columns["group"], np.arange(len(examples))

    def by_hand(pool: Any, *key: int) -> list[Any]:
        own = groups[pool] if split.groups else None
        return list(splitter(integer_seed("split folds", 3, *key)).split(pool, examples.targets[pool], own))

    cuts = by_hand(everything, repeat)
    found = folds_of(examples, split)
    assert len(found) == len(cuts)
    for parts, (rest, held_out) in zip(found, cuts, strict=True):
        assert np.array_equal(parts.test, held_out)
        assert np.array_equal(np.sort(np.concatenate([parts.train, parts.valid])), rest)
    outer = split.model_copy(update={"outer_fold": 1})
    if split.folds == "leave_one_out":
        return
    pool = cuts[1][0]
    for parts, (rest, held_out) in zip(folds_of(examples, outer), by_hand(pool, repeat, 1), strict=True):
        assert np.array_equal(parts.test, pool[held_out])
        assert np.array_equal(np.sort(np.concatenate([parts.train, parts.valid])), pool[rest])


@pytest.mark.parametrize("stratify", [True, False])
def test_random_cuts_are_those_of_scikit_learn(stratify: bool, classes: Make) -> None:
    examples = classes(50, 30, 21)
    targets = examples.targets

    def by_hand(pool: Any, size: int, *key: Any) -> tuple[Any, Any]:
        labels = targets[pool] if stratify else None
        rest, cut = train_test_split(pool, test_size=size, random_state=integer_seed(*key), stratify=labels)
        return np.sort(rest), np.sort(cut)

    split = Split(stratify=stratify, valid=0.25, test=0.2, seed=7)
    rest, test = by_hand(np.arange(101), 20, "split test", 7)
    train, valid = by_hand(rest, 25, "split valid", 7, 0, 0)
    assert equal(cut(examples, split), Parts(train, valid, test))
    for fold, repeat, outer in [(2, 1, ()), (1, 0, (3,))]:
        folds = Split(stratify=stratify, valid=0.25, folds=4, fold=fold, repeat=repeat, outer_fold=(*outer, None)[0])
        parts = cut(examples, folds, seed=9)
        rest = np.sort(np.concatenate([parts.train, parts.valid]))
        train, valid = by_hand(rest, round(0.25 * len(rest)), "split valid", 0, repeat, fold, *outer)
        assert np.array_equal(parts.train, train)
        assert np.array_equal(parts.valid, valid)


def test_predefined_folds(classes: Make) -> None:
    examples = grouped(classes(40, 27, 20))
    sites = np.unique(examples.columns["site"], return_inverse=True)[1]
    split = Split(fold_column="site", valid=0.0)
    found = folds_of(examples, split)
    for parts, (rest, held_out) in zip(found, PredefinedSplit(sites).split(), strict=True):
        assert np.array_equal(parts.train, rest)
        assert np.array_equal(parts.test, held_out)
    inner = folds_of(examples, split.model_copy(update={"outer_fold": 1}))
    assert [np.unique(sites[parts.test]).tolist() for parts in inner] == [[0], [2]]
    assert [np.unique(sites[parts.train]).tolist() for parts in inner] == [[2], [0]]


def test_folds_of_a_feature(classes: Make) -> None:
    examples = classes(6, 6)
    by_value = replace(examples, inputs=np.repeat([[5.0], [2.0], [9.0]], 4, 0))
    found = folds_of(by_value, Split(fold_column="x", valid=0.0))
    assert [parts.test.tolist() for parts in found] == [[4, 5, 6, 7], [0, 1, 2, 3], [8, 9, 10, 11]]


@pytest.mark.parametrize("stratify", [True, False])
def test_groups_are_cut_off_by_the_best_of_some_draws(stratify: bool, classes: Make) -> None:
    examples = grouped(classes(60, 45, 20))
    targets, groups = examples.targets, examples.columns["group"]
    found = cut(examples, Split(groups="group", stratify=stratify, valid=0.2, test=0.3, seed=1))
    num_groups = len(np.unique(groups))
    draws = GroupShuffleSplit(20, test_size=round(0.3 * num_groups), random_state=integer_seed("split test", 1))
    labels = targets if stratify else 0 * targets
    share = round(0.3 * num_groups) / num_groups
    misses = [
        (sum(abs((labels[test] == label).sum() - share * (labels == label).sum()) for label in range(3)), test.tolist())
        for _, test in draws.split(groups, groups=groups)
    ]
    assert found.test.tolist() == min(misses, key=lambda miss: miss[0])[1]
    assert min(misses)[0] < misses[0][0], "the first draw must not be the best"
    assert len(np.unique(groups[found.valid])) == round(0.2 * num_groups)


def test_time_goes_on(values: Make) -> None:
    parts = cut(values(50), Split(time_series=True, valid=0.2, test=0.3))
    assert [part.tolist() for part in astuple(parts)] == [[*range(25)], [*range(25, 35)], [*range(35, 50)]]
    for number, each in enumerate(folds_of(values(53), Split(time_series=True, folds=4, valid=0.25))):
        assert np.array_equal(np.concatenate(astuple(each)), np.arange(13 + 10 * (number + 1)))
        assert len(each.valid) == round(0.25 * (13 + 10 * number))


PLANS: list[dict[str, Any]] = [
    *({"folds": 5, "outer_fold": outer} for outer in (None, 3)),
    *({"folds": 3, "outer_fold": outer, "groups": "group"} for outer in (None, 2)),
    *({"folds": 3, "outer_fold": outer, "groups": "group", "stratify": False} for outer in (None, 2)),
    *({"folds": 4, "outer_fold": outer, "time_series": True} for outer in (None, 0, 3)),
    *({"fold_column": "site", "outer_fold": outer} for outer in (None, 0)),
    *({"fold_column": "site", "groups": "group", "outer_fold": outer} for outer in (None, 2)),
    {"folds": "leave_one_out"},
    {"groups": "group", "test": 0.25},
    {"groups": "group", "test": 0.25, "stratify": False},
    {"time_series": True},
]
every_plan = pytest.mark.parametrize("plan", PLANS, ids=lambda plan: "-".join(map(str, plan.values())))


@every_plan
@pytest.mark.parametrize("valid", [0.0, 0.3])
def test_parts_of_every_plan(plan: dict[str, Any], valid: float, classes: Make) -> None:
    examples = grouped(classes(70, 53, 40))
    split = Split(valid=valid, seed=None, **plan)
    splitter = Splitter(examples, split)
    cells = [(seed, 0 if split.time_series else repeat) for seed in range(4) for repeat in range(3)]
    for seed, repeat in cells:
        for fold in range(splitter.num_folds):
            parts = splitter.parts(seed, repeat, fold, split.outer_fold)
            lengths = [len(part) for part in astuple(parts)]
            assert all(length <= most for length, most in zip(lengths, astuple(splitter.sizes), strict=True))
            together = np.concatenate(astuple(parts))
            assert len(np.unique(together)) == len(together)
            assert (len(parts.train) > 0, len(parts.valid) > 0, len(parts.test) > 0) == (True, valid > 0, True)
            assert all((np.diff(part) > 0).all() for part in astuple(parts))
            if split.groups:
                of = [set(examples.columns["group"][part]) for part in astuple(parts)]
                assert len(set.union(*of)) == sum(map(len, of))
            if split.time_series:
                assert (np.diff(together) == 1).all()
                assert together[0] == 0


@pytest.mark.parametrize("plan", [p for p in PLANS if Split(**p).has_folds and "time_series" not in p], ids=str)
def test_every_fold_together(plan: dict[str, Any], classes: Make) -> None:
    """Folds are disjoint, and all examples but those of an outer fold are held out once."""
    examples = grouped(classes(70, 53, 40))
    split = Split(valid=0.2, **plan)
    found = folds_of(examples, split)
    aside = [] if split.outer_fold is None else [folds_of(examples, split.model_copy(update={"outer_fold": None}))]
    held_out = np.concatenate([parts.test for parts in found] + [folds[split.outer_fold].test for folds in aside])
    assert np.array_equal(np.sort(held_out), np.arange(len(examples)))


@every_plan
def test_sizes_follow_from_the_plan_alone(plan: dict[str, Any], classes: Make) -> None:
    examples = grouped(classes(70, 53, 40))
    split = Split(valid=0.2, **plan)
    sizes = Splitter(examples, split).sizes
    others = [{"fold": 1}, {"repeat": 2}, {"seed": 5}, {"seed": None}]
    others += [{"outer_fold": 1}] if split.outer_fold is not None else []
    for other in others:
        splitter = Splitter(examples, split.model_copy(update=other))
        splitter.parts(4, 1)
        assert splitter.sizes == sizes
    if split.groups is None:
        splitter = Splitter(examples, split)
        outer = [None] if split.outer_fold is None else range(4 if split.time_series else splitter.num_folds)
        outer = range(3) if split.fold_column and split.outer_fold is not None else outer
        drawn = [splitter.parts(0, 0, fold, each) for fold in range(splitter.num_folds) for each in outer]
        largest = np.max([[len(part) for part in astuple(parts)] for parts in drawn], axis=0)
        assert astuple(sizes) == tuple(largest)


def test_sizes_of_equal_groups_are_reached(classes: Make) -> None:
    examples = replace(classes(60, 60), columns={"group": np.arange(120) // 4})
    split = Split(folds=5, groups="group", stratify=False)
    assert {tuple(map(len, astuple(parts))) for parts in folds_of(examples, split)} == {(76, 20, 24)}
    assert astuple(Splitter(examples, split).sizes) == (76, 20, 24)


def test_folds_are_cut_once(classes: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    original = StratifiedKFold.split
    monkeypatch.setattr(model_selection.StratifiedKFold, "split", lambda *args: calls.append(args) or original(*args))
    splitter = Splitter(classes(40, 40), Split(folds=5))
    found = [splitter.parts(seed, 0, fold) for seed in range(3) for fold in range(5)]
    assert len(calls) == 1
    assert all(splitter.parts(8, 0, fold) is found[fold] for fold in range(5)), "the split has a seed of its own"
    assert splitter.parts(0, 0, 1).train is found[1].train
    assert splitter.parts(0, 1, 1) is not found[1]
    assert len(calls) == 2
    nested = [splitter.parts(0, 0, fold, outer) for outer in range(5) for fold in range(5)]
    assert len(calls) == 7
    assert len({id(parts) for parts in nested}) == 25


def test_a_draw_that_leaves_a_fold_empty(classes: Make) -> None:
    """scikit-learn's StratifiedGroupKFold does so for some seeds, though groups and examples of a class are enough."""
    sizes, labels = [7, 10, 2, 5, 3, 7], np.array([1, 0, 1, 1, 1, 0])
    examples = replace(classes(17, 17), targets=np.repeat(labels, sizes), columns={"group": np.repeat(range(6), sizes)})
    splitter, refused = Splitter(examples, Split(folds=6, groups="group", seed=None)), 0
    assert splitter.depends_on_draw
    for seed in range(40):
        by_hand = StratifiedGroupKFold(6, shuffle=True, random_state=integer_seed("split folds", seed, 0))
        cuts = [held_out for _, held_out in by_hand.split(examples.inputs, examples.targets, examples.columns["group"])]
        if all(map(len, cuts)):
            assert np.array_equal(splitter.parts(seed, 0, 5).test, cuts[5])
            continue
        refused += 1
        with pytest.raises(DataError, match=rf"split seed {seed}, repetition 0, scikit-learn's Strat.* a fold empty"):
            splitter.parts(seed)
    assert 0 < refused < 40


def test_a_draw_that_leaves_one_group_to_learn_from(classes: Make) -> None:
    examples = classes(40, 40)
    giant = replace(examples, columns={"group": np.where(np.arange(80) < 60, 0, np.arange(80))})
    with pytest.raises(DataError, match=r"1 of 1 groups beside fold \d would be for validation"):
        folds_of(giant, Split(folds=2, groups="group"))
    splitter = Splitter(giant, Split(folds=2, groups="group", valid=0.0))
    (outer,) = (fold for fold in range(2) if len(splitter.parts(0, 0, fold).test) == 20)
    with pytest.raises(DataError, match="greater than the number of groups: 1"):
        splitter.parts(0, 0, 0, outer)
