"""Writes report.md of a race on an analytic surface."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dlx.reporting.gallery import Picture
from dlx.reporting.race_sentences import race_sentences
from dlx.reporting.race_tables import LABEL, race_tables
from dlx.reporting.report import replace_file, shown_pictures
from dlx.reporting.tables import escape, markdown

HOW = (
    "Every rule goes down from the usual start and from points drawn evenly from the surface's box, the same for all, "
    "in float64. A path arrives at a minimum when it stays within a hundredth of the distance that there was at its "
    "start; a path that never arrives counts as infinite, and so does the value of one that diverges, and both take "
    "part in medians. At rest elsewhere is an end from which Newton's step is as short. For the learning rates "
    "everything else stays as written."
)
FILES = (
    "`paths.csv` has the paths from the usual start, `starts.csv` what became of each rule from each start, "
    "`race.json` what the figures show."
)


def write_race_report(
    run_dir: Path, result: dict[str, Any], facts: Mapping[str, str], pictures: Sequence[Picture], again: str
) -> None:
    """Write report.md into the run directory.

    Args:
        run_dir: The run directory.
        result: Content of result.json.
        facts: What raced, by name.
        pictures: The figures that were drawn.
        again: The command line that repeats the run.

    Raises:
        RunError: If the file cannot be written.
    """
    sections = {
        "What raced": [*(f"- {escape(key)}: {escape(value)}\n" for key, value in facts.items())],
        "How": [f"{HOW}\n\n{FILES}\n"],
        "Numbers": [markdown(table) + "\n" for table in race_tables(result)],
        "What they say": [" ".join(map(escape, race_sentences(result))) + "\n"],
        "Figures": list(shown_pictures(pictures)),
        "Repeat it": [f"```sh\n{again}\n```\n"],
    }
    kept = (f"## {title}\n\n{''.join(parts).rstrip()}\n" for title, parts in sections.items() if parts)
    heading = f"# {escape(str(result['name']))}: optimizers on an analytic surface\n\n**{LABEL}**\n"
    replace_file(run_dir / "report.md", "\n".join([heading, *kept]).encode())
