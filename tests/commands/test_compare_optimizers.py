"""``dlx compare-optimizers``: the protocol, by its cells; stopped anywhere; what it refuses."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands.runs import finish, status, write_config

from dlx.commands import compare_optimizers
from dlx.commands.cell import repeat_cell
from dlx.commands.compare_optimizers import compare, load_problems
from dlx.commands.resume import resume
from dlx.core.errors import CheckpointError, ConfigError, RunError, UsageError
from dlx.core.records import AnalysisStarted, Cell, Finished, Record
from dlx.core.types import Searched
from dlx.engine.cost import measure_cost
from dlx.engine.population import initial_weights
from dlx.optimizers.sgd import SGD

SMALL = """\
name: small
data: {name: two_moons, num_examples: 80}
model: {name: mlp, hidden: [4]}
loss: binary_cross_entropy
training: {epochs: 3, batch_size: 16, early_stopping: {patience: 1}}
compare: {optimizers: [sgd, momentum, adam], trials: 4, tuning_seeds: 2, seeds: 6}
device: cpu
"""
NUM_TUNING, NUM_SEEDS = 2, 6
BYTES = ("result.json", "config.resolved.yaml")

pytestmark = pytest.mark.usefixtures("no_comparison_pictures", "no_pictures")


def comparison(folder: Path, *overrides: str, text: str = SMALL, diverges: bool = False) -> Path:
    """Compare to the end."""
    folder.mkdir(exist_ok=True)
    return finish(compare([write_config(folder, text)], overrides, folder / "runs"), diverges)


def read(run: Path, name: str = "result.json") -> Any:
    return json.loads((run / name).read_text())


def cells(run: Path) -> dict[tuple[int, int], dict[str, Any]]:
    """The lines of all cells, by trial and seed; each is there once."""
    lines = [json.loads(line) for line in (run / "cells.jsonl").read_text().splitlines()]
    assert len({line["id"] for line in lines}) == len(lines)
    return {(line["trial"], line["seed"]): line for line in lines}


def final(line: dict[str, Any]) -> float:
    """The loss after the last epoch."""
    return float("inf") if line["stop_reason"] == "diverged" else float(line["curve"]["valid"][-1])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dlx.reporting.comparison_figures.draw_comparison_pictures", lambda *_: [])
        patch.setattr(compare_optimizers, "measure_cost", partial(measure_cost, seconds=0.0))
        return comparison(tmp_path_factory.mktemp("comparison"))


def test_every_arm_gets_the_same_budget(run: Path) -> None:
    result, lines = read(run), cells(run)
    assert result["protocol"]["tuning_seeds"] == [0, 1]
    assert result["protocol"]["seeds"] == [2, 3, 4, 5, 6, 7]
    counts = {arm["name"]: len(arm["searches"][0]["trials"]) for arm in result["arms"]}
    assert len(set(counts.values())) == 1
    for arm in result["arms"]:
        (search,) = arm["searches"]
        for trial in search["trials"]:
            seeds = {seed for number, seed in lines if number == trial["trial"]}
            assert seeds == {0, 1} | (set(range(2, 8)) if trial["trial"] == search["best"] else set())
        assert {seed for number, seed in lines if number == arm["untuned"]["trial"]} == set(range(2, 8))


def test_nothing_stops_early_and_every_seed_has_a_split_of_its_own(run: Path) -> None:
    assert {line["last_epoch"] for line in cells(run).values()} == {3}
    assert "early_stopping: null" in (run / "config.resolved.yaml").read_text()
    assert read(run)["protocol"]["split"] == "redrawn"


def test_the_winner_is_the_best_by_the_mean_of_the_final_validation_losses(run: Path) -> None:
    """A run that ends with more than ten times the loss of its initial weights has failed."""
    lines, untrained = cells(run), read(run)["untrained"]
    for arm in read(run)["arms"]:
        (search,) = arm["searches"]
        means = {}
        for trial in search["trials"]:
            losses = [final(lines[trial["trial"], seed]) for seed in range(NUM_TUNING)]
            has_failed = any(loss > 10 * untrained[str(seed)] for seed, loss in enumerate(losses))
            means[trial["trial"]] = float("inf") if has_failed else statistics.fmean(losses)
        assert search["best"] == min(means, key=lambda trial: (means[trial], trial))
        for trial in search["trials"]:
            found = float("inf") if trial["loss"] is None else trial["loss"]
            assert found == pytest.approx(means[trial["trial"]])


def test_measures_are_those_of_the_cells(run: Path) -> None:
    result, lines = read(run), cells(run)
    seeds = result["protocol"]["seeds"]
    by_name = {arm["name"]: arm for arm in result["arms"]}
    reference = [lines[by_name["momentum"]["searches"][0]["best"], seed] for seed in seeds]
    assert result["target"] == sorted(min(line["curve"]["valid"]) for line in reference)[NUM_SEEDS // 2]
    for arm in result["arms"]:
        own = [lines[arm["searches"][0]["best"], seed] for seed in seeds]
        tuned = arm["tuned"]
        assert tuned["loss"]["values"] == tuned["final"]["values"] == [final(line) for line in own]
        assert tuned["best"]["values"] == [min(line["curve"]["valid"]) for line in own]
        assert tuned["loss"]["median"] == pytest.approx(statistics.median(map(final, own)))
        assert tuned["test"]["accuracy"]["values"] == [line["test"]["accuracy"] for line in own]
        laps = [[loss <= result["target"] for loss in line["curve"]["valid"]] for line in own]
        steps = [3 * (each.index(True) + 1) if True in each else None for each in laps]
        assert tuned["steps_to_target"]["values"] == steps  # 48 training examples are 3 steps of 16
        areas = [
            np.trapezoid(np.log([result["untrained"][str(line["seed"])], *line["curve"]["valid"]])) / 3 for line in own
        ]
        assert tuned["area"]["values"] == pytest.approx(areas)


def test_the_reference_reaches_the_target_with_more_than_half_of_the_seeds(run: Path) -> None:
    (reference,) = (arm["tuned"] for arm in read(run)["arms"] if arm["name"] == "momentum")
    assert reference["reached"] > 0.5
    assert reference["steps_to_target"]["median"] is not None


def test_a_seed_gives_every_arm_the_same_split_weights_and_batches(tmp_path: Path) -> None:
    (problem,) = load_problems([write_config(tmp_path, SMALL)], [], [])
    contest = problem.contest
    sections = dict(contest.experiment)
    optimizers = contest.compare.optimizers
    first, other = (
        contest.factory.member_of(Cell(3, trial=trial), {**sections, "optimizer": optimizer})
        for trial, optimizer in enumerate((optimizers[0], optimizers[2]))
    )
    later = contest.factory.member_of(Cell(4), sections)
    assert first.cell.stream_key == other.cell.stream_key
    assert first.parts is other.parts
    assert not np.array_equal(first.parts.train, later.parts.train)
    assert np.array_equal(initial_weights([first]).numpy(), initial_weights([other]).numpy())
    assert not np.array_equal(initial_weights([first]).numpy(), initial_weights([later]).numpy())


def test_any_cell_comes_to_the_same_bits_alone(run: Path, tmp_path: Path) -> None:
    lines = cells(run)
    best = {arm["name"]: arm["searches"][0]["best"] for arm in read(run)["arms"]}
    for line in (lines[best["adam"], 5], lines[0, 2], lines[best["sgd"], 1]):
        *_, last = repeat_cell(run, line["id"], tmp_path)
        assert isinstance(last, Finished)


def test_a_repeated_comparison_gives_the_same(run: Path, tmp_path: Path) -> None:
    again = comparison(tmp_path)
    assert [(again / name).read_bytes() for name in BYTES] == [(run / name).read_bytes() for name in BYTES]


def test_what_the_company_is_does_not_matter(run: Path, tmp_path: Path) -> None:
    """A cell has one name and one outcome in whatever race it is."""
    mine, theirs = (
        {line["id"]: (line["curve"], line["test"]) for line in cells(each).values() if "curve" in line}
        for each in (comparison(tmp_path, "compare.optimizers=[adam, momentum]"), run)
    )
    common = mine.keys() & theirs.keys()
    assert len(common) >= 2 * (4 * NUM_TUNING + NUM_SEEDS), "the first trials of both, and both untuned"
    assert {name: mine[name] for name in common} == {name: theirs[name] for name in common}


def stopped(records: Iterator[Record], num_records: int) -> Path:
    """Stop a comparison dead after so many records."""
    first = next(records)
    assert isinstance(first, AnalysisStarted)
    for _, _ in zip(range(num_records), records, strict=False):
        pass
    records.close()  # type: ignore[attr-defined]
    return first.run_dir


@pytest.mark.usefixtures("slice_by_slice")
@pytest.mark.parametrize("num_records", [1, 4])
def test_stopped_dead_again_and_again(run: Path, tmp_path: Path, num_records: int) -> None:
    path = stopped(compare([write_config(tmp_path, SMALL)], [], tmp_path / "runs"), num_records)
    for _ in range(3):
        if status(path) == "done":
            break
        stopped(resume(path, []), 3 * num_records)
    if status(path) != "done":
        finish(resume(path, []))
    assert [(path / name).read_bytes() for name in BYTES] == [(run / name).read_bytes() for name in BYTES]
    assert {key: line["curve"] for key, line in cells(path).items()} == {
        key: line["curve"] for key, line in cells(run).items()
    }


def test_more_seeds_extend_a_comparison(tmp_path: Path) -> None:
    small = comparison(tmp_path, "compare.seeds=3")
    with pytest.raises(RunError, match=r"is done: .* dlx resume .* compare.seeds=N"):
        list(resume(small, []))
    with pytest.raises(UsageError, match=r"may only have more compare\.seeds"):
        list(resume(small, ["compare.trials=8"]))
    before = (small / "cells.jsonl").read_text()
    finish(resume(small, ["compare.seeds=6"]))
    assert (small / "cells.jsonl").read_text().startswith(before)
    assert read(small) == read(comparison(tmp_path / "whole"))


def test_a_changed_config_is_refused(tmp_path: Path) -> None:
    path = stopped(compare([write_config(tmp_path, SMALL)], [], tmp_path / "runs"), 1)
    config = path / "config.resolved.yaml"
    config.write_text(config.read_text().replace("batch_size: 16", "batch_size: 20"))
    with pytest.raises(CheckpointError, match="search anew with: dlx compare-optimizers"):
        list(resume(path, []))


def test_ranges_are_extended_for_one_and_trials_added_for_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rates that are all far too low: the highest is the best, twice."""
    monkeypatch.setattr(SGD, "search_space", (Searched("lr", 1e-6, 1e-4),))
    result = read(comparison(tmp_path))
    assert {len(arm["searches"][0]["trials"]) for arm in result["arms"]} == {4 + 4 + 4}
    sgd = next(arm for arm in result["arms"] if arm["name"] == "sgd")
    assert sgd["at_edge"] == ["lr"]
    assert sgd["searches"][0]["edges"] == {"lr": "high"}
    assert sgd["searches"][0]["space"] == [{"key": "lr", "low": 1e-6, "high": 1e-2, "is_complement": False}]
    assert sgd["space"] == sgd["searches"][0]["space"]


