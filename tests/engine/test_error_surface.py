"""The error of one model as a function of its parameters, against torch on the same numbers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.autograd.functional import hessian
from torch.func import functional_call

from dlx.commands.plan import Plan
from dlx.config.load import load_experiment_and_data
from dlx.engine import error_surface
from dlx.engine.error_surface import ErrorSurface, collect, without_chance
from dlx.engine.population import initial_weights

BATCH = 6
CONFIG = """
data: iris
model: {name: mlp, hidden: [5], activation: tanh}
loss: cross_entropy
prior: {name: gaussian, precision: 3.0}
dtype: float64
training: {input_noise: 0.3, weight_noise: 0.2, clip_norm: 1e-3}
"""


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    path = tmp_path / "iris.yaml"
    path.write_text(CONFIG)
    loaded, examples = load_experiment_and_data(path)
    return Plan.make(loaded.experiment, examples)


@pytest.fixture
def surface(plan: Plan) -> ErrorSurface:
    member = without_chance(plan.members[0])
    return ErrorSurface(member, initial_weights([member])[0], plan.device_examples(), member.parts.train[:BATCH])


def torch_error(plan: Plan, theta: Tensor) -> Tensor:
    """The same function written with torch alone."""
    member = plan.members[0]
    chosen = member.parts.train[:BATCH]
    scale = member.input_scale
    inputs = torch.from_numpy((plan.examples.inputs[chosen] - scale.shift) / scale.scale)
    targets = torch.from_numpy(plan.examples.targets[chosen])
    module = member.recipe.model.build(member.recipe.spec)
    named, begin = {}, 0
    for name, parameter in module.named_parameters():
        named[name] = theta[begin : begin + parameter.numel()].view_as(parameter)
        begin += parameter.numel()
    loss = torch.nn.functional.cross_entropy(functional_call(module, named, (inputs,)), targets)
    squares = sum(each.square().sum() for name, each in named.items() if name.endswith("weight"))
    return loss + 0.5 * 3.0 * squares / len(member.parts.train)


def test_values_and_derivatives_are_torchs(plan: Plan, surface: ErrorSurface) -> None:
    theta = surface.theta
    assert surface.value(theta) == pytest.approx(float(torch_error(plan, theta)), rel=1e-12)
    wanted = torch.func.grad(lambda at: torch_error(plan, at))(theta)
    value, gradient = surface.gradient(theta)
    assert value == pytest.approx(float(torch_error(plan, theta)), rel=1e-12)
    torch.testing.assert_close(gradient, wanted, rtol=1e-10, atol=1e-14)
    vectors = torch.randn(3, len(theta), dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    whole = hessian(lambda at: torch_error(plan, at), theta)
    torch.testing.assert_close(surface.hessian_times(theta, vectors), vectors @ whole, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("bytes_of_chunk", [1, 2000, 1 << 21])
def test_points_in_chunks_of_any_size(
    plan: Plan, surface: ErrorSurface, bytes_of_chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(error_surface, "CHUNK_BYTES", bytes_of_chunk)
    points = surface.theta + torch.randn(
        41, len(surface.theta), dtype=torch.float64, generator=torch.Generator().manual_seed(2)
    )
    wanted = torch.stack([torch_error(plan, point) for point in points])
    torch.testing.assert_close(surface.values(points), wanted, rtol=1e-12, atol=0)


def test_reading_more_than_values(surface: ErrorSurface) -> None:
    def write(rows: Tensor, numbers: range) -> None:
        rows[:, 0] += torch.arange(numbers.start, numbers.stop)

    found = collect(surface.evaluate(7, write, lambda objective, rows: objective.value_and_gradient(rows)[1]), 7)
    for number in range(7):
        at = surface.theta.clone()
        at[0] += number
        torch.testing.assert_close(found[number], surface.gradient(at)[1])


def test_a_fault_in_a_thread_is_raised(surface: ErrorSurface) -> None:
    def write(rows: Tensor, numbers: range) -> None:
        raise ZeroDivisionError

    def run() -> Iterator[object]:
        yield from surface.evaluate(3, write)

    with pytest.raises(ZeroDivisionError):
        list(run())
