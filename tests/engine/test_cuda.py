"""On a GPU: the same results as on the CPU in float64, and company within a stated tolerance in float32."""

from __future__ import annotations

import pytest
import torch
from experiments import make_members, train

from dlx.core.records import Cell
from dlx.engine.evaluation import predict_members
from dlx.engine.population import initial_weights

pytestmark = [pytest.mark.cuda, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]
CUDA = torch.device("cuda")
COMPANY_TOLERANCE = 1e-4
"""cuBLAS may choose another kernel for another number of rows; after three epochs weights agree to this, absolutely."""


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam"])
def test_equals_the_cpu_in_float64(optimizer: str) -> None:
    members, examples = make_members([Cell(seed) for seed in range(4)], optimizer=optimizer, dtype="float64")
    on_cpu, on_gpu = train(members, examples), train(members, examples, device=CUDA)
    for cell, (last, _, _) in on_gpu.items():
        torch.testing.assert_close(last.cpu(), on_cpu[cell][0], rtol=1e-7, atol=1e-9)


def test_company() -> None:
    members, examples = make_members([Cell(seed) for seed in range(5)], hidden=(33,))
    together = train(members, examples, device=CUDA)
    for member in members:
        ((last, _, _),) = train([member], examples, device=CUDA).values()
        torch.testing.assert_close(last, together[member.cell][0], rtol=0, atol=COMPANY_TOLERANCE)


def test_a_repeated_training_has_the_same_bits() -> None:
    members, examples = make_members([Cell(seed) for seed in range(3)])
    some, other = (train(members, examples, device=CUDA) for _ in range(2))
    assert all(torch.equal(some[cell][0], other[cell][0]) for cell in some)


@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
def test_predictions_equal_the_cpu_in_float64(loss: str) -> None:
    members, examples = make_members([Cell(seed) for seed in range(3)], loss=loss, dtype="float64")
    theta = initial_weights(members)
    on_cpu, on_gpu = (predict_members(members, each, examples.inputs) for each in (theta, theta.to(CUDA)))
    torch.testing.assert_close(torch.from_numpy(on_gpu), torch.from_numpy(on_cpu), rtol=1e-9, atol=1e-12)
