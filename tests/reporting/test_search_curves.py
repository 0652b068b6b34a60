"""Learning curves of the best and the chosen trial, over their cells."""

from __future__ import annotations

import numpy as np
import pytest
from reporting.searches import CASES, TWO, grid, quality, searched

from dlx.reporting import search_curves


def test_mean_and_spread_as_far_as_all_cells_train() -> None:
    result, cells = CASES["one trial"]()
    (axes,) = search_curves.draw(result, cells).axes
    lines = {line.get_gid(): line for line in axes.lines}
    for part in ("train", "valid"):
        curves = [line["curve"][part] for line in cells]
        shortest = min(map(len, curves))
        assert shortest < max(map(len, curves))
        stacked = np.array([curve[:shortest] for curve in curves])
        x, y = lines[f"{part}-mean"].get_data()
        assert list(x) == list(range(1, shortest + 1))
        assert y == pytest.approx(stacked.mean(0))
        (band,) = (each for each in axes.collections if each.get_gid() == f"{part}-band")
        top = band.get_paths()[0].vertices[:, 1].max()
        assert top == pytest.approx((stacked.mean(0) + stacked.std(0, ddof=1)).max())
        for number, curve in enumerate(curves):
            assert lines[f"{part}-{number}"].get_ydata() == pytest.approx(curve)
    assert lines["best-epoch"].get_xdata()[0] == np.median([line["best_epoch"] for line in cells])


def test_best_and_chosen_share_a_scale() -> None:
    result, cells = CASES["grid"]()
    figure = search_curves.draw(result, cells)
    best, chosen = result["selection"]["best"], result["selection"]["chosen"]
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == [f"trial {best} (best)", f"trial {chosen} (chosen)"]
    assert figure.axes[0].get_ylim() == figure.axes[1].get_ylim()


def test_of_many_cells_some_are_drawn_and_all_averaged() -> None:
    result, cells = CASES["leave one out"]()
    figure = search_curves.draw(result, cells)
    lines = [str(line.get_gid()) for line in figure.axes[0].lines if str(line.get_gid()).startswith("train-")]
    assert len(lines) <= search_curves.MAX_LINES + 1
    assert "over 442 cells" in figure.texts[1].get_text()


def test_one_cell_and_no_validation() -> None:
    result, cells = searched({}, [{}], folds=1)
    for line in cells:
        del line["curve"]["valid"]
    figure = search_curves.draw(result, cells)
    assert [line.get_gid() for line in figure.axes[0].lines] == ["train-0", "best-epoch"]
    assert "no mean" in figure.texts[1].get_text()
    assert "no inner validation" in search_curves.sentence(result, cells)


def test_undefined_losses_are_gaps() -> None:
    result, cells = CASES["one trial"]()
    cells[0]["curve"]["train"][2] = None
    (axes,) = search_curves.draw(result, cells).axes
    (line,) = (line for line in axes.lines if line.get_gid() == "train-0")
    assert np.isnan(line.get_ydata()[2])
    assert np.isfinite(axes.get_ylim()).all()


def test_lines_of_other_budgets_and_diverged_cells_are_left_out() -> None:
    result, cells = searched(TWO, grid(TWO), quality)
    rungs = [{**line, "epochs": 3, "curve": {"train": [9.0], "valid": [9.0]}} for line in cells]
    shown = search_curves.shown_trials(result, [*cells, *rungs])
    assert shown == search_curves.shown_trials(result, cells)
    result, cells = CASES["all diverged"]()
    assert search_curves.shown_trials(result, cells) == {}


def test_sentence() -> None:
    result, cells = CASES["one trial"]()
    epochs = [line["best_epoch"] for line in cells]
    assert f"is lowest at epoch {min(epochs)} to {max(epochs)} in the 5 cells" in search_curves.sentence(result, cells)
