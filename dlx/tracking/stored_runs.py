"""Reads run directories without taking hold of them: what a list, a comparison or a look needs of their files."""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from dlx.core.errors import RunError, UsageError
from dlx.tracking.files import naming_failures, read_json
from dlx.tracking.run_dir import is_in_use

RESOLVED, GIVEN = "config.resolved.yaml", "config.input.yaml"
Settings = dict[str, str]
"""Settings of a config by their keys, as in ``optimizer.lr``, each as text."""
STATUSES = ("running", "killed", "interrupted", "failed", "done")
"""What a run can be; ``killed`` is one that says it is running while no process holds it."""


@dataclass(frozen=True)
class StoredRun:
    """A run directory as it lies on the disk; its files are read when they are asked for.

    Attributes:
        path: The folder.
        facts: Content of run.json.
    """

    path: Path
    facts: dict[str, Any]

    @classmethod
    def read(cls, path: Path) -> StoredRun:
        """Read the run.json of a folder.

        Raises:
            RunError: If it is no run, or is damaged.
        """
        if not _is_file(path / "run.json"):
            raise RunError(f"{path} is not a run: expected a folder with a run.json")
        facts = _read_object(path / "run.json")
        missing = [key for key in ("id", "command", "created", "status") if not isinstance(facts.get(key), str)]
        if missing:
            raise RunError(f"{path / 'run.json'} is damaged: it has no {', '.join(missing)}; restore it from a copy")
        return cls(path, facts)

    @property
    def name(self) -> str:
        """The name of its folder, which is its id unless somebody renamed it."""
        return self.path.name or str(self.path)

    @property
    def command(self) -> str:
        """The command that it is of."""
        return str(self.facts["command"])

    @cached_property
    def status(self) -> str:
        """One of ``STATUSES``."""
        noted = str(self.facts["status"])
        return "killed" if noted == "running" and not is_in_use(self.path) else noted

    @cached_property
    def result(self) -> dict[str, Any] | None:
        """Content of result.json; None if there is none yet.

        Raises:
            RunError: If it is damaged.
        """
        return self.read_object("result.json")

    @cached_property
    def seconds(self) -> float | None:
        """How long it took, over all its sittings, or the last one if it did not come to its end; None while it runs.

        Raises:
            RunError: If timing.json is damaged.
        """
        timing = self.read_object("timing.json") or {}
        parts = timing["problems"] if isinstance(timing.get("problems"), list) else [timing]
        found = [part.get("seconds") for part in parts if isinstance(part, dict)]
        known = [float(each) for each in found if isinstance(each, int | float)]
        return sum(known) if known else self._seconds_between()

    def _seconds_between(self) -> float | None:
        try:
            started, ended = (datetime.datetime.fromisoformat(self.facts[key]) for key in ("started", "ended"))
        except (KeyError, TypeError, ValueError):
            return None
        return (ended - started).total_seconds()

    @property
    def configs(self) -> list[Path]:
        """Its resolved configs: one, or one for each problem of a comparison; none if it was stopped before."""
        own = self.path / RESOLVED
        return [own] if _is_file(own) else sorted(self.path.glob(f"problems/*/{RESOLVED}"))

    @property
    def data_and_model(self) -> tuple[str, str]:
        """Its data and its model in a few letters, as "digits" and "mlp [64, 32]"; empty where there are none."""
        briefs = [_brief(_read_text(config)) for config in self.configs]
        data, model = ([*dict.fromkeys(each)] for each in (zip(*briefs, strict=True) if briefs else ((), ())))
        return ", ".join(data), ", ".join(model)

    @property
    def is_on_surface(self) -> bool:
        """Whether it is on an analytic surface, which stands for data, model and loss."""
        return any(re.search("^surface:", _read_text(config), re.MULTILINE) for config in self.configs)

    @property
    def files(self) -> dict[str, int]:
        """Bytes of each of its files, by path in the folder; the lock is left out."""
        with naming_failures("read", self.path):
            found = {path.relative_to(self.path): path for path in sorted(self.path.rglob("*")) if path.is_file()}
            return {name.as_posix(): path.stat().st_size for name, path in found.items() if name.name != ".lock"}

    def settings(self) -> Settings:
        """Read its resolved config; the keys of several problems begin with the names of their folders.

        Raises:
            RunError: If a config is damaged.
        """
        return self._joined({config: leaves(_tree(config)) for config in self.configs})

    def given(self) -> Settings:
        """Read those of its settings that its config file or command line names; the others are defaults.

        Raises:
            RunError: If a config is damaged.
        """
        words = {key for word in self._words() for key in _keys_of(str(word))}
        return self._joined({config: _named(config, words) for config in self.configs})

    @property
    def plugins(self) -> list[str]:
        """The files of definitions that it was begun with.

        Raises:
            RunError: If a config is damaged.
        """
        trees = (_tree(config) for config in self.configs)
        records = [each for tree in trees if isinstance(tree, dict) for each in tree.get("plugins") or ()]
        return list(dict.fromkeys(str(each["path"]) for each in records if isinstance(each, dict) and "path" in each))

    def _words(self) -> list[Any]:
        """Give the words of the command lines of all its sittings."""
        resumed = self.facts.get("resumed")
        sittings = [self.facts, *(resumed if isinstance(resumed, list) else [])]
        words = [sitting.get("argv") for sitting in sittings if isinstance(sitting, dict)]
        return [word for each in words if isinstance(each, list) for word in each]

    def _joined(self, by_config: dict[Path, Settings]) -> Settings:
        if len(by_config) == 1:
            return next(iter(by_config.values()))
        return {f"{path.parent.name}: {key}": text for path, each in by_config.items() for key, text in each.items()}

    def read_object(self, name: str) -> dict[str, Any] | None:
        """Read one of its JSON files; None if there is none.

        Raises:
            RunError: If it is damaged.
        """
        path = self.path / name
        return _read_object(path) if _is_file(path) else None