def test_an_arm_whose_every_trial_fails_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SGD, "search_space", (Searched("lr", 1e9, 1e12),))
    result = read(comparison(tmp_path, "data={name: diabetes, split: {valid: 0.2}}", "model=linear", "loss=mse"))
    sgd, momentum, _ = result["arms"]
    assert sgd["tuned"] is sgd["verdict"] is sgd["searches"][0]["best"] is None
    assert sgd["failed_share"] == 1
    assert momentum["tuned"] is not None
    assert "sgd" not in result["better"]["arms"]


def test_where_every_arm_fails_the_command_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SGD, "search_space", (Searched("lr", 1e9, 1e12),))
    overrides = ["data={name: diabetes, split: {valid: 0.2}}", "model=linear", "loss=mse"]
    path = comparison(tmp_path, *overrides, "compare.optimizers=[{name: sgd, lr: 1e9}]", diverges=True)
    assert read(path)["status"] == "diverged"


def test_several_searches(tmp_path: Path) -> None:
    """Each has trials and a winner of its own; a seed's loss is the median over them."""
    path = comparison(tmp_path, "compare.studies=3", "compare.optimizers=[sgd, momentum]")
    lines = cells(path)
    for arm in read(path)["arms"]:
        winners = [search["best"] for search in arm["searches"]]
        assert len(winners) == 3
        assert arm["tuned"]["loss"]["values"] == pytest.approx(
            [statistics.median(final(lines[trial, seed]) for trial in winners) for seed in range(2, 8)]
        )


