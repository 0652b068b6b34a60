"""Second derivatives of the objective are those of an ordinary module alone, row by row and bit by bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from experiments import make_members
from torch import Tensor

from dlx.core.records import Cell
from dlx.engine.batch import Batch
from dlx.engine.derivatives import COLUMNS, directional
from dlx.engine.feed import DeviceExamples
from dlx.engine.layout import Layout
from dlx.engine.objective import EmpiricalRisk
from dlx.engine.population import initial_weights
from dlx.engine.rows import Rows

CELLS = [Cell(seed) for seed in range(3)]
LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "cross_entropy": lambda o, y: torch.nn.functional.cross_entropy(o, y, reduction="none"),
    "mse": lambda o, y: (o - y).square().mean(1),
    "huber": lambda o, y: torch.nn.functional.huber_loss(o, y, reduction="none").mean(1),
}
PRIORS = {
    None: lambda w: 0 * w,
    "gaussian": lambda w: 1.5 * w.square(),
    "laplace": lambda w: 0.7 * w.abs(),
}
FIELDS: dict[Any, dict[str, float]] = {"gaussian": {"precision": 3.0}, "laplace": {"rate": 0.7}}
CASES = [
    {"loss": "cross_entropy", "model": "mlp", "prior": None},
    {"loss": "cross_entropy", "model": "linear", "prior": "gaussian"},
    {"loss": "mse", "model": "mlp", "prior": "gaussian"},
    {"loss": "mse", "model": "linear", "prior": None},
    {"loss": "huber", "model": "mlp", "prior": "laplace"},
]
every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(map(str, case.values())))


def second(function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """The Hessian, by torch's own reverse mode twice."""
    return torch.func.jacrev(torch.func.jacrev(function))  # type: ignore[no-any-return]


def build(
    cells: list[Cell] = CELLS, dtype: str = "float64", size: int = 10, **experiment: Any
) -> tuple[EmpiricalRisk, Rows, Tensor]:
    """An objective on a batch whose last examples weigh nothing."""
    prior = experiment.pop("prior", None)
    named = {"name": prior, **FIELDS[prior]} if prior else None
    members, examples = make_members(cells, dtype=dtype, activation="tanh", prior=named, **experiment)
    theta = initial_weights(members)
    rows = Rows(members, theta, DeviceExamples.load(examples, torch.device("cpu"), theta.dtype))
    objective = EmpiricalRisk(rows)
    indices = torch.stack([torch.from_numpy(member.parts.train[:size]) for member in rows.members])
    inputs, targets, _ = rows.feed.gather(indices)
    weights = torch.full(indices.shape, 1 / (size - 3), dtype=theta.dtype)
    weights[:, -3:] = 0
    keys = torch.zeros(len(indices), 3, dtype=torch.int32)
    objective.begin(Batch(inputs, targets, weights, keys))
    return objective, rows, theta


def alone(objective: EmpiricalRisk, rows: Rows, row: int, case: dict[str, Any]) -> tuple[Any, Any, Any]:
    """One member's outputs, risk by outputs and penalty as functions of a vector, by an ordinary module; unpadded."""
    member = rows.members[row]
    module = member.recipe.model.build(member.recipe.spec)
    layout = Layout.of(module)
    inputs, targets = (each[row][:-3] for each in objective._batch[:2])

    def named(vector: Tensor) -> dict[str, Tensor]:
        return {name: tensor[0] for name, tensor in layout.unflatten(vector.unsqueeze(0)).items()}

    def outputs(vector: Tensor) -> Tensor:
        return torch.func.functional_call(module, named(vector), (inputs,))

    def risk(values: Tensor) -> Tensor:
        return LOSSES[case["loss"]](values, targets).mean()

    def penalty(vector: Tensor) -> Tensor:
        weights = [tensor for tensor in named(vector).values() if tensor.dim() == 2]
        return sum(PRIORS[case["prior"]](each).sum() for each in weights) / len(member.parts.train)  # type: ignore[return-value]

    return outputs, risk, penalty


@every_case
def test_hessian_is_that_of_torch_func(case: dict[str, Any]) -> None:
    objective, rows, theta = build(**case)
    assert theta.shape[1] > COLUMNS or case["model"] == "linear", "more than one piece of columns"
    for _ in range(3):  # eager, recorded, replayed
        value, gradient, matrix = objective.hessian(theta)
    for row in range(len(theta)):
        outputs, risk, penalty = alone(objective, rows, row, case)

        def whole(vector: Tensor) -> Tensor:
            return risk(outputs(vector)) + penalty(vector)  # noqa: B023

        torch.testing.assert_close(value[row], whole(theta[row]), rtol=1e-13, atol=0)
        torch.testing.assert_close(objective.value(theta)[row], value[row], rtol=1e-14, atol=0)
        torch.testing.assert_close(gradient[row], torch.func.grad(whole)(theta[row]), rtol=1e-11, atol=1e-14)
        torch.testing.assert_close(matrix[row], second(whole)(theta[row]), rtol=1e-10, atol=1e-14)


