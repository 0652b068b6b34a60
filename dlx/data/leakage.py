"""Which examples stand in the data more than once: in two parts of a split, the test knows what was learned."""

from __future__ import annotations

from typing import Any

import numpy as np

from dlx.core.types import Examples
from dlx.data.splits import Parts

BLOCK = 100_000
"""Examples that are hashed at once."""
Hashes = np.ndarray[Any, np.dtype[np.uint64]]


def num_copies(examples: Examples) -> int:
    """Count the examples that are copies of another."""
    hashes = row_hashes(examples)
    return len(hashes) - len(np.unique(hashes))


def num_known(examples: Examples, parts: Parts) -> dict[str, int]:
    """Count for each other part the examples that the training part has, too; a part without such is left out."""
    hashes = row_hashes(examples)
    learned = np.sort(hashes[parts.train])
    found = {}
    for name, indices in parts.named().items():
        place = np.searchsorted(learned, hashes[indices]).clip(max=len(learned) - 1)
        count = int((learned[place] == hashes[indices]).sum())
        if count and name != "train":
            found[name] = count
    return found


def row_hashes(examples: Examples) -> Hashes:
    """Hash each example, inputs and targets, [N].

    Equal examples have equal hashes; two others by chance with a probability of about 2^-60.

    Source:
        Lemire and Kaser (2014), "Strongly universal string hashing is fast": a sum of products modulo 2^64, here of
        bits that SplitMix64's finaliser has mixed (Steele, Lea and Flood, 2014).
    """
    targets = examples.targets.reshape(len(examples), -1)
    width = examples.inputs.shape[1] + targets.shape[1]
    factors = np.random.default_rng(0).integers(0, 2**63, width, np.uint64) * 2 + 1
    hashes = np.empty(len(examples), np.uint64)
    for start in range(0, len(examples), BLOCK):
        block = slice(start, start + BLOCK)
        values = np.column_stack([examples.inputs[block], targets[block].astype(np.float64)]) + 0.0  # -0.0 is 0.0
        bits = np.ascontiguousarray(values).view(np.uint64)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            bits ^= bits >> np.uint64(shift)
            bits *= np.uint64(factor)
        hashes[block] = ((bits ^ (bits >> np.uint64(31))) * factors).sum(1, dtype=np.uint64)
    return hashes