FULL_BATCHES = ["data={name: diabetes, split: {valid: 0.2}}", "model=linear", "loss=mse", "training.batch_size=full"]
SHORT = ["compare.trials=2", "compare.seeds=2", "compare.tuning_seeds=1"]


def test_other_rules_can_race(tmp_path: Path) -> None:
    """More than first-order rules, and a closed form."""
    path = comparison(tmp_path, *FULL_BATCHES, "compare.optimizers=[lbfgs, evolution, least_squares, sgd]", *SHORT)
    arms = {arm["name"]: arm for arm in read(path)["arms"]}
    assert read(path)["reference"] == "lbfgs"
    assert arms["sgd"]["gradients_per_step"] == 1
    assert arms["evolution"]["gradients_per_step"] == pytest.approx(28 / 3)
    assert arms["lbfgs"]["gradients_per_step"] > 1
    (only,) = arms["least_squares"]["searches"][0]["trials"]
    assert only["values"] == {"name": "least_squares"}


@pytest.mark.slow
def test_newton_and_torchs_own_can_race(tmp_path: Path) -> None:
    """Both import what takes seconds."""
    path = comparison(tmp_path, *FULL_BATCHES, "compare.optimizers=[newton, {name: torch, class: NAdam}]", *SHORT)
    arms = {arm["name"]: arm for arm in read(path)["arms"]}
    assert list(arms) == ["newton", "torch NAdam"]
    assert arms["torch NAdam"]["gradients_per_step"] == 1
    assert arms["newton"]["gradients_per_step"] == 1 + 2 * read(path)["protocol"]["num_parameters"]


