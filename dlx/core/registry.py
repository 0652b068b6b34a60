"""Finds definitions by name: every concrete class of a family in the modules of the family's package, and in plugins.

Adding a definition is adding a file; nothing lists them. An import error in a definition propagates untouched. Of a
user's plugins those count that are in use now, whatever others this process has loaded.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import pkgutil
from collections.abc import Sequence
from functools import cache
from typing import Annotated, Any, TypeVar

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from dlx.core.definition import Definition
from dlx.core.errors import UsageError
from dlx.core.plugins import Plugin

D = TypeVar("D", bound=Definition)
_IN_USE: list[Plugin] = []


def nearest(word: str, known: list[str]) -> str | None:
    """Give the known word most like ``word``, or None if none is like it."""
    by_lower = {each.lower(): each for each in known}
    matches = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[matches[0]] if matches else None


@cache
def _import_package(package: str) -> None:
    module = importlib.import_module(package)
    for found in pkgutil.iter_modules(module.__path__):
        importlib.import_module(f"{package}.{found.name}")


def _subclasses(cls: type[D]) -> list[type[D]]:
    return [cls, *(deeper for sub in cls.__subclasses__() for deeper in _subclasses(sub))]


def use(plugins: Sequence[Plugin]) -> None:
    """Let names mean the definitions of these plugins, too, and of no others.

    Raises:
        UsageError: If two definitions of one family have one name; then no plugin is in use.
    """
    _IN_USE[:] = dict.fromkeys(plugins)
    try:
        for plugin in _IN_USE:
            for cls in plugin.definitions:
                registered(next(base for base in cls.__mro__ if Definition in base.__bases__))
    except UsageError:
        _IN_USE.clear()
        raise


def plugin_of(cls: type[Definition]) -> Plugin | None:
    """Give the plugin in use that a definition is from, or None if it is built in."""
    return next((plugin for plugin in _IN_USE if cls in plugin.definitions), None)


def registered(family: type[D]) -> dict[str, type[D]]:
    """Find every definition of a family.

    Args:
        family: A base class of ``core/definition.py``.

    Returns:
        The concrete classes by name, in alphabetical order.

    Raises:
        TypeError: If two built-in classes have one name.
        UsageError: If a plugin's class has the name of another.
    """
    _import_package(family.package)
    built_in = [cls for cls in _subclasses(family) if cls.__module__.startswith(f"{family.package}.")]
    users = [cls for plugin in _IN_USE for cls in plugin.definitions if issubclass(cls, family)]
    found: dict[str, type[D]] = {}
    for cls in [*built_in, *users]:
        name = cls.model_fields["name"].default
        if inspect.isabstract(cls) or found.get(name) is cls:
            continue
        if name in found and cls in users:
            files = f"{inspect.getfile(found[name])} and {inspect.getfile(cls)}"
            raise UsageError(f"two definitions of the {family.family} `{name}`: {files}; give one another name")
        if name in found:
            raise TypeError(f"two definitions of the {family.family} `{name}`: {found[name]} and {cls}")
        found[name] = cls
    return dict(sorted(found.items()))


class Registered:
    """Annotation that makes a field of a family's type read ``huber`` or ``{name: huber, delta: 0.5}``.

    The chosen class validates the rest, so faults keep their positions and all are reported at once. In the JSON
    schema the field is one of the names or one of the classes.
    """

    def __get_pydantic_core_schema__(self, source: type[Definition], handler: GetCoreSchemaHandler) -> CoreSchema:
        def look_up(value: Any) -> Definition:
            return _look_up(source, value)

        return core_schema.no_info_plain_validator_function(
            look_up,
            metadata={"family": source},
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda value: value.model_dump(mode="json"), when_used="always"
            ),
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        classes = registered(_innermost(schema)["metadata"]["family"])
        members = [handler(cls.__pydantic_core_schema__) for cls in classes.values()]
        for member in members:
            handler.resolve_ref_schema(member)["required"] = ["name"]
        return {"anyOf": [{"enum": list(classes)}, *members]}


class OneOrMany:
    """Annotation of a field that is one definition of a family or a list of them, each read as by ``Registered``.

    Args:
        family: The family.
    """

    def __init__(self, family: type[Definition]) -> None:
        self._family = family

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        def read(value: Any, read_list: core_schema.ValidatorFunctionWrapHandler) -> Any:
            return tuple(read_list(list(value))) if isinstance(value, list | tuple) else _look_up(self._family, value)

        one = handler.generate_schema(Annotated[self._family, Registered()])
        return core_schema.no_info_wrap_validator_function(
            read,
            core_schema.list_schema(one),
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda value: (
                    [each.model_dump(mode="json") for each in value]
                    if isinstance(value, tuple)
                    else value.model_dump(mode="json")
                ),
                when_used="always",
            ),
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        many = handler(schema)
        return {"anyOf": [*many["items"]["anyOf"], many]}


def _innermost(schema: Any) -> Any:
    """Take off the validators that a field has around what reads it."""
    while "schema" in schema:
        schema = schema["schema"]
    return schema


def _look_up(family: type[Definition], value: Any) -> Definition:
    if isinstance(value, family):
        return value
    if isinstance(value, str):
        value = {"name": value}
    if not isinstance(value, dict):
        raise PydanticCustomError(
            "definition_type",
            "expected the name of one {family}, or a mapping with `name` and its settings",
            {"family": family.family},
        )
    classes = registered(family)
    name = value.get("name")
    if not isinstance(name, str):
        raise PydanticCustomError(
            "definition_name",
            "this {family} needs a `name`: one of {known}",
            {"family": family.family, "known": ", ".join(classes)},
        )
    if name not in classes:
        raise PydanticCustomError(
            "definition_unknown",
            "there is no {family} `{name}`",
            {
                "family": family.family,
                "name": name,
                "known": list(classes),
                "nearest": nearest(name, list(classes)),
                "elsewhere": family.elsewhere.get(name),
            },
        )
    return classes[name].model_validate(value)