@every_case
def test_gauss_newton_is_the_sum_over_examples(case: dict[str, Any]) -> None:
    objective, rows, theta = build(**case)
    for _ in range(3):
        value, gradient, matrix = objective.gauss_newton(theta)
    for got, expected in zip((value, gradient), objective.value_and_gradient(theta), strict=True):
        assert torch.equal(got, expected)
    for row in range(len(theta)):
        outputs, risk, penalty = alone(objective, rows, row, case)
        jacobian = torch.func.jacrev(outputs)(theta[row]).flatten(0, 1)
        by_outputs = second(risk)(outputs(theta[row])).reshape(len(jacobian), -1)
        expected = jacobian.T @ by_outputs @ jacobian + second(penalty)(theta[row])
        torch.testing.assert_close(matrix[row], expected, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("prior", [None, "gaussian"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_residuals_give_the_value(prior: str | None, dtype: str) -> None:
    objective, _, theta = build(loss="mse", model="linear", prior=prior, dtype=dtype)
    design, right = objective.residuals(theta)
    assert design.dtype == right.dtype == torch.float64
    for scale in (0.0, 1.0, -3.0):
        at = theta * scale
        sums = ((design @ at.double().unsqueeze(2)).squeeze(2) - right).square().sum(1)
        torch.testing.assert_close(
            sums, objective.value(at).double(), rtol=1e-6 if dtype == "float32" else 1e-13, atol=0
        )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("hidden", [pytest.param((7,), marks=pytest.mark.slow), (17, 5)])
def test_derivatives_do_not_depend_on_company(hidden: tuple[int, ...], dtype: str) -> None:
    cells = [Cell(seed) for seed in range(5)]
    together, _, theta = build(cells, dtype, loss="mse", num_targets=1, hidden=hidden, prior="gaussian")
    names = ("hessian", "gauss_newton")
    for row, cell in enumerate(cells):
        twins, _, own = build([cell, cell], dtype, loss="mse", num_targets=1, hidden=hidden, prior="gaussian")
        for name in names:
            for _ in range(3):
                many, few = getattr(together, name)(theta), getattr(twins, name)(own)
            assert all(torch.equal(a[row], b[0]) for a, b in zip(many, few, strict=True)), name
        assert torch.equal(together.value(theta)[row], twins.value(own)[0])


def test_rows_do_not_mix() -> None:
    objective, _, theta = build(loss="mse")
    before = objective.hessian(theta)[2], objective.gauss_newton(theta)[2]
    theta[1] = float("nan")
    after = objective.hessian(theta)[2], objective.gauss_newton(theta)[2]
    for old, new in zip(before, after, strict=True):
        assert torch.equal(old[[0, 2]], new[[0, 2]])
        assert new[1].isnan().any()


@every_case
def test_jacobian_of_the_outputs_and_the_chain_rule(case: dict[str, Any]) -> None:
    objective, rows, theta = build(**case)
    outputs, jacobian = objective.jacobian(theta)
    assert jacobian.shape == (*outputs.shape, theta.shape[1])
    for row in range(len(theta)):
        of, risk, penalty = alone(objective, rows, row, case)
        torch.testing.assert_close(outputs[row, :-3], of(theta[row]))
        torch.testing.assert_close(jacobian[row, :-3], torch.func.jacrev(of)(theta[row]), rtol=1e-11, atol=1e-14)
        # The gradient is the Jacobian's product with the slope of the risk by the outputs.
        slope = torch.func.grad(risk)(outputs[row, :-3])
        chained = torch.einsum("bcp,bc->p", jacobian[row, :-3], slope) + torch.func.grad(penalty)(theta[row])
        torch.testing.assert_close(objective.value_and_gradient(theta)[1][row], chained, rtol=1e-10, atol=1e-14)


def test_derivatives_along_directions() -> None:
    objective, _, theta = build(loss="mse", prior="gaussian")
    gradient = objective.value_and_gradient(theta)[1]
    vectors = torch.randn(4, *theta.shape, dtype=theta.dtype, generator=torch.Generator().manual_seed(3))
    slopes = directional(gradient, vectors)
    step = 1e-6
    for number, vector in enumerate(vectors):
        ahead, behind = objective.value(theta + step * vector), objective.value(theta - step * vector)
        torch.testing.assert_close(slopes[number], (ahead - behind) / (2 * step), rtol=1e-7, atol=1e-9)
    # Along minus the gradient, made a unit vector, it is minus the gradient's norm, and no direction falls faster.
    norms = gradient.norm(dim=1)
    torch.testing.assert_close(directional(gradient, (-gradient / norms[:, None])[None])[0], -norms)
    assert bool((slopes / vectors.norm(dim=2) > -norms).all())