def test_several_problems(tmp_path: Path) -> None:
    first = write_config(tmp_path, SMALL)
    second = write_config(tmp_path, SMALL.replace("name: small", "name: wide").replace("[4]", "[6]"), "wide.yaml")
    path = finish(compare([first, second], ["compare.seeds=2"], tmp_path / "runs"))
    result = read(path)
    assert [problem["name"] for problem in result["problems"]] == ["small", "wide"]
    assert "profile" not in result["across"]
    assert "tests" not in result["across"]
    folder = path / "problems" / "02-wide"
    line = next(iter(cells(folder).values()))
    list(repeat_cell(folder, line["id"], tmp_path / "alone"))
    before = result["problems"][0]
    finish(resume(path, ["compare.seeds=3"]))
    assert [len(problem["protocol"]["seeds"]) for problem in read(path)["problems"]] == [3, 3]
    assert read(path)["problems"][0]["arms"][0]["searches"] == before["arms"][0]["searches"]


def test_problems_of_one_name_are_refused(tmp_path: Path) -> None:
    config = write_config(tmp_path, SMALL)
    with pytest.raises(UsageError, match="two configs are called `small`"):
        next(compare([config, config], [], tmp_path / "runs"))
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("change", ["reference: adam", "part: train", "score: best"])
def test_problems_that_are_judged_in_different_ways_are_refused(tmp_path: Path, change: str) -> None:
    """Their losses would stand in one table, and their verdicts be counted against one reference."""
    other = SMALL.replace("name: small", "name: other").replace("trials: 4", f"trials: 4, {change}")
    configs = [write_config(tmp_path, SMALL), write_config(tmp_path, other, "other.yaml")]
    name, value = change.split(": ")
    key = f"compare.{name}"
    with pytest.raises(UsageError, match=rf"{key} is \w+ in small but \w+ in other"):
        load_problems(configs, [], [])
    assert len(load_problems(configs, [f"{key}={value}"], [])) == 2


