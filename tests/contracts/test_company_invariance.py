"""A member computes to the last bit what it would compute alone, whoever it is trained with."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from experiments import NEEDS, differing, make_members, rates_for, train

from dlx.core.definition import Activation, FirstOrder, Loss, Optimizer, Prior, Schedule
from dlx.core.records import Cell
from dlx.core.registry import registered
from dlx.core.types import Examples
from dlx.engine.population import Member
from dlx.losses.binary_cross_entropy import BinaryCrossEntropy
from dlx.losses.cross_entropy import CrossEntropy
from dlx.losses.gaussian_nll import GaussianNLL
from dlx.losses.laplace_nll import LaplaceNLL

CELLS = [Cell(seed) for seed in range(5)]
TARGETS = {"binary_cross_entropy": 2, "mse": 1}
"""Classes or target columns of a loss, where 3 do not fit it or are not the odd case."""
RATES = [0.01, 0.003, 0.03, 0.02, 0.05]


@pytest.fixture(params=[1, 2], ids=["1 thread", "2 threads"])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def trained_alone(members: Sequence[Member], examples: Examples) -> dict[Cell, Any]:
    """Train each member alone; training them together, and in another order, must give the same bits."""
    alone: dict[Cell, Any] = {}
    for member in members:
        alone |= train([member], examples)
    assert differing(train(members, examples), alone) == []
    assert differing(train(members[::-1], examples), alone) == []
    return alone


def assert_invariant(cells: list[Cell] = CELLS, rates: Sequence[float | None] = RATES, **experiment: Any) -> None:
    """Train alone, together, in another order, in two populations and as a part; compare every bit."""
    members, examples = make_members(cells, rates=rates, **experiment)
    alone = trained_alone(members, examples)
    assert differing(train(members, examples, sizes=[2, len(members) - 2]), alone) == []
    assert differing(train(members[1:4], examples), alone) == []


@pytest.mark.parametrize("width", [1, 7, 17, 33, 128])
@pytest.mark.parametrize("batch_size", [pytest.param(10, marks=pytest.mark.slow), 37])
def test_odd_shapes(width: int, batch_size: int, threads: int) -> None:
    assert_invariant(hidden=(width,), training={"batch_size": batch_size})


PARTNERS = [
    {"optimizer": "adam", "loss": "cross_entropy", "hidden": (17, 7), "training": {"batch_size": 37}},
    {"optimizer": "momentum", "loss": "mse", "num_targets": 1, "schedule": {"name": "linear_decay"}, "hidden": (9,)},
]
"""What a definition is trained with: two quite different experiments."""


@pytest.mark.parametrize(
    "partner", [PARTNERS[0], pytest.param(PARTNERS[1], marks=pytest.mark.slow)], ids=["classes", "values"]
)
@pytest.mark.parametrize("name", registered(Activation))
def test_activation(name: str, partner: dict[str, Any]) -> None:
    assert_invariant(activation=name, **partner)


FIRST_ORDER = [name for name, cls in registered(FirstOrder).items() if cls.exact]
WITH_SCHEDULE = [*itertools.product(FIRST_ORDER, ["constant", "plateau"])]
WITH_SCHEDULE += [(name, schedule) for name in ("adam", "momentum") for schedule in registered(Schedule)]


@pytest.mark.parametrize(
    ("name", "schedule"),
    [
        pytest.param(*pair, marks=pytest.mark.slow) if pair[1] == "plateau" and pair[0] != "adam" else pair
        for pair in dict.fromkeys(WITH_SCHEDULE)
    ],
)
def test_rule_under_schedule(name: str, schedule: str) -> None:
    settings = {"patience": 0, "gamma": 0.5, "threshold": 0.5} if schedule == "plateau" else {}
    assert_invariant(optimizer=name, schedule={"name": schedule, **settings}, hidden=(17,))


BEYOND_GRADIENT = [name for name, cls in registered(Optimizer).items() if not issubclass(cls, FirstOrder) and cls.exact]


@pytest.mark.parametrize("name", BEYOND_GRADIENT)
@pytest.mark.parametrize(
    "partner",
    [PARTNERS[0], pytest.param({**PARTNERS[1], "schedule": None}, marks=pytest.mark.slow)],
    ids=["classes", "values"],
)
def test_rule_beyond_the_gradient(name: str, partner: dict[str, Any]) -> None:
    assert_invariant(
        rates=rates_for(name, RATES), **{**partner, "optimizer": name, "hidden": (5,), **NEEDS.get(name, {})}
    )


@pytest.mark.slow
@pytest.mark.parametrize("threads", [2], indirect=True)
@pytest.mark.parametrize("name", BEYOND_GRADIENT)
def test_rule_beyond_the_gradient_with_threads(name: str, threads: int) -> None:
    training = {"epochs": 1, **NEEDS.get(name, {}).get("training", {"batch_size": 37})}
    partner = {"optimizer": name, "hidden": (3,), **NEEDS.get(name, {}), "training": training}
    assert_invariant(rates=rates_for(name, RATES), **partner)


LOSSES = [
    *(cls() for cls in registered(Loss).values()),
    BinaryCrossEntropy(label_smoothing=0.1),
    CrossEntropy(label_smoothing=0.1),
    CrossEntropy(label_smoothing=0.1, class_weights=(0.5, 2.0, 1.25)),
    GaussianNLL(sigma=0.3),
    LaplaceNLL(scale=0.3),
]


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: "-".join(map(str, loss.model_dump().values())))
@pytest.mark.parametrize("num_features", [pytest.param(each, marks=pytest.mark.slow) for each in (2, 3)] + [64])
def test_loss(loss: Loss, num_features: int) -> None:
    num_targets = TARGETS.get(loss.name, 3)
    for model in ("linear", "mlp"):
        assert_invariant(loss=loss, model=model, num_targets=num_targets, num_features=num_features, hidden=(33,))


@pytest.mark.parametrize("threads", [2], indirect=True)
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow) if number % 2 else name
        for number, name in enumerate(registered(Loss))
    ],
)
def test_loss_with_threads(name: str, threads: int) -> None:
    assert_invariant(loss=name, num_targets=TARGETS.get(name, 3), num_features=64, hidden=(33,))


@pytest.mark.parametrize(
    ("family", "key"),
    [(CrossEntropy, "label_smoothing"), (BinaryCrossEntropy, "label_smoothing"), (GaussianNLL, "sigma")],
)
def test_members_differ_in_a_setting_of_the_loss(family: type[Loss], key: str) -> None:
    members: list[Any] = []
    for cell, value in zip(CELLS, (0.1, 0.02, 0.3, 0.7, 0.05), strict=True):
        one, examples = make_members([cell], loss=family(**{key: value}), num_targets=2, hidden=(17,))
        members += one
    trained_alone(members, examples)


def test_balanced_classes_of_different_splits() -> None:
    members: list[Member] = []
    for cell in CELLS:
        loss, split = CrossEntropy(class_weights="balanced"), {"seed": None, "stratify": False}
        one, examples = make_members([cell], loss=loss, split=split)
        members += one
    counts = {tuple(np.bincount(examples.targets[member.parts.train])) for member in members}
    assert len(counts) > 1, "their weights must differ"
    trained_alone(members, examples)


@pytest.mark.parametrize("partner", PARTNERS, ids=["classes", "values"])
@pytest.mark.parametrize("name", registered(Prior))
def test_prior(name: str, partner: dict[str, Any]) -> None:
    assert_invariant(prior={"name": name}, **partner)


REGULARIZED: dict[str, dict[str, Any]] = {
    "dropout": {"layers": {"dropout": 0.3}},
    "batch norm": {"layers": {"batch_norm": True}},
    "input noise": {"training": {"batch_size": 10, "input_noise": 0.3}},
    "weight noise": {"training": {"batch_size": 10, "weight_noise": 0.1}},
    "clipping": {"training": {"batch_size": 10, "clip_value": 0.1, "clip_norm": 0.2}},
    "all": {
        "layers": {"dropout": 0.5, "batch_norm": True, "init": "he"},
        "training": {"batch_size": 37, "input_noise": 0.1, "weight_noise": 0.01, "clip_norm": 1.0},
    },
}


@pytest.mark.parametrize(
    "partner", [pytest.param(PARTNERS[0], marks=pytest.mark.slow), PARTNERS[1]], ids=["classes", "values"]
)
@pytest.mark.parametrize("what", REGULARIZED)
def test_regularization(what: str, partner: dict[str, Any]) -> None:
    assert_invariant(**{**partner, **REGULARIZED[what]})


def test_rates_of_dropout_and_noise_may_differ() -> None:
    members: list[Any] = []
    for seed in range(4):
        training = {"input_noise": 0.1 * (seed + 1), "weight_noise": 0.01 * (seed + 1), "clip_norm": 1.0 / (seed + 1)}
        rate = 0.1 * (seed + 1)
        one, examples = make_members([Cell(seed)], hidden=(17,), layers={"dropout": rate}, training=training)
        members += one
    trained_alone(members, examples)


def test_ragged_folds() -> None:
    cells = [Cell(0, 0, fold) for fold in range(4)]
    members: list[Any] = []
    for cell in cells:
        split, layers = {"folds": 4, "fold": cell.fold, "valid": 0.13}, {"batch_norm": True, "dropout": 0.2}
        one, examples = make_members([cell], split=split, training={"batch_size": 29}, rates=[0.01], layers=layers)
        members += one
    assert {-(-len(member.parts.train) // 29) for member in members} == {2, 3}, "some must rest while others step"
    trained_alone(members, examples)


UNEQUAL: dict[str, dict[str, Any]] = {
    "groups": {"folds": 4, "groups": "batch", "valid": 0.2},
    "stratified groups": {"folds": 3, "groups": "batch", "valid": 0.3, "stratify": True},
    "fold column": {"fold_column": "batch", "valid": 0.2},
    "time series": {"folds": 4, "time_series": True, "valid": 0.2},
    "nested time series": {"folds": 3, "time_series": True, "valid": 0.3, "outer_fold": 2},
}
"""Folds whose training parts differ by half or more."""


@pytest.mark.parametrize("batch_size", [13, pytest.param("full", marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", UNEQUAL)
def test_unequal_folds(kind: str, batch_size: int | str) -> None:
    """Alone means cut alone, too: what a member is padded to may not follow from which folds were cut before."""
    split = UNEQUAL[kind]
    batches = np.repeat(np.arange(7), [37, 3, 5, 20, 9, 9, 7])
    experiment = {
        "loss": "cross_entropy" if "stratify" in split else "mse",
        "num_targets": 2,
        "columns": {"batch": np.random.default_rng(1).permutation(batches)},
        "training": {"batch_size": batch_size},
        "layers": {"batch_norm": True, "dropout": 0.2},
        "hidden": (9,),
    }
    cells = [Cell(seed, 0, fold) for fold in range(split.get("folds", 7)) for seed in (0, 1)]
    members, examples = make_members(cells, split=split, **experiment)
    lengths = [len(member.parts.train) for member in members]
    assert max(lengths) > 1.4 * min(lengths)
    alone: dict[Cell, Any] = {}
    for cell in cells:
        alone |= train(make_members([cell], split={**split, "fold": cell.fold}, **experiment)[0], examples)
    assert differing(train(members, examples), alone) == []
    assert differing(train(members[::-1], examples), alone) == []
    assert differing(train(members[1:4], examples), alone) == []


def test_compaction_after_early_stops_and_divergence() -> None:
    cells = [Cell(seed) for seed in range(8)]
    rates = [1e8, 1e8, 1e8, 0.5, 0.4, 0.3, 0.001, 0.0001]
    training = {"epochs": 30, "early_stopping": {"patience": 2}}
    for optimizer in ("sgd", "adam"):
        members, examples = make_members(
            cells, rates=rates, optimizer=optimizer, loss="mse", num_targets=1, hidden=(17,), training=training
        )
        alone = trained_alone(members, examples)
        stops = {epochs[-1].stop_reason for _, _, epochs in alone.values()}
        assert stops >= {"patience"}
        assert len({len(epochs) for _, _, epochs in alone.values()}) > 2, "they must stop at different times"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("width", "batch_size", "num_features"), list(itertools.product([3, 9, 31, 64, 100], [7, 16, 50], [1, 3, 13, 64]))
)
def test_more_shapes(width: int, batch_size: int, num_features: int) -> None:
    for optimizer in registered(FirstOrder):
        assert_invariant(
            optimizer=optimizer, hidden=(width,), num_features=num_features, training={"batch_size": batch_size}
        )


FAMILIES = {"activation": Activation, "loss": Loss, "prior": Prior, "optimizer": FirstOrder, "schedule": Schedule}
PAIRS = [
    {one: a, other: b}
    for one, other in itertools.combinations(FAMILIES, 2)
    for a, b in itertools.product(registered(FAMILIES[one]), registered(FAMILIES[other]))
]


@pytest.mark.slow
@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: "-".join(pair.values()))
def test_all_pairs(pair: dict[str, str]) -> None:
    named = {family: {"name": name} if family in ("prior", "schedule") else name for family, name in pair.items()}
    assert_invariant(**named, num_targets=TARGETS.get(pair.get("loss", ""), 3), hidden=(17,))
