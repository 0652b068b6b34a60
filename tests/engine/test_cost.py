"""What a step costs, counted by what a rule asks of its objective."""

from __future__ import annotations

import pytest
import torch
from experiments import CPU, make_members

from dlx.core.records import Cell
from dlx.core.types import Hyper
from dlx.engine.cost import PRODUCT, VALUE, Counted, measure_cost
from dlx.engine.feed import DeviceExamples
from dlx.optimizers.evolution import Evolution


@pytest.mark.parametrize("epochs", [1, 2, 9])
def test_a_first_order_rule_takes_one_gradient(epochs: int) -> None:
    members, examples = make_members([Cell(0)], rates=[0.1], optimizer="adam", training={"epochs": epochs})
    cost = measure_cost(members[0], DeviceExamples.load(examples, CPU, torch.float32), seconds=0.0)
    assert cost.gradients == 1
    assert cost.seconds > 0


class Quadratic:
    """|theta|**2 / 2 of each row."""

    keys = torch.zeros(2, dtype=torch.int32)

    def value(self, theta: torch.Tensor) -> torch.Tensor:
        return theta.square().sum(1) / 2

    def value_and_gradient(self, theta: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.value(theta), theta

    def hessian(self, theta: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        return self.value(theta), theta, torch.eye(3).expand(2, 3, 3)

    gauss_newton = hessian

    def residuals(self, theta: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        raise AssertionError("not asked for")


def test_evaluations_are_counted_by_what_they_cost() -> None:
    counted, theta = Counted(Quadratic()), torch.ones(2, 3)
    counted.value(theta)
    assert counted.gradients == VALUE
    counted.value_and_gradient(theta)
    assert counted.gradients == VALUE + 1
    counted.hessian(theta)
    counted.gauss_newton(theta)
    assert counted.gradients == VALUE + 1 + 2 * (1 + 3 * PRODUCT)
    assert torch.equal(counted.keys, Quadratic.keys)


def test_a_generation_of_evolution_is_a_value_for_each_candidate() -> None:
    rule, theta = Evolution(candidates=9), torch.ones(2, 3)
    counted = Counted(Quadratic())
    h = torch.full((2, 1), 0.1)

    rule.step(theta, rule.init(theta), Hyper({"size": h}, {"size": 1 - h}), counted)
    assert counted.gradients == pytest.approx(9 * VALUE)
