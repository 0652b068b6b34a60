"""Pydantic's errors in plain words: what was expected, what was found, how to mend it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from pydantic_core.core_schema import ErrorType

from dlx.config.diagnostics import Fault, KeyPath, describe, dotted
from dlx.config.keys import Section, child, chosen, home_of, is_family, keys_of, members, section_at, value_at
from dlx.config.source import Source, resolve
from dlx.core.definition import Definition
from dlx.core.registry import nearest

EXPECTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "`true` or `false`",
    "string_type": "text",
    "string_unicode": "text",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "dict_type": "a mapping",
    "list_type": "a list",
    "tuple_type": "a list",
    "none_required": "null",
}
BOUNDS = {
    "greater_than": ("greater than {}", "gt"),
    "greater_than_equal": ("at least {}", "ge"),
    "less_than": ("less than {}", "lt"),
    "less_than_equal": ("at most {}", "le"),
    "multiple_of": ("a multiple of {}", "multiple_of"),
}
LENGTHS = {
    "too_short": ("at least", "entry", "min_length"),
    "too_long": ("at most", "entry", "max_length"),
    "string_too_short": ("at least", "character", "min_length"),
    "string_too_long": ("at most", "character", "max_length"),
}
PLURALS = {"entry": "entries", "character": "characters"}
PYDANTIC_KINDS = frozenset(get_args(ErrorType))


@dataclass(frozen=True)
class Problem:
    """One of pydantic's errors with its place in the tree.

    Attributes:
        path: Keys from the root that lead to it.
        union: If it comes from one arm of a union: the keys that lead to the union.
        error: The error.
    """

    path: KeyPath
    union: KeyPath | None
    error: ErrorDetails


def explain(error: ValidationError, source: Source, root: Section) -> list[Fault]:
    """Turn pydantic's errors into faults.

    Args:
        error: What validating the source's tree raised.
        source: The config.
        root: The class of the whole config.

    Returns:
        The faults, one for each mistake.
    """
    unions: dict[KeyPath, list[Problem]] = defaultdict(list)
    faults = []
    for problem in problems(error, source.tree):
        if problem.union is None:
            faults.append(_fault(problem, source, root))
        else:
            unions[problem.union].append(problem)
    for found in unions.values():
        faults += _union_faults(found, source, root)
    return faults


def problems(error: ValidationError, tree: Any) -> list[Problem]:
    """Give pydantic's errors with their paths, less those that only follow from others."""
    details = error.errors(include_url=False)
    return [_problem(one, tree) for one in details if not _follows(one)]


def _follows(error: ErrorDetails) -> bool:
    """Tell whether an error only follows from another: a list is called too short where an entry of it is invalid."""
    if error["type"] == "too_short" and isinstance(error["input"], list | tuple):
        return len(error["input"]) >= int(error["ctx"]["min_length"])
    return error["type"] == "default_factory_not_called"


def _problem(error: ErrorDetails, tree: Any) -> Problem:
    """Keep what is a key of the tree; pydantic also puts the name of a union's arm into the path."""
    path: list[str | int] = []
    union: KeyPath | None = None
    for i, key in enumerate(error["loc"]):
        is_key = (isinstance(tree, dict) and key in tree) or (isinstance(tree, list) and isinstance(key, int))
        is_missing = i == len(error["loc"]) - 1 and error["type"] == "missing"
        if is_key or is_missing:
            path.append(key)
            tree = child(tree, key)
        elif union is None:
            union = tuple(path)
    return Problem(tuple(path), union, error)


def _union_faults(found: Sequence[Problem], source: Source, root: Section) -> list[Fault]:
    """Report the arm that came furthest; where none fitted at all, what each of them expects."""

    def progress(problem: Problem) -> tuple[int, bool]:
        return len(problem.path), problem.error["type"] not in (*EXPECTED, "literal_error")

    best = max(progress(problem) for problem in found)
    found = [problem for problem in found if progress(problem) == best]
    if best[1] or len(found) == 1:
        return [_fault(problem, source, root) for problem in found]
    wanted = " or ".join(dict.fromkeys(map(_wanted, found)))
    return [_not_of_type(found[0], wanted, source, root)]


def _wanted(problem: Problem) -> str:
    """Name what one arm of a union takes: a type, or one of some words."""
    error = problem.error
    if error["type"] == "literal_error":
        return str(error["ctx"]["expected"]).replace("'", "`")
    return EXPECTED[error["type"]]


def _fault(problem: Problem, source: Source, root: Section) -> Fault:
    kind = problem.error["type"]
    if kind in TRANSLATORS:
        return TRANSLATORS[kind](problem, source, root)
    if kind not in PYDANTIC_KINDS:
        return Fault(problem.path, problem.error["msg"], problem.error.get("ctx", {}).get("hint"))
    message = f"`{dotted(problem.path)}` cannot be {_found(problem, source)}"
    return Fault(problem.path, message, _description(problem.path, source, root))


def _unknown_key(problem: Problem, source: Source, root: Section) -> Fault:
    section, key = problem.path[:-1], str(problem.path[-1])
    where = f" in `{dotted(section)}`" if section else ""
    values = value_at(source.tree, section)
    reader = chosen(section_at(root, section, source.tree), values)
    valid = keys_of(reader) if reader else []
    if reader and issubclass(reader, Definition):
        valid += reader.more_keys(values if isinstance(values, dict) else {})
    near, home = nearest(key, valid), home_of(root, key, source.tree)
    hints = [f"did you mean `{near}`?" if near else "", f"{home};" if home else ""]
    hints.append(f"valid here: {', '.join(valid) or 'no other key'}")
    return Fault(problem.path, f"unknown key `{key}`{where}", " ".join(hint for hint in hints if hint), underline="key")


