"""What a step of a training costs when nothing else runs: seconds, and evaluations of the objective."""

from __future__ import annotations

import statistics
import time
from typing import Any, NamedTuple

import torch
from torch import Tensor

from dlx.core.definition import Objective
from dlx.engine.feed import DeviceExamples
from dlx.engine.population import Member, Population
from dlx.engine.program import Program

VALUE = 1 / 3
"""Gradients that a value costs: a gradient is a pass forward and one backward, which is twice as long."""
PRODUCT = 2.0
"""Gradients that a product of the Hessian with a vector costs."""
MIN_EPOCHS = 2
"""Epochs that are timed, at least."""


class Cost(NamedTuple):
    """What a step costs.

    Attributes:
        seconds: Median over the epochs of the mean time of a step, batches drawn and gathered, nothing scored.
        gradients: Mean number of gradients on a batch, other evaluations counted by what they cost.
    """

    seconds: float
    gradients: float


@torch.no_grad()
def measure_cost(member: Member, data: DeviceExamples, seconds: float = 0.05) -> Cost:
    """Train a member alone, from its initial weights, and measure its steps.

    The first epoch, in which calls are recorded, is not counted.

    Args:
        member: Who; as in every lone training it has a twin, so a step computes two rows.
        data: The examples, on the device.
        seconds: How long, as far as whole epochs allow.
    """
    population = Population.build([member], data.inputs.device)
    program = Program(population, data, is_watched=False)
    counted = Counted(program.objective)
    times: list[float] = []
    begin = time.perf_counter()
    while not population.is_finished:
        program.objective = counted  # type: ignore[assignment]  # what a step asks of it, it has
        start, before = time.perf_counter(), counted.gradients
        while not program.advance(seconds):
            pass
        if data.inputs.device.type == "cuda":
            torch.cuda.synchronize()
        times.append((time.perf_counter() - start) / program.num_steps)
        gradients = (counted.gradients - before) / program.num_steps
        if len(times) > MIN_EPOCHS and time.perf_counter() - begin > seconds:
            break
        program.finish_epoch()
    return Cost(statistics.median(times[1:] or times), gradients)


class Counted:
    """An objective that counts what is asked of it.

    Args:
        objective: The one that is asked.

    Attributes:
        gradients: Gradients so far, on one batch and of one row; other evaluations by what they cost.
    """

    def __init__(self, objective: Objective) -> None:
        self._objective = objective
        self.gradients = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._objective, name)

    def value(self, theta: Tensor) -> Tensor:
        """Count a value."""
        self.gradients += VALUE
        return self._objective.value(theta)

    def value_and_gradient(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """Count a gradient."""
        self.gradients += 1
        return self._objective.value_and_gradient(theta)

    def hessian(self, theta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Count a product for each column."""
        self.gradients += 1 + PRODUCT * theta.shape[1]
        return self._objective.hessian(theta)

    def gauss_newton(self, theta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Count a product for each column."""
        self.gradients += 1 + PRODUCT * theta.shape[1]
        return self._objective.gauss_newton(theta)

    def residuals(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """Count the matrix as a gradient: it is built of the inputs alone."""
        self.gradients += 1
        return self._objective.residuals(theta)
