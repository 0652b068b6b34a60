"""Values that definitions are given."""

import numpy as np
import pytest
import torch

from dlx.core.types import Examples, Hyper


def test_hyper_by_name() -> None:
    h = Hyper({"rho": torch.tensor(0.9)}, {"rho": torch.tensor(0.1)})
    assert h.rho == torch.tensor(0.9)
    assert h.complement.rho == torch.tensor(0.1)


def test_examples_are_counted_by_their_inputs() -> None:
    assert len(Examples(np.zeros((7, 2)), np.zeros((7, 1)), "regression", ("a", "b"), ("y",))) == 7


def test_a_column_is_a_feature_or_beside_the_inputs() -> None:
    sites = np.array(["oslo", "bonn"])
    inputs = np.array([[1.0, 2.0], [3.0, 4.0]])
    examples = Examples(inputs, np.zeros((2, 1)), "regression", ("a", "b"), ("y",), {"site": sites})
    assert examples.column_names == ["a", "b", "site"]
    assert examples.column("b").tolist() == [2.0, 4.0]
    assert examples.column("site") is sites
    with pytest.raises(KeyError):
        examples.column("y")
