"""Copies of examples, against a count of equal rows one by one."""

from __future__ import annotations

import numpy as np
import pytest

from dlx.core.types import Examples
from dlx.data.leakage import num_copies, num_known, row_hashes
from dlx.data.splits import Parts


def make(inputs: np.ndarray, targets: np.ndarray) -> Examples:
    names = tuple(map(str, range(inputs.shape[1])))
    return Examples(inputs, targets, "regression" if targets.ndim > 1 else "classification", names, ("a", "b"))


@pytest.mark.parametrize("seed", range(5))
def test_against_equal_rows(seed: int) -> None:
    rng = np.random.default_rng(seed)
    inputs, targets = rng.integers(0, 3, (60, 3)).astype(float), rng.integers(0, 2, 60)
    rows = [(*row, target) for row, target in zip(inputs.tolist(), targets.tolist(), strict=True)]
    examples = make(inputs, targets)
    assert num_copies(examples) == len(rows) - len(set(rows)) > 0
    train, valid, test = np.split(np.arange(60), [30, 45])
    known = {rows[each] for each in train}
    expected = {name: sum(rows[each] in known for each in part) for name, part in (("valid", valid), ("test", test))}
    assert num_known(examples, Parts(train, valid, test)) == {name: count for name, count in expected.items() if count}


def test_rows_that_differ_a_little_are_no_copies() -> None:
    rng = np.random.default_rng(0)
    inputs = rng.integers(0, 4, (20_000, 8)).astype(float)
    inputs[:, 0] = np.arange(20_000)  # all different, though in the last bits alone
    inputs[:, 1] = np.nextafter(1.0, 2.0, dtype=float) * rng.integers(0, 2, 20_000)
    assert len(np.unique(row_hashes(make(inputs, np.zeros((20_000, 1)))))) == 20_000


def test_zeros_and_missing_values_are_equal_to_themselves() -> None:
    inputs = np.array([[0.0, np.nan], [-0.0, np.nan], [0.0, 1.0]])
    assert num_copies(make(inputs, np.ones((3, 1)))) == 1
