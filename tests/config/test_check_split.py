"""Splits that the settings or the data do not allow; what passes can be cut."""

import itertools
from collections.abc import Callable
from dataclasses import astuple, replace
from typing import Any

import numpy as np
import pytest
from config.checked import SMALL, check, classes, split, values
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dlx.config.experiment import Experiment
from dlx.config.load import Loaded
from dlx.core.types import Examples
from dlx.data.splits import Splitter

Load = Callable[..., Loaded]
Faults = Callable[..., str]


def test_more_folds_than_examples(refused: Faults) -> None:
    assert refused(values(4), SMALL, base=split("{folds: 5}", "mse")) == (
        "x.yaml:1:37: 5 folds need as many examples, but there are 4\n"
        "    1 | data: {name: digits, split: {folds: 5}}\n      |                                     ^"
    )


@pytest.mark.parametrize(
    ("examples", "settings", "expected"),
    [
        (values(0), "{}", "x.yaml:1:22: no example is left for training: of 0 examples go 0 for validation and 0 for"),
        (values(3), "{valid: 0.5, test: 0.4}",
         "x.yaml:1:22: no example is left for training: of 3 examples go 2 for validation and 1 for test\n"),
        (values(10), "{valid: 0.04}",
         "x.yaml:1:37: the validation part is empty: 0.04 of 10 examples is less than one\n"
         "    1 | data: {name: digits, split: {valid: 0.04}}\n      |                                     ^^^^\n"
         "      = make data.split.valid larger, or 0 for no such part"),
        (values(9), "{folds: 3, valid: 0.08}",
         "x.yaml:1:47: the validation part is empty: 0.08 of 6 examples is less than one\n"),
        (values(10), "{test: 0.04}", "x.yaml:1:36: the test part is empty: 0.04 of 10 examples is less than one\n"),
        (values(100), "{stratify: true}",
         "x.yaml:1:40: a split can keep the proportions of classes only, not of values\n"
         "    1 | data: {name: digits, split: {stratify: true}}\n      |                                        ^^^^\n"
         "      = set data.split.stratify=false, or leave it out"),
    ],
)  # fmt: skip
def test_parts(refused: Faults, examples: Examples, settings: str, expected: str) -> None:
    assert refused(examples, SMALL, base=split(settings, "mse")).startswith(expected)


@pytest.mark.parametrize(
    ("examples", "settings", "expected"),
    [
        (classes(50, 1), "{}",
         "x.yaml:1:22: class `kind 1` has 1 of the 3 examples that a stratified split needs of each\n"
         "    1 | data: {name: digits, split: {}}\n      |                      ^^^^^\n"
         "      = set data.split.stratify=false"),
        (classes(50, 1), "{stratify: true, valid: 0.1}",
         "x.yaml:1:40: class `kind 1` has 1 of the 3 examples that a stratified split needs of each\n"),
        (classes(20, 4), "{folds: 5}",
         "x.yaml:1:37: class `kind 1` has 4 of the 5 examples that a stratified split with folds=5 needs of each\n"),
        (classes(20, 3), "{folds: 2}",
         "x.yaml:1:37: class `kind 1` has 3 of the 4 examples that a stratified split with folds=2 needs of each\n"),
        (classes(5, 5, 5, 5), "{valid: 0.1, test: 0.4}",
         "x.yaml:1:37: the valid part has 2 examples, fewer than the 4 classes of a stratified split\n"
         "    1 | data: {name: digits, split: {valid: 0.1, test: 0.4}}\n"
         "      |                                     ^^^\n      = set data.split.stratify=false"),
        (classes(5, 5, 5, 5), "{valid: 0.4, test: 0.1}",
         "x.yaml:1:48: the test part has 2 examples, fewer than the 4 classes of a stratified split\n"),
        (classes(5, 5, 5, 5), "{valid: 0.5, test: 0.4}",
         "x.yaml:1:22: the train part has 2 examples, fewer than the 4 classes of a stratified split\n"),
    ],
)  # fmt: skip
def test_stratified(refused: Faults, examples: Examples, settings: str, expected: str) -> None:
    assert refused(examples, SMALL, base=split(settings)).startswith(expected)


def test_not_stratified_is_the_way_out(load: Load) -> None:
    assert check(load(SMALL, base=split("{stratify: false}")).experiment, classes(50, 1)) == []


