"""torch's ReduceLROnPlateau."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dlx.core.types import Watch
from dlx.schedules.plateau import Plateau


@pytest.mark.parametrize("patience", [0, 1, 3])
@pytest.mark.parametrize("threshold", [0.0, 1e-4, 0.2])
@pytest.mark.parametrize("floor", [0.0, 0.01, 0.3])
def test_equals_torch(patience: int, threshold: float, floor: float) -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.05)
    peer = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, factor=0.5, patience=patience, threshold=threshold, min_lr=0.05 * floor, eps=0
    )
    rule, watch = Plateau(gamma=0.5, patience=patience, threshold=threshold, floor=floor), Watch()
    losses = np.exp(-0.03 * np.arange(80)) + 0.2 * np.random.default_rng(0).random(80)
    factors = set()
    for loss in losses:
        peer.step(loss)
        watch = rule.watch(watch, float(loss))
        factors.add(watch.factor)
        assert 0.05 * watch.factor == pytest.approx(peer.get_last_lr()[0], rel=1e-12)
    assert len(factors) > 1, "the rate must fall for the comparison to mean anything"


def test_a_negative_loss_improves_by_falling() -> None:
    rule = Plateau(patience=0, threshold=0.1)
    watch = rule.watch(rule.watch(Watch(), -1.0), -1.05)
    assert (watch.best, watch.factor) == (-1.0, 0.1), "5 % lower is no improvement of 10 %"
    assert rule.watch(watch, -1.2).best == -1.2
