"""Noise by key and place: uniform, normal, independent between keys, and the same whatever is drawn beside it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from dlx.core.noise import mix, random_mask, random_normal, random_uniform, random_words, step_keys

KEYS = torch.tensor([0, 1, 2, -5, 2**31 - 1], dtype=torch.int32)


def lowbias32(x: int) -> int:
    """Wellons' own C, on Python integers."""
    x ^= x >> 16
    x = x * 0x7FEB352D % 2**32
    x ^= x >> 15
    x = x * 0x846CA68B % 2**32
    return x ^ x >> 16


def test_mix_is_lowbias32() -> None:
    words = torch.tensor([0, 1, -1, 12345, -(2**31), 2**31 - 1], dtype=torch.int32)
    before = words.clone()
    expected = [lowbias32(int(word) % 2**32) for word in words]
    assert [int(word) % 2**32 for word in mix(words)] == expected
    assert torch.equal(words, before)


def test_words_of_a_key_do_not_depend_on_other_keys() -> None:
    together = random_words(KEYS, (7, 3))
    assert together.shape == (5, 7, 3)
    for key, words in zip(KEYS, together, strict=True):
        assert torch.equal(random_words(key, (7, 3)), words)


def test_every_bit_is_fair_and_independent_of_its_neighbours() -> None:
    words = random_words(torch.arange(64, dtype=torch.int32), (1000,)).numpy().view(np.uint32)
    bits = np.unpackbits(words.reshape(64, 1000, 1).view(np.uint8), axis=-1).astype(np.float64) - 0.5
    limit = 5 * 0.5 / np.sqrt(64_000)  # 5 standard errors
    assert np.abs(bits.mean((0, 1))).max() < limit
    flat = bits.reshape(64_000, 32)
    correlation = 4 * (flat.T @ flat) / 64_000 - np.eye(32)
    assert np.abs(correlation).max() < 5 / np.sqrt(64_000)
    for neighbour in (np.roll(bits, 1, 0), np.roll(bits, 1, 1)):  # the next key, the next place
        assert np.abs(4 * (bits * neighbour).mean((0, 1))).max() < 5 / np.sqrt(64_000)


@pytest.mark.parametrize(("upper", "dtype"), [(-1, torch.float32), (255, torch.float32), (-20_000, torch.float64)])
@pytest.mark.parametrize("shape", [(7, 3), (33, 37)])
def test_a_mask_compares_random_words(upper: int, dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    threshold = torch.tensor(upper * 2**16 + 2**16 - 1, dtype=dtype)  # the lower bits do not matter
    words = random_words(KEYS, shape)
    together = random_mask(KEYS, shape, threshold)
    assert together.dtype == dtype
    assert torch.equal(together == 1, words > int(threshold))
    assert torch.equal(together == 0, words <= int(threshold))
    for key, mask in zip(KEYS, together, strict=True):
        assert torch.equal(random_mask(key, shape, threshold), mask)


def p_value(draws: Tensor, distribution: str) -> float:
    return float(stats.kstest(draws.flatten().numpy(), distribution).pvalue)


def test_uniform_and_normal_are_what_they_say() -> None:
    for dtype in (torch.float32, torch.float64):
        uniform, normal = (draw(KEYS, (4000,), dtype) for draw in (random_uniform, random_normal))
        assert uniform.dtype == normal.dtype == dtype
        assert uniform.min() > 0
        assert uniform.max() < 1
        assert p_value(uniform, "uniform") > 1e-3
        assert p_value(normal, "norm") > 1e-3
        correlation = np.corrcoef(normal.numpy()) - np.eye(5)
        assert np.abs(correlation).max() < 5 / np.sqrt(4000)


def test_keys_differ_between_members_steps_and_streams_and_depend_on_nothing_else() -> None:
    bases = torch.tensor([3, 4, 5], dtype=torch.int32)
    steps = torch.arange(200, dtype=torch.int32).unsqueeze(1).expand(-1, 3)
    keys = step_keys(bases, steps, 4)
    assert keys.shape == (200, 3, 4)
    assert len(keys.unique()) == 200 * 3 * 4
    assert torch.equal(step_keys(bases[1:2], steps[50:60, 1:2], 2), keys[50:60, 1:2, :2])
