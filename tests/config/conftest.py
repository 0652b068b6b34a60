from collections.abc import Callable
from pathlib import Path

import pytest
from config.checked import check

from dlx.config.diagnostics import render
from dlx.config.load import Loaded, load_experiment
from dlx.core.errors import ConfigError
from dlx.core.types import Examples

BASE = "data: digits\nmodel: mlp\nloss: cross_entropy\n"


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Loaded]:
    """Loads a text, appended to a small valid config unless ``base`` is given, with overrides."""

    def loaded(text: str = "", *overrides: str, base: str = BASE) -> Loaded:
        path = tmp_path / "x.yaml"
        path.write_text(base + text, encoding="utf-8", newline="")
        return load_experiment(path, overrides)

    return loaded


@pytest.fixture
def faults(load: Callable[..., Loaded], tmp_path: Path) -> Callable[..., str]:
    """Gives the rendered faults of a text; paths are relative to the folder of the config."""

    def rendered(text: str = "", *overrides: str, base: str = BASE) -> str:
        with pytest.raises(ConfigError) as caught:
            load(text, *overrides, base=base)
        return str(caught.value).replace(f"{tmp_path}/", "")

    return rendered


@pytest.fixture
def refused(load: Callable[..., Loaded]) -> Callable[..., str]:
    """Gives the rendered faults of a config that is valid, but not for these data."""

    def rendered(examples: Examples, text: str = "", base: str = "data: digits\nmodel: mlp\nloss: mse\n") -> str:
        loaded = load(text, base=base)
        found = check(loaded.experiment, examples)
        assert found
        return render(found, loaded.source).replace(f"{loaded.source.path.parent}/", "")

    return rendered