EXCLUDED = [
    ("{fold_column: a, folds: 3}", "`folds` together with `fold_column`: its values are the folds"),
    ("{fold_column: a, repeat: 1}", "the folds of `fold_column` are given, so none can be drawn anew"),
    ("{fold_column: a, time_series: true}", "`time_series` cuts folds in the order of time, not by a column"),
    ("{fold_column: a, test: 0.2}", "`test` together with `fold_column`: the held-out fold is the test part"),
    ("{time_series: true, folds: leave_one_out}", "leave_one_out learns from what is later than the example"),
    ("{time_series: true, groups: a}", "a time series is cut by its order alone, so it has no `groups`"),
    ("{time_series: true, folds: 3, repeat: 2}", "a time series is never shuffled, so a repetition would be the same"),
    ("{time_series: true, seed: null}", "a time series is never shuffled, so another seed would redraw nothing"),
    ("{time_series: true, stratify: true}", "a time series is cut by its order alone, so it cannot be stratified"),
    ("{folds: leave_one_out, stratify: true}", "folds of one example cannot keep proportions of classes"),
    ("{folds: leave_one_out, groups: a}", "leave_one_out takes an example from its group"),
    ("{folds: leave_one_out, outer_fold: 0}", "nested leave_one_out would train a model for every two examples"),
    ("{fold: 1}", "a `fold` without `folds`"),
    ("{outer_fold: 0}", "a `outer_fold` without `folds`"),
    ("{folds: 3, fold: 3}", "there is no fold 3: with folds=3 they are 0 to 2"),
    ("{folds: 3, outer_fold: 3}", "there is no outer fold 3: with folds=3 they are 0 to 2"),
]


@pytest.mark.parametrize(("settings", "expected"), EXCLUDED, ids=[settings for settings, _ in EXCLUDED])
def test_settings_that_exclude_each_other(faults: Faults, settings: str, expected: str) -> None:
    found = faults(base=split(settings))
    assert f": {expected}" in found
    assert found.startswith("x.yaml:1:")
    assert found.count("x.yaml:") == 1


def test_excluded_settings_are_shown_where_they_are(faults: Faults) -> None:
    assert faults(base=split("{folds: leave_one_out, groups: a}")) == (
        "x.yaml:1:60: leave_one_out takes an example from its group\n"
        "    1 | data: {name: digits, split: {folds: leave_one_out, groups: a}}\n"
        "      |                                                            ^\n"
        "      = set data.split.folds to the number of groups: each fold is a group then"
    )
    found = faults("", "data.split.folds=leave_on_out")
    assert "`data.split.folds` must be a whole number or `leave_one_out`, found the text `leave_on_out`" in found


def with_columns(examples: Examples, **columns: list[Any]) -> Examples:
    return replace(examples, columns={name: np.array(values) for name, values in columns.items()})


SITES = ["bonn"] * 20 + ["oslo"] * 20 + ["rome"] * 10
MIXED = [kind for kind in range(10) for _ in range(5)]


