"""What is said of an experiment before it is trained."""

from pathlib import Path

import pytest
from commands.runs import write_config

from dlx.commands.facts import describe
from dlx.commands.plan import Plan
from dlx.config.load import load_experiment_and_data

SPLITS = [
    ("{folds: 4, fold: 1, repeat: 2}", "48 train, 12 valid, 20 test, fold 1 of 4, stratified, seed 0"),
    ("{folds: leave_one_out, fold: 7}", "63 train, 16 valid, 1 test, fold 7 of 80 (leave one out), seed 0"),
    ("{folds: 4, outer_fold: 3, seed: null}",
     "36 train, 9 valid, 15 test, fold 0 of 4, outer fold 3 set aside, stratified, drawn anew for each seed"),
    ("{groups: x, stratify: false}", "48 train, 16 valid, 16 test, groups of `x` kept together, seed 0"),
    ("{fold_column: y, fold: 2, stratify: false}",
     "63 train, 16 valid, 1 test, fold 2 of 80 (values of `y`), seed 0"),
    ("{time_series: true, folds: 4, fold: 1}", "26 train, 6 valid, 16 test, fold 1 of 4, in the order of time"),
]  # fmt: skip


@pytest.mark.parametrize(("split", "expected"), SPLITS, ids=[split for split, _ in SPLITS])
def test_split(split: str, expected: str, tmp_path: Path) -> None:
    loaded, examples = load_experiment_and_data(write_config(tmp_path), [f"data.split={split}"])
    assert describe(Plan.make(loaded.experiment, examples))["split"] == expected
