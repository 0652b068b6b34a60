"""Searches against closed forms and scikit-learn: leave-one-out least squares, the precision of softmax regression."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from commands.searches import cells, read, small_search
from sklearn.datasets import load_diabetes, load_iris, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, r2_score
from sklearn.preprocessing import StandardScaler

pytestmark = pytest.mark.usefixtures("no_search_pictures")

LEAST_SQUARES = """\
data: {name: diabetes, scale: none, target_scale: none, split: {valid: 0}}
model: linear
loss: mse
optimizer: least_squares
dtype: float64
training: {epochs: 1, batch_size: full, early_stopping: null}
cv: {folds: leave_one_out}
device: cpu
"""
SOFTMAX = """\
data: {name: NAME, scale: standard, split: {valid: 0, seed: 3}}
model: linear
loss: cross_entropy
prior: {name: gaussian, precision: 1.0}
optimizer: lbfgs
dtype: float64
training: {epochs: 200, batch_size: full, early_stopping: null}
cv: {folds: 5}
search: {space: {prior.precision: [0.01, 1.0, 100.0, 1000.0]}}
device: cpu
"""


def test_leave_one_out_of_least_squares(tmp_path: Path) -> None:
    """Without example i, the residual is e_i / (1 - h_ii) (Seber and Lee 2003, "Linear regression analysis")."""
    run = small_search(tmp_path, text=LEAST_SQUARES)
    (trial,) = read(run)["trials"]
    inputs, targets = load_diabetes(return_X_y=True)
    design = np.column_stack([np.ones(len(inputs)), inputs])
    hat = design @ np.linalg.pinv(design)
    left_out = (targets - hat @ targets) / (1 - np.diag(hat))
    mse = float(np.mean(left_out**2))
    assert mse == pytest.approx(3001.752847, abs=1e-6)
    assert trial["means"]["test"]["loss"]["mean"] == pytest.approx(mse, abs=1e-6)
    assert trial["score"]["mean"] == pytest.approx(r2_score(targets, targets - left_out), abs=1e-10)
    loss = trial["means"]["test"]["loss"]
    assert loss["se"] == pytest.approx(np.std(left_out**2, ddof=1) / math.sqrt(len(targets)), rel=1e-8)
    own = {line["fold"]: line["predictions"][0][0] for line in cells(run)}
    np.testing.assert_allclose([own[i] for i in range(len(targets))], targets - left_out, rtol=1e-8)
    assert read(run)["folds"] == {
        "kind": "leave-one-out", "num_folds": 442, "repeats": 1, "seeds": [0], "nested": False, "pooled": True,
        "num_train": 441.0, "num_test": 1.0,
    }  # fmt: skip


@pytest.mark.parametrize("name", ["iris", "wine"])
def test_softmax_regression(tmp_path: Path, name: str) -> None:
    """scikit-learn lowers the sum of losses + |w|^2 / (2 C); dlx the mean of losses + precision |w|^2 / (2 N)."""
    run = small_search(tmp_path, text=SOFTMAX.replace("NAME", name))
    result = read(run)
    inputs, targets = {"iris": load_iris, "wine": load_wine}[name](return_X_y=True)
    means = []
    for trial in result["trials"]:
        accuracies, losses = [], []
        for fold in read(run, "folds.json"):
            test = np.array(fold["test"])
            train = np.setdiff1d(np.arange(len(targets)), test)
            scaler = StandardScaler().fit(inputs[train])
            peer = LogisticRegression(C=1 / trial["values"]["prior.precision"], tol=1e-10, max_iter=10_000)
            peer.fit(scaler.transform(inputs[train]), targets[train])
            accuracies.append(peer.score(scaler.transform(inputs[test]), targets[test]))
            losses.append(log_loss(targets[test], peer.predict_proba(scaler.transform(inputs[test]))))
        means.append(np.mean(accuracies))
        assert trial["score"]["mean"] == pytest.approx(means[-1], abs=1.01 / len(targets))
        assert trial["means"]["test"]["loss"]["mean"] == pytest.approx(np.mean(losses), rel=1e-3)
    best, chosen = (result["trials"][result["selection"][which]] for which in ("best", "chosen"))
    assert means[best["trial"]] >= max(means) - best["score"]["se"]
    within = [each for each, mean in enumerate(means) if mean >= max(means) - best["score"]["se"]]
    assert chosen["trial"] == max(within), "the largest precision within one standard error"
