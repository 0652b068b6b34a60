"""Draws the held-out score of a search over pairs of hyperparameters."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from dlx.reporting.drawing import Floats, panels
from dlx.reporting.search_axes import (
    BEST,
    CHOSEN,
    DIVERGED,
    DROPPED,
    LABEL_INCHES,
    LEGEND_ROOM,
    MARKS,
    KeyAxis,
    ScoreAxis,
    key_axis,
    mark,
    mark_legend,
    num_beyond,
    score_axis,
    score_words,
)
from dlx.reporting.search_tables import HELD_OUT
from dlx.reporting.search_trials import Result, Trial, find_trial, scored
from dlx.reporting.tables import format_number, shorten

MAX_KEYS = 4
"""Hyperparameters of which all pairs are drawn, at most."""
MAX_WRITTEN = 6, 4, 9
"""Columns of the only map, columns of one among several, and rows, in whose cells scores are written, at most."""


def draw(result: Result, keys: Sequence[str]) -> Figure:
    """Draw a map of each pair of keys: cells where both have listed values, else a mark for each trial.

    Args:
        result: Content of result.json, with a trial that is done.
        keys: Keys of its space, the most important first; two at least.
    """
    axes_of_keys = [key_axis(result, key) for key in keys[:MAX_KEYS]]
    pairs = [_with_long_labels_up(*pair) for pair in itertools.combinations(axes_of_keys, 2)]
    columns = min(len(pairs), 3)
    rows = -(-len(pairs) // columns)
    left = 0.6 + LABEL_INCHES * max(up.longest for _, up in pairs)
    depth = max(across.depth for across, _ in pairs)
    width = (5.4 if columns == 1 else 2.9) + left
    note = _note(result, pairs, len(keys))
    title = f"{shorten(result['name'], 24)}: score over pairs of hyperparameters"
    figure, panels_ = panels(
        width, (4.0 if columns == 1 else 3.1) + depth, title, note, rows, columns,
        left=left, bottom=0.55 + depth, room=LEGEND_ROOM,
    )  # fmt: skip
    trials = scored(result)
    scores = score_axis(
        [trial["score"]["mean"] for trial in trials], higher_is_better=result["score"]["higher_is_better"]
    )
    norm = (LogNorm if scores.is_log else Normalize)(scores.low, scores.high)
    for panel in panels_[len(pairs) :]:
        panel.remove()
    for panel, (across, up) in zip(panels_, pairs, strict=False):
        across.show(panel.xaxis, is_below=True)
        up.show(panel.yaxis, is_below=False)
        if _is_map(across, up):
            _draw_cells(panel, result, Cells(across, up), norm, len(pairs))
        else:
            _draw_marks(panel, result, across, up, norm)
    _add_bar(figure, panels_, result, norm, scores)
    mark_legend(figure, note, _kinds(result, pairs))
    return figure


def _with_long_labels_up(first: KeyAxis, second: KeyAxis) -> tuple[KeyAxis, KeyAxis]:
    """Put the key whose labels are longer on the axis where they lie flat."""
    return (second, first) if first.longest * len(first.ticks) > second.longest * len(second.ticks) else (first, second)


def _is_map(across: KeyAxis, up: KeyAxis) -> bool:
    return across.places is not None and up.places is not None


def _note(result: Result, pairs: Sequence[tuple[KeyAxis, KeyAxis]], num_keys: int) -> str:
    lines = [f"brighter is better; {_what(pairs, num_keys, score_words(result))}"]
    if num_keys > 2:
        lines.append("the other hyperparameters vary, too")
    if num_keys > MAX_KEYS:
        lines[-1] += f"; the {MAX_KEYS} most important of {num_keys}"
    return "\n".join(lines)


def _what(pairs: Sequence[tuple[KeyAxis, KeyAxis]], num_keys: int, score: str) -> str:
    kinds = {_is_map(*pair) for pair in pairs}
    texts = [f"a cell: {score}{', the best of those in it' if num_keys > 2 else ''}"] if True in kinds else []
    texts += [f"a mark: {score}"] if False in kinds else []
    return "; ".join(texts)


def _kinds(result: Result, pairs: Sequence[tuple[KeyAxis, KeyAxis]]) -> dict[str, str]:
    kinds = {BEST: BEST, CHOSEN: CHOSEN}
    statuses = {trial["status"] for trial in result["trials"]}
    return kinds | {kind: kind for kind in (DROPPED, DIVERGED) if kind in statuses}


@dataclass(frozen=True)
class Cells:
    """The cells of a map of two keys.

    Attributes:
        across: The key along the map.
        up: The key up the map.
    """

    across: KeyAxis
    up: KeyAxis

    @property
    def edges(self) -> tuple[Floats, Floats]:
        """Bounds of the columns and of the rows."""
        return _edges(self.across), _edges(self.up)

    def find(self, trial: Trial) -> tuple[int, int]:
        """Give row and column of a trial."""
        x_edges, y_edges = self.edges
        row = np.searchsorted(y_edges, self.up.place(trial)) - 1
        return int(row), int(np.searchsorted(x_edges, self.across.place(trial)) - 1)

    def best_scores(self, result: Result) -> Floats:
        """Give the score of the best trial in each cell, NaN where there is none."""
        x_edges, y_edges = self.edges
        scores = np.full((len(y_edges) - 1, len(x_edges) - 1), np.nan)
        for trial in reversed(scored(result)):  # the best last, to stay
            scores[self.find(trial)] = trial["score"]["mean"]
        return scores


def _edges(axis: KeyAxis) -> Floats:
    """Give the bounds of the cells around the values of an axis."""
    places = np.array(sorted((axis.places or {}).values()))
    middles = (places[1:] + places[:-1]) / 2
    return np.array([axis.limits[0], *middles, axis.limits[1]])


def _draw_cells(axes: Axes, result: Result, cells: Cells, norm: Normalize, num_panels: int) -> None:
    scores = cells.best_scores(result)
    axes.grid(visible=False)
    picture = axes.pcolormesh(
        *cells.edges, np.ma.masked_invalid(scores), cmap=_colour_map(result), norm=norm, edgecolor="white",
        linewidth=0.8, gid=f"{cells.across.key} {cells.up.key}",
    )  # fmt: skip
    rows, columns = scores.shape
    is_written = columns <= MAX_WRITTEN[0 if num_panels == 1 else 1] and rows <= MAX_WRITTEN[2]
    if is_written:
        digits = 4 if num_panels == 1 else 3
        _write_scores(axes, cells, scores, lambda score: _readable(picture.cmap(norm(score))), digits)
    for trial in result["trials"]:
        if trial["status"] in (DROPPED, DIVERGED) and np.isnan(scores[cells.find(trial)]):
            mark(axes, cells.across.place(trial), cells.up.place(trial), trial["status"])
    for which in (BEST, CHOSEN):
        trial = find_trial(result, which)
        if trial is not None and is_written:
            _mark_corner(axes, which, cells, trial)
        elif trial is not None:
            mark(axes, cells.across.place(trial), cells.up.place(trial), which, gid=which)


def _write_scores(axes: Axes, cells: Cells, scores: Floats, colour: Callable[[float], str], digits: int) -> None:
    x_edges, y_edges = cells.edges
    for (row, column), score in np.ndenumerate(scores):
        if np.isfinite(score):
            centre = x_edges[column : column + 2].mean(), y_edges[row : row + 2].mean()
            text = format_number(float(score), digits)
            axes.text(*centre, text, ha="center", va="center", fontsize=8.5, color=colour(float(score)))


def _mark_corner(axes: Axes, which: str, cells: Cells, trial: Trial) -> None:
    """Put a mark into an upper corner of a trial's cell: the best at the right, the chosen at the left."""
    import matplotlib.transforms

    (row, column), (x_edges, y_edges) = cells.find(trial), cells.edges
    is_best = which == BEST
    shift = matplotlib.transforms.ScaledTranslation((-9 if is_best else 9) / 72, -9 / 72, axes.figure.dpi_scale_trans)
    mark(
        axes, x_edges[column + is_best], y_edges[row + 1], which, transform=axes.transData + shift, gid=which,
        markersize=12 if is_best else 7, markerfacecolor=MARKS[BEST]["color"] if is_best else "white",
    )  # fmt: skip


