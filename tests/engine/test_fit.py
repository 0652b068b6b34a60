"""Whole trainings against an independent implementation, closed forms, and themselves after a crash."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
import torch
from experiments import NEEDS, differing, make_members, rates_for, train
from sklearn.linear_model import Ridge

from dlx.core.definition import FirstOrder, Optimizer
from dlx.core.records import Cell, EpochDone, Progress
from dlx.core.registry import registered
from dlx.core.types import Examples, Watch
from dlx.data.batches import BatchPlan, Order
from dlx.engine.feed import DeviceExamples
from dlx.engine.fit import chunk, fit
from dlx.engine.layout import Layout
from dlx.engine.population import Member, Population, initial_weights

TORCH = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.05),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9),
    "adam": lambda p: torch.optim.Adam(p, lr=0.05),
}


def torch_loop(member: Member, examples: Examples, build: Any, epochs: int) -> torch.Tensor:
    """Train one member with an ordinary module and a torch optimizer, batch by batch, without padding."""
    module = member.recipe.model.build(member.recipe.spec)
    layout = Layout.of(module)
    named = layout.unflatten(initial_weights([member]))
    module.load_state_dict({name: tensor[0] for name, tensor in named.items()})
    optimizer = build(module.parameters())
    inputs = torch.from_numpy((examples.inputs - member.input_scale.shift) / member.input_scale.scale)
    targets = torch.from_numpy(examples.targets)
    plan = BatchPlan(
        [Order(member.parts.train, member.cell.stream_key)],
        member.recipe.training.examples_per_step(len(member.parts.train)),
    )
    for epoch in range(1, epochs + 1):
        for indices, weights in zip(plan.draw(epoch)[:, 0], plan.weights[:, 0], strict=True):
            chosen = torch.from_numpy(indices[weights > 0])
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(module(inputs[chosen]), targets[chosen]).backward()
            optimizer.step()
    return layout.flatten(module)


@pytest.mark.parametrize("name", TORCH)
def test_equals_a_torch_loop_on_ragged_folds(name: str) -> None:
    members: list[Member] = []
    for fold in range(4):
        split = {"folds": 4, "fold": fold, "valid": 0.13}
        one, examples = make_members(
            [Cell(0, 0, fold)], optimizer=name, rates=[0.05], split=split, training={"batch_size": 29}, dtype="float64"
        )
        members += one
    steps = {-(-len(member.parts.train) // 29) for member in members}
    assert len(steps) > 1, "some members must rest while others step"
    for cell, (last, _, _) in train(members, examples).items():
        member = next(member for member in members if member.cell == cell)
        expected = torch_loop(member, examples, TORCH[name], epochs=3)
        torch.testing.assert_close(last, expected, rtol=1e-9, atol=1e-12)


def test_map_with_a_gaussian_prior_is_ridge_regression() -> None:
    precision = 30.0
    members, examples = make_members(
        [Cell(0)],
        model="linear",
        loss="mse",
        num_targets=1,
        optimizer="momentum",
        rates=[0.1],
        prior={"name": "gaussian", "precision": precision},
        training={"epochs": 400, "batch_size": 54},
        dtype="float64",
    )
    (member,) = members
    assert len(member.parts.train) == 54, "one batch is all examples, so that the minimum is reached exactly"
    ((last, _, _),) = train(members, examples).values()
    inputs = (examples.inputs - member.input_scale.shift) / member.input_scale.scale
    targets = (examples.targets - member.target_scale.shift) / member.target_scale.scale
    ridge = Ridge(alpha=precision / 2).fit(inputs[member.parts.train], targets[member.parts.train, 0])
    np.testing.assert_allclose(last[:5], ridge.coef_, rtol=1e-8)
    np.testing.assert_allclose(last[5], ridge.intercept_, atol=1e-10)


def crash(population: Population, data: DeviceExamples, after: int) -> int:
    """Train one step at a time and stop dead; give the epochs done."""
    for count, _ in enumerate(fit([population], data, pause=0)):
        if count == after:
            break
    return population.epoch


BEYOND_GRADIENT = [name for name, cls in registered(Optimizer).items() if not issubclass(cls, FirstOrder)]


@pytest.mark.parametrize(
    "optimizer",
    [
        pytest.param(name, marks=pytest.mark.slow) if name in ("cma_es", "lbfgs", "gauss_newton") else name
        for name in ("momentum", "adam", "torch", *BEYOND_GRADIENT)
    ],
)
def test_a_restored_population_goes_on_to_the_same_bits(optimizer: str) -> None:
    experiment: dict[str, Any] = {
        "optimizer": optimizer,
        "rates": rates_for(optimizer, [0.01, 0.5, 0.003, 1e9]),
        "loss": "mse",
        "schedule": {"name": "linear_decay", "tau": 40.0},
        "training": {"epochs": 6, "early_stopping": {"patience": 2}},
        "hidden": (5,),
    }
    assert_resumable(**experiment | NEEDS.get(optimizer, {}))


def test_statistics_noise_and_plateaus_go_on_to_the_same_bits() -> None:
    assert_resumable(
        rates=[0.01, 0.5, 0.003, 0.1],
        layers={"batch_norm": True, "dropout": 0.3},
        schedule={"name": "plateau", "patience": 0, "gamma": 0.5},
        training={"epochs": 6, "input_noise": 0.1, "weight_noise": 0.01},
    )


def assert_resumable(**experiment: Any) -> None:
    members, examples = make_members([Cell(seed) for seed in range(4)], **experiment)
    data = DeviceExamples.load(examples, torch.device("cpu"), torch.float32)
    uninterrupted = train(members, examples)
    for after in np.random.default_rng(0).choice(36, 10, replace=False):
        population = Population.build(members, torch.device("cpu"))
        done = crash(population, data, int(after))
        tensors, rest = population.save()
        tensors = {name: tensor.clone() for name, tensor in tensors.items()}
        again = Population.restore(members, tensors, rest, torch.device("cpu"))
        epochs: dict[Cell, list[Any]] = {cell: list(run[2][:done]) for cell, run in uninterrupted.items()}
        for record in fit([again], data):
            for each in getattr(record, "members", ()):
                epochs[each.cell].append(each)
        resumed = {
            member.cell: (again.last_weights[row], again.best_weights[row], epochs[member.cell])
            for row, member in enumerate(members)
        }
        assert differing(resumed, uninterrupted) == [], f"stopped after record {after}"


def test_divergence_names_the_step_and_the_last_finite_loss() -> None:
    members, examples = make_members([Cell(0), Cell(1)], loss="mse", optimizer="sgd", rates=[1e6, 0.01])
    result = train(members, examples)
    diverged = result[Cell(0)][2][-1]
    assert diverged.stop_reason == "diverged"
    assert diverged.scores == {}
    # Independently: the loss explodes by the square of the step; a plain loop finds the same step.
    losses = []
    population = Population.build(members[:1], torch.device("cpu"))
    data = DeviceExamples.load(examples, torch.device("cpu"), torch.float32)
    for _ in fit([population], data, pause=0):
        losses += [float(loss[0]) for loss in population.losses[len(losses) :]]
    first = next(step for step, loss in enumerate(losses, 1) if not np.isfinite(loss))
    assert diverged.divergence.first_nonfinite_step == first
    assert diverged.divergence.last_finite_loss == losses[first - 2]
    assert result[Cell(1)][2][-1].stop_reason == "max_epochs"


def test_records_between_steps_and_epochs() -> None:
    members, examples = make_members([Cell(0)], training={"epochs": 2})
    data = DeviceExamples.load(examples, torch.device("cpu"), torch.float32)
    records = list(fit([Population.build(members, torch.device("cpu"))], data, pause=0))
    steps = [record.step for record in records if isinstance(record, Progress)]
    assert [record.epoch for record in records if isinstance(record, EpochDone)] == [1, 2]
    assert steps == [1, 2, 3, 4, 5] * 2, "54 examples in batches of 10: the sixth step is the epoch's end"


def test_the_epochs_of_a_member_without_validation_end_with_its_last_weights() -> None:
    members, examples = make_members([Cell(0)], split={"valid": 0.0})
    ((last, best, epochs),) = train(members, examples).values()
    assert torch.equal(last, best)
    assert all("valid" not in epoch.scores for epoch in epochs)


@pytest.mark.parametrize(("num_members", "workers"), [(1, 4), (5, 2), (60, 2), (61, 7), (16, 1)])
@pytest.mark.parametrize("chunk_bytes", [(1, 1 << 30), (1 << 30, 1 << 30), (1, 500)])
def test_chunks_are_all_members_in_order(
    num_members: int, workers: int, chunk_bytes: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dlx.engine.fit.CHUNK_BYTES", chunk_bytes)
    members, _ = make_members([Cell(seed) for seed in range(num_members)])
    chunks = chunk(members, workers)
    assert [each for part in chunks for each in part] == members
    assert max(map(len, chunks)) - min(map(len, chunks)) <= 1
    if chunk_bytes[0] == 1 << 30:
        assert len(chunks) == 1
    elif num_members > 1:
        assert len(chunks) >= min(workers, num_members // 2)
        assert min(map(len, chunks)) >= 2


@pytest.mark.parametrize("pause", [0.0, 0.2])
def test_populations_in_threads_stand_still_between_records(pause: float) -> None:
    members, examples = make_members([Cell(seed) for seed in range(9)])
    data = DeviceExamples.load(examples, torch.device("cpu"), torch.float32)
    populations = [Population.build(part, torch.device("cpu")) for part in (members[:3], members[3:6], members[6:])]
    for _ in fit(populations, data, pause=pause):
        before = [population.weights.clone() for population in populations]
        assert len({population.epoch for population in populations}) == 1
        time.sleep(0.001)
        assert all(torch.equal(a, b.weights) for a, b in zip(before, populations, strict=True))
    last = {
        member.cell: row for each in populations for member, row in zip(each.members, each.last_weights, strict=True)
    }
    alone = train(members, examples)
    assert all(torch.equal(row, alone[cell][0]) for cell, row in last.items())


def gradient_norms(member: Any, examples: Any, weights: torch.Tensor) -> dict[str, float]:
    """Norms of the gradient on the batch of an epoch's first step, by an ordinary module."""
    module = member.recipe.model.build(member.recipe.spec)
    named = Layout.of(module).unflatten(weights.unsqueeze(0))
    module.load_state_dict({name: tensor[0] for name, tensor in named.items()})
    plan = BatchPlan([Order(member.parts.train, member.cell.stream_key)], 10)
    chosen = torch.from_numpy(plan.draw(2)[0, 0])
    inputs = torch.from_numpy((examples.inputs - member.input_scale.shift) / member.input_scale.scale)
    torch.nn.functional.cross_entropy(module(inputs[chosen]), torch.from_numpy(examples.targets)[chosen]).backward()
    return {name: float(parameter.grad.norm()) for name, parameter in module.named_parameters()}


