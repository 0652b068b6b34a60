"""Draws how important each hyperparameter of a search is."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.figure import Figure

from dlx.reporting.drawing import COLOURS, panels
from dlx.reporting.search_tables import HELD_OUT
from dlx.reporting.search_trials import Result, end_of_key
from dlx.reporting.tables import shorten

MAX_BARS = 15
"""Hyperparameters that are drawn, at most."""


def draw(result: Result, importance: Mapping[str, float]) -> Figure:
    """Draw the importance of each hyperparameter as a bar, the largest on top.

    Args:
        result: Content of result.json.
        importance: Share of each key, from 0 to 1.
    """
    shares = sorted(importance.items(), key=lambda pair: -pair[1])
    shown = shares[:MAX_BARS]
    names = [end_of_key(key) for key, _ in shown]
    left = 0.35 + 0.078 * max(map(len, names))
    note = f"how much of the variation of the {HELD_OUT} {result['score']['name']} between trials\neach explains alone"
    note += f"; the {MAX_BARS} largest of {len(shares)}" if len(shares) > MAX_BARS else " (functional ANOVA)"
    title = f"{shorten(result['name'], 24)}: importance of hyperparameters"
    figure, (axes,) = panels(max(4.0 + left, 5.8), 0.9 + 0.34 * len(shown), title, note, left=left)
    places = range(len(shown))
    axes.barh(places, [share for _, share in shown], height=0.62, color=COLOURS[0], gid="shares")
    axes.set_yticks(places, names, fontsize=9, parse_math=False)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    axes.set(xlim=(0, 1.14 * max(shown[0][1], 1e-9)), ylim=(len(shown) - 0.45, -0.55))
    axes.set_xlabel("relative importance")
    axes.xaxis.set_major_formatter(lambda share, _: f"{100 * share:g} %")
    for place, (_, share) in zip(places, shown, strict=True):
        axes.text(share, place, f" {100 * share:.0f} %", va="center", fontsize=8.5)
    return figure


def sentence(importance: Mapping[str, float]) -> str:
    """Say what is to be seen."""
    key, share = max(importance.items(), key=lambda pair: pair[1])
    return (
        f"{key} explains the most, {100 * share:.0f} %. Importance depends on the space: what was tried over too small "
        "a range looks unimportant, and with few trials the shares are rough."
    )
