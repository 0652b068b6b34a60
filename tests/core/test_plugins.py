"""Loading a user's files: what they define, and what is said of those that cannot be loaded."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

import pytest
import torch
from plugin_files import ABSOLUTE, QUADRATIC, load, with_line, write_plugin
from pydantic import ValidationError

from dlx.core.definition import Activation, Loss, Model
from dlx.core.errors import UsageError
from dlx.core.plugins import load_plugin, read_plugin
from dlx.core.registry import plugin_of, registered, use
from dlx.core.types import Spec

PLAIN = '''\
from typing import Literal
from dlx.core.definition import {family}

class Own({family}):
    """A definition of a user's own."""
    name: Literal["own"] = "own"
'''
NO_METHODS = PLAIN.format(family="Model")
COMPLETE = NO_METHODS + "    def build(self, spec):\n        return None\n"


def test_a_plugin_is_found_by_name_while_it_is_in_use(tmp_path: Path) -> None:
    plugin = load(tmp_path)
    built_in = list(registered(Model))
    use([plugin])
    (quadratic,) = plugin.definitions
    assert registered(Model)["quadratic"] is quadratic
    assert list(registered(Model)) == sorted([*built_in, "quadratic"])
    assert plugin_of(quadratic) is plugin
    assert plugin_of(registered(Model)["mlp"]) is None
    assert "quadratic" not in registered(Loss)
    use([])
    assert list(registered(Model)) == built_in
    assert plugin_of(quadratic) is None


def test_a_surface_is_a_family_too(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no class in it derives from one of .*Surface"):
        load(tmp_path, "x = 1\n")


def test_annotations_and_docstrings_of_fields_are_read(tmp_path: Path) -> None:
    (quadratic,) = load(tmp_path).definitions
    assert quadratic.model_fields["width"].description == "Hidden units."
    with pytest.raises(ValidationError, match="greater than 0"):
        quadratic.model_validate({"width": 0})
    module = quadratic(width=3).build(Spec((2,), 1, torch.float64))
    assert sum(parameter.numel() for parameter in module.parameters()) == 2 * 3 + 3 + 3 + 1


def test_a_file_is_executed_once_and_again_when_it_changes(tmp_path: Path) -> None:
    counted = "import sys\nsys.modules.setdefault('count_of_tests', []).append(1)\n" + COMPLETE
    try:
        first, again = load(tmp_path, counted), load(tmp_path, counted)
        assert again is first
        assert len(sys.modules["count_of_tests"]) == 1  # type: ignore[arg-type]
        changed = load(tmp_path, counted + "# changed\n")
        assert changed.definitions[0] is not first.definitions[0]
        assert changed.definitions[0].__module__ != first.definitions[0].__module__
        elsewhere = load(tmp_path, counted, "other.py")
        assert elsewhere.definitions[0].__module__ != first.definitions[0].__module__
        assert len(sys.modules["count_of_tests"]) == 3  # type: ignore[arg-type]
    finally:
        del sys.modules["count_of_tests"]
    use([first, first])
    use([changed])


def test_a_base_class_of_the_file_may_be_incomplete(tmp_path: Path) -> None:
    shared = PLAIN.format(family="Activation").replace('    name: Literal["own"] = "own"\n', "").replace("Own", "_Base")
    shared += "    def value(self, x):\n        return x\n"
    leaves = "".join(
        f'\n\nclass {word.title()}(_Base):\n    """Scale."""\n    name: Literal["{word}"] = "{word}"\n'
        f"    def derivative(self, x):\n        return x\n"
        for word in ("once", "twice")
    )
    plugin = load(tmp_path, shared + leaves)
    assert [cls.__name__ for cls in plugin.definitions] == ["Once", "Twice"]
    use([plugin])
    assert {"once", "twice"} <= registered(Activation).keys()


def test_a_definition_may_derive_from_a_built_in_one(tmp_path: Path) -> None:
    use([load(tmp_path, ABSOLUTE)])
    assert registered(Loss)["absolute"].__bases__ == (registered(Loss)["mse"],)


BROKEN = {
    "syntax": ("x = (\n", "{path}:1: SyntaxError: '(' was never closed"),
    "import": ("\nimport no_such_module\n", "{path}:2: ModuleNotFoundError: No module named 'no_such_module'; a plug"),
    "error": ("def f():\n    return 1 / 0\nf()\n", "{path}:2: ZeroDivisionError: division by zero"),
    "exit": ("raise SystemExit(3)\n", "{path}:1: SystemExit: 3"),
    "bytes": ("x = 1\0", "{path}: "),
    "nothing": ("from dlx.core.definition import Model\n", "the plugin {path} defines nothing: no class in it derives"),
    "no method": (NO_METHODS, "{path}:4: the class `Own` lacks the method `build`"),
    "methods": (
        PLAIN.format(family="Loss"),
        "{path}:4: the class `Own` lacks the method `derivative`, the method `nll`, the method `num_outputs`, the "
        "method `predict`, the method `value`, the class variable `distribution`, the class variable `task`",
    ),
    "docstring": (
        COMPLETE.replace('    """A definition of a user\'s own."""\n', ""),
        "{path}:4: the class `Own` has no docstring: `dlx list` shows its first sentence",
    ),
    "no name": (
        COMPLETE.replace('    name: Literal["own"] = "own"\n', ""),
        '{path}:4: the class `Own` has no name that a config can give: add `name: Literal["my_name"] = "my_name"`',
    ),
    "any name": (COMPLETE.replace('Literal["own"]', "str"), "{path}:4: the class `Own` has no name that a config"),
    "no family": (
        PLAIN.format(family="Definition"),
        "{path}:4: the class `Own` derives from no family: derive it from one of Dataset, Model, Activation, Loss",
    ),
    "no default": (COMPLETE + "    width: int\n", "{path}:4: the class `Own` needs a default for `width`: a config"),
    "default": (COMPLETE + "    width: int = 'x'\n", "{path}:4: the class `Own` has defaults that a config cannot"),
}  # fmt: skip


@pytest.mark.parametrize("what", BROKEN)
def test_what_cannot_be_loaded(tmp_path: Path, what: str) -> None:
    text, message = BROKEN[what]
    before = set(sys.modules)
    with pytest.raises(UsageError) as refused:
        load(tmp_path, text)
    assert str(refused.value).startswith(message.replace("{path}", str(tmp_path / "own.py")))
    assert "\n" not in str(refused.value)
    if what in ("syntax", "import", "error", "exit"):
        assert set(sys.modules) == before


def test_all_faults_of_all_classes_at_once(tmp_path: Path) -> None:
    text = NO_METHODS + NO_METHODS.replace("Own", "Other").replace('    """A definition of a user\'s own."""\n', "")
    with pytest.raises(UsageError) as refused:
        load(tmp_path, text)
    assert str(refused.value).count("; ") == 2
    assert f"{tmp_path}/own.py:10: the class `Other` has no docstring" in str(refused.value)


def test_what_cannot_be_read(tmp_path: Path) -> None:
    for path, message in [(tmp_path / "x.py", "there is no plugin"), (tmp_path, "is a folder")]:
        with pytest.raises(UsageError, match=message):
            read_plugin(path)


def test_reading_executes_nothing(tmp_path: Path) -> None:
    file = read_plugin(write_plugin(tmp_path, "raise SystemExit"))
    assert (file.path, file.content) == (tmp_path / "own.py", b"raise SystemExit")
    assert file.sha256 == hashlib.sha256(b"raise SystemExit").hexdigest()


def test_a_built_in_name_is_taken(tmp_path: Path) -> None:
    plugin = load(tmp_path, QUADRATIC.replace('"quadratic"', '"mlp"'))
    with pytest.raises(UsageError) as refused:
        use([plugin])
    message = str(refused.value)
    assert message.startswith("two definitions of the model `mlp`: ")
    assert "dlx/models/mlp.py and " in message
    assert str(tmp_path / "own.py") in message
    assert registered(Model)["mlp"].__module__ == "dlx.models.mlp"


def test_two_plugins_of_one_name(tmp_path: Path) -> None:
    plugins = [load(tmp_path, QUADRATIC, "a.py"), load(tmp_path, with_line("pass"), "b.py")]
    with pytest.raises(UsageError, match=r"two definitions of the model `quadratic`: .*/a\.py and .*/b\.py; give one"):
        use(plugins)
    assert "quadratic" not in registered(Model)
    use([load_plugin(plugins[1].file)])
    assert registered(Model)["quadratic"] in plugins[1].definitions


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "own.py")
    with pytest.raises(UsageError, match="is a pipe or a device"):
        read_plugin(tmp_path / "own.py")
