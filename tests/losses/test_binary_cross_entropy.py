"""Binary cross-entropy: two classes, one logit."""

import mpmath
import numpy as np
import pytest
import torch

from dlx.core.types import Examples, Hyper
from dlx.losses.binary_cross_entropy import BinaryCrossEntropy
from dlx.losses.cross_entropy import CrossEntropy

LOGITS = (-700.0, -40.0, -1.0, 0.0, 2.0, 40.0, 700.0)
BCE, NONE = BinaryCrossEntropy(), Hyper({})


def examples(num_classes: int, task: str = "classification") -> Examples:
    names = tuple(f"t{number}" for number in range(num_classes))
    return Examples(np.zeros((4, 1)), np.zeros(4, np.int64), task, ("x",), names)


def test_fits_two_classes_only() -> None:
    assert BCE.mismatch(examples(2)) is None
    assert "2 classes, but these data have 3" in BCE.mismatch(examples(3))
    assert "regression" in BCE.mismatch(examples(2, "regression"))
    assert BCE.num_outputs(2) == 1


@pytest.mark.parametrize("target", [0, 1])
def test_values_are_exact_even_where_they_are_small(target: int) -> None:
    value = BCE.value(torch.tensor(LOGITS, dtype=torch.float64)[:, None], torch.full((7,), target), NONE)
    with mpmath.workdps(400):
        expected = [float(mpmath.log1p(mpmath.exp(-z if target else z))) for z in LOGITS]
    np.testing.assert_allclose(value, expected, rtol=1e-14)


def test_untrained_scores_ln_2() -> None:
    assert BCE.value(torch.zeros(1, 1), torch.zeros(1, dtype=torch.int64), NONE).item() == pytest.approx(np.log(2))


def test_probabilities_are_exact_near_0() -> None:
    z = torch.tensor([[-80.0], [80.0]], dtype=torch.float64)
    small = BCE.predict(z).flatten()[[1, 2]]
    np.testing.assert_allclose(small, np.exp(-80), rtol=1e-13)


def test_equals_cross_entropy_with_logits_0_and_z(generator: torch.Generator) -> None:
    z = torch.randn(20, 1, generator=generator, dtype=torch.float64)
    targets = torch.arange(20) % 2
    pair = torch.cat([torch.zeros_like(z), z], 1)
    torch.testing.assert_close(BCE.value(z, targets, NONE), CrossEntropy().value(pair, targets, NONE))
    torch.testing.assert_close(BCE.predict(z), CrossEntropy().predict(pair))
