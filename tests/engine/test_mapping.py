"""Computing rows together and one by one: the same values, and bits that do not depend on company."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from experiments import differing, make_members, train
from plugin_files import OLD_STYLE, put_in_use, with_line
from torch import Tensor

from dlx.core.definition import Activation, FirstOrder, Loss, Metric, Model
from dlx.core.errors import UsageError
from dlx.core.records import Cell
from dlx.core.registry import registered
from dlx.engine.mapping import map_rows
from dlx.engine.population import Population
from dlx.engine.replay import Replay

TARGETS = {"binary_cross_entropy": 2, "mse": 1}
CELLS = [Cell(seed) for seed in range(3)]
PIECEWISE = "hidden = hidden * hidden if hidden.mean() > 0 else hidden.square() * 0.5"
"""Branches on values: of some batches one, of some the other."""
OBSTACLES = {
    "old style": (OLD_STYLE, "RuntimeError: In order to use an autograd.Function with functorch transforms"),
    "branch": (PIECEWISE, "RuntimeError: vmap: It looks like you're attempting to use a Tensor in some data-dependent"),
    "item": (
        "hidden = hidden * hidden.sum().item()",
        "RuntimeError: vmap: It looks like you're calling .item() on a Tensor",
    ),
    "numpy": ("hidden = hidden * float(hidden.detach().numpy().max())", "RuntimeError: "),
}
OWN = '''\
from typing import Literal
from dlx.{module} import {base}

class Own({base}):
    """A definition of a user's own."""
    name: Literal["own"] = "own"

    def {method}(self, *args):
        return super().{method}(*args) + float(args[0]{entry}.sum().item())
