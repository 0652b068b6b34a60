"""Populations that are trained one after the other come to the bits of those that are trained side by side."""

from __future__ import annotations

import dataclasses
import itertools
import weakref
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from experiments import CPU, make_members

from dlx.core.records import Cell, MemberEpoch
from dlx.core.types import Examples
from dlx.engine.feed import DeviceExamples
from dlx.engine.fit import fit, fit_each
from dlx.engine.population import Member, Population
from dlx.engine.program import Program

Outcome = dict[Cell, tuple[torch.Tensor, torch.Tensor, dict[str, Any]]]
CUTS = ([8], [3, 5], [2, 2, 2, 2], [1, 4, 3])
MIXED: dict[str, Any] = {
    "split": {"folds": 4, "valid": 0.13},
    "rates": [0.01, 1e9, 0.4, 0.2, 0.003, 1e8, 0.1, 0.05],
    "optimizer": "adam",
    "loss": "mse",
    "layers": {"dropout": 0.2, "batch_norm": True},
    "training": {"epochs": 7, "batch_size": 29, "early_stopping": {"patience": 1}},
}
"""Ragged folds, members that stop early, diverge, or go on to the end."""


@pytest.fixture(params=[1, 2, 3])
def workers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr("dlx.engine.fit.num_workers", lambda device, threads: request.param)
    return int(request.param)


def mixed_members(**changes: Any) -> tuple[list[Member], Examples]:
    return make_members([Cell(seed, 0, fold) for seed in (0, 1) for fold in range(4)], **{**MIXED, **changes})


def load(examples: Examples) -> DeviceExamples:
    return DeviceExamples.load(examples, CPU, torch.float32)


def cut(members: Sequence[Member], sizes: Sequence[int]) -> list[list[Member]]:
    ends = list(itertools.accumulate(sizes))
    return [list(members[end - size : end]) for size, end in zip(sizes, ends, strict=True)]


def outcome(populations: Sequence[Population]) -> Outcome:
    return {
        member.cell: (population.best_weights[row], population.last_weights[row], dataclasses.asdict(course))
        for population in populations
        for row, (member, course) in enumerate(zip(population.members, population.courses, strict=True))
    }


def by_fit(members: Sequence[Member], examples: Examples) -> Outcome:
    population = Population.build(members, CPU)
    for _ in fit([population], load(examples)):
        pass
    return outcome([population])


def finish(populations: Any, examples: Examples, **how: Any) -> tuple[list[Population], list[MemberEpoch]]:
    """Train to the end; give the finished populations and the records of all epochs."""
    finished, epochs = [], []
    for found in fit_each(populations, load(examples), **how):
        finished += found.finished
        epochs += [member for epoch in found.epochs for member in epoch.members]
    return finished, epochs


def assert_same(some: Outcome, reference: Outcome) -> None:
    assert some.keys() == reference.keys()
    for cell, (best, last, course) in some.items():
        expected_best, expected_last, expected_course = reference[cell]
        assert course == expected_course, cell
        for one, other in ((best, expected_best), (last, expected_last)):
            assert torch.equal(one.view(torch.int32), other.view(torch.int32)), cell


@pytest.fixture(scope="module")
def reference() -> Outcome:
    found = by_fit(*mixed_members())
    stops = {course["stop_reason"] for _, _, course in found.values()}
    assert stops == {"diverged", "patience", "max_epochs"}
    return found


@pytest.mark.parametrize("pause", [0.0, 0.003, 10.0])
@pytest.mark.parametrize("sizes", CUTS, ids=str)
def test_bits_are_those_of_fit(sizes: list[int], pause: float, workers: int, reference: Outcome) -> None:
    members, examples = mixed_members()
    populations = [Population.build(part, CPU) for part in cut(members, sizes)]
    finished, epochs = finish(populations, examples, pause=pause)
    assert {id(each) for each in finished} == {id(each) for each in populations}
    assert len(finished) == len(populations), "none is given twice"
    assert_same(outcome(finished), reference)
    for cell, (_, _, course) in reference.items():
        own = [record for record in epochs if record.cell == cell]
        assert [record.stop_reason for record in own] == [None] * (course["last_epoch"] - 1) + [course["stop_reason"]]


def test_order_does_not_matter(workers: int, reference: Outcome) -> None:
    members, examples = mixed_members()
    parts = [part[::-1] for part in cut(members[::-1], [2, 5, 1])]
    finished, _ = finish((Population.build(part, CPU) for part in parts), examples, pause=0.002)
    assert_same(outcome(finished), reference)


@pytest.mark.parametrize("batch_size", [13, "full"])
@pytest.mark.parametrize("valid", [0.0, 0.3])
def test_divergence_is_the_same_whether_the_training_loss_is_watched_or_not(batch_size: Any, valid: float) -> None:
    """With one step an epoch the training loss shows an epoch earlier what a step did."""
    rates = [0.01, 0.3, 1.0, 3.0, 10.0, 30.0, 1e3, 1e6]
    training = {"epochs": 12, "batch_size": batch_size}
    members, examples = mixed_members(
        rates=rates, optimizer="sgd", layers=None, training=training, split={"folds": 4, "valid": valid}
    )
    expected = by_fit(members, examples)
    finished, _ = finish([Population.build(members, CPU)], examples)
    assert sum(course["stop_reason"] == "diverged" for _, _, course in expected.values()) >= 3
    assert_same(outcome(finished), expected)


