"""Random numbers as a function of a key and a place: a hash, not a generator that has a state.

A member's key at a step follows from its own cell and step alone, so its noise is the same in any company, in any
order, after a resume, and however often an objective is evaluated in one step. Elementwise integer operations are exact
and take half the time of one ``torch.Generator`` per member.

Source:
    The hash is lowbias32 of Wellons (2018), "Prospecting for hash functions"; the normals are those of Box and Muller
    (1958), "A note on the generation of random normal deviates".
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

MULTIPLIERS = (0x7FEB352D, 0x846CA68B - (1 << 32))
"""Those of lowbias32, as signed 32-bit integers."""
SALTS = (0x1B873593, 0x27D4EB2F, 0x165667B1)
"""Set apart what is hashed for different ends: without them key 0, which the hash maps to itself, would meet itself."""


def mix(words: Tensor) -> Tensor:
    """Hash each 32-bit word: a one-to-one map after which every bit depends on every other.

    Args:
        words: int32, any shape; left alone.

    Returns:
        int32 of the same shape.
    """
    mixed = _mix_upper_half(words)
    return mixed.bitwise_xor_((mixed >> 16).bitwise_and_(0xFFFF))


def _mix_upper_half(words: Tensor) -> Tensor:
    """Hash each word but for the last round, which changes the lower 16 bits alone."""
    # An int32 is shifted with its sign, so the shifted-in bits are masked off.
    mixed = words ^ (words >> 16).bitwise_and_(0xFFFF)
    mixed.mul_(MULTIPLIERS[0])
    return mixed.bitwise_xor_((mixed >> 15).bitwise_and_(0x1FFFF)).mul_(MULTIPLIERS[1])


def random_words(key: Tensor, shape: Sequence[int]) -> Tensor:
    """Give 32 random bits for each place of a shape.

    Args:
        key: int32 [...]: one for each draw of the shape.
        shape: Shape of one draw.

    Returns:
        int32, [..., *shape], uniform over all values of an int32.
    """
    return mix(_keyed_places(key, shape))


def random_mask(key: Tensor, shape: Sequence[int], threshold: Tensor) -> Tensor:
    """Tell for each place of a shape whether 32 random bits, read as an int32, exceed a threshold.

    Args:
        key: int32 [...]: one for each draw of the shape.
        shape: Shape of one draw.
        threshold: A whole number; broadcasts with the result. Only draws that share their upper 16 bits with it depend
            on the lower ones, which are mixed less than those of ``random_words``.

    Returns:
        0 or 1 in the dtype of the threshold, [..., *shape].
    """
    words = _mix_upper_half(_keyed_places(key, shape)).to(threshold.dtype)
    # Whole numbers that differ do so by 1 at least, rounded or not. A comparison, which gives bool, and the way from
    # bool to numbers take three times as long.
    return words.sub_(threshold).clamp(0, 1)


def _keyed_places(key: Tensor, shape: Sequence[int]) -> Tensor:
    """Give each place of a shape a word of its own that the key has part in, [..., *shape]."""
    places = torch.arange(math.prod(shape), dtype=torch.int32, device=key.device).view(*shape)
    # The places are hashed before the key comes in: for near keys, place ^ key would be the same words in other places.
    return mix(places) ^ key.view(*key.shape, *[1] * len(shape))


def random_uniform(key: Tensor, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """Draw from the uniform distribution on (0, 1), in multiples of 2**-24 and half of that: [..., *shape]."""
    return (random_words(key, shape) >> 8).bitwise_and_(0xFFFFFF).to(dtype).add_(0.5).mul_(2.0**-24)


def random_normal(key: Tensor, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """Draw from the standard normal distribution, at most 6 in size: [..., *shape]."""
    radius = random_uniform(key, shape, dtype).log_().mul_(-2).sqrt_()
    return random_uniform(mix(key ^ SALTS[0]), shape, dtype).mul_(2 * math.pi).sin_().mul_(radius)


def step_keys(bases: Tensor, steps: Tensor, num_streams: int) -> Tensor:
    """Give the key of each stream of noise at a step.

    Args:
        bases: One per member, int32 [M].
        steps: Steps that each member has taken before, int32 [..., M].
        num_streams: Streams S that one step needs.

    Returns:
        int32 [..., M, S].
    """
    streams = torch.arange(num_streams, dtype=torch.int32, device=bases.device)
    return mix(mix(bases ^ mix(steps ^ SALTS[1])).unsqueeze(-1) ^ mix(streams ^ SALTS[2]))
