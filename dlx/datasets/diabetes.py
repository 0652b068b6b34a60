"""Disease progression of diabetes patients, bundled with scikit-learn."""

from typing import Literal

from dlx.core.definition import Dataset
from dlx.core.types import Examples
from dlx.datasets.bundled import from_bunch


class Diabetes(Dataset):
    """Diabetes: 442 patients, 10 measurements (scaled by the source), disease progression after a year in 25..346.

    Source:
        Efron, Hastie, Johnstone and Tibshirani (2004), "Least angle regression", via scikit-learn.
    """

    name: Literal["diabetes"] = "diabetes"

    def load(self) -> Examples:
        """Give inputs [442, 10] and values [442, 1]."""
        from sklearn.datasets import load_diabetes

        return from_bunch(load_diabetes(), "regression")
