"""Small files, short functions, names that say something, nothing new at the top level."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAX_FILE, MAX_FUNCTION = 400, 60
EMPTY_NAMES = {"utils", "util", "helpers", "helper", "misc", "common", "manager", "trainer"}
TOP_LEVEL = {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "dlx", "configs", "tests", "runs"}


def file_faults(path: Path) -> list[str]:
    """What is wrong with the size or the names of one file."""
    text = path.read_text()
    faults = [f"longer than {MAX_FILE} lines"] if len(text.splitlines()) > MAX_FILE else []
    if EMPTY_NAMES & {path.stem.strip("_").lower(), path.parent.name}:
        faults.append("name says nothing")
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if node.end_lineno - node.lineno >= MAX_FUNCTION:
                faults.append(f"{node.name} is longer than {MAX_FUNCTION} lines")
        elif isinstance(node, ast.ClassDef) and re.search("trainer", node.name, re.IGNORECASE):
            faults.append(f"there is no {node.name}")
    return faults


def tree_faults(tree: Path) -> list[str]:
    """What is wrong with the sizes and names of a source tree."""
    return [f"{path.relative_to(tree)}: {why}" for path in sorted(tree.rglob("*.py")) for why in file_faults(path)]


def strangers(tracked: list[str]) -> set[str]:
    """Tracked names that do not belong at the top level of the repository."""
    tops = {name.split("/")[0] for name in tracked}
    return {top for top in tops if not top.startswith(".")} - TOP_LEVEL


def function_of(num_lines: int) -> str:
    return "def long():\n" + "    pass\n" * (num_lines - 1)


GOOD = {
    "whole.py": "#\n" * MAX_FILE,
    "function.py": function_of(MAX_FUNCTION),
    "method.py": "class Training:\n    async def train(self): ...",
    "commonly.py": "",
}
FAULTY = {
    "whole.py": "#\n" * (MAX_FILE + 1),
    "function.py": function_of(MAX_FUNCTION + 1),
    "nested.py": "class A:\n  def f(self):\n    async " + function_of(MAX_FUNCTION + 1).replace("    ", " " * 6),
    "utils.py": "",
    "_helpers.py": "",
    "Manager.py": "",
    "common/__init__.py": "",
    "trainer.py": "",
    "fit.py": "class BaseTrainer: ...",
    "inner.py": "def f():\n    class trainer_state: ...",
}


def plant(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / "dlx" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root / "dlx"


def test_sizes_and_names_of_dlx() -> None:
    assert tree_faults(ROOT / "dlx") == []


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a git checkout")
def test_top_level() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert strangers(listed.stdout.splitlines()) == set()


def test_checkers_pass_a_good_tree(tmp_path: Path) -> None:
    assert tree_faults(plant(tmp_path, GOOD)) == []
    assert strangers(["README.md", ".gitignore", ".ci/run", "dlx/core/a.py", "tests/conftest.py"]) == set()


@pytest.mark.parametrize("name", FAULTY)
def test_checker_sees_a_fault(name: str, tmp_path: Path) -> None:
    assert tree_faults(plant(tmp_path, {name: FAULTY[name]}))


def test_checker_sees_a_stranger() -> None:
    assert strangers(["setup.py", "docs/index.md", "dlx/a.py", "uv.lock"]) == {"setup.py", "docs", "uv.lock"}
