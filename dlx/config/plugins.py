"""Reads a config with the plugins that it needs: they come first, as they decide what its other names mean.

Loading a plugin executes it, so it takes a request: the name of its file in a config that somebody wrote, or on the
command line (``--plugin``). What a run leaves behind is no request. There a plugin stands as a record, path and
SHA-256, and is loaded only when the command line names a file of that very content.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeGuard

from dlx.config.diagnostics import Fault, render
from dlx.config.experiment import Experiment
from dlx.config.overrides import apply_overrides
from dlx.config.source import Source, read_source
from dlx.core.errors import ConfigError, UsageError
from dlx.core.plugins import Plugin, PluginFile, load_plugin, read_plugin
from dlx.core.registry import use
from dlx.core.settings import PluginRecord, Settings

RUN_FILE = "run.json"
"""What every run directory has."""
SHOWN_DIGITS = 12
"""Digits of a SHA-256 in messages: enough to tell files apart."""


def read_config(
    path: Path, overrides: Sequence[str], named: Sequence[Path], schema: type[Settings] = Experiment
) -> Source:
    """Read a config file, apply overrides, and put its plugins, and no others, in use.

    Args:
        path: The file.
        overrides: ``KEY=VALUE`` strings, applied in their order; those of ``plugins`` count, too.
        schema: What the config is read as.
        named: Plugins that the user names beside it: to be loaded, too, or where the config has records, allowed to be.

    Returns:
        The config; its ``plugins`` are records now.

    Raises:
        UsageError: If there is no such file, it cannot be read, or a plugin that the user names cannot be loaded.
        ConfigError: If a plugin of the config cannot be loaded, or must not be; nothing else can be judged then.
    """
    use(())
    files = {file.sha256: file for file in map(read_plugin, named)}
    written = read_source(path)
    source = apply_overrides(written, overrides, schema)
    entries = _entries(source)
    num_written = len(entries)
    if records := {entry["sha256"]: entry["path"] for entry in entries if _is_record(entry)}:
        _refuse_others(files, records)
    else:
        entries += [str(file.path) for file in files.values() if str(file.path) not in entries]
    plugins: list[Plugin] = []
    faults: list[Fault] = []
    for number, entry in enumerate(entries):
        try:
            if _is_record(entry):
                file = _recorded(entry, files)
            elif isinstance(entry, str):
                _refuse_request_of_run(source, number)
                file = read_plugin(Path(entry))
                entries[number] = {"path": entry, "sha256": file.sha256}
            else:
                continue  # the schema says what is wrong
            use([*plugins, load_plugin(file)])
            plugins.append(load_plugin(file))
        except UsageError as error:
            if number >= num_written:
                raise
            faults.append(Fault(("plugins", number), str(error)))
    if faults:
        raise ConfigError(render([*source.faults, *faults], source))
    if entries:  # anew: only now it is known which keys the plugins' definitions have
        source = apply_overrides(written, overrides, schema)
        source.tree["plugins"] = entries
    return source


def _entries(source: Source) -> list[Any]:
    """Give the entries of ``plugins``, names of files as absolute paths; the schema says what is wrong with others."""
    written = source.tree.get("plugins")
    entries = []
    for number, entry in enumerate(written if isinstance(written, list) else ()):
        place = source.places.get(("plugins", number))
        name = place.text if place and place.text is not None else entry  # of `- 1e3.py` or `- 7` the text counts
        entries.append(str((source.path.parent / name).resolve()) if isinstance(name, str) else entry)
    return entries


def _is_record(entry: Any) -> TypeGuard[dict[str, str]]:
    keys = PluginRecord.model_fields.keys()
    return isinstance(entry, dict) and entry.keys() == keys and all(isinstance(each, str) for each in entry.values())


def _refuse_others(files: Mapping[str, PluginFile], records: Mapping[str, str]) -> None:
    """Refuse files that the records of a config do not know."""
    for sha256, file in files.items():
        if sha256 not in records:
            known = ", ".join(f"{Path(path).name} of {digest[:SHOWN_DIGITS]}..." for digest, path in records.items())
            raise UsageError(
                f"--plugin {file.path}: its SHA-256 is {sha256[:SHOWN_DIGITS]}..., but the config records {known}; "
                f"name a file of the recorded content, or begin anew with the override plugins=[{file.path}]"
            )


def _recorded(record: Mapping[str, str], files: Mapping[str, PluginFile]) -> PluginFile:
    """Give the file that a record means, if the user named it.

    Raises:
        UsageError: If not.
    """
    if record["sha256"] in files:
        return files[record["sha256"]]
    path = record["path"]
    remedy = f"if you trust it, add to the command line: --plugin {shlex.quote(path)}"
    try:
        if read_plugin(Path(path)).sha256 != record["sha256"]:
            remedy = "that file has changed since; restore it and name it with --plugin"
    except UsageError:
        remedy = "that file is gone; name a copy of it with --plugin FILE"
    message = f"a plugin that is only recorded, as in a run directory, is not executed unasked: `{path}`"
    raise UsageError(f"{message}; {remedy} (SHA-256 {record['sha256'][:SHOWN_DIGITS]}...)")


def _refuse_request_of_run(source: Source, number: int) -> None:
    """Refuse a plugin that a config in a run directory names without a record, unless an override put it there."""
    place = source.places.get(("plugins", number))
    if place and not place.value.in_override and (source.path.parent / RUN_FILE).exists():
        message = "a config in a run directory can only record plugins (path and sha256), not have them loaded"
        raise UsageError(f"{message}; to load this one, give the override plugins=[FILE]")