@pytest.mark.parametrize(
    ("examples", "settings", "expected"),
    [
        (with_columns(values(50), site=SITES), "{groups: sites}",
         "x.yaml:1:38: the data have no column `sites`\n"
         "    1 | data: {name: digits, split: {groups: sites}}\n      |                                      ^^^^^\n"
         "      = did you mean `site`? columns: a, b, site"),
        (values(50), "{fold_column: when}", "x.yaml:1:43: the data have no column `when`\n"),
        (with_columns(values(4), site=[1.0, np.nan, 2.0, np.nan]), "{groups: site}",
         "x.yaml:1:38: the column `site` has no value in 2 examples, the first of which is 1\n"),
        (with_columns(values(50), site=SITES), "{folds: 4, groups: site}",
         "x.yaml:1:37: 4 folds need as many groups, but `site` has 3\n"),
        (with_columns(values(50), site=SITES), "{folds: 3, outer_fold: 0, groups: site}",
         "x.yaml:1:37: 3 folds need as many groups, but of 3 an outer fold leaves 2\n"),
        (with_columns(values(50), site=["bonn"] * 50), "{fold_column: site}",
         "x.yaml:1:43: folds need at least 2 values, but `site` has 1: bonn\n"),
        (with_columns(values(50), site=["oslo"] + ["bonn"] * 49), "{fold_column: site, outer_fold: 1}",
         "x.yaml:1:43: folds need at least 3 values, one of them for the outer fold, but `site` has 2: bonn, oslo\n"),
        (with_columns(values(50), site=SITES), "{fold_column: site, fold: 3}",
         "x.yaml:1:55: there is no fold 3: by the values of `site`, bonn, oslo, rome, they are 0 to 2\n"),
        (with_columns(values(50), site=SITES), "{fold_column: site, fold: 2, outer_fold: 2}",
         "x.yaml:1:55: there is no fold 2: by the values of `site`, bonn, oslo, rome, they are 0 to 1\n"),
        (values(9), "{folds: leave_one_out, fold: 9}", "x.yaml:1:58: there is no fold 9: of 9 examples they are 0 to"),
        (values(1), "{folds: leave_one_out}", "x.yaml:1:37: leave_one_out needs at least 2 examples, but there are 1"),
        (values(0), "{folds: leave_one_out}", "x.yaml:1:37: leave_one_out needs at least 2 examples, but there are 0"),
        (values(2), "{folds: leave_one_out, valid: 0.5}",
         "x.yaml:1:59: the validation part is empty: 0.5 of 1 examples is less than one\n"),
        (values(5), "{folds: 5, time_series: true}", "x.yaml:1:37: 5 folds need at least 6 examples, but there are 5"),
        (values(20), "{folds: 4, time_series: true, outer_fold: 0}",
         "x.yaml:1:37: 4 folds need at least 5 examples, but of 20 an outer fold leaves 4\n"),
        (values(20), "{folds: 4, time_series: true, valid: 0.1}",
         "x.yaml:1:66: the validation part is empty: 0.1 of 4 examples is less than one\n"),
        (with_columns(values(4), site=[0, 0, 1, 1]), "{groups: site}",
         "x.yaml:1:22: no group is left for training: of 2 groups go 1 for validation and 1 for test\n"),
        (with_columns(values(50), site=SITES), "{folds: 3, groups: site, valid: 0.8}",
         "x.yaml:1:22: no group is left for training: of 3 groups go 2 for validation and 1 for test\n"),
        (values(5), "{folds: 5, outer_fold: 0}", "x.yaml:1:37: 5 folds need as many examples, but of 5 an outer fold "),
    ],
)  # fmt: skip
def test_data_that_are_not_enough(refused: Faults, examples: Examples, settings: str, expected: str) -> None:
    found = refused(examples, SMALL, base=split(settings, "mse"))
    assert found.startswith(expected)
    assert found.count("x.yaml:") == 1


def test_a_group_in_two_folds(refused: Faults) -> None:
    examples = with_columns(values(4), site=["oslo", "bonn", "bonn", "bonn"], patient=["x", "y", "x", "y"])
    found = refused(examples, SMALL, base=split("{fold_column: site, groups: patient}", "mse"))
    assert "`site` divides the group x of `patient`: it is in the folds oslo and bonn\n" in found


@pytest.mark.parametrize(
    ("examples", "settings", "expected"),
    [
        (with_columns(classes(45, 35), g=[*range(1, 11), *[0] * 60, *range(11, 21)]), "{folds: 2, groups: g}",
         "x.yaml:1:37: with split seed 0, repetition 0, 1 of 1 groups beside fold "),
        (with_columns(classes(47, 3), g=MIXED), "{folds: 5, groups: g}",
         "x.yaml:1:37: class `kind 1` has 3 of the 5 examples that a stratified split with folds=5 needs of each\n"),
        (classes(40, 6), "{folds: 5, outer_fold: 1}",
         "x.yaml:1:37: class `kind 1` has 6 of the 7 examples that a stratified split with folds=5 needs of each\n"),
        (with_columns(classes(29, 21), site=SITES), "{fold_column: site, valid: 0.02}",
         "x.yaml:1:43: beside fold `bonn` are 30 examples of 2 classes, 9 of the rarest: too few for a stratified"),
        (with_columns(classes(29, 21), site=["x"] * 28 + ["y"] * 22), "{fold_column: site}",
         "x.yaml:1:43: beside fold `x` are 22 examples of 2 classes, 1 of the rarest: too few for a stratified"),
    ],
)  # fmt: skip
def test_classes_that_are_not_enough(refused: Faults, examples: Examples, settings: str, expected: str) -> None:
    found = refused(examples, SMALL, base=split(settings))
    assert expected in found
    assert found.endswith("data.split.stratify=false")


@pytest.mark.parametrize("is_free", [False, True])
def test_a_draw_that_leaves_a_fold_empty_is_found_before(load: Load, is_free: bool) -> None:
    sizes = [7, 10, 2, 5, 3, 7]
    examples = replace(
        with_columns(classes(17, 17), g=np.repeat(range(6), sizes)), targets=np.repeat([1, 0, 1, 1, 1, 0], sizes)
    )
    refused = []
    for seed in range(30):
        own = f"folds: 6, groups: g, valid: 0, seed: {'null' if is_free else seed}"
        text = f"seeds: [{seed if is_free else 99}]\ntraining: {{batch_size: 1, early_stopping: null}}\n"
        found = check(load(text, base=split(f"{{{own}}}")).experiment, examples)
        refused += [seed] if found else []
        assert [fault.path for fault in found] in ([], [("data", "split", "folds")])
        assert all(f"split seed {seed}, repetition 0" in fault.message for fault in found)
    assert 0 < len(refused) < 30


