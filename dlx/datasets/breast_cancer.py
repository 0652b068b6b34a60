"""Measurements of tumours, bundled with scikit-learn."""

from typing import Literal

from dlx.core.definition import Dataset
from dlx.core.types import Examples
from dlx.datasets.bundled import from_bunch


class BreastCancer(Dataset):
    """Breast cancer: 569 tumours, 30 measurements of cell nuclei; 212 malignant (class 0), 357 benign (class 1).

    Source:
        Wolberg, Mangasarian, Street and Street (1993), "Breast cancer Wisconsin (diagnostic)", UCI, via scikit-learn.
    """

    name: Literal["breast_cancer"] = "breast_cancer"

    def load(self) -> Examples:
        """Give inputs [569, 30] and classes [569]."""
        from sklearn.datasets import load_breast_cancer

        return from_bunch(load_breast_cancer(), "classification")
