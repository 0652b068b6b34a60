"""Cross-entropy of several classes."""

import numpy as np
import pytest
import torch
from experiments import make_members, train
from scipy import stats
from sklearn.utils.class_weight import compute_class_weight

from dlx.core.records import Cell
from dlx.core.types import Examples, Hyper
from dlx.losses.binary_cross_entropy import BinaryCrossEntropy
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


def test_balanced_weights_are_scikit_learns() -> None:
    targets = np.repeat(np.arange(4), [70, 20, 9, 1])
    fitted = CrossEntropy(class_weights="balanced").fit(torch.from_numpy(targets), 4)
    expected = compute_class_weight("balanced", classes=np.arange(4), y=targets)
    np.testing.assert_allclose(fitted["class_weights"], expected)
    assert fitted["class_weights"][targets].mean() == pytest.approx(1)
    without = CrossEntropy(class_weights="balanced").fit(torch.tensor([0, 0, 2]), 3)["class_weights"]
    assert without.tolist() == [0.5, 1.0, 1.0]
    assert CrossEntropy(class_weights=(1.0, 2.0)).fit(torch.tensor([0]), 2) == CE.fit(torch.tensor([0]), 2) == {}


@pytest.mark.parametrize("optimizer", ["adam", "gauss_newton"])
def test_balanced_is_a_training_with_the_weights_of_its_training_part(optimizer: str) -> None:
    settings = {"optimizer": optimizer, "hidden": (4,), "split": {"stratify": False}, "dtype": "float64"}
    (member,), examples = make_members([Cell(0)], loss=CrossEntropy(class_weights="balanced"), **settings)
    own = examples.targets[member.parts.train]
    weights = compute_class_weight("balanced", classes=np.arange(3), y=own)
    assert len(set(np.bincount(own))) > 1
    (given,), _ = make_members([Cell(0)], loss=CrossEntropy(class_weights=tuple(weights.tolist())), **settings)
    (found,), (expected,) = (train([each], examples).values() for each in (member, given))
    torch.testing.assert_close(found[0], expected[0], rtol=1e-6, atol=1e-9)
    assert found[2][-1].scores["valid"]["loss"] == pytest.approx(expected[2][-1].scores["valid"]["loss"], rel=1e-6)


def test_what_keeps_it_from_the_likelihood_is_said(generator: torch.Generator) -> None:
    """Smoothed, no outputs lower it to 0: its least value is the entropy of the smoothed target."""
    smoothed, y = CrossEntropy(label_smoothing=0.1), torch.tensor([1])
    target = np.full(4, 0.025) + np.array([0, 0.9, 0, 0])
    outputs, h = torch.from_numpy(np.log(target)).unsqueeze(0), Hyper({"label_smoothing": torch.tensor(0.1).double()})
    least = smoothed.value(outputs, y, h).item()
    assert least == pytest.approx(stats.entropy(target))
    for scale in range(1, 20):
        away = scale * torch.randn(1, 4, generator=generator, dtype=torch.float64)
        assert smoothed.value(outputs + away, y, h).item() >= least
    assert "keeps it above 0" in smoothed.remark()
    assert "keeps it above 0" in BinaryCrossEntropy(label_smoothing=0.1).remark()
    assert CE.remark() is BinaryCrossEntropy().remark() is CrossEntropy(label_smoothing=0.0).remark() is None
    weighted = CrossEntropy(class_weights=(1.0, 2.0)).remark()
    assert weighted == "The loss weighs examples by their class; the metric nll does not."
