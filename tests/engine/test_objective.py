"""The objective of each row is what an ordinary module, loss and prior give for it alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from experiments import make_members

from dlx.core.records import Cell
from dlx.core.types import Hyper
from dlx.engine.feed import DeviceExamples
from dlx.engine.layout import Layout
from dlx.engine.objective import Batch, EmpiricalRisk
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


def test_an_example_of_weight_zero_is_no_example() -> None:
    objective, rows, theta = build()
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
