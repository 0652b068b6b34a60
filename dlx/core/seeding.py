"""Named, independent random streams from one seed.

A stream is a name and the integers that it may depend on. What a stream does not name cannot change it: no stream names
the trial, so members that differ only in hyperparameters see the same weights and batches, and every comparison is
paired.

    init    (seed, repeat, fold)           initial weights
    order   (seed, repeat, fold, epoch)    order of the examples in an epoch
    split   (split seed, ...)              which examples are train, valid, test
"""

import zlib

import numpy as np


def stream(name: str, *key: int) -> np.random.Generator:
    """Build the generator of the stream ``name`` at ``key``.

    Args:
        name: Name of the stream; streams of different names are independent.
        key: Non-negative integers the stream depends on.

    Returns:
        A fresh generator; equal arguments give equal draws on every machine.

    Source:
        numpy's ``SeedSequence`` (O'Neill's seed_seq design) over PCG64.
    """
    # SeedSequence pads with zeros: without the length, ("a", 1) and ("a", 1, 0) would be one stream.
    return np.random.default_rng([zlib.crc32(name.encode()), len(key), *key])


def integer_seed(name: str, *key: int) -> int:
    """Draw a 32-bit seed from a stream, for libraries that take an integer.

    Args:
        name: Name of the stream.
        key: Non-negative integers the stream depends on.

    Returns:
        An integer in [0, 2**32).
    """
    return int(stream(name, *key).integers(2**32))
