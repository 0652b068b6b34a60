"""Cross-entropy of several classes."""

import numpy as np
import pytest
import torch

from dlx.core.types import Examples, Hyper
from dlx.losses.cross_entropy import CrossEntropy

CE, NONE = CrossEntropy(), Hyper({})


@pytest.mark.parametrize("num_classes", [1, 2, 10])
def test_untrained_scores_ln_c(num_classes: int) -> None:
    value = CE.value(torch.zeros(1, num_classes, dtype=torch.float64), torch.tensor([0]), NONE)
    assert value.item() == pytest.approx(np.log(num_classes), abs=1e-15)


def test_common_shift_changes_nothing(generator: torch.Generator) -> None:
    z, y = torch.randn(9, 4, generator=generator, dtype=torch.float64), torch.arange(9) % 4
    torch.testing.assert_close(CE.value(z + 500, y, NONE), CE.value(z, y, NONE), rtol=1e-11, atol=0)


def test_is_for_classes() -> None:
    regression = Examples(np.zeros((3, 1)), np.zeros((3, 1)), "regression", ("x",), ("y",))
    assert "regression" in CE.mismatch(regression)
    assert CE.num_outputs(7) == 7


def test_a_weight_for_each_class() -> None:
    classes = Examples(np.zeros((3, 1)), np.arange(3), "classification", ("x",), ("a", "b", "c"))
    assert CrossEntropy(class_weights=(1.0, 2.0, 3.0)).mismatch(classes) is None
    found = CrossEntropy(class_weights=(1.0, 2.0)).mismatch(classes)
    assert found == "`class_weights` needs a number for each of the 3 classes (a, b, c), but has 2"