# Rare classes beside common ones: where they are few, a cut may leave one of them with a single example.
RARE = st.lists(st.sampled_from([2, 3, 12, 4, 20, 1]), min_size=1, max_size=4)
PLENTY = st.lists(st.integers(8, 25), min_size=2, max_size=4)


@st.composite
def columns(draw: st.DrawFn, num_examples: int) -> dict[str, Any]:
    """Groups of any sizes, and sites that keep them together or not."""
    labels = st.integers(0, draw(st.sampled_from([30, 8, 3, 1])))
    groups = np.array(draw(st.lists(labels, min_size=num_examples, max_size=num_examples)), dtype=np.int64)
    sites = st.lists(st.integers(0, 4), min_size=num_examples, max_size=num_examples)
    site = groups % 3 if draw(st.booleans()) else np.array(draw(sites), dtype=np.int64)
    return {"group": groups, "site": site}


@st.composite
def plans(draw: st.DrawFn) -> dict[str, Any]:
    valid = draw(st.sampled_from([0.0, 0.1, 0.2, 0.25, 1 / 3, 0.5, 0.7]))
    settings: dict[str, Any] = {"valid": valid, "seed": draw(st.sampled_from([0, None]))}
    settings["groups"] = draw(st.sampled_from([None, "group"]))
    settings["stratify"] = draw(st.sampled_from([None, None, False]))
    kind = draw(st.sampled_from(["fractions", "folds", "folds", "folds", "column", "leave_one_out", "time", "times"]))
    outer = draw(st.sampled_from([None, 0]))
    if kind == "folds":
        folds = draw(st.sampled_from([2, 2, 3, 5]))
        return settings | {"folds": folds, "repeat": draw(st.integers(0, 2)), "outer_fold": outer}
    if kind == "column":
        return settings | {"fold_column": "site", "outer_fold": outer}
    if kind == "leave_one_out":
        return settings | {"folds": kind, "groups": None}
    if kind == "times":
        return settings | {"folds": 3, "time_series": True, "seed": 0, "groups": None, "outer_fold": outer}
    test = {"test": draw(st.sampled_from([None, 0.0, 0.1, 0.2, 0.25, 1 / 3, 0.5]))}
    return settings | test | ({"time_series": True, "seed": 0, "groups": None} if kind == "time" else {})


@settings(deadline=None, derandomize=True, max_examples=250)
@given(st.data(), PLENTY | RARE, plans(), st.sampled_from([True, True, True, False]), st.integers(0, 3))
def test_what_passes_can_be_split(
    data: st.DataObject, counts: list[int], plan: dict[str, Any], is_task: bool, seed: int
) -> None:
    valid, test = plan["valid"], plan.get("test", 0)
    assume(valid + (0.2 if test is None else test) < 1)
    examples = classes(*counts) if is_task else values(sum(counts))
    examples = replace(examples, columns=data.draw(columns(len(examples))))
    tree = {
        "data": {"name": "digits", "split": plan},
        "model": "linear",
        "loss": "cross_entropy" if is_task else "mse",
        "seeds": [seed],
        "training": {"batch_size": 1, "early_stopping": None},
    }
    split = Experiment.model_validate(tree).data.split
    if check(Experiment.model_validate(tree), examples):
        return
    splitter = Splitter(examples, split)
    # What depends on the draw is only known for the seed and the repetition of the config.
    draws = [(seed, split.repeat)] if splitter.depends_on_draw else itertools.product((seed, 7), (split.repeat, 1))
    outer_folds = [None] if split.outer_fold is None else range(splitter.num_folds + (split.fold_column is not None))
    for draw, outer, fold in itertools.product(draws, outer_folds, range(splitter.num_folds)):
        parts = splitter.parts(*draw, fold, outer)
        together = np.concatenate(astuple(parts))
        assert len(np.unique(together)) == len(together)
        assert len(together) == len(examples) or split.time_series or outer is not None
        assert all(len(p) <= most for p, most in zip(astuple(parts), astuple(splitter.sizes), strict=True))
        assert len(parts.train) > 0
        assert (len(parts.valid) > 0) == (valid > 0)
        assert (len(parts.test) > 0) == (split.has_folds or test != 0)
