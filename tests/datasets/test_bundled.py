"""scikit-learn's bundled data sets: the numbers that their docstrings and sources state."""

from types import SimpleNamespace

import numpy as np
import pytest

from dlx.core.definition import Dataset
from dlx.core.registry import registered
from dlx.datasets.bundled import from_bunch
from dlx.datasets.diabetes import Diabetes

CLASS_COUNTS = {
    "breast_cancer": (30, [212, 357]),
    "digits": (64, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]),
    "iris": (4, [50, 50, 50]),
    "wine": (13, [59, 71, 48]),
}


@pytest.mark.parametrize("name", CLASS_COUNTS)
def test_class_counts(name: str) -> None:
    num_features, counts = CLASS_COUNTS[name]
    dataset = registered(Dataset)[name]()
    examples = dataset.load()
    assert examples.inputs.shape == (sum(counts), num_features)
    assert np.bincount(examples.targets).tolist() == counts
    documented = f"inputs [{sum(counts)}, {num_features}] and classes [{sum(counts)}]"
    assert documented in type(dataset).load.__doc__


def test_names_of_classes() -> None:
    datasets = registered(Dataset)
    assert datasets["breast_cancer"]().load().target_names == ("malignant", "benign")
    assert datasets["iris"]().load().target_names == ("setosa", "versicolor", "virginica")


def test_digits_are_gray_levels() -> None:
    inputs = registered(Dataset)["digits"]().load().inputs
    assert (inputs.min(), inputs.max()) == (0, 16)


def test_diabetes() -> None:
    examples = Diabetes().load()
    assert (examples.inputs.shape, examples.targets.shape) == ((442, 10), (442, 1))
    assert (examples.targets.min(), examples.targets.max()) == (25, 346)
    np.testing.assert_allclose(examples.inputs.std(0) * np.sqrt(442), 1, rtol=1e-6)  # scaled by the source


def test_integers_become_floats() -> None:
    bunch = SimpleNamespace(data=[[1, 2]], target=[3], feature_names=["a", "b"], target_names=["no", "yes"])
    examples = from_bunch(bunch, "regression")
    assert (examples.inputs.dtype, examples.targets.dtype) == (np.float64, np.float64)
    assert examples.targets.tolist() == [[3.0]]
    assert from_bunch(bunch, "classification").targets.dtype == np.int64
