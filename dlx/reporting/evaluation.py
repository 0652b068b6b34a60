"""Says what an evaluation of a run's weights found."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dlx.reporting.tables import Table, format_mean, format_number, plain


def evaluation_text(found: dict[str, Any]) -> str:
    """Write the scores by seed, their mean and deviation, and whether the run had noted the same.

    Args:
        found: As ``commands/evaluate.py`` gives it.
    """
    part, names = found["part"], ["loss", *found["metrics"]]
    rows = [
        (str(member["seed"]), *(format_number(member[part][name]) for name in names)) for member in found["members"]
    ]
    if len(rows) > 1:
        summary = found["summary"]
        rows.append(("mean", *(format_mean(summary[name]["mean"], summary[name]["std"]) for name in names)))
    title = f"best weights of {found['run']} on its {part} part, {found['num_examples']} examples"
    if len(rows) > 1:
        title += ", and mean ± standard deviation over the seeds"
    table = Table(title, ("seed", *names), tuple(rows))
    return "\n".join([*plain(table), "", *_sentences(found), ""])


def _sentences(found: dict[str, Any]) -> Iterator[str]:
    for seed, why in found["left_out"].items():
        yield f"seed {seed} is left out: {why}"
    if found["is_same"]:
        yield "the same as result.json, to the last bit"
    elif found["is_same"] is not None:
        difference = found["largest_difference"]
        yield (
            f"NOT the same as result.json: scores differ by up to {difference:.1e}; another device, machine or build "
            "of torch rounds differently, other data or weights differ by more"
        )
    else:
        yield "result.json has no scores of this part to compare with"
