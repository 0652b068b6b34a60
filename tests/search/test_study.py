"""Searches stopped, grown, repeated and halved: every line is what a search from scratch has, and nothing is trained
twice.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from search.studies import MOONS, Saved, Search, by_place, nothing_saved

from dlx.commands.search_results import judge_study
from dlx.core.errors import RunError
from dlx.core.records import Cell
from dlx.engine.fit import Program, fit_each
from dlx.search.study import Study

STOPPING = MOONS.replace("early_stopping: null", "early_stopping: {patience: 1}").replace("epochs: 4", "epochs: 9")
RATES = "optimizer.lr: [0.05, 0.3, 0.001, 1.0, 0.01]"
FULL = f"{{space: {{{RATES}}}}}"
MIXED = f"{{space: {{{RATES}, model.hidden: [[5], [9], [3]]}}, method: random, trials: 7}}"
HALVING = f"{{space: {{{RATES}, model.hidden: [[5], [3]]}}, budget: halving, factor: 2, min_epochs: 1}}"
RANGE = "optimizer.lr: {low: 0.001, high: 1.0, log: true}"
GUIDED = f"{{space: {{{RANGE}, model.hidden: [[5], [3]]}}, method: cma_es, trials: 10, batch: 4}}"
HALVED = GUIDED.replace("batch: 4", "batch: 4, budget: halving, factor: 2, min_epochs: 1")
KINDS = {"full": FULL, "mixed": MIXED, "halving": HALVING, "guided": GUIDED, "halved": HALVED}


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[Cell]:
    """The cells that programs are built for, each time."""
    cells: list[Cell] = []

    def counted(population: Any, data: Any, **how: Any) -> Program:
        cells.extend(member.cell for member in population.members)
        return Program(population, data, **how)

    monkeypatch.setattr("dlx.engine.fit.Program", counted)
    return cells


@pytest.fixture
def short_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """A standing after every step."""
    for place in ("study", "cross_validation"):
        monkeypatch.setattr(f"dlx.search.{place}.fit_each", partial(fit_each, pause=0.0))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Study]:
    """A search that was never stopped, trained once."""
    studies: dict[tuple[str, ...], Study] = {}

    def found(space: str, *overrides: str, text: str = STOPPING) -> Study:
        key = (space, text, *overrides)
        if key not in studies:
            studies[key] = Search(tmp_path_factory.mktemp("whole"), space, text).run(*overrides)
        return studies[key]

    return found


def lines_on_disk(folder: Path) -> list[str]:
    return (folder / "cells.jsonl").read_text().splitlines(keepends=True)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_in_the_journal_is_trained_again(tmp_path: Path, trained: list[Cell], kind: str) -> None:
    search = Search(tmp_path, KINDS[kind], STOPPING)
    first = search.run()
    assert trained
    files = {name: (tmp_path / name).read_bytes() for name in ("cells.jsonl", "trials.jsonl")}
    trained.clear()
    again = search.run()
    assert trained == []
    assert files == {name: (tmp_path / name).read_bytes() for name in files}
    assert judge_study(again.setup, again) == judge_study(first.setup, first)
    assert again.num_done == first.num_done == len(again.trials) * 3
    assert again.best == first.best


@pytest.mark.parametrize("kind", ["full", "mixed"])
def test_only_missing_cells_are_trained(
    tmp_path: Path, trained: list[Cell], whole: Callable[..., Study], kind: str
) -> None:
    reference, search = whole(KINDS[kind]), Search(tmp_path, KINDS[kind], STOPPING)
    cells = list(reference.journal.cells.values())
    kept = [cells[i] for i in np.random.default_rng(0).choice(len(cells), len(cells) // 2, replace=False)]
    (tmp_path / "cells.jsonl").write_text("".join(json.dumps(line) + "\n" for line in kept))
    trained.clear()
    study = search.run()
    assert study.journal.cells == reference.journal.cells
    assert len(trained) == len(set(trained)) == len(cells) - len(kept)
    places = [(cell.trial, 9, cell.repeat, cell.fold, cell.seed) for cell in trained]
    assert by_place(kept).keys().isdisjoint(places)


def test_the_best_so_far_may_have_been_found_before(tmp_path: Path) -> None:
    search = Search(tmp_path, "{space: {optimizer.lr: [0.3, 0.0001]}}")
    assert search.run().best.trial.number == 0
    kept = [line for line in lines_on_disk(tmp_path) if json.loads(line)["trial"] == 0]
    (tmp_path / "cells.jsonl").write_text("".join(kept))
    assert search.run().best.trial.number == 0


@pytest.mark.parametrize("budget", ["full", "halving"])
def test_equal_cells_are_trained_once_and_are_of_the_first_trial(
    tmp_path: Path, trained: list[Cell], budget: str
) -> None:
    space = f"{{space: {{optimizer.lr: [0.05, 0.01]}}, method: random, trials: 6, budget: {budget}, min_epochs: 1}}"
    study = Search(tmp_path, space).run()
    values = [trial.values["optimizer.lr"] for trial in study.trials]
    firsts = {values.index(0.05), values.index(0.01)}
    assert {cell.trial for cell in trained} == firsts
    assert {line["trial"] for line in study.journal.cells.values()} == firsts
    trained_at_first = trained[: 3 * len(firsts)]
    assert len(set(trained_at_first)) == len(trained_at_first), "at a later rung only the programs are built again"
    assert study.num_done == 18


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("mixed", "search.trials=11"),
        ("guided", "search.trials=14"),
        ("halved", "search.trials=14"),
        ("mixed", "cv.repeats=2"),
        ("full", "cv.repeats=2"),
        ("halving", "cv.repeats=2"),
    ],
)
def test_a_grown_search_has_the_lines_of_a_fresh_one(
    tmp_path: Path, trained: list[Cell], whole: Callable[..., Study], kind: str, more: str
) -> None:
    fresh = whole(KINDS[kind], more)
    search = Search(tmp_path, KINDS[kind], STOPPING)
    before = search.run()
    num_before = len(before.journal.cells)
    trained.clear()
    grown = search.run(more)
    assert [trial.values for trial in grown.trials] == [trial.values for trial in fresh.trials]
    assert {name: grown.journal.cells[name] for name in fresh.journal.cells} == fresh.journal.cells
    assert judge_study(grown.setup, grown) == judge_study(fresh.setup, fresh)
    assert len(grown.journal.cells) > num_before
    if "alv" not in kind:  # who survives among more is another question: there may be lines that a fresh search lacks
        assert grown.journal.cells == fresh.journal.cells
        assert len(trained) == len(fresh.journal.cells) - num_before, "no old cell is trained again"


def test_a_halved_search_that_grows_trains_no_known_rung_again(tmp_path: Path, trained: list[Cell]) -> None:
    space = HALVING.replace("budget", "method: random, trials: 4, budget")
    search = Search(tmp_path, space)
    search.run()
    trained.clear()
    search.run("search.trials=9")
    assert {cell.trial for cell in trained if cell.trial < 4} != {0, 1, 2, 3}


def test_guided_trials_are_drawn_again_from_what_was_told(
    tmp_path: Path, trained: list[Cell], whole: Callable[..., Study]
) -> None:
    """Scores that grow with repetitions must not change which trials there are."""
    search = Search(tmp_path, GUIDED, STOPPING)
    before = search.run()
    told = dict(before.journal.trials)
    grown = search.run("cv.repeats=2")
    assert [trial.values for trial in grown.trials] == [trial.values for trial in before.trials]
    assert [grown.journal.trials[None, number]["told"] for number in range(8)] == [
        told[None, number]["told"] for number in range(8)
    ]
    assert len(grown.journal.cells) == 2 * len(before.journal.cells)
    other = whole(GUIDED, "cv.repeats=2")
    assert [trial.values for trial in other.trials] != [trial.values for trial in before.trials], "told other scores"


def test_a_sampler_that_draws_otherwise_is_refused(tmp_path: Path) -> None:
    search = Search(tmp_path, GUIDED)
    search.run()
    path = tmp_path / "trials.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[4]["values"]["optimizer.lr"] *= 2
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(RunError, match=r"^trial 4 of this run had the values .* start the search anew$"):
        search.run()


CANNOT_BE = "{space: {model.batch_norm: [false, true], training.batch_size: [10, 1]}, method: random, trials: 9BUDGET}"


@pytest.mark.parametrize("budget", ["", ", budget: halving, min_epochs: 1"])
def test_invalid_trials_are_last_and_train_nothing(tmp_path: Path, trained: list[Cell], budget: str) -> None:
    study = Search(tmp_path, CANNOT_BE.replace("BUDGET", budget)).run()
    cannot = {
        trial.number for trial in study.trials if trial.values == {"model.batch_norm": True, "training.batch_size": 1}
    }
    assert 0 < len(cannot) < 9
    assert set(study.invalid) == cannot
    assert cannot.isdisjoint(cell.trial for cell in trained)
    judged = judge_study(study.setup, study)["trials"]
    invalid = [trial for trial in judged if trial["status"] == "invalid"]
    assert {trial["trial"] for trial in invalid} == cannot
    assert {trial["rank"] for trial in invalid} == set(range(10 - len(cannot), 10))
    assert all("batch" in trial["reason"] and trial["cells"] == [] for trial in invalid)
    assert [study.journal.trials[None, number]["told"] for number in cannot] == [None] * len(cannot)
    assert study.num_done == 27


def crashed(search: Search, rng: np.random.Generator, at: float) -> tuple[Saved, int]:
    """Stop dead somewhere: a state that was saved some time before, and some of the lines written since."""
    with search.study() as study:
        standings = list(study_standings(study, at, rng))
    saved, num_synced = standings[0]
    lines = lines_on_disk(search.folder)
    num_kept = int(rng.integers(num_synced, len(lines) + 1))
    (search.folder / "cells.jsonl").write_text("".join(lines[:num_kept]))
    return saved, num_kept


def study_standings(study: Study, at: float, rng: np.random.Generator) -> Iterator[tuple[Saved, int]]:
    """Go on for so many slices; give what was saved in the last of a few, and how many lines there were then."""
    slices, num_slices = study.run(), int(at)
    for number, standing in enumerate(islice(slices, num_slices)):
        if number == num_slices - int(rng.integers(1, 8)) or number == num_slices - 1:
            yield Saved(standing), len(study.journal.cells)


@pytest.mark.usefixtures("short_slices")
@pytest.mark.parametrize(
    "kind",
    [pytest.param(kind, marks=pytest.mark.slow) if kind in ("halving", "full", "guided") else kind for kind in KINDS],
)
def test_stopped_at_any_slice_it_goes_on_to_the_same_lines(
    tmp_path: Path, whole: Callable[..., Study], kind: str
) -> None:
    """Several populations in mid-training, and a set of lines that is half written."""
    reference = whole(KINDS[kind], text=MOONS)
    with Search(tmp_path / "count", KINDS[kind]).study() as study:
        num_slices = sum(1 for _ in study.run())
    rng, num_restored = np.random.default_rng(0), 0
    for number, stop in enumerate(rng.choice(np.arange(8, num_slices), 6, replace=False)):
        search = Search(tmp_path / str(number), KINDS[kind])
        saved, _ = crashed(search, rng, stop)
        study = search.run(restore=saved.restore)
        assert study.journal.cells == reference.journal.cells, f"stopped after slice {stop}"
        assert judge_study(study.setup, study) == judge_study(reference.setup, reference)
        assert study.num_done == len(study.trials) * 3
        num_restored += saved.num_restored
    assert num_restored >= 6


@pytest.mark.usefixtures("short_slices")
@pytest.mark.parametrize("kind", ["full", "halving"])
def test_cells_that_are_done_are_never_more_than_there_are(tmp_path: Path, kind: str) -> None:
    search = Search(tmp_path, KINDS[kind])
    total = search.setup().num_trials * 3
    restore = nothing_saved
    for stop in (40, 5, 10**6):
        with search.study(restore=restore) as study:
            before, saved = 0, None
            for number, standing in enumerate(islice(study.run(), stop)):
                saved = Saved(standing) if number == stop - 2 else saved
                assert before <= study.num_done <= total
                assert study.num_done + standing.epochs_done() <= total + 1e-9
                before = study.num_done
        restore = saved.restore if saved else nothing_saved
    assert study.num_done == total


@pytest.mark.usefixtures("short_slices")
@pytest.mark.parametrize("is_mid_epoch", [True, False])
def test_a_state_from_before_trials_were_dropped(
    tmp_path: Path, whole: Callable[..., Study], is_mid_epoch: bool
) -> None:
    """The rung's lines are all there: who is dropped is known, but the saved populations still hold them."""
    search, saved = Search(tmp_path, HALVING), None
    with search.study() as study:
        for standing in study.run():
            if any(line["epochs"] == 2 for line in study.journal.cells.values()):
                break
            is_before = max(study.budgets.values()) == 1
            is_between = all(not len(population.losses) for population in standing.populations)
            if is_before and is_between != is_mid_epoch:
                saved = Saved(standing)
    assert saved is not None
    study = search.run(restore=saved.restore)
    assert saved.num_restored
    assert study.journal.cells == whole(HALVING, text=MOONS).journal.cells