def test_a_last_step_that_diverges_is_seen_where_it_is_watched() -> None:
    """Without validation no later step shows what the last one did; the training loss does."""
    training = {"epochs": 12, "batch_size": "full"}
    options: dict[str, Any] = {"loss": "mse", "optimizer": "sgd", "rates": [10.0], "split": {"valid": 0.0}}
    members, examples = make_members([Cell(0)], **options, training=training)
    ((_, _, course),) = by_fit(members, examples).values()
    first = course["divergence"]["first_nonfinite_step"]
    assert 2 < first < 12
    members, _ = make_members([Cell(0)], **options, training={**training, "epochs": first - 1})
    ((_, _, shorter),) = by_fit(members, examples).values()
    assert (shorter["stop_reason"], shorter["divergence"]) == ("diverged", course["divergence"])


def test_nothing_to_train() -> None:
    _, examples = mixed_members()
    assert list(fit_each([], load(examples))) == []


@pytest.mark.parametrize("pause", [0.0, 0.002])
def test_saved_between_slices_it_goes_on_to_the_same_bits(pause: float, workers: int, reference: Outcome) -> None:
    """Stopped dead again and again: what runs is saved and restored, what has not begun is given anew."""
    members, examples = mixed_members()
    waiting = [Population.build(part, CPU) for part in cut(members, [2, 3, 3])]
    done: list[Population] = []
    for num_slices in itertools.cycle([1, 4, 11]):
        taken: list[Population] = []
        slices = fit_each(taking(waiting, taken), load(examples), pause=pause)
        finished, running = [], []
        for found in itertools.islice(slices, num_slices):
            finished, running = [*finished, *found.finished], found.running
        slices.close()
        done += finished
        if not (finished or running):
            break
        waiting = [restored(each) for each in running] + waiting[len(taken) :]
        if not waiting:
            break
    assert_same(outcome(done), reference)


def taking(populations: Sequence[Population], taken: list[Population]) -> Iterator[Population]:
    for population in populations:
        taken.append(population)
        yield population


def restored(population: Population) -> Population:
    tensors, rest = population.save()
    tensors = {name: tensor.clone() for name, tensor in tensors.items()}
    return Population.restore(population.members, tensors, rest, CPU)


def test_until_rests_at_an_epoch_and_goes_on_as_if_never_stopped(workers: int, reference: Outcome) -> None:
    members, examples = mixed_members()
    populations = [Population.build(part, CPU) for part in cut(members, [2, 3, 3])]
    for until, last in ((1, 1), (2, 2), (2, 2), (5, 5), (None, 7)):
        began = [population.epoch for population in populations]
        slices = list(fit_each(populations, load(examples), until=until, pause=0.002))
        finished = [id(population) for found in slices for population in found.finished]
        assert sorted(finished) == sorted(map(id, populations)), "each once, also one that rests there already"
        assert all(population.epoch == last or population.is_finished for population in populations)
        numbers = {epoch.epoch for found in slices for epoch in found.epochs}
        assert numbers <= set(range(min(began) + 1, last + 1))
    assert_same(outcome(populations), reference)


@pytest.mark.parametrize("pause", [0.0, 0.01])
def test_populations_are_taken_as_cores_become_free(pause: float, workers: int) -> None:
    members, examples = mixed_members()
    taken: list[weakref.ref[Population]] = []
    most: list[int] = []

    def lazily() -> Iterator[Population]:
        for part in cut(members, [1] * 8):
            alive = [population for each in taken if (population := each()) is not None]
            most.append(sum(not population.is_finished for population in alive))
            del alive
            population = Population.build(part, CPU)
            taken.append(weakref.ref(population))
            yield population

    for found in fit_each(lazily(), load(examples), pause=pause):
        alive = sum(each() is not None for each in taken)
        assert alive <= len(found.finished) + len(found.running) + 1, "what was finished before is gone"
        assert len(found.running) <= workers
    assert len(taken) == 8
    assert max(most) == workers - 1, "all cores have work, and none is taken in advance"


def test_as_many_train_at_once_as_there_are_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dlx.engine.fit.num_workers", lambda device, threads: 2)
    members, examples = mixed_members()
    populations = [Population.build(part, CPU) for part in cut(members, [4, 2, 2])]
    found = next(fit_each(populations, load(examples), pause=0.0))
    assert [len(population.losses) for population in populations] == [1, 1, 0], "a step each, the third waits"
    assert {id(each) for each in found.running} == {id(each) for each in populations[:2]}


def test_an_error_in_a_thread_is_raised(monkeypatch: pytest.MonkeyPatch, workers: int) -> None:
    def fail(program: Program, seconds: float) -> bool:
        raise ArithmeticError(f"after {seconds:.0f} seconds")

    monkeypatch.setattr(Program, "advance", fail)
    members, examples = mixed_members()
    with pytest.raises(ArithmeticError, match="seconds"):
        next(fit_each([Population.build(members, CPU)], load(examples)))


def test_nothing_but_what_decides_is_measured() -> None:
    members, examples = mixed_members()
    _, epochs = finish([Population.build(members, CPU)], examples)
    assert {frozenset(record.scores) for record in epochs} == {frozenset({"valid"}), frozenset()}
    assert all(record.gradient_norms == {} for record in epochs)
    assert all(np.isfinite(record.objective) for record in epochs if record.objective is not None)