'''


def obstacle(**experiment: Any) -> str | None:
    members, _ = make_members([Cell(0)], **experiment)
    return members[0].recipe.obstacle


@pytest.mark.parametrize("is_stackable", [True, False])
def test_trees_of_rows(is_stackable: bool, generator: torch.Generator) -> None:
    """Against a product of matrices for each row."""
    a, b = torch.randn(3, 4, 5, generator=generator), torch.randn(3, 5, 2, generator=generator)

    def product(named: dict[str, Tensor], b: Tensor) -> tuple[Tensor, list[Tensor]]:
        return named["a"] @ b, [b.sum()]

    ab, (total,) = map_rows(product, is_stackable)({"a": a}, b)
    torch.testing.assert_close(ab, torch.einsum("mij,mjk->mik", a, b))
    torch.testing.assert_close(total, b.sum((1, 2)))


def test_gradients_row_by_row(generator: torch.Generator) -> None:
    x = torch.randn(3, 4, generator=generator, dtype=torch.float64).requires_grad_()
    value = map_rows(lambda row: row.pow(3).sum(), False)(x)
    (gradient,) = torch.autograd.grad(value.sum(), x)
    torch.testing.assert_close(gradient, 3 * x.detach() ** 2)


def test_what_a_row_computes_does_not_depend_on_where_it_lies() -> None:
    """Every row is given memory of its own: contiguous, from its first element."""
    seen: list[tuple[bool, int]] = []

    def look(row: Tensor) -> Tensor:
        seen.append((row.is_contiguous(), row.storage_offset()))
        return row

    map_rows(look, False)(torch.arange(24.0).view(2, 3, 4).transpose(1, 2))
    assert seen == [(True, 0), (True, 0)]


@pytest.mark.parametrize("loss", registered(Loss))
def test_everything_built_in_can_be_stacked(loss: str) -> None:
    layers = {"batch_norm": True, "dropout": 0.1}
    assert obstacle(loss=loss, num_targets=TARGETS.get(loss, 3), layers=layers) is None


@pytest.mark.parametrize("activation", registered(Activation))
def test_every_activation_can_be_stacked(activation: str) -> None:
    assert obstacle(activation=activation, dtype="float64") is None


def test_every_metric_is_tried() -> None:
    """The experiments of these tests measure all metrics of their task."""
    tasks = [make_members([Cell(0)], loss=loss)[0][0].recipe.metrics for loss in ("cross_entropy", "mse")]
    assert {metric.name for metrics in tasks for metric in metrics} == set(registered(Metric))
    assert obstacle(model="linear") is None
    assert set(registered(Model)) == {"linear", "mlp"}


def test_trying_leaves_the_generator_alone() -> None:
    before = torch.get_rng_state()
    obstacle()
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("what", OBSTACLES)
def test_an_obstacle_is_named(tmp_path: Path, what: str) -> None:
    line, message = OBSTACLES[what]
    plugin = put_in_use(tmp_path, with_line(line))
    number = 1 + next(n for n, text in enumerate(plugin.file.content.decode().splitlines()) if text.strip() == line)
    found = str(obstacle(model="quadratic"))
    assert found.startswith(f"vmap cannot run it in {tmp_path}/own.py:{number}: {message}")
    assert "\n" not in found


def test_what_can_be_stacked_has_none(tmp_path: Path) -> None:
    put_in_use(tmp_path)
    assert obstacle(model="quadratic") is None


def test_a_loss_and_a_metric_can_be_obstacles(tmp_path: Path) -> None:
    put_in_use(tmp_path, OWN.format(module="losses.mse", base="MeanSquaredError", method="value", entry=""))
    assert "own.py:9: RuntimeError" in str(obstacle(loss="own"))
    put_in_use(
        tmp_path, OWN.format(module="metrics.mae", base="MeanAbsoluteError", method="compute", entry="['weight']")
    )
    assert "own.py:9: RuntimeError" in str(obstacle(loss="mse"))


@pytest.mark.parametrize("line", ["hidden = nn.functional.dropout(hidden, 0.5)", f"{OLD_STYLE} + torch.rand(())"])
def test_chance_that_depends_on_company_is_refused(tmp_path: Path, line: str) -> None:
    put_in_use(tmp_path, with_line(line))
    with pytest.raises(UsageError, match=r"the model `quadratic` draws random numbers from torch's generator where"):
        obstacle(model="quadratic")


@pytest.mark.parametrize("line", [OLD_STYLE, PIECEWISE], ids=["old style", "branch"])
@pytest.mark.parametrize("threads", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_one_by_one_in_any_company(tmp_path: Path, line: str, threads: int) -> None:
    put_in_use(tmp_path, with_line(line))
    torch.set_num_threads(threads)
    try:
        members, examples = make_members(CELLS, model="quadratic", layers={"width": 7})
        together = train(members, examples)
        alone: dict[Cell, Any] = {}
        for member in members:
            alone |= train([member], examples)
        assert differing(together, alone) == []
        assert differing(train(members[::-1], examples), alone) == []
        assert differing(train(members, examples, sizes=[1, 2]), alone) == []
    finally:
        torch.set_num_threads(1)


FEW_STEPS = {"dtype": "float64", "training": {"epochs": 2, "batch_size": "full"}}
RULES = [*(name for name in ("adam", "sgd") if name in registered(FirstOrder)), "newton", "gauss_newton", "lbfgs"]


@pytest.mark.parametrize("rule", RULES)
def test_one_by_one_as_stacked(tmp_path: Path, rule: str) -> None:
    """The same network with its square written in both ways, the one stacked and the other not."""
    trained = []
    for line in ("hidden = hidden * hidden", OLD_STYLE):
        put_in_use(tmp_path, with_line(line))
        members, examples = make_members(CELLS[:2], model="quadratic", loss="mse", optimizer=rule, **FEW_STEPS)
        assert (members[0].recipe.obstacle is None) == (line != OLD_STYLE)
        trained.append(train(members, examples))
    for cell in CELLS[:2]:
        torch.testing.assert_close(trained[1][cell][0], trained[0][cell][0], rtol=1e-6, atol=1e-8)


def test_nothing_is_recorded_where_python_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A recording would keep the branch of the batch that it was made with."""
    put_in_use(tmp_path, with_line(PIECEWISE))
    members, examples = make_members(CELLS[:2], model="quadratic")
    monkeypatch.setattr(Replay, "__init__", lambda *_, **__: pytest.fail("recorded"))
    train(members, examples)


def test_a_population_is_built_from_one_try(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_in_use(tmp_path, with_line(OLD_STYLE))
    members, _ = make_members(CELLS[:2], model="quadratic")
    population = Population.build(members, torch.device("cpu"))
    assert population.recipe.obstacle is population.recipe.obstacle
    monkeypatch.setattr("dlx.engine.population.find_obstacle", lambda _: pytest.fail("tried again"))
    assert "autograd.Function" in str(population.recipe.obstacle)
