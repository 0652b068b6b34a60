"""The cells of a search: which there are, what each is in words that ``dlx train`` understands, and what names it.

A cell is one training: a trial (one setting of the config) on one fold, of one repetition of the folds, with one seed.
Its name is a hash of all that its result depends on, so that equal cells of two trials, or of a run that is resumed or
extended, are trained once.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dlx.config.experiment import Experiment
from dlx.core.records import Cell

IRRELEVANT = {"name", "seeds", "cv", "search", "compare", "gradcheck", "curvature", "landscape", "device", "threads"}
"""Sections that the result of a cell does not depend on, or that its cell replaces."""
EXCLUDED: dict[str, Any] = {**dict.fromkeys(IRRELEVANT, True), "plugins": {"__all__": {"path"}}}
"""Those, and where plugins are: their content counts."""


@dataclass(frozen=True)
class Trial:
    """One setting.

    Attributes:
        number: Counted from 0, in the order in which they were drawn.
        values: What varies, by key of the config.
        experiment: The config with these values.
    """

    number: int
    values: dict[str, Any]
    experiment: Experiment

    @functools.cached_property
    def settings(self) -> dict[str, Any]:
        """What a result depends on, but for the cell."""
        return self.experiment.model_dump(mode="json", exclude=EXCLUDED)

    @property
    def epochs(self) -> int:
        """Epochs at most."""
        return self.experiment.training.epochs


def cell_name(trial: Trial, cell: Cell, epochs: int, data_hash: str) -> str:
    """Name a cell of a trial: 16 hexadecimal digits.

    Args:
        trial: Its trial.
        cell: Who.
        epochs: Epochs at most.
        data_hash: Hash of the data set.
    """
    settings = trial.settings
    data = {**settings["data"], "split": {**settings["data"]["split"], **split_keys(cell)}}
    training = {**settings["training"], "epochs": epochs}
    content = [{**settings, "data": data, "training": training}, cell.seed, data_hash]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def split_keys(cell: Cell) -> dict[str, Any]:
    """Give the keys of ``data.split`` that say which fold a cell holds out."""
    keys = {"fold": cell.fold, "repeat": cell.repeat}
    return keys if cell.outer_fold is None else {**keys, "outer_fold": cell.outer_fold}


def cell_overrides(values: Mapping[str, Any], cell: Cell, epochs: int) -> list[str]:
    """Give the ``KEY=VALUE`` that turn the config of a search into the training of one cell.

    Args:
        values: Those of its trial.
        cell: Who.
        epochs: Epochs at most.
    """
    settings = {key: values[key] for key in sorted(values, key=lambda key: key.count("."))}  # a section before its keys
    settings |= {f"data.split.{key}": value for key, value in split_keys(cell).items()}
    settings |= {"training.epochs": epochs, "seeds": [cell.seed]}
    return [f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in settings.items()]
