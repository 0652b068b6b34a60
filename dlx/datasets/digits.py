"""Images of handwritten digits, bundled with scikit-learn."""

from typing import Literal

from dlx.core.definition import Dataset
from dlx.core.types import Examples
from dlx.datasets.bundled import from_bunch


class Digits(Dataset):
    """Digits: 1,797 images of 8 x 8 pixels in 0..16, ten classes, about 180 of each.

    Source:
        Alpaydin and Kaynak (1998), "Optical recognition of handwritten digits", UCI; test part, via scikit-learn.
    """

    name: Literal["digits"] = "digits"

    def load(self) -> Examples:
        """Give inputs [1797, 64] and classes [1797]."""
        from sklearn.datasets import load_digits

        return from_bunch(load_digits(), "classification")
