from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
import torch
from experiments import make_examples, make_members

from dlx.core.records import Cell
from dlx.core.settings import Split
from dlx.datasets.two_moons import TwoMoons
from dlx.engine.population import MemberFactory, Population, initial_weights

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


FOLDS = Split(folds=4, valid=0.2)


def test_members_of_several_trials_share_their_parts_and_scales() -> None:
    (one,), examples = make_members([Cell(0)])
    factory, dataset = MemberFactory(examples), TwoMoons(split=FOLDS)
    members = [
        factory.member(Cell(seed, 0, fold, None, trial), dataclasses.replace(one.recipe), dataset)
        for trial in range(3)
        for fold in range(4)
        for seed in (0, 1)
    ]
    assert len({id(member.parts) for member in members}) == 4, "one a fold: the split has a seed of its own"
    assert len({id(member.input_scale) for member in members}) == 4
    by_trial = [[id(member.parts) for member in members if member.cell.trial == trial] for trial in range(3)]
    assert by_trial[0] == by_trial[1] == by_trial[2]
    other = factory.member(Cell(0), one.recipe, TwoMoons(split=FOLDS.model_copy(update={"valid": 0.3})))
    assert other.parts is not members[0].parts
    assert np.array_equal(other.parts.test, members[0].parts.test), "what is held out is the same"
    rescaled = factory.member(Cell(0), one.recipe, TwoMoons(split=FOLDS, scale="minmax"))
    assert rescaled.parts is members[0].parts
    assert not np.allclose(rescaled.input_scale.scale, members[0].input_scale.scale)


@pytest.mark.parametrize("outer_fold", [None, 1])
def test_scales_are_of_the_training_part_of_the_fold_alone(outer_fold: int | None) -> None:
    (one,), _ = make_members([Cell(0)], loss="mse")
    examples = make_examples("regression")
    factory = MemberFactory(examples)
    for fold, (method, target_method) in itertools.product(range(4), [("standard", "minmax"), ("minmax", "standard")]):
        dataset = TwoMoons(split=FOLDS, scale=method, target_scale=target_method)
        member = factory.member(Cell(0, 0, fold, outer_fold), one.recipe, dataset)
        scales = {method: member.input_scale, target_method: member.target_scale}
        values = {method: examples.inputs, target_method: examples.targets}
        train = {name: each[member.parts.train] for name, each in values.items()}
        np.testing.assert_allclose(scales["standard"].shift, train["standard"].mean(0), rtol=1e-12)
        np.testing.assert_allclose(scales["standard"].scale, train["standard"].std(0), rtol=1e-12)
        np.testing.assert_allclose(scales["minmax"].shift, train["minmax"].min(0))
        np.testing.assert_allclose(scales["minmax"].scale, np.ptp(train["minmax"], 0), rtol=1e-12)


def test_classes_are_not_scaled() -> None:
    (one,), examples = make_members([Cell(0)])
    assert MemberFactory(examples).member(Cell(0), one.recipe, TwoMoons(split=FOLDS)).target_scale is None


def test_members_beside_an_outer_fold() -> None:
    """90 examples: an outer fold leaves 67 or 68, whose inner folds hold out 16 or 17; a fifth of the rest is valid."""
    (one,), examples = make_members([Cell(0)], loss="mse")
    factory, dataset = MemberFactory(examples), TwoMoons(split=FOLDS)
    everything = set(range(90))
    for outer_fold in range(4):
        aside = set(factory.member(Cell(0, 0, outer_fold), one.recipe, dataset).parts.test)
        held_out: list[int] = []
        for fold in range(4):
            member = factory.member(Cell(0, 0, fold, outer_fold), one.recipe, dataset)
            parts = [set(part) for part in (member.parts.train, member.parts.valid, member.parts.test)]
            assert set.union(*parts) == everything - aside
            assert sum(map(len, parts)) == 90 - len(aside)
            held_out += member.parts.test.tolist()
            assert (member.sizes.train, member.sizes.valid, member.sizes.test) == (41, 10, 17)
        assert sorted(held_out) == sorted(everything - aside)


def test_streams_of_outer_folds_are_others() -> None:
    (one,), examples = make_members([Cell(0)])
    factory, dataset = MemberFactory(examples), TwoMoons(split=FOLDS)
    places = [Cell(0, 0, fold, outer_fold) for fold in (0, 1) for outer_fold in (None, 0, 1)]
    theta = initial_weights([factory.member(cell, one.recipe, dataset) for cell in places])
    assert len({tuple(row.tolist()) for row in theta}) == len(places)
    again = initial_weights([factory.member(cell._replace(trial=5), one.recipe, dataset) for cell in places])
    assert torch.equal(theta, again), "never the trial"


def test_the_key_of_streams_is_all_of_a_cell_but_its_trial() -> None:
    places = list(itertools.product(range(2), range(2), range(2), (None, 0, 1)))
    keys = {Cell(*place, trial).stream_key for place in places for trial in (0, 1)}
    assert len(keys) == len(places)
    assert Cell(3, 2, 1).stream_key == (3, 2, 1)
    assert Cell(3, 2, 1, 0, 9).stream_key == (3, 2, 1, 0)
