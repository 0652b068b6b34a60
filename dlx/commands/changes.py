"""What a run that goes on may have more of; anything else is refused, with the difference shown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from dlx.config.experiment import Experiment
from dlx.core.errors import UsageError


def refuse_changes(before: Experiment, after: Experiment, growable: Mapping[str, int], command: str) -> None:
    """Refuse everything but more of a few numbers.

    Args:
        before: The config that the run had.
        after: The one that it would have.
        growable: What may grow, and the number that null stands for.
        command: The command that would begin a run with the changes.

    Raises:
        UsageError: If anything else would change, or one of the numbers would shrink.
    """
    old, new = (_leaves(each.model_dump(mode="json")) for each in (before, after))
    changed = [
        f"{key}: {old.get(key, '-')} -> {new.get(key, '-')}"
        for key in {**old, **new}
        if old.get(key) != new.get(key) and not _grows(key, old, new, growable)
    ]
    if changed:
        raise UsageError(
            f"a resumed run may only have more {' or '.join(growable)}, but this would change {'; '.join(changed)}; "
            f"begin anew with: dlx {command} config.resolved.yaml KEY=VALUE"
        )


def _grows(key: str, old: Mapping[str, str], new: Mapping[str, str], growable: Mapping[str, int]) -> bool:
    if key not in growable:
        return False
    before, after = (json.loads(leaves[key]) or growable[key] for leaves in (old, new))
    return bool(after >= before)


def _leaves(tree: Any, path: str = "") -> dict[str, str]:
    """Give the settings of a config by their keys, as in ``optimizer.lr``, each written as JSON."""
    if not isinstance(tree, dict):
        return {path: json.dumps(tree)}
    return {
        key: leaf for name, value in tree.items() for key, leaf in _leaves(value, f"{path}.{name}".strip(".")).items()
    }
