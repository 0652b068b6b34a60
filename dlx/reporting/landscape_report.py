"""Writes report.md of a landscape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dlx.reporting.gallery import Picture
from dlx.reporting.landscape_tables import landscape_sentences, landscape_tables
from dlx.reporting.report import replace_file, shown_pictures
from dlx.reporting.tables import escape, markdown

HOW = {
    "random": (
        "The plane goes through the weights along two random directions, each of whose filters (the rows of every "
        "matrix of weights) is as long as that of the weights; biases do not move (Li et al., 2018)."
    ),
    "through": (
        "Line or plane go through the weights; their axes are orthonormal, so distances are those in the space of "
        "parameters (Garipov et al., 2018)."
    ),
    "surface": (
        "The surface is drawn on its box, in the plane of its first two variables; any others stay where the start "
        "has them, and paths are shown without them."
    ),
}


def write_landscape_report(
    run_dir: Path, result: dict[str, Any], facts: Mapping[str, str], pictures: Sequence[Picture], again: str
) -> None:
    """Write report.md into the run directory.

    Args:
        run_dir: The run directory.
        result: Content of result.json.
        facts: What was looked at, by name.
        pictures: The figures that were drawn.
        again: The command line that repeats the run.

    Raises:
        RunError: If the file cannot be written.
    """
    sections = {
        "What was looked at": [*(f"- {escape(key)}: {escape(value)}\n" for key, value in facts.items())],
        "How": [HOW[result["kind"]] + "\n"],
        "Numbers": [markdown(table) + "\n" for table in landscape_tables(result)],
        "What they say": [" ".join(map(escape, landscape_sentences(result))) + "\n"],
        "Figures": list(shown_pictures(pictures)),
        "Repeat it": [f"```sh\n{again}\n```\n"],
    }
    kept = (f"## {title}\n\n{''.join(parts).rstrip()}\n" for title, parts in sections.items() if parts)
    text = "\n".join([f"# {escape(str(result['name']))}: landscape\n", *kept])
    replace_file(run_dir / "report.md", text.encode())