def test_an_invalid_entry_is_the_only_fault_of_its_list(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        load_problems([write_config(tmp_path, SMALL)], ["compare.optimizers=[adma]"], [])
    assert "there is no optimizer `adma`" in str(error.value)
    assert "at least 1 entry" not in str(error.value)


def test_a_time_series_has_one_split_for_all_seeds(tmp_path: Path) -> None:
    result = read(comparison(tmp_path, "data.split={time_series: true}", "compare.optimizers=[sgd, momentum]"))
    assert result["protocol"]["split"] == "ordered"
    assert len({*result["untrained"].values()}) > 1  # the initial weights vary


def test_without_a_target_nothing_reaches_it_and_steps_are_those_of_a_whole_run(tmp_path: Path) -> None:
    """The reference diverges at once, so its own few steps say nothing of an epoch."""
    bad = "compare.optimizers=[{name: torch, class: SGD, lr: 1e30, momentum: 0.9}, adam]"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dlx.core.definition.FirstOrder.search_space", (Searched("lr", 1e29, 1e30),))
        result = read(comparison(tmp_path, bad, "compare.reference=torch SGD"))
    failed, adam = result["arms"]
    assert failed["untuned"]["num_diverged"] == NUM_SEEDS
    assert result["target"] is None
    assert adam["untuned"]["steps_to_target"]["values"] == [None] * NUM_SEEDS
    assert adam["untuned"]["reached"] == 0
    assert result["protocol"]["steps_per_epoch"] == 3
    assert {arm["num_steps"] for arm in result["arms"]} == {9}


def test_of_two_searches_the_target_is_reached_in_both(tmp_path: Path) -> None:
    result = read(comparison(tmp_path, "compare.studies=2", "compare.optimizers=[momentum]"))
    assert result["arms"][0]["tuned"]["reached"] > 0.5


FAULTS = [
    (["compare.reference=adagrad"], r"`adagrad` does not take part.*known: sgd, momentum, adam"),
    (["compare.optimizers=[sgd, sgd]"], r"compare.optimizers.*the optimizer `sgd` is given twice"),
    (["compare.optimizers=[sgd, {name: sgdd}]"], r"there is no optimizer `sgdd`"),
    (["compare.optimizers=[sgd, least_squares]"], r"compare.optimizers.*least_squares"),
    (["compare.optimizers=[]"], r"compare.optimizers"),
    (["compare.protocol=slow"], r"compare.protocol"),
    (["compare.seeds=0"], r"compare.seeds"),
    (["data.split.valid=0"], r"tuned by the validation loss, but data.split.valid is 0"),
    (["data.split.test=0"], r"but data.split.test is 0"),
    (["compare.trial=3"], r"compare.trial.*did you mean"),
]


@pytest.mark.parametrize(("overrides", "message"), FAULTS, ids=lambda value: str(value)[:40])
def test_faults(tmp_path: Path, overrides: Sequence[str], message: str) -> None:
    with pytest.raises(ConfigError, match=rf"(?s){message}"):
        next(compare([write_config(tmp_path, SMALL)], overrides, tmp_path / "runs"))
    assert not (tmp_path / "runs").exists()


def test_optimizers_of_one_name_are_told_apart_by_what_differs(tmp_path: Path) -> None:
    optimizers = "compare.optimizers=[{name: adam, rho1: 0.5}, adam, sgd]"
    (problem,) = load_problems([write_config(tmp_path, SMALL)], [optimizers, "compare.reference=adam rho1=0.9"], [])
    assert problem.contest.names == ("adam rho1=0.5", "adam rho1=0.9", "sgd")
    assert problem.contest.reference == "adam rho1=0.9"


def test_the_names_of_torch_optimizers_hold_what_differs_alone(tmp_path: Path) -> None:
    own = ("SGD", "SGD, momentum: 0.9", "Adam")
    optimizers = f"compare.optimizers=[{', '.join(f'{{name: torch, class: {each}}}' for each in own)}]"
    (problem,) = load_problems([write_config(tmp_path, SMALL)], [optimizers], [])
    first, second, third = problem.contest.names
    assert second == "torch SGD momentum=0.9"
    assert first == "torch SGD momentum=0"
    assert third == "torch Adam"


def test_a_fixed_split_stays(tmp_path: Path) -> None:
    (problem,) = load_problems([write_config(tmp_path, SMALL)], ["data.split.seed=4"], [])
    assert problem.contest.experiment.data.split.seed == 4
    assert "one for all seeds" in compare_optimizers.describe_comparison([problem.contest])["splits"]
