"""Every regularizer of configs/regularization narrows the gap between train and test that the plain model has."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from dlx.commands.plan import Plan
from dlx.commands.results import train_result
from dlx.commands.train import build_populations
from dlx.config.load import load_experiment_and_data
from dlx.engine.fit import fit

FOLDER = Path(__file__).parents[2] / "configs" / "regularization"
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))


@cache
def gaps(name: str) -> np.ndarray:
    """Negative log-likelihood on test less that on train, one per seed."""
    loaded, examples = load_experiment_and_data(FOLDER / f"{name}.yaml", ["device=cpu"])
    plan = Plan.make(loaded.experiment, examples)
    populations, data = build_populations(plan), plan.device_examples()
    for _ in fit(populations, data):
        pass
    members = train_result(plan.experiment, populations, data)["members"]
    return np.array([member["test"]["nll"] - member["train"]["nll"] for member in members])


def test_each_kind_is_here() -> None:
    kinds = {"l1", "l2", "early_stopping", "dropout", "input_noise", "weight_noise", "label_smoothing", "batch_norm"}
    assert set(NAMES) == kinds | {"plain"}


def test_the_plain_model_overfits() -> None:
    assert gaps("plain").min() > 0.1


@pytest.mark.parametrize("name", [name for name in NAMES if name != "plain"])
def test_the_gap_narrows(name: str) -> None:
    assert stats.ttest_rel(gaps(name), gaps("plain"), alternative="less").pvalue < 0.05
