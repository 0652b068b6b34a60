from __future__ import annotations

import pytest
import torch
from torch.func import functional_call, vmap

from dlx.models.dropout import Dropout

INPUTS = torch.ones(200, 50, dtype=torch.float64)


def drop(rate: float, key: int) -> torch.Tensor:
    module = Dropout(rate, torch.float64)
    return functional_call(module, {"key": torch.tensor(key, dtype=torch.int32)}, (INPUTS,))


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_share_of_zeros_and_mean(rate: float) -> None:
    outputs = drop(rate, 1)
    assert set(outputs.unique().tolist()) == {0.0, 1 / (1 - rate)}
    standard_error = (rate * (1 - rate) / outputs.numel()) ** 0.5
    assert abs(float((outputs == 0).double().mean()) - rate) < 5 * standard_error
    for dim in (0, 1):  # no example and no unit is dropped more often than chance has it
        share = (outputs == 0).double().mean(dim)
        assert (share - rate).abs().max() < 5 * (rate * (1 - rate) / outputs.shape[dim]) ** 0.5


def test_masks_of_keys_are_independent() -> None:
    first, second = drop(0.5, 1) > 0, drop(0.5, 2) > 0
    assert abs(float((first & second).double().mean()) - 0.25) < 5 * (0.25 * 0.75 / first.numel()) ** 0.5
    assert torch.equal(first, drop(0.5, 1) > 0)


def test_nothing_is_dropped_in_evaluation() -> None:
    assert torch.equal(Dropout(0.5, torch.float64).eval()(INPUTS), INPUTS)


def test_a_member_has_its_own_rate_and_mask() -> None:
    module = Dropout(0.5, torch.float64)
    named = [dict(Dropout(rate, torch.float64).named_buffers()) for rate in (0.2, 0.7)]
    keys = torch.tensor([5, 6], dtype=torch.int32)
    stacked = {name: torch.stack([each[name] for each in named]) for name in named[0]} | {"key": keys}
    together = vmap(lambda buffers: functional_call(module, buffers, (INPUTS,)))(stacked)
    for outputs, rate, key in zip(together, (0.2, 0.7), keys, strict=True):
        assert torch.equal(outputs, drop(rate, int(key)))


def test_gradient_flows_through_what_stays() -> None:
    inputs = INPUTS.clone().requires_grad_()
    Dropout(0.4, torch.float64)(inputs).sum().backward()
    assert torch.equal(inputs.grad, Dropout(0.4, torch.float64)(INPUTS))
