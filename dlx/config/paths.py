"""Makes the paths of data absolute: a config names files relative to itself, a resolved one must run anywhere."""

from __future__ import annotations

import copy
from dataclasses import replace

from dlx.config.keys import chosen
from dlx.config.source import Source
from dlx.core.definition import Dataset
from dlx.core.settings import FileMarker


def with_absolute_paths(source: Source) -> Source:
    """Give a config whose data set names its files by absolute paths; the schema says what is wrong with others.

    Args:
        source: The config; it stays as it is.
    """
    data = source.tree.get("data")
    reader = chosen(Dataset, data)
    if reader is None or not isinstance(data, dict):
        return source
    marked = [name for name, field in reader.model_fields.items() if any(map(_is_marker, field.metadata))]
    tree = copy.deepcopy(source.tree)
    for key in marked:
        place = source.places.get(("data", key))
        name = place.text if place and place.text is not None else data.get(key)  # of `path: 2024` the text counts
        if isinstance(name, str) and name and "\0" not in name:
            tree["data"][key] = str((source.path.parent / name).resolve())
    return replace(source, tree=tree)


def _is_marker(mark: object) -> bool:
    return isinstance(mark, FileMarker)
