"""Successive halving of whole searches: who goes on, and that it changes nothing of what is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from search.studies import MOONS, Search, by_place

from dlx.commands.search_results import judge_study
from dlx.search.halving import all_rungs
from dlx.search.study import Study

STOPPING = MOONS.replace("early_stopping: null", "early_stopping: {patience: 1}").replace("epochs: 4", "epochs: 9")
SPACE = "space: {optimizer.lr: [0.05, 0.3, 0.001, 1.0, 0.01, 3.0], model.hidden: [[5], [9], [3]]}"
BUDGETS = {
    "halving": "budget: halving, factor: 2, min_epochs: 2",
    "thirds": "budget: halving, min_epochs: 1",
    "hyperband": "budget: hyperband, factor: 2, min_epochs: 2, method: random, trials: 14",
}


def mean_score(study: Study, trial: int, epochs: int) -> float:
    places = by_place(study.journal.cells.values()).items()
    lines = [line for (number, budget, *_), line in places if (number, budget) == (trial, epochs)]
    assert len(lines) == 3
    return sum(line["test"]["accuracy"] for line in lines) / 3


@pytest.mark.parametrize("budget", ["halving", "thirds"])
@pytest.mark.parametrize("text", [MOONS, STOPPING], ids=["fixed", "early stopping"])
def test_survivors_are_the_best_at_their_budget(tmp_path: Path, text: str, budget: str) -> None:
    study = Search(tmp_path, f"{{{SPACE}, {BUDGETS[budget]}}}", text).run()
    rungs = all_rungs(study.setup.search, study.setup.experiment.training.epochs)
    assert len(rungs) > 1
    left = set(range(18))
    for rung, later in zip(rungs, [*rungs[1:], None], strict=True):
        at_rung = {line["trial"] for line in study.journal.cells.values() if line["epochs"] == rung}
        assert at_rung == left, "they and no others, whatever stopped early"
        kept = {number for number in left if study.budgets[number] > rung}
        if later is None:
            assert kept == set()
            break
        assert len(kept) == -(-len(left) // study.setup.search.factor)
        scores = {number: mean_score(study, number, rung) for number in left}
        assert min(scores[number] for number in kept) >= max(scores[number] for number in left - kept)
        left = kept


@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.parametrize(
    "text", [pytest.param(MOONS, marks=pytest.mark.slow), STOPPING], ids=["fixed", "early stopping"]
)
def test_survivors_end_as_in_a_full_search_and_the_dropped_as_in_a_shorter_one(
    tmp_path: Path, text: str, budget: str
) -> None:
    halved = Search(tmp_path / "halved", f"{{{SPACE}, {BUDGETS[budget]}}}", text).run()
    more = BUDGETS[budget].partition("2, ")[2].partition("2, ")[2] or "method: grid"
    for rung in sorted({line["epochs"] for line in halved.journal.cells.values()}):
        config = text.replace("epochs: 4", f"epochs: {rung}").replace("epochs: 9", f"epochs: {rung}")
        full = Search(tmp_path / str(rung), f"{{{SPACE}, {more}}}", config).run()
        at_rung = {name: line for name, line in halved.journal.cells.items() if line["epochs"] == rung}
        assert at_rung
        # Of equal cells the first trial that is trained has the line, which Hyperband trains in another order.
        at_rung = {name: {**line, "trial": None} for name, line in at_rung.items()}
        assert at_rung == {name: {**full.journal.cells[name], "trial": None} for name in at_rung}


@pytest.mark.slow
def test_cells_of_every_rung_are_those_of_a_training_alone(tmp_path: Path) -> None:
    search = Search(tmp_path, f"{{{SPACE}, {BUDGETS['halving']}}}", STOPPING)
    lines = list(search.run().journal.cells.values())
    assert {line["stop_reason"] for line in lines} == {"patience", "max_epochs"}
    assert search.differing(lines[::5]) == []


@pytest.mark.parametrize("rates", [[1e30, 1e35, 1e36, 1e37], [1e30]], ids=["all diverge", "the one trial diverges"])
def test_where_all_diverge_none_goes_on(tmp_path: Path, rates: list[float]) -> None:
    text = MOONS.replace("two_moons, num_examples: 67", "diabetes").replace("binary_cross_entropy", "mse")
    space = f"{{space: {{optimizer.lr: {rates}}}, budget: halving, factor: 2, min_epochs: 1}}"
    study = Search(tmp_path, space, text).run()
    assert {line["stop_reason"] for line in study.journal.cells.values()} == {"diverged"}
    assert set(study.budgets.values()) == {1}
    judged = judge_study(study.setup, study)
    assert judged["selection"]["best"] is None
    assert [trial["status"] for trial in judged["trials"]] == ["diverged"] * len(rates)
    assert study.num_done == 3 * len(rates)
    assert study.best is None


def test_one_trial_goes_through_all_rungs(tmp_path: Path) -> None:
    study = Search(tmp_path, "{budget: halving, factor: 2}").run()
    assert study.budgets == {0: 4}
    assert sorted(line["epochs"] for line in study.journal.cells.values()) == [1, 1, 1, 2, 2, 2, 4, 4, 4]
    assert judge_study(study.setup, study)["trials"][0]["status"] == "done"


def test_what_diverges_is_dropped_and_the_rest_goes_on(tmp_path: Path) -> None:
    text = MOONS.replace("two_moons, num_examples: 67", "diabetes").replace("binary_cross_entropy", "mse")
    space = "{space: {optimizer.lr: [1.0e+30, 0.01, 1.0e+31, 0.02]}, budget: halving, factor: 2, min_epochs: 1}"
    study = Search(tmp_path, space, text).run()
    assert study.budgets[0] == study.budgets[2] == 1
    assert sorted([study.budgets[1], study.budgets[3]]) == [2, 4]
    ranks: list[Any] = [trial["status"] for trial in judge_study(study.setup, study)["trials"]]
    assert sorted(ranks) == ["diverged", "diverged", "done", "dropped"]