def _missing_key(problem: Problem, source: Source, root: Section) -> Fault:
    path = problem.path
    where = f" in `{dotted(path[:-1])}`" if path[:-1] else ""
    family = section_at(root, path, source.tree)
    hint = f"one of {', '.join(members(family))}" if family and is_family(family) else _description(path, source, root)
    return Fault(path, f"missing key `{path[-1]}`{where}", hint, underline="key")


def _wrong_type(problem: Problem, source: Source, root: Section) -> Fault:
    return _not_of_type(problem, EXPECTED[problem.error["type"]], source, root)


def _not_of_type(problem: Problem, wanted: str, source: Source, root: Section) -> Fault:
    message = f"`{dotted(problem.path)}` must be {wanted}, found {_found(problem, source)}"
    hint = _type_hint(problem.error["input"], wanted) or _description(problem.path, source, root)
    return Fault(problem.path, message, hint)


def _type_hint(value: Any, wanted: str) -> str | None:
    """Name the trap of YAML that somebody seems to have met."""
    is_list_of_words = isinstance(value, str) and "," in value and "a list" in wanted
    if is_list_of_words or (wanted == EXPECTED["list_type"] and value is not None and not isinstance(value, dict)):
        return f"write `[{value}]`"
    if not isinstance(value, str):
        return None
    if value.lower() in ("none", "null"):
        return "did you mean `null`?"
    if "true" in wanted:
        yes, no = ("true", "yes", "on", "y", "1"), ("false", "no", "off", "n", "0")
        word = "true" if value.lower() in yes else "false" if value.lower() in no else None
        return f"did you mean `{word}`?" if word else None
    number = value.replace("_", "").strip()
    if "number" in wanted and isinstance(resolve(number)[0], int | float):
        return "a number has no underscores" if "_" in value else "write it without quotes"
    return None


def _out_of_range(problem: Problem, source: Source, root: Section) -> Fault:
    phrase, bound = BOUNDS[problem.error["type"]]
    limit = problem.error["ctx"][bound]
    wanted = phrase.format(f"{limit:g}" if isinstance(limit, float) else limit)
    return Fault(problem.path, f"`{dotted(problem.path)}` must be {wanted}, found {_found(problem, source)}")


def _wrong_length(problem: Problem, source: Source, root: Section) -> Fault:
    phrase, unit, bound = LENGTHS[problem.error["type"]]
    limit = problem.error["ctx"][bound]
    wanted = f"{phrase} {limit} {unit if limit == 1 else PLURALS[unit]}"
    return Fault(problem.path, f"`{dotted(problem.path)}` must have {wanted}, found {len(problem.error['input'])}")


def _wrong_choice(problem: Problem, source: Source, root: Section) -> Fault:
    expected = str(problem.error["ctx"]["expected"])
    choices = re.findall(r"'([^']*)'", expected)
    near = nearest(str(problem.error["input"]), choices)
    message = f"`{dotted(problem.path)}` must be {expected.replace(chr(39), '`')}, found {_found(problem, source)}"
    return Fault(problem.path, message, f"did you mean `{near}`?" if near else None)


def _unknown_definition(problem: Problem, source: Source, root: Section) -> Fault:
    ctx = problem.error["ctx"]
    path = (*problem.path, "name") if isinstance(problem.error["input"], dict) else problem.path
    near = f"did you mean `{ctx['nearest']}`? " if ctx["nearest"] else ""
    return Fault(path, problem.error["msg"], ctx["elsewhere"] or f"{near}known: {', '.join(ctx['known'])}")


def _no_definition(problem: Problem, source: Source, root: Section) -> Fault:
    return Fault(problem.path, f"{problem.error['msg']}; found {_found(problem, source)}")


def _nameless(problem: Problem, source: Source, root: Section) -> Fault:
    return Fault(problem.path, problem.error["msg"], underline="key")


def _own_words(problem: Problem, source: Source, root: Section) -> Fault:
    return Fault(problem.path, f"`{dotted(problem.path)}`: {problem.error['ctx']['error']}")


def _found(problem: Problem, source: Source) -> str:
    place = source.places.get(problem.path)
    return describe(problem.error["input"], place.text if place else None)


def _description(path: KeyPath, source: Source, root: Section) -> str | None:
    """Give the docstring of the field at a path."""
    reader = chosen(section_at(root, path[:-1], source.tree), value_at(source.tree, path[:-1]))
    field = reader.model_fields.get(str(path[-1])) if reader and path else None
    return " ".join(field.description.split()) if field and field.description else None


TRANSLATORS: dict[str, Callable[[Problem, Source, Section], Fault]] = {
    "extra_forbidden": _unknown_key,
    "missing": _missing_key,
    "literal_error": _wrong_choice,
    "definition_unknown": _unknown_definition,
    "definition_type": _no_definition,
    "definition_name": _nameless,
    "value_error": _own_words,
    **dict.fromkeys(EXPECTED, _wrong_type),
    **dict.fromkeys(BOUNDS, _out_of_range),
    **dict.fromkeys(LENGTHS, _wrong_length),
}
