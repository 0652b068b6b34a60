"""What a search varies: its dimensions, and the experiment of each trial."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from dlx.config.check import contradictions
from dlx.config.diagnostics import Fault, KeyPath, position_of, render
from dlx.config.experiment import Experiment
from dlx.config.load import Loaded, interpret
from dlx.config.overrides import FaultyKeyError, put
from dlx.config.source import Document, Source
from dlx.core.errors import ConfigError
from dlx.core.settings import Range
from dlx.core.types import Examples

SPACE = ("search", "space")


class InvalidTrialError(Exception):
    """Values of a space that do not fit each other or the data: no experiment has them."""


@dataclass(frozen=True)
class Dimension:
    """A key that varies; it has either values or a range.

    Attributes:
        key: Key of the config, with dots, or a section.
        values: The values it takes, as YAML has them.
        range: The numbers it takes.
    """

    key: str
    values: tuple[Any, ...] | None = None
    range: Range | None = None

    @property
    def is_integer(self) -> bool:
        """Whether it takes the whole numbers of a range."""
        return self.range is not None and isinstance(self.range.low, int) and isinstance(self.range.high, int)

    def grid(self) -> tuple[Any, ...]:
        """Give its values; of a range, ``num`` numbers evenly spread (in their logarithm), both ends among them.

        Whole numbers are rounded, each once. Others keep 12 digits: 0.001, not 0.0010000000000000002.
        """
        if self.range is None:
            return self.values or ()
        low, high = self.range.low, self.range.high
        if self.range.log:
            decades = math.log10(high) - math.log10(low)
            points = np.geomspace(low, high, self.range.num or max(2, round(3 * decades) + 1))
        else:
            points = np.linspace(low, high, self.range.num or 5)
        if self.is_integer:
            return tuple(dict.fromkeys(round(point) for point in points.tolist()))
        return (low, *(float(f"{point:.12g}") for point in points[1:-1].tolist()), high)


@dataclass(frozen=True)
class Space:
    """What a search varies, around a config.

    Attributes:
        dimensions: What varies, in the order of the config.
        loaded: The config.
        examples: Its data.
    """

    dimensions: tuple[Dimension, ...]
    loaded: Loaded
    examples: Examples

    @classmethod
    def of(cls, loaded: Loaded, examples: Examples) -> Space:
        """Read the space of a config.

        Args:
            loaded: The config.
            examples: Its data.

        Raises:
            ConfigError: If the search cannot be; the message shows all faults.
        """
        from dlx.config.space_check import space_faults  # which needs this class

        dimensions = tuple(
            Dimension(key, range=of) if isinstance(of, Range) else Dimension(key, values=of)
            for key, of in loaded.experiment.search.space.items()
        )
        space = cls(dimensions, loaded, examples)
        if faults := space_faults(space):
            raise ConfigError(render(faults, loaded.source))
        return space

    def experiment(self, values: Mapping[str, Any]) -> Experiment:
        """Give the config with the values of a trial, checked with the data.

        Args:
            values: A value for every dimension, by key.

        Raises:
            InvalidTrialError: If they do not fit each other or the data; the message says why.
        """
        try:
            experiment, faults = self.examine(self.source(values, {}))
        except FaultyKeyError as error:
            experiment, faults = None, list(error.faults)
        if experiment is None or faults:
            raise InvalidTrialError("; ".join(fault.message for fault in faults))
        written = self.loaded.experiment
        return experiment.model_copy(update={"name": written.name, "cv": written.cv, "search": written.search})

    def examine(self, source: Source) -> tuple[Experiment | None, list[Fault]]:
        """Check the config with the values of a trial: the experiment, if the schema allows it, and its faults."""
        experiment, sections, faults = interpret(source, Experiment)
        faults += contradictions({**sections, "examples": self.examples})
        return experiment, [replace(fault, at=position_of(fault, source)) for fault in faults]

    def source(self, values: Mapping[str, Any], origins: Mapping[str, KeyPath]) -> Source:
        """Give the config as if it were written with these values.

        Args:
            values: Values by key; keys that are left out are as in the config.
            origins: Where in the config the values stand, by key; only to place faults.

        Raises:
            FaultyKeyError: If a key leads nowhere.
        """
        written = self.loaded.source
        source = replace(written, tree=copy.deepcopy(self._tree), places=dict(written.places))
        for key in sorted(values, key=lambda key: key.count(".")):  # a section comes before keys within it
            parts, place = key.split("."), written.places[*SPACE, key]
            document = Document(copy.deepcopy(values[key]))
            if key in origins:
                start = len(origins[key])
                inner = {at[start:]: found for at, found in written.places.items() if at[:start] == origins[key]}
                document.places.update(inner)
            put(source, parts, [place.key or place.value] * len(parts), document, Experiment)
        return source

    @cached_property
    def _tree(self) -> dict[str, Any]:
        """What is written of the config beside the search, which is the same for every trial."""
        return {key: value for key, value in self.loaded.source.tree.items() if key not in ("cv", "search")}
