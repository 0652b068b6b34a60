from __future__ import annotations

import pytest
import torch
from experiments import make_members

from dlx.core.records import Cell
from dlx.engine.population import Population, initial_weights

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    "other",
    [{"activation": "tanh"}, {"hidden": (9,)}, {"training": {"batch_size": 5}}, {"dtype": "float64"}, {"loss": "mse"}],
    ids=lambda other: next(iter(other)),
)
def test_members_of_different_structure_are_refused(other: dict[str, object]) -> None:
    some, _ = make_members([Cell(0)])
    others, _ = make_members([Cell(1)], **other)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="structure"):
        Population.build([*some, *others], CPU)


def test_members_that_are_padded_to_different_sizes_are_refused() -> None:
    some, others = (make_members([Cell(0)], split={"folds": folds})[0] for folds in (4, 5))
    with pytest.raises(ValueError, match="sizes"):
        Population.build([*some, *others], CPU)


def test_members_that_differ_in_tunables_are_stacked() -> None:
    members, _ = make_members([Cell(0), Cell(1)], rates=[0.1, 0.2])
    assert Population.build(members, CPU).weights.shape[0] == 2


def test_initial_weights_depend_on_the_cell_alone() -> None:
    members, _ = make_members([Cell(0), Cell(1), Cell(0, 0, 1), Cell(0)], rates=[0.1, 0.1, 0.1, 0.9])
    theta = initial_weights(members)
    assert torch.equal(theta[0], theta[3])
    assert len({tuple(row.tolist()) for row in theta}) == 3
    before = torch.get_rng_state()
    initial_weights(members)
    assert torch.equal(torch.get_rng_state(), before), "the user's generator is left alone"


def test_compaction_keeps_two_rows() -> None:
    members, _ = make_members([Cell(seed) for seed in range(5)])
    population = Population.build(members, CPU)
    for stopped in (0, 1, 3, 4):
        population.courses[stopped].stop_reason = "patience"
    row = population.weights[2].clone()
    assert population.is_sparse()
    population.compact()
    assert population.rows == [2, 2]
    assert torch.equal(population.weights, torch.stack([row, row]))


def test_a_state_of_other_members_is_refused() -> None:
    members, _ = make_members([Cell(0), Cell(1)])
    tensors, rest = Population.build(members, CPU).save()
    with pytest.raises(ValueError, match="other members"):
        Population.restore(members[::-1], tensors, rest, CPU)
