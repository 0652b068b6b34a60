"""Values that definitions are given."""

import numpy as np
import torch

from dlx.core.types import Examples, Hyper


def test_hyper_by_name() -> None:
    h = Hyper({"rho": torch.tensor(0.9)}, {"rho": torch.tensor(0.1)})
    assert h.rho == torch.tensor(0.9)
    assert h.complement.rho == torch.tensor(0.1)


def test_examples_are_counted_by_their_inputs() -> None:
    assert len(Examples(np.zeros((7, 2)), np.zeros((7, 1)), "regression", ("a", "b"), ("y",))) == 7