def test_gradient_norms_are_those_of_an_ordinary_module() -> None:
    members, examples = make_members([Cell(0), Cell(1)], dtype="float64", training={"epochs": 2, "clip_norm": 1e-3})
    for member in members:
        last, _, epochs = train(members, examples)[member.cell]
        expected = gradient_norms(member, examples, last)
        assert epochs[-1].gradient_norms == pytest.approx(expected, rel=1e-10)


def test_a_plateau_lowers_the_rate_of_its_own_member() -> None:
    schedule = {"name": "plateau", "patience": 0, "gamma": 0.5, "threshold": 0.2}
    cells = [Cell(0), Cell(1)]
    members, examples = make_members(cells, rates=[0.01, 0.3], schedule=schedule, training={"epochs": 8})
    rates = []
    for member in members:
        epochs, watch = train(members, examples)[member.cell][2], Watch()
        for epoch in epochs:
            assert epoch.lr == pytest.approx(member.recipe.optimizer.lr * watch.factor, rel=1e-6)
            watch = member.recipe.schedule.watch(watch, epoch.scores["valid"]["loss"])
        rates.append([epoch.lr / epochs[0].lr for epoch in epochs])
    assert rates[0] != rates[1], "they must come to a plateau at different times"
    assert min(map(min, rates)) < 1


