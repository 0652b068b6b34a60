"""Chemical analyses of wines, bundled with scikit-learn."""

from typing import Literal

from dlx.core.definition import Dataset
from dlx.core.types import Examples
from dlx.datasets.bundled import from_bunch


class Wine(Dataset):
    """Wine: 178 wines, 13 chemical measurements, three cultivars of 59, 71 and 48.

    Source:
        Aeberhard and Forina (1992), "Wine", UCI, via scikit-learn.
    """

    name: Literal["wine"] = "wine"

    def load(self) -> Examples:
        """Give inputs [178, 13] and classes [178]."""
        from sklearn.datasets import load_wine

        return from_bunch(load_wine(), "classification")