def stored_runs(runs_dir: Path) -> tuple[list[StoredRun], list[str]]:
    """Read every run in a folder.

    Returns:
        The runs, the newest first, and what is wrong with the folders that are none, a sentence each.

    Raises:
        RunError: If there is no such folder.
    """
    with naming_failures("read", runs_dir):
        folders = [path for path in sorted(runs_dir.iterdir()) if path.is_dir() and not path.name.startswith(".")]
    runs, faults = list[StoredRun](), list[str]()
    for folder in folders:
        try:
            runs.append(StoredRun.read(folder))
        except RunError as error:
            faults.append(str(error))
    return sorted(runs, key=lambda run: (_moment(run), run.name), reverse=True), faults


def find_run(runs_dir: Path, word: str) -> StoredRun:
    """Find a run by its folder, or by the beginning of its id.

    Raises:
        UsageError: If several ids begin so.
        RunError: If none does, or the folder is no run.
    """
    path = Path(word)
    if word and (path.is_dir() or "/" in word):
        return StoredRun.read(path)
    folders = [each for each in sorted(runs_dir.glob("*")) if each.is_dir() and each.name.startswith(word)]
    if not folders or not word:
        raise RunError(
            f"there is no run `{word}`: neither a folder of this name nor an id in {runs_dir} that begins so"
        )
    if len(folders) > 1 and word not in (each.name for each in folders):
        names = ", ".join(each.name for each in folders[:3]) + (", ..." if len(folders) > 3 else "")
        raise UsageError(f"{len(folders)} runs in {runs_dir} begin with `{word}`: {names}; give more of the id")
    return StoredRun.read(folders[0])


def _moment(run: StoredRun) -> float:
    """Give the second that a run was made in; their texts do not compare where clocks were put back an hour."""
    try:
        return datetime.datetime.fromisoformat(run.facts["created"]).timestamp()
    except ValueError:
        return 0.0


def _brief(text: str) -> tuple[str, str]:
    """Name data and model of a resolved config.

    It is read by its lines, which dlx writes: a YAML reader would take a second for the configs of a few hundred runs.
    """
    found = dict(re.findall(r"^(data|model|surface):\n((?:[ -].*\n)*)", text, re.MULTILINE))
    data = found.get("data") or found.get("surface") or ""
    file = re.search(r"^  path: (.*)$", data, re.MULTILINE)
    sizes = [
        f"[{', '.join(re.findall('- (.*)', items))}]"
        for items in re.findall(r"^  \w+:\n((?:  - [^:\n]*\n)+)", found.get("model", ""), re.MULTILINE)
    ]
    where = [Path(file[1].strip("'\"")).name] if file else []
    return " ".join([*_name(data), *where]), " ".join([*_name(found.get("model", "")), *sizes])


def _name(section: str) -> list[str]:
    return [name.strip("'\"") for name in re.findall(r"^  name: (.*)$", section, re.MULTILINE)]


def _named(config: Path, words: set[str]) -> Settings:
    """Keep of a resolved config what is named beside it, also by a definition's name alone: ``optimizer: adam``."""
    given = config.with_name(GIVEN)
    named = words | set(leaves(_tree(given)) if _is_file(given) else ())
    return {key: text for key, text in leaves(_tree(config)).items() if {key, key.removesuffix(".name")} & named}


def _tree(config: Path) -> Any:
    try:
        return _load_yaml(_read_text(config))
    except (yaml.YAMLError, RecursionError) as error:
        why = " ".join(str(error).split())
        raise RunError(f"{config} is damaged: expected YAML, found a fault: {why}; restore it from a copy") from error


def _load_yaml(text: str) -> Any:
    """Read YAML into texts, lists and mappings: what is compared and shown is how it is written."""
    return yaml.load(text, getattr(yaml, "CBaseLoader", yaml.BaseLoader))  # noqa: S506 - builds nothing else


def leaves(tree: Any, path: str = "") -> Settings:
    """Give the leaves of nested mappings by their keys, each as text; a list is a leaf."""
    if not isinstance(tree, dict):
        return {path: _text(tree)}
    return {
        key: leaf for name, value in tree.items() for key, leaf in leaves(value, f"{path}.{name}".strip(".")).items()
    }


def _text(value: Any) -> str:
    """Write a leaf in one line; of a definition in a list what it is called and what it is set to."""
    if isinstance(value, dict):
        named = [_text(each) if key == "name" else f"{key} {_text(each)}" for key, each in value.items()]
        return f"({', '.join(named)})" if len(named) > 1 else "".join(named)
    if isinstance(value, list):
        return f"[{', '.join(map(_text, value))}]"
    return str(value)


def _keys_of(word: str) -> list[str]:
    """Give the keys that a word of a command line sets: ``optimizer={name: sgd}`` sets ``optimizer.name``."""
    if word.startswith("--"):
        return [word.removeprefix("--").partition("=")[0]]
    key, equals, value = word.partition("=")
    if not equals:
        return []
    try:
        return list(leaves(_load_yaml(value), key))
    except (yaml.YAMLError, RecursionError):
        return [key]


def _is_file(path: Path) -> bool:
    with naming_failures("read", path):  # a folder that may not be entered
        return path.is_file()


def _read_object(path: Path) -> dict[str, Any]:
    value = read_json(path)
    if not isinstance(value, dict):
        raise RunError(f"{path} is damaged: expected a JSON object; restore it from a copy")
    return value


def _read_text(path: Path) -> str:
    with naming_failures("read", path):
        return path.read_text(encoding="utf-8", errors="replace")
