"""``dlx evaluate``: the best weights of every seed of a run, scored on its own part of the data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dlx.commands.results import summarise_members
from dlx.commands.trained import load_trained
from dlx.engine.evaluation import score_members
from dlx.tracking.files import finite


def evaluate(
    path: Path, part: str | None = None, device: str | None = None, plugins: Sequence[Path] = ()
) -> dict[str, Any]:
    """Score the best weights of every seed that did not diverge, as the end of the training did.

    Args:
        path: The run directory of a training, or of a search that trained what it chose.
        part: ``train``, ``valid`` or ``test``; by default the last that there is.
        device: Where to compute; by default as the run's config says.
        plugins: The files of definitions that the run was begun with.

    Returns:
        Plain values: ``part``; ``members``, each with its seed and scores; ``summary``, mean and standard deviation
        over the seeds; ``left_out``, why a seed is not among them; ``is_same``, whether result.json has the same
        scores to the last bit, and ``largest_difference`` if not (None where it has none of this part).

    Raises:
        DlxError: For everything that a user can mend.
    """
    trained = load_trained(path, device, plugins)
    part = trained.require_part(part)
    data = trained.plan.device_examples()
    scored = score_members(trained.members, trained.weights, data, [part])
    members = [{"seed": cell.seed, part: scores[part]} for cell, scores in scored.items()]
    pairs = [
        (value, noted.get(name))
        for member in finite(members)
        if isinstance(noted := trained.noted.get(member["seed"], {}).get(part), dict)
        for name, value in member[part].items()
    ]
    return {
        "schema": 1,
        "command": "evaluate",
        "run": str(path),
        "part": part,
        "loss": trained.plan.experiment.loss.name,
        "metrics": [metric.name for metric in trained.plan.experiment.metrics],
        "num_examples": len(getattr(trained.members[0].parts, part)),
        "members": members,
        "summary": summarise_members(members)[part],
        "left_out": {str(seed): why for seed, why in trained.left_out.items()},
        "is_same": all(one == other for one, other in pairs) if pairs else None,
        "largest_difference": max((_difference(*pair) for pair in pairs), default=None),
    }


def _difference(one: float | None, other: float | None) -> float:
    return abs(one - other) if one is not None and other is not None else 0.0 if one is other else float("inf")
