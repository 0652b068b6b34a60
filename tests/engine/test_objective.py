"""The objective of each row is what an ordinary module, loss and prior give for it alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from experiments import make_members

from dlx.core.noise import random_normal
from dlx.core.records import Cell
from dlx.core.types import Hyper
from dlx.engine.batch import Batch
from dlx.engine.feed import DeviceExamples
from dlx.engine.layout import Layout
from dlx.engine.objective import EmpiricalRisk
from dlx.engine.population import initial_weights
from dlx.engine.rows import Rows

LOSSES = {"cross_entropy": torch.nn.CrossEntropyLoss, "mse": torch.nn.MSELoss}


def build(**experiment: Any) -> tuple[EmpiricalRisk, Rows, torch.Tensor]:
    members, examples = make_members([Cell(seed) for seed in range(3)], dtype="float64", **experiment)
    theta = initial_weights(members)
    rows = Rows(members, theta, DeviceExamples.load(examples, torch.device("cpu"), torch.float64))
    return EmpiricalRisk(rows), rows, theta


def batch_of(rows: Rows, size: int = 10, num_streams: int = 3) -> Batch:
    indices = torch.stack([torch.from_numpy(member.parts.train[:size]) for member in rows.members])
    inputs, targets, _ = rows.feed.gather(indices)
    keys = torch.arange(len(indices) * num_streams, dtype=torch.int32).view(-1, num_streams)
    return Batch(inputs, targets, torch.full(indices.shape, 1 / size, dtype=torch.float64), keys)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("prior", [None, "gaussian", "laplace"])
def test_value_and_gradient_equal_an_ordinary_module(loss: str, prior: str | None) -> None:
    fields = {"gaussian": {"precision": 3.0}, "laplace": {"rate": 0.7}}.get(prior or "", {})
    objective, rows, theta = build(loss=loss, prior={"name": prior, **fields} if prior else None)
    batch = batch_of(rows)
    objective.begin(batch)
    for _ in range(3):  # eager, recorded, replayed
        value, gradient = objective.value_and_gradient(theta)
    for row, member in enumerate(rows.members):
        module = member.recipe.model.build(member.recipe.spec)
        named = {name: tensor[row] for name, tensor in Layout.of(module).unflatten(theta).items()}
        module.load_state_dict(named)
        expected = LOSSES[loss]()(module(batch.inputs[row]), batch.targets[row])
        for parameter in module.parameters():
            if prior and parameter.dim() == 2:
                penalty = 1.5 * parameter.square() if prior == "gaussian" else 0.7 * parameter.abs()
                expected = expected + penalty.sum() / len(member.parts.train)
        expected.backward()
        flat = torch.cat([parameter.grad.reshape(-1) for parameter in module.parameters()])
        torch.testing.assert_close(value[row], expected.detach(), rtol=1e-13, atol=0)
        torch.testing.assert_close(gradient[row], flat, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("batch_norm", [False, True])
def test_an_example_of_weight_zero_is_no_example(batch_norm: bool) -> None:
    objective, rows, _ = build(layers={"batch_norm": batch_norm})
    theta = rows.theta
    batch = batch_of(rows, 10)
    keep = torch.full_like(batch.weights, 1 / 7)
    keep[:, 7:] = 0
    objective.begin(batch._replace(weights=keep))
    padded = objective.value_and_gradient(theta)
    short = [each[:, :7].contiguous() for each in (batch.inputs, batch.targets, keep)]
    objective.begin(Batch(*short, batch.keys))
    for some, other in zip(padded, objective.value_and_gradient(theta), strict=True):
        torch.testing.assert_close(some, other, rtol=1e-12, atol=1e-15)


def test_rows_do_not_mix() -> None:
    objective, rows, theta = build()
    objective.begin(batch_of(rows))
    _, before = objective.value_and_gradient(theta)
    theta[1] = float("nan")
    _, after = objective.value_and_gradient(theta)
    assert torch.equal(before[[0, 2]], after[[0, 2]])
    assert after[1].isnan().any()


def test_hyper_holds_complements_formed_in_float64() -> None:
    members, examples = make_members([Cell(0)], optimizer="adam")
    rows = Rows(
        members * 2, initial_weights(members * 2), DeviceExamples.load(examples, torch.device("cpu"), torch.float32)
    )
    h = rows.tunables("optimizer")
    assert isinstance(h, Hyper)
    assert h.rho2.shape == (2, 1)
    assert h.complement.rho2[0, 0] == torch.tensor(1 - 0.999, dtype=torch.float32)
    assert h.complement.rho2[0, 0] != 1 - h.rho2[0, 0]


def evaluate(num_streams: int = 3, **experiment: Any) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, Rows, Batch]:
    """Values and gradients in float64, the third time (eager, recorded, replayed), with what they were asked for."""
    objective, rows, theta = build(**experiment)
    batch = batch_of(rows, num_streams=num_streams)
    objective.begin(batch)
    for _ in range(3):
        value, gradient = objective.value_and_gradient(rows.theta)
    objective.end()
    return value, gradient, theta, rows, batch


@pytest.mark.parametrize("limits", [{"clip_norm": 0.3}, {"clip_value": 0.05}, {"clip_value": 0.05, "clip_norm": 0.1}])
def test_clipping_is_torchs_for_each_member(limits: dict[str, float]) -> None:
    _, whole, *_ = evaluate()
    _, clipped, *_ = evaluate(training=limits)
    for row, expected in zip(clipped, whole, strict=True):
        parameter = torch.nn.Parameter(torch.zeros_like(row))
        parameter.grad = expected.clone()
        if "clip_value" in limits:
            torch.nn.utils.clip_grad_value_([parameter], limits["clip_value"])
        if "clip_norm" in limits:
            torch.nn.utils.clip_grad_norm_([parameter], limits["clip_norm"])
        torch.testing.assert_close(row, parameter.grad, rtol=2e-5, atol=0)  # torch adds 1e-6 to the norm
    assert not torch.allclose(clipped, whole)


def test_a_gradient_within_the_limits_is_left_as_it_is() -> None:
    _, whole, *_ = evaluate()
    _, clipped, *_ = evaluate(training={"clip_norm": 1e6, "clip_value": 1e6})
    assert torch.equal(whole, clipped)


@pytest.mark.parametrize("kind", ["input_noise", "weight_noise"])
def test_noise_is_added_where_the_gradient_is_taken(kind: str) -> None:
    value, gradient, theta, rows, batch = evaluate(training={kind: 0.5})
    plain, _, _ = build()
    if kind == "input_noise":
        noise = random_normal(batch.keys[:, 1], batch.inputs.shape[1:], torch.float64)
        plain.begin(batch._replace(inputs=batch.inputs + 0.5 * noise))
    else:
        noise = random_normal(batch.keys[:, 2], theta.shape[1:], torch.float64)
        plain.begin(batch)
        theta = theta + 0.5 * noise * rows.layout.is_weight()
    expected = plain.value_and_gradient(theta)
    torch.testing.assert_close((value, gradient), expected, rtol=1e-12, atol=1e-15)
    unmoved, *_ = evaluate()
    assert not torch.isclose(value, unmoved).any()


def test_batch_norm_and_dropout_as_an_ordinary_module_computes_them() -> None:
    value, gradient, theta, rows, batch = evaluate(4, layers={"batch_norm": True, "dropout": 0.3})
    for row, member in enumerate(rows.members):
        module = member.recipe.model.build(member.recipe.spec)
        owned = {name: tensor[0] for name, tensor in Layout.of(module).unflatten(theta[row : row + 1]).items()}
        start = initial_weights(rows.members)[row : row + 1]
        module.load_state_dict({name: tensor[0] for name, tensor in Layout.of(module).unflatten(start).items()})
        module[3].key = batch.keys[row, 3]
        expected = torch.nn.CrossEntropyLoss()(module(batch.inputs[row]), batch.targets[row])
        expected.backward()
        torch.testing.assert_close(value[row], expected.detach(), rtol=1e-13, atol=0)
        flat = torch.cat([parameter.grad.reshape(-1) for parameter in module.parameters()])
        torch.testing.assert_close(gradient[row], flat, rtol=1e-10, atol=1e-14)
        for statistic in ("1.running_mean", "1.running_var"):  # moved once, though it was evaluated three times
            torch.testing.assert_close(owned[statistic], module.state_dict()[statistic], rtol=1e-12, atol=0)
