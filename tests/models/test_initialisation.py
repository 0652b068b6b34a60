from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from scipy import stats

from dlx.core.types import Spec
from dlx.models.linear import Linear
from dlx.models.mlp import MLP

SPEC = Spec((200,), 100, torch.float64)
DISTRIBUTIONS: dict[str, Any] = {
    "torch": stats.uniform(-1 / math.sqrt(200), 2 / math.sqrt(200)),
    "xavier": stats.uniform(-math.sqrt(6 / 300), 2 * math.sqrt(6 / 300)),
    "he": stats.norm(0, math.sqrt(2 / 200)),
    "normal": stats.norm(0, 0.01),
}


@pytest.mark.parametrize("init", DISTRIBUTIONS)
@pytest.mark.parametrize("model", [Linear, MLP])
def test_weights_have_the_distribution(init: str, model: Any) -> None:
    torch.manual_seed(0)
    weight, bias = list(model(init=init, **({"hidden": (100,)} if model is MLP else {})).build(SPEC).parameters())[:2]
    assert stats.kstest(weight.detach().flatten().numpy(), DISTRIBUTIONS[init].cdf).pvalue > 1e-3
    assert bool(bias.any()) == (init == "torch")


def test_zeros() -> None:
    assert not any(parameter.any() for parameter in MLP(init="zeros").build(SPEC).parameters())
