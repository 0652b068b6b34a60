"""Definitions of a user's own: a Python file whose classes derive from the families of ``core/definition.py``.

To load a file is to execute it: once per process, unless its content changes, under a module name made of its path and
content, which cannot clash. Which files may be loaded, ``config/plugins.py`` decides; what names then mean,
``core/registry.py``.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
import linecache
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, ModuleType
from typing import TypeGuard, get_args

from dlx.core.definition import Definition
from dlx.core.errors import UsageError
from dlx.core.surface import Surface

MODULE_PREFIX = "dlx_plugin_"
FAMILIES = ", ".join(
    cls.__name__ for cls in Definition.__subclasses__() if cls.__module__ in (Definition.__module__, Surface.__module__)
)


@dataclass(frozen=True)
class PluginFile:
    """A plugin's file as it was read; nothing of it has been executed.

    Attributes:
        path: Where it is, absolute.
        content: What will be executed, and is hashed.
    """

    path: Path
    content: bytes

    @functools.cached_property
    def sha256(self) -> str:
        """SHA-256 of the content, 64 hexadecimal digits."""
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True)
class Plugin:
    """A plugin that has been loaded.

    Attributes:
        file: Its file.
        definitions: Its classes that a config can name, in their order.
    """

    file: PluginFile
    definitions: tuple[type[Definition], ...]


def read_plugin(path: Path) -> PluginFile:
    """Read a plugin's file without executing it.

    Raises:
        UsageError: If there is no such file, or it cannot be read.
    """
    path = path.resolve()
    if path.exists() and not path.is_file() and not path.is_dir():
        raise UsageError(f"a plugin is a Python file, but `{path}` is a pipe or a device")
    try:
        return PluginFile(path, path.read_bytes())
    except FileNotFoundError as error:
        raise UsageError(f"there is no plugin `{path}`") from error
    except IsADirectoryError as error:
        raise UsageError(f"a plugin is a Python file, but `{path}` is a folder") from error
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read the plugin {str(path)!r}: {error}") from error


@functools.cache
def load_plugin(file: PluginFile) -> Plugin:
    """Execute a plugin and find its definitions.

    A class that others of the file derive from may be incomplete: it is their base. All others must be complete.

    Raises:
        UsageError: If it fails, has no definition or an incomplete one; the message says where.
    """
    module = _execute(file)
    classes = list(dict.fromkeys(each for each in vars(module).values() if _is_own(each, module)))
    bases = {base for cls in classes for base in cls.__mro__[1:]}
    faults = {cls: list(_faults(cls)) for cls in classes}
    found = tuple(cls for cls in classes if not (cls in bases and faults[cls]))
    wrong = [f"{_place(cls, file)}: the class `{cls.__name__}` {fault}" for cls in found for fault in faults[cls]]
    if wrong:
        raise UsageError("; ".join(wrong))
    if not found:
        raise UsageError(f"the plugin {file.path} defines nothing: no class in it derives from one of {FAMILIES}")
    return Plugin(file, found)


def blame(error: BaseException) -> str | None:
    """Name the line of a plugin, ``FILE:LINE``, in which an error was raised; None if no plugin had to do with it."""
    last = _last_frame(error)
    return f"{last[0].f_code.co_filename}:{last[1]}" if last else None


def mistake(error: BaseException) -> str | None:
    """Say what is wrong with a plugin that raised an error: file, line, class and method, the error and the source.

    Returns:
        The message; None if no plugin had to do with it, so that it is a mistake of dlx.
    """
    last = _last_frame(error)
    if last is None:
        return None
    frame, line = last
    file = frame.f_code.co_filename
    source = linecache.getline(file, line).strip()
    shown = f"\n  {line} | {source}" if source else ""
    return f"{file}:{line}: in `{frame.f_code.co_qualname}` of this plugin: {spell_error(error)}{shown}"


def _last_frame(error: BaseException) -> tuple[FrameType, int] | None:
    """Give the innermost frame of a plugin among those that an error went through, and its line."""
    frames = traceback.walk_tb(error.__traceback__)
    own = [each for each in frames if str(each[0].f_globals.get("__name__", "")).startswith(MODULE_PREFIX)]
    return own[-1] if own else None


def spell_error(error: BaseException) -> str:
    """Write an error in one line: its kind and its message."""
    return ": ".join(each for each in (type(error).__name__, " ".join(str(error).split())) if each)


def _execute(file: PluginFile) -> ModuleType:
    digest = hashlib.sha256(str(file.path).encode() + file.content).hexdigest()
    module = ModuleType(f"{MODULE_PREFIX}{digest[:16]}")
    module.__file__ = str(file.path)
    sys.modules[module.__name__] = module  # where pydantic looks up what annotations name
    try:
        exec(compile(file.content, str(file.path), "exec", dont_inherit=True), module.__dict__)  # noqa: S102
    except (Exception, SystemExit) as error:
        del sys.modules[module.__name__]
        raise UsageError(_failure(file, error)) from error
    return module


def _failure(file: PluginFile, error: BaseException) -> str:
    """Say where and why a plugin could not be executed."""
    if isinstance(error, SyntaxError) and error.filename == str(file.path):
        return f"{file.path}:{error.lineno}: {type(error).__name__}: {error.msg}"
    more = "; a plugin is one file: what it imports must be installed" if isinstance(error, ImportError) else ""
    return f"{blame(error) or file.path}: {spell_error(error)}{more}"


def _is_own(value: object, module: ModuleType) -> TypeGuard[type[Definition]]:
    """Tell whether something is a definition made in a module, not imported there."""
    return inspect.isclass(value) and issubclass(value, Definition) and value.__module__ == module.__name__


def _place(cls: type[Definition], file: PluginFile) -> str:
    return f"{file.path}:{inspect.getsourcelines(cls)[1]}"


def _faults(cls: type[Definition]) -> Iterator[str]:
    """Find what a class lacks to be a definition; half sentences."""
    if not hasattr(cls, "family"):
        yield f"derives from no family: derive it from one of {FAMILIES}"
        return
    field = cls.model_fields["name"]
    if not isinstance(field.default, str) or get_args(field.annotation) != (field.default,):
        yield 'has no name that a config can give: add `name: Literal["my_name"] = "my_name"`'
    if not inspect.cleandoc(cls.__dict__.get("__doc__") or ""):
        yield "has no docstring: `dlx list` shows its first sentence"
    missing = [f"the method `{name}`" for name in sorted(cls.__abstractmethods__)]
    missing += [f"the class variable `{name}`" for name in sorted(cls.__class_vars__) if not hasattr(cls, name)]
    if missing:
        yield f"lacks {', '.join(missing)}"
    required = [f"`{name}`" for name, each in cls.model_fields.items() if each.is_required() and name != "name"]
    if required:
        yield f"needs a default for {', '.join(required)}: a config may give its name alone"
    if not (missing or required):
        yield from _unwritable(cls)


def _unwritable(cls: type[Definition]) -> Iterator[str]:
    """Find whether a definition's defaults are lost where a config is written out and read again."""
    try:
        default = cls.model_validate({})
        again = cls.model_validate(json.loads(json.dumps(default.model_dump(mode="json"), allow_nan=False)))
    except Exception as error:  # whatever validators of a user's own raise
        yield f"has defaults that a config cannot hold: {spell_error(error)}"
        return
    if again != default:
        yield "has defaults that change when a config is written out and read again"