def test_a_plateau_and_a_warm_up_multiply() -> None:
    """torch's scheduler watches the same losses; the warm-up rises over 20 steps, of which an epoch has 6."""
    schedule = {"name": "plateau", "warmup": 20, "patience": 0, "gamma": 0.5, "threshold": 0.2}
    members, examples = make_members([Cell(0)], rates=[0.1], schedule=schedule, training={"epochs": 8})
    ((_, _, epochs),) = train(members, examples).values()
    peer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(peer, factor=0.5, patience=0, threshold=0.2)
    factors = []
    for number, epoch in enumerate(epochs, 1):
        factors.append(peer.param_groups[0]["lr"])
        assert epoch.lr == pytest.approx(0.1 * min(6 * number / 20, 1) * factors[-1], rel=1e-6)
        plateau.step(epoch.scores["valid"]["loss"])
    assert factors[0] > factors[2] > factors[-1], "it must come to a plateau within the warm-up and after it"


def test_statistics_are_of_the_first_evaluation_of_a_step() -> None:
    """L-BFGS asks at many thetas in a step; batch norm's statistics move once, as at the theta before it."""
    members, examples = make_members(
        [Cell(0), Cell(1)],
        optimizer="lbfgs",
        layers={"batch_norm": True},
        training={"epochs": 1, "batch_size": "full"},
        dtype="float64",
    )
    for member in members:
        last, _, _ = train(members, examples)[member.cell]
        layout = Layout.of(member.recipe.model.build(member.recipe.spec))
        start, end = (
            {name: tensor[0] for name, tensor in layout.unflatten(weights).items()}
            for weights in (initial_weights([member]), last.unsqueeze(0))
        )
        inputs = (examples.inputs - member.input_scale.shift) / member.input_scale.scale
        own = torch.from_numpy(inputs[member.parts.train])
        before, after = torch.nn.BatchNorm1d(7).double(), torch.nn.BatchNorm1d(7).double()
        for norm, theta in ((before, start), (after, end)):
            norm(own @ theta["0.weight"].T + theta["0.bias"])
        torch.testing.assert_close(end["1.running_mean"], before.running_mean, rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(end["1.running_var"], before.running_var, rtol=1e-10, atol=1e-12)
        assert not torch.isclose(before.running_var, after.running_var, rtol=1e-6).any(), "theta must have moved"


def test_a_full_batch_is_a_step_an_epoch() -> None:
    members, examples = make_members([Cell(0)], training={"epochs": 3, "batch_size": "full"}, optimizer="sgd")
    by_number, _ = make_members([Cell(0)], training={"epochs": 3, "batch_size": 54}, optimizer="sgd")
    ((last, _, epochs),), ((other, _, _),) = (train(each, examples).values() for each in (members, by_number))
    assert [epoch.step for epoch in epochs] == [1, 2, 3]
    assert torch.equal(last, other)
