"""What scikit-learn's bundled data sets have in common."""

from typing import Any

import numpy as np

from dlx.core.types import Examples, Task


def from_bunch(bunch: Any, task: Task) -> Examples:
    """Turn what scikit-learn's ``load_*`` functions give into examples.

    Args:
        bunch: A ``sklearn.utils.Bunch`` with ``data`` [N, D] and ``target`` [N].
        task: What the targets are; regression targets become one column, [N, 1].

    Returns:
        The examples, inputs as float64.
    """
    is_classification = task == "classification"
    target = np.asarray(bunch.target)
    return Examples(
        inputs=np.asarray(bunch.data, dtype=np.float64),
        targets=target.astype(np.int64) if is_classification else target.astype(np.float64).reshape(-1, 1),
        task=task,
        feature_names=tuple(str(name) for name in bunch.feature_names),
        target_names=tuple(str(name) for name in bunch.target_names) if is_classification else ("target",),
    )
