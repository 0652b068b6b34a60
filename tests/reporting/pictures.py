"""Draws figures as a run does, and looks at what every one of them must have."""

from __future__ import annotations

import struct
from functools import partial
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from dlx.reporting.drawing import save_figure
from dlx.reporting.report import escape


def drawn(module: Any, values: dict[str, Any], folder: Path, name: str = "odd $\\frac$ 数字") -> Figure:
    """Draw a figure and save it; a warning would be an error. Its axes are named, its title says what it is."""
    path = folder / "figure.png"
    save_figure(partial(module.draw, name, values), path, 60)
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert max(struct.unpack(">II", data[16:24])) < 1000, "small"
    figure: Figure = module.draw("digits", values)
    assert figure.texts[0].get_text().startswith("digits: ")
    assert all(axes.get_ylabel() for axes in figure.axes)
    assert any(axes.get_xlabel() for axes in figure.axes)
    assert len(escape(module.sentence(values))) > 40
    assert "nan" not in module.sentence(values).split()
    return figure


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes if axes.get_legend() for text in axes.get_legend().get_texts()]
