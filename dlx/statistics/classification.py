"""How predicted classes agree with those that were observed."""

from __future__ import annotations

from typing import Any

import numpy as np

Integers = np.ndarray[Any, np.dtype[np.int64]]


def confusion_counts(targets: Integers, guesses: Integers, num_classes: int) -> Integers:
    """Count the examples of each true class that were taken for each class.

    Args:
        targets: True classes, [N], in 0..C-1.
        guesses: Predicted classes, [N].
        num_classes: C.

    Returns:
        [C, C]: rows are true classes, columns predicted ones.
    """
    pairs = np.bincount(targets * num_classes + guesses, minlength=num_classes**2)
    return pairs.reshape(num_classes, num_classes)
