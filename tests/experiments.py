"""Small experiments for the engine: members of any definitions on data made from a seed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch

from dlx.core.definition import Activation, Dataset, Loss, Metric, Model, Optimizer, Prior, Schedule
from dlx.core.records import Cell
from dlx.core.registry import registered
from dlx.core.settings import Split, Training
from dlx.core.types import Examples, Spec
from dlx.datasets.two_moons import TwoMoons
from dlx.engine.feed import DeviceExamples
from dlx.engine.fit import fit
from dlx.engine.population import Member, MemberFactory, Population, Recipe

NEEDS: dict[str, dict[str, Any]] = {
    "least_squares": {"model": "linear", "loss": "mse", "num_targets": 2, "training": {"batch_size": 54}},
}
"""What a rule can train, by its name, where that is not everything."""
CPU = torch.device("cpu")


def make_examples(
    task: str, num_examples: int = 90, num_features: int = 5, num_targets: int = 3, is_count: bool = False
) -> Examples:
    """Make examples that a small model can learn, on an odd scale."""
    rng = np.random.default_rng(0)
    inputs = 3 + 2 * rng.normal(size=(num_examples, num_features))
    signal = (inputs - 3) @ rng.normal(size=(num_features, num_targets)) + rng.normal(size=(num_examples, num_targets))
    names = tuple(f"t{number}" for number in range(num_targets))
    features = tuple(f"f{number}" for number in range(num_features))
    values = rng.poisson(np.exp(0.5 * signal)).astype(float) if is_count else 10 + 4 * signal
    targets = signal.argmax(1) if task == "classification" else values
    return Examples(inputs, targets, task, features, names)  # type: ignore[arg-type]


def rates_for(optimizer: str, rates: Sequence[float]) -> list[float | None]:
    """Give the rates to a rule that has one."""
    has_rate = "lr" in registered(Optimizer)[optimizer].tunable_names()
    return list(rates) if has_rate else [None] * len(rates)


def make_members(
    cells: Iterable[Cell],
    *,
    model: str = "mlp",
    loss: str | Loss = "cross_entropy",
    optimizer: str = "adam",
    rates: Iterable[float | None] | None = None,
    activation: str = "relu",
    hidden: tuple[int, ...] = (7,),
    layers: dict[str, Any] | None = None,
    prior: dict[str, Any] | None = None,
    schedule: dict[str, Any] | None = None,
    split: dict[str, Any] | None = None,
    columns: dict[str, Any] | None = None,
    training: dict[str, Any] | None = None,
    num_features: int = 5,
    num_targets: int = 3,
    dtype: str = "float32",
) -> tuple[list[Member], Examples]:
    """Build one member per cell; ``rates`` gives each a learning rate of its own."""
    cells = list(cells)
    chosen = registered(Loss)[loss]() if isinstance(loss, str) else loss
    is_count = chosen.raw_targets
    examples = make_examples(chosen.task, num_features=num_features, num_targets=num_targets, is_count=is_count)
    examples = dataclasses.replace(examples, columns=columns or {})
    own = {"hidden": hidden, "activation": registered(Activation)[activation]()} if model == "mlp" else {}
    target_scale = "none" if is_count else "standard"
    dataset: Dataset = TwoMoons(split=Split(**(split or {})), target_scale=target_scale)
    metrics = [cls() for cls in registered(Metric).values() if chosen.task in cls.tasks]
    settings = {"epochs": 3, "batch_size": 10, "early_stopping": None, **(training or {})}
    factory, members = MemberFactory(examples), []
    for cell, rate in zip(cells, rates or [None] * len(cells), strict=True):
        recipe = Recipe(
            model=registered(Model)[model](**own, **(layers or {})),
            loss=chosen,
            prior=registered(Prior)[prior["name"]](**prior) if prior else None,
            optimizer=registered(Optimizer)[optimizer](**({} if rate is None else {"lr": rate})),
            schedule=registered(Schedule)[(schedule or {}).get("name", "constant")](**(schedule or {})),
            metrics=tuple(metrics),
            training=Training(**settings),
            spec=Spec((num_features,), chosen.num_outputs(num_targets), getattr(torch, dtype)),
        )
        members.append(factory.member(cell, recipe, dataset))
    return members, examples


def train(
    members: Sequence[Member],
    examples: Examples,
    sizes: Sequence[int] | None = None,
    device: torch.device = CPU,
) -> dict[Cell, Any]:
    """Train members in populations of the given sizes; give for each its last and best weights and its epochs."""
    data = DeviceExamples.load(examples, device, members[0].recipe.spec.dtype)
    cuts = np.cumsum(sizes or [len(members)])[:-1]
    chunks = [list(chunk) for chunk in np.split(np.array(members, dtype=object), cuts)]
    populations = [Population.build(chunk, device) for chunk in chunks]
    epochs: dict[Cell, list[Any]] = {member.cell: [] for member in members}
    for record in fit(populations, data):
        for each in getattr(record, "members", ()):
            epochs[each.cell].append(each)
    return {
        member.cell: (population.last_weights[row], population.best_weights[row], epochs[member.cell])
        for population in populations
        for row, member in enumerate(population.members)
    }


def differing(some: dict[Cell, Any], reference: dict[Cell, Any]) -> list[Cell]:
    """Name the members whose weights or scores differ in any bit from the reference."""
    return [
        cell
        for cell, (last, best, epochs) in some.items()
        if not (
            torch.equal(last.nan_to_num(), reference[cell][0].nan_to_num())
            and torch.equal(best, reference[cell][1])
            and epochs == reference[cell][2]
        )
    ]
