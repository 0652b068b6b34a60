"""Maps of two hyperparameters: cells of a grid, marks of what was drawn at random."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection, QuadMesh
from reporting.searches import CASES, LONG, MIXED, SECTIONS, TWO, grid, quality, random_values, searched

from dlx.reporting import search_pairs
from dlx.reporting.search_trials import keys_of


def panels(result: dict[str, Any]) -> list[Axes]:
    figure = search_pairs.draw(result, keys_of(result))
    return [axes for axes in figure.axes if axes.get_gid() != "colours"]


def mesh(axes: Axes) -> Any:
    (found,) = (each for each in axes.collections if isinstance(each, QuadMesh))
    return found.get_array()


def test_a_grid_is_a_map_of_its_scores() -> None:
    result, _ = CASES["grid"]()
    (axes,) = panels(result)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("optimizer.lr", "model.hidden")
    scores = np.array([trial["score"]["mean"] for trial in result["trials"]]).reshape(4, 3).T
    np.testing.assert_allclose(mesh(axes), scores)
    assert sorted(text.get_text() for text in axes.texts) == sorted(f"{score:.4f}" for score in scores.flat)


def test_a_score_is_written_into_its_cell() -> None:
    result, _ = CASES["grid"]()
    (axes,) = panels(result)
    for text in axes.texts:
        x, y = text.get_position()
        lr, hidden = TWO["optimizer.lr"][round(x + 4)], TWO["model.hidden"][round(y)]
        (trial,) = (t for t in result["trials"] if t["values"] == {"optimizer.lr": lr, "model.hidden": hidden})
        assert text.get_text() == f"{trial['score']['mean']:.4f}"


def test_marks_lie_in_the_cells_of_their_trials() -> None:
    result, _ = CASES["grid"]()
    (axes,) = panels(result)
    axes.figure.canvas.draw()
    for which in ("best", "chosen"):
        values = result["trials"][result["selection"][which]]["values"]
        (line,) = (line for line in axes.lines if line.get_gid() == which)
        pixels = line.get_transform().transform(line.get_xydata())
        x, y = axes.transData.inverted().transform(pixels)[0]
        assert TWO["optimizer.lr"][round(x + 4)] == values["optimizer.lr"]
        assert TWO["model.hidden"][round(y)] == values["model.hidden"]


def test_of_several_trials_a_cell_shows_the_best() -> None:
    result, _ = searched(SECTIONS, grid(SECTIONS), lambda values: 0.9 + 0.01 * (values["prior"] is None))
    found = panels(result)
    assert len(found) == 3
    for axes in found:
        best = max(trial["score"]["mean"] for trial in result["trials"])
        assert mesh(axes).max() == pytest.approx(best)
    (axes,) = (a for a in found if {a.get_xlabel(), a.get_ylabel()} == {"prior", "training.clip_norm"})
    cell = max(
        trial["score"]["mean"]
        for trial in result["trials"]
        if trial["values"]["prior"] is None and trial["values"]["training.clip_norm"] is None
    )
    assert mesh(axes)[0, 0] == pytest.approx(cell)


def test_lower_losses_are_brighter() -> None:
    result, _ = CASES["loss"]()
    (axes,) = panels(result)
    (found,) = (each for each in axes.collections if isinstance(each, QuadMesh))
    scores = np.array([trial["score"]["mean"] for trial in result["trials"]])
    light = found.cmap(found.norm(scores))[:, :3].sum(1)
    assert light[scores.argmin()] == light.max()
    assert light[scores.argmax()] == light.min()


def test_random_trials_are_marks() -> None:
    space = {key: MIXED[key] for key in ("optimizer.lr", "model.dropout")}
    result, _ = searched(space, random_values(space, 20), quality, diverged={3: 1}, dropped={4: 2})
    (axes,) = panels(result)
    (marks,) = (each for each in axes.collections if isinstance(each, PathCollection))
    found = {(round(x, 9), round(y, 9)) for x, y in np.array(marks.get_offsets())}
    done = [trial["values"] for trial in result["trials"] if trial["status"] == "done"]
    names = axes.get_xlabel(), axes.get_ylabel()
    expected = {
        tuple(round(float(np.log10(v[key])) if key == "optimizer.lr" else v[key], 9) for key in names) for v in done
    }
    assert found == expected
    assert len(found) == 18


def test_pairs_of_the_four_most_important() -> None:
    result, _ = searched(LONG, random_values(LONG, 5))
    found = {frozenset((axes.get_xlabel(), axes.get_ylabel())) for axes in panels(result)}
    names = [f"…{key[-29:]}" for key in list(LONG)[:4]]
    assert found == {frozenset(pair) for pair in itertools.combinations(names, 2)}


def test_long_labels_lie_flat() -> None:
    space = {"model.activation": ["sigmoid_linear_unit", "relu", "tanh"], "optimizer.lr": [0.1, 0.2]}
    result, _ = searched(space, grid(space))
    (axes,) = panels(result)
    assert axes.get_ylabel() == "model.activation"


def test_empty_cells_stay_empty() -> None:
    result, _ = searched(TWO, grid(TWO), quality, diverged={0: 1}, dropped={1: 2})
    (axes,) = panels(result)
    assert np.ma.getmaskarray(mesh(axes)).sum() == 2
    assert sum(line.get_marker() == "x" for line in axes.lines) == 1