def _readable(colour: Sequence[float]) -> str:
    """Choose black or white to be read on a colour, by its luminance."""
    red, green, blue = colour[:3]
    return "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 else "white"


def _draw_marks(axes: Axes, result: Result, across: KeyAxis, up: KeyAxis, norm: Normalize) -> None:
    for trial in result["trials"]:
        if trial["status"] in (DROPPED, DIVERGED):
            mark(axes, across.place(trial), up.place(trial), trial["status"])
    trials = list(reversed(scored(result)))  # the best on top
    axes.scatter(
        [across.place(trial) for trial in trials], [up.place(trial) for trial in trials], s=42,
        c=[trial["score"]["mean"] for trial in trials], cmap=_colour_map(result), norm=norm, edgecolor="black",
        linewidth=0.6, zorder=4, gid=f"{across.key} {up.key}",
    )  # fmt: skip
    for which in (BEST, CHOSEN):
        for trial in trials:
            if trial["trial"] == result["selection"][which]:
                mark(axes, across.place(trial), up.place(trial), which, gid=which)


def _colour_map(result: Result) -> str:
    return "viridis" if result["score"]["higher_is_better"] else "viridis_r"


def _add_bar(figure: Figure, axes: Sequence[Axes], result: Result, norm: Normalize, scores: ScoreAxis) -> None:
    """Add one bar of colours for all panels, at the right."""
    import matplotlib.cm

    width = figure.get_figwidth()
    figure.subplots_adjust(right=1 - 1.4 / width)
    place = axes[0].get_position()
    bar_axes = figure.add_axes((1 - 1.2 / width, place.y0, 0.14 / width, place.height), gid="colours")
    beyond = num_beyond([trial["score"]["mean"] for trial in scored(result)], scores)
    extend = "neither" if not beyond else "min" if result["score"]["higher_is_better"] else "max"
    bar = figure.colorbar(matplotlib.cm.ScalarMappable(norm, _colour_map(result)), cax=bar_axes, extend=extend)
    bar.outline.set_visible(False)
    bar_axes.tick_params(labelsize=8)
    bar_axes.set_title(f"{HELD_OUT}\n{result['score']['name']}", fontsize=8.5, loc="left", parse_math=False)


def sentence(keys: Sequence[str]) -> str:
    """Say what is to be seen."""
    others = " The other hyperparameters vary, too, so that neighbours may differ by them." if len(keys) > 2 else ""
    return (
        "Where the bright region lies aslant, two hyperparameters act together: the best value of one depends on the "
        f"other. Where it is upright or level, only one of them matters.{others}"
    )
