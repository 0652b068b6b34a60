"""Measurements of iris flowers, bundled with scikit-learn."""

from typing import Literal

from dlx.core.definition import Dataset
from dlx.core.types import Examples
from dlx.datasets.bundled import from_bunch


class Iris(Dataset):
    """Iris: 150 flowers, 4 measurements in cm, three species of 50.

    Source:
        Fisher (1936), "The use of multiple measurements in taxonomic problems", via scikit-learn.
    """

    name: Literal["iris"] = "iris"

    def load(self) -> Examples:
        """Give inputs [150, 4] and classes [150]."""
        from sklearn.datasets import load_iris

        return from_bunch(load_iris(), "classification")
