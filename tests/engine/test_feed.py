"""Batches of rows that have maps of their own: scaled beforehand or as they are read, to the same bits."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dlx.data.preprocessing import Affine
from dlx.engine.feed import DeviceExamples, Feed, RowAffine

RNG = np.random.default_rng(0)
DATA = DeviceExamples(
    torch.from_numpy(RNG.normal(size=(37, 5)).astype(np.float32)),
    torch.from_numpy(RNG.normal(size=(37, 2)).astype(np.float32)),
)


def maps(width: int, numbers: list[int]) -> RowAffine:
    """One map for each row, of three that differ."""
    rng = np.random.default_rng(width)
    three = [Affine(rng.normal(size=width), rng.uniform(0.3, 3, width)) for _ in range(3)]
    return RowAffine([three[number] for number in numbers], DATA.inputs)


@pytest.mark.parametrize("numbers", [[0, 0, 0], [2, 0, 2], [1, 2, 0], [0, 1, 1]])
def test_scaled_beforehand_or_as_they_are_read(numbers: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    indices = torch.from_numpy(RNG.integers(0, 37, (2, 3, 11)))
    inputs, targets = maps(5, numbers), maps(2, numbers)
    before = Feed(DATA, inputs, targets).gather(indices)
    monkeypatch.setattr("dlx.engine.feed.SCALED_BYTES", 0)
    as_read = Feed(DATA, inputs, targets).gather(indices)
    for one, other in zip(before, as_read, strict=True):
        assert torch.equal(one, other)
    for row in range(3):
        expected = (DATA.inputs[indices[:, row]].double() - inputs.shift[row]) / inputs.scale[row]
        np.testing.assert_allclose(before[0][:, row], expected, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(before[2][:, row], DATA.targets[indices[:, row]])


@pytest.mark.parametrize("numbers", [[0, 0, 0], [2, 0, 2], [1, 2, 0]])
def test_missing_values_get_the_fill_of_their_row(numbers: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    raw = np.where(rng.random((37, 5)) < 0.3, np.nan, rng.normal(size=(37, 5)))
    data = DeviceExamples(torch.from_numpy(raw), DATA.targets.double())
    three = [Affine(rng.normal(size=5), rng.uniform(0.3, 3, 5), rng.normal(size=5)) for _ in range(3)]
    inputs = RowAffine([three[number] for number in numbers], data.inputs)
    indices = torch.from_numpy(rng.integers(0, 37, (2, 3, 11)))
    before = Feed(data, inputs, None).gather(indices)[0]
    monkeypatch.setattr("dlx.engine.feed.SCALED_BYTES", 0)
    assert torch.equal(Feed(data, inputs, None).gather(indices)[0], before)
    for row, number in enumerate(numbers):
        expected = three[number].apply(raw[indices[:, row]])
        assert not np.isnan(expected).any()
        np.testing.assert_allclose(before[:, row], expected, rtol=1e-12)


def test_rows_that_fill_differently_do_not_share() -> None:
    shift, scale = np.zeros(5), np.ones(5)
    maps = [Affine(shift, scale, fill) for fill in (np.zeros(5), np.ones(5))]
    assert not RowAffine(maps, DATA.inputs).is_shared
    assert RowAffine(maps[:1] * 2, DATA.inputs).is_shared
