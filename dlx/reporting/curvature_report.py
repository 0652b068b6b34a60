"""Writes report.md of ``dlx curvature``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dlx.reporting.curvature_sentences import curvature_headline, curvature_sentences
from dlx.reporting.curvature_tables import curvature_tables
from dlx.reporting.gallery import Picture
from dlx.reporting.report import replace_file, shown_pictures
from dlx.reporting.tables import escape, markdown

SYMBOLS = (
    "f is the function, theta the point, g the gradient and H the Hessian, the matrix of second derivatives, there; "
    "u is a direction of length 1, and eps the size of a step."
)


def write_curvature_report(
    run_dir: Path, result: dict[str, Any], facts: dict[str, str], pictures: Sequence[Picture]
) -> None:
    """Write report.md into a run directory.

    Args:
        run_dir: The run directory.
        result: Content of result.json.
        facts: What was looked at, by name.
        pictures: Figures that were drawn.

    Raises:
        RunError: If the file cannot be written.
    """
    replace_file(run_dir / "report.md", curvature_report(result, facts, pictures).encode())


def curvature_report(result: dict[str, Any], facts: dict[str, str], pictures: Sequence[Picture]) -> str:
    """Compose the report. It holds no clock values: a repeated run gives the same text."""
    sections = {
        "What was looked at": [f"- {escape(key)}: {escape(value)}\n" for key, value in facts.items()],
        "What the numbers say": [f"- {escape(sentence)}\n" for sentence in curvature_sentences(result)],
        "Numbers": [markdown(table) + "\n" for table in curvature_tables(result)],
        "Figures": list(shown_pictures(pictures)),
    }
    kept = (f"## {title}\n\n{''.join(parts).rstrip()}\n" for title, parts in sections.items() if parts)
    head = f"# {escape(str(result['name']))}: curvature\n\n{escape(curvature_headline(result))}.\n\n{escape(SYMBOLS)}\n"
    return "\n".join([head, *kept])
