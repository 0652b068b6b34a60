"""Imports point down the table of levels, and heavy third parties stay in their place."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES_BY_LEVEL = (
    "core",
    "datasets models losses priors optimizers schedules metrics surfaces statistics",
    "data",
    "config engine tracking",
    "gradients curvature search reporting",
    "comparison",
    "commands",
    "cli",
    "__main__",
)
LEVELS = {package: level for level, packages in enumerate(PACKAGES_BY_LEVEL) for package in packages.split()}
DEFINITIONS = {"datasets", "models", "losses", "priors", "optimizers", "schedules", "metrics", "surfaces"}
BLIND_TO_DEFINITIONS = {"config", "engine"}
THIRD_PARTY_HOMES = {
    "typer": {"cli"},
    "rich": {"cli"},
    "yaml": {"config", "tracking"},
    "optuna": {"search", "comparison"},
    "matplotlib": {"reporting"},
}


def imported_modules(path: Path) -> Iterator[str]:
    """Every module that a file names in an import, wherever it stands; ``from a import b`` gives ``a.b``."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ("." * node.level + f"{node.module or ''}.{alias.name}" for alias in node.names)


def package_of(path: Path, tree: Path) -> str:
    """The package of a file of dlx; empty for ``dlx/__init__.py``."""
    parts = path.relative_to(tree).with_suffix("").parts
    return "" if parts == ("__init__",) else parts[0]


def own_package(module: str, tree: Path) -> str | None:
    """The package of dlx that an imported module lies in, or None if it is none."""
    top, _, rest = module.partition(".")
    package = rest.split(".")[0]
    in_tree = (tree / package).is_dir() or (tree / f"{package}.py").exists()
    return package if top == tree.name and package and (in_tree or package in LEVELS) else None


def import_faults(tree: Path) -> list[str]:
    """What the imports of a source tree break, one sentence each."""
    faults = []
    for path in sorted(tree.rglob("*.py")):
        package, place = package_of(path, tree), path.relative_to(tree)
        if package and package not in LEVELS:
            faults.append(f"{place}: package {package} is not in the table")
            continue
        for module in imported_modules(path):
            target = own_package(module, tree)
            if module.startswith("."):
                faults.append(f"{place}: relative import {module}")
            elif target is not None and target != package:
                faults += [f"{place}: {why}" for why in dependency_faults(package, target)]
            elif package not in THIRD_PARTY_HOMES.get(module.split(".")[0], {package}):
                faults.append(f"{place}: {module} does not belong in {package}")
    return faults


def dependency_faults(package: str, target: str) -> Iterator[str]:
    """Why a package may not import another one."""
    if target not in LEVELS:
        yield f"imports {target}, which is not in the table"
    elif LEVELS[target] >= LEVELS.get(package, 0):
        yield f"{package} imports {target}, which is not below it"
    elif package in BLIND_TO_DEFINITIONS and target in DEFINITIONS:
        yield f"{package} imports the definitions of {target}"


def test_imports_of_dlx() -> None:
    assert import_faults(ROOT / "dlx") == []


GOOD = {
    "__init__.py": "import os",
    "core/a.py": "import torch\nfrom dlx import __version__",
    "models/mlp.py": "from dlx.core.a import b\nfrom dlx.models.linear import c",
    "data/splits.py": "import dlx.datasets.digits",
    "engine/fit.py": "from dlx.data import splits",
    "config/source.py": "import yaml",
    "cli/app.py": "import typer\nfrom rich.text import Text\nfrom dlx.commands.train import train",
}
FAULTY = {
    "core/a.py": "def f():\n    from dlx.data import splits",
    "core/b.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from dlx import engine",
    "models/a.py": "from dlx.losses.mse import MeanSquaredError",
    "engine/a.py": "from dlx.models import mlp",
    "config/a.py": "import dlx.optimizers.adam",
    "config/b.py": "from dlx.engine.fit import fit",
    "data/a.py": "from . import splits",
    "__init__.py": "from dlx.core import a",
    "extras/a.py": "import os",
    "cli/a.py": "from dlx.extras import a",
    "commands/a.py": "import rich.console",
    "commands/b.py": "from typer import Typer",
    "engine/b.py": "import yaml as y",
    "gradients/a.py": "import optuna",
    "commands/c.py": "def f():\n    import matplotlib.pyplot as plt",
}


def plant(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / "dlx" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root / "dlx"


def test_checker_passes_a_good_tree(tmp_path: Path) -> None:
    assert import_faults(plant(tmp_path, GOOD)) == []


@pytest.mark.parametrize("name", FAULTY)
def test_checker_sees_a_fault(name: str, tmp_path: Path) -> None:
    tree = plant(tmp_path, {"extras/__init__.py": ""} if name == "cli/a.py" else {})
    plant(tmp_path, {name: FAULTY[name]})
    assert any(fault.startswith(f"{name}:") for fault in import_faults(tree)), FAULTY[name]


@pytest.mark.skipif(not (ROOT / "dlx/cli/app.py").exists(), reason="there is no command line yet")
def test_command_line_starts_light() -> None:
    heavy = ["torch", "sklearn", "scipy", "optuna", "polars", "matplotlib"]
    code = f"import dlx.cli.app, sys; print(*sorted(sys.modules.keys() & {heavy}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_mkl_is_set_before_torch() -> None:
    code = "import os, sys, dlx; print(os.environ['MKL_CBWR'], 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={})
    assert done.stdout.split() == ["AVX2", "False"]
