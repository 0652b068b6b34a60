"""Held against ``nn.BatchNorm1d`` on the examples that are no padding."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.func import functional_call

from dlx.models.batch_norm import BatchNorm


@pytest.fixture
def inputs(generator: torch.Generator) -> torch.Tensor:
    return 3 + 2 * torch.randn(5, 10, 4, generator=generator, dtype=torch.float64)


def test_equals_torch_over_batches_with_padding(inputs: torch.Tensor) -> None:
    torch_norm, norm = nn.BatchNorm1d(4, dtype=torch.float64), BatchNorm(4, torch.float64)
    for parameter in ("weight", "bias"):
        drawn = torch.randn(4, dtype=torch.float64)
        for module in (torch_norm, norm):
            getattr(module, parameter).data.copy_(drawn)
    weights = torch.tensor([1 / 7] * 7 + [0.0] * 3, dtype=torch.float64)
    owned = dict(norm.state_dict())
    for batch in inputs:
        expected = torch_norm(batch[:7])
        outputs = functional_call(norm, owned | {"example_weights": weights}, (batch,))
        named = owned | {"example_weights": weights}
        functional_call(norm, named, (batch,))
        owned = {name: named[name] for name in owned}
        torch.testing.assert_close(outputs[:7], expected, rtol=1e-12, atol=1e-13)
        for statistic in ("running_mean", "running_var"):
            torch.testing.assert_close(owned[statistic], getattr(torch_norm, statistic), rtol=1e-12, atol=0)
    norm.load_state_dict(owned)
    torch.testing.assert_close(norm.eval()(inputs[0]), torch_norm.eval()(inputs[0]), rtol=1e-12, atol=1e-13)


def test_gradient_equals_torchs(inputs: torch.Tensor) -> None:
    gradients = []
    for module in (nn.BatchNorm1d(4, dtype=torch.float64), BatchNorm(4, torch.float64)):
        x = inputs[0].clone().requires_grad_()
        (module(x).sin() * torch.arange(4)).sum().backward()
        gradients.append((x.grad, module.weight.grad, module.bias.grad))
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-9, atol=1e-13)


def test_a_batch_of_one_example_leaves_the_statistics(inputs: torch.Tensor) -> None:
    norm = BatchNorm(4, torch.float64)
    before = {name: value.clone() for name, value in norm.state_dict().items()}
    outputs = norm(inputs[0, :1])
    assert torch.equal(outputs, norm.bias.expand(1, 4))
    assert all(torch.equal(value, before[name]) for name, value in norm.state_dict().items())
