"""Importance of hyperparameters: a bar each, the largest on top."""

from __future__ import annotations

from reporting.searches import CASES

from dlx.reporting import search_importance


def test_bars() -> None:
    result, _ = CASES["random"]()
    shares = {"model.hidden": 0.2, "optimizer.lr": 0.7, "prior.precision": 0.0}
    (axes,) = search_importance.draw(result, shares).axes
    bars = [bar.get_width() for bar in axes.patches]
    assert bars == [0.7, 0.2, 0.0]
    names = [text.get_text() for text in axes.get_yticklabels()]
    assert names == ["optimizer.lr", "model.hidden", "prior.precision"]
    assert axes.get_ylim()[0] > axes.get_ylim()[1], "the first is on top"
    assert [text.get_text().strip() for text in axes.texts] == ["70 %", "20 %", "0 %"]
    assert "optimizer.lr explains the most, 70 %." in search_importance.sentence(shares)


def test_so_many_bars_at_most() -> None:
    result, _ = CASES["many keys"]()
    figure = search_importance.draw(result, {f"key_{number}": 1 / (number + 2) for number in range(30)})
    assert len(figure.axes[0].patches) == search_importance.MAX_BARS
    assert "the 15 largest of 30" in figure.texts[1].get_text()
