"""Which plugins a config loads: those that somebody asks for, and none that are only recorded."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
import yaml
from plugin_files import QUADRATIC, load, write_plugin

from dlx.config.experiment import json_schema, resolved_yaml
from dlx.config.load import load_experiment
from dlx.core.definition import Model
from dlx.core.errors import ConfigError, UsageError
from dlx.core.plugins import load_plugin
from dlx.core.registry import registered, use

OWN = "data: two_moons\nmodel: quadratic\nloss: binary_cross_entropy\n"
PLAIN = "data: two_moons\nmodel: mlp\nloss: binary_cross_entropy\n"
LEAVES_A_TRACE = f"{QUADRATIC}\n\nfrom pathlib import Path\n\nPath(__file__).with_suffix('.trace').touch()\n"


def write(folder: Path, text: str, name: str = "x.yaml") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(text)
    return path


def record(folder: Path) -> str:
    """The resolved config of an experiment with a plugin that shows whether it was executed."""
    write_plugin(folder, LEAVES_A_TRACE)
    text = resolved_yaml(load_experiment(write(folder, f"plugins: [own.py]\n{OWN}")).experiment)
    (folder / "own.trace").unlink()
    load_plugin.cache_clear()
    return text


def refusal(path: Path, *overrides: str, plugins: tuple[Path, ...] = ()) -> str:
    with pytest.raises(UsageError) as refused:
        load_experiment(path, overrides, plugins)
    return str(refused.value)


def test_paths_are_relative_to_the_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    own = write_plugin(tmp_path)
    digest = hashlib.sha256(own.read_bytes()).hexdigest()
    config = write(tmp_path / "configs", f"plugins: [../own.py]\n{OWN}")
    for loaded in (
        load_experiment(Path("../configs/x.yaml")),
        load_experiment(write(tmp_path / "configs", OWN, "y.yaml"), ["plugins=[../own.py]"]),
        load_experiment(tmp_path / "configs" / "y.yaml", [], [Path("../own.py")]),  # as a shell completes it
        load_experiment(config, ["plugins.0=../own.py"], [own]),
    ):
        assert loaded.experiment.model.name == "quadratic"
        assert [each.model_dump() for each in loaded.experiment.plugins] == [{"path": str(own), "sha256": digest}]
        assert loaded.experiment.plugin_flags == ["--plugin", str(own)]


def test_overrides_may_name_keys_of_a_plugins_definition(tmp_path: Path) -> None:
    write_plugin(tmp_path)
    config = write(tmp_path, f"plugins: [own.py]\n{OWN}")
    assert load_experiment(config, ["model.width=7"]).experiment.model.width == 7  # type: ignore[attr-defined]
    assert "did you mean `width`? valid here: width" in refusal(config, "model.widht=7")
    assert "there is no model `mpl`" in refusal(config, "model=mpl")
    assert "known: linear, mlp, quadratic" in refusal(config, "model=xyz")


def test_a_config_has_its_own_plugins_and_no_others(tmp_path: Path) -> None:
    use([load(tmp_path)])
    assert "there is no model `quadratic`" in refusal(write(tmp_path, OWN))
    assert "quadratic" not in registered(Model)
    load_experiment(write(tmp_path, PLAIN), ["plugins=[own.py]"])
    assert "quadratic" in registered(Model)
    assert load_experiment(write(tmp_path, PLAIN)).experiment.plugins == ()


def test_the_schema_has_them(tmp_path: Path) -> None:
    use([load(tmp_path)])
    properties = json_schema()["$defs"]["Experiment"]["properties"]
    names, *classes = properties["model"]["anyOf"]
    assert "quadratic" in names["enum"]
    assert "Quadratic" in str(classes)
    assert {"type": "string"} in properties["plugins"]["items"]["anyOf"]


def test_a_record_is_not_executed_unless_it_is_named(tmp_path: Path) -> None:
    config = write(tmp_path / "run", record(tmp_path), "config.resolved.yaml")
    own, trace = tmp_path / "own.py", tmp_path / "own.trace"
    message = refusal(config)
    assert f"`{own}`; if you trust it, add to the command line: --plugin {own} (SHA-256 " in message
    assert message.startswith(f"{config}:4:3: a plugin that is only recorded")
    assert "quadratic" not in message, "what depends on the plugin is not judged"
    assert not trace.exists()
    loaded = load_experiment(config, [], [own])
    assert resolved_yaml(loaded.experiment) == config.read_text()
    assert trace.exists()


def test_a_copy_of_a_recorded_file_will_do(tmp_path: Path) -> None:
    config = write(tmp_path / "run", record(tmp_path), "config.resolved.yaml")
    own = tmp_path / "own.py"
    moved = own.rename(tmp_path / "moved.py")
    assert f"`{own}`; that file is gone; name a copy of it with --plugin FILE" in refusal(config)
    assert resolved_yaml(load_experiment(config, [], [moved]).experiment) == config.read_text()


def test_a_file_that_has_changed_is_refused(tmp_path: Path) -> None:
    config = write(tmp_path / "run", record(tmp_path), "config.resolved.yaml")
    own = tmp_path / "own.py"
    old = hashlib.sha256(own.read_bytes()).hexdigest()[:12]
    own.write_text(own.read_text() + "# changed\n")
    new = hashlib.sha256(own.read_bytes()).hexdigest()[:12]
    assert f"that file has changed since; restore it and name it with --plugin (SHA-256 {old}...)" in refusal(config)
    message = refusal(config, plugins=(own,))
    assert message.startswith(f"--plugin {own}: its SHA-256 is {new}..., but the config records own.py of {old}...; ")
    assert not (tmp_path / "own.trace").exists()
    anew = load_experiment(config, [f"plugins=[{own}]"]).experiment
    assert anew.plugins[0].sha256.startswith(new)  # type: ignore[union-attr]


def test_with_records_only_they_can_be_named(tmp_path: Path) -> None:
    config = write(tmp_path / "run", record(tmp_path), "config.resolved.yaml")
    other = write_plugin(tmp_path, LEAVES_A_TRACE.replace("quadratic", "other"), "other.py")
    assert "but the config records own.py of" in refusal(config, plugins=(tmp_path / "own.py", other))
    assert not (tmp_path / "other.trace").exists()


def test_a_run_directory_cannot_ask_for_code(tmp_path: Path) -> None:
    """A record whose hash was taken away is a request, but not where a run lies."""
    record(tmp_path)
    config = write(tmp_path / "run", f"plugins: [../own.py]\n{OWN}", "config.resolved.yaml")
    load_experiment(config)
    (tmp_path / "own.trace").unlink()
    load_plugin.cache_clear()
    (tmp_path / "run" / "run.json").write_text("{}")
    for plugins in ((), (tmp_path / "own.py",)):
        assert "a config in a run directory can only record plugins (path and sha256)" in refusal(
            config, plugins=plugins
        )
    assert not (tmp_path / "own.trace").exists()
    assert load_experiment(config, ["plugins=[../own.py]"]).experiment.model.name == "quadratic"


FAULTY = [
    ("plugins: [no.py]\n", "x.yaml:1:11: there is no plugin `{folder}/no.py`\n"),
    ("plugins: [.]\n", "x.yaml:1:11: a plugin is a Python file, but `{folder}` is a folder\n"),
    ("plugins: [7]\n", "x.yaml:1:11: there is no plugin `{folder}/7`\n"),
    ("plugins: [own.py, broken.py]\n", "x.yaml:1:19: {folder}/broken.py:2: ModuleNotFoundError: No module named"),
    ("plugins: [own.py, twin.py, own.py]\n", "x.yaml:1:19: two definitions of the model `quadratic`: {folder}/own.py"),
    ("plugins: own.py\n", "x.yaml:1:10: `plugins` must be a list, found the text `own.py`\n"),
    ("plugins: [[own.py]]\n", "x.yaml:1:11: `plugins.0` must be text or a mapping, found a list\n"),
    ("plugins: [{path: own.py}]\n", "x.yaml:1:11: missing key `sha256` in `plugins.0`\n"),
    ("plugins: [{path: own.py, sha256: abc}]\n", "x.yaml:1:11: a plugin that is only recorded"),
    ("plugins: [a.py, b.py]\n", "x.yaml:1:11: there is no plugin `{folder}/a.py`\n"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), FAULTY, ids=[text.strip() for text, _ in FAULTY])
def test_faults_are_shown_where_they_are(tmp_path: Path, text: str, message: str) -> None:
    write_plugin(tmp_path)
    write_plugin(tmp_path, f"# another\n{QUADRATIC}", "twin.py")
    write_plugin(tmp_path, "import os\nimport no_such_module\n", "broken.py")
    config = write(tmp_path, f"{text}{PLAIN}")
    with pytest.raises(ConfigError) as refused:
        load_experiment(config)
    shown = str(refused.value).replace(f"{tmp_path}{os.sep}x.yaml", "x.yaml")
    assert shown.startswith(message.replace("{folder}", str(tmp_path)))
    assert ("2 faults in" in shown) == ("a.py, b.py" in text)


def test_faults_of_an_override_and_of_a_flag(tmp_path: Path) -> None:
    config = write(tmp_path, PLAIN)
    message = refusal(config, "plugins=[no.py]")
    assert message.startswith(f"override 'plugins=[no.py]': there is no plugin `{tmp_path}/no.py`\n")
    assert refusal(config, plugins=(tmp_path / "no.py",)) == f"there is no plugin `{tmp_path}/no.py`"
    broken = write_plugin(tmp_path, "1 / 0", "broken.py")
    assert refusal(config, plugins=(broken,)) == f"{broken}:1: ZeroDivisionError: division by zero"


def test_a_resolved_config_is_plain_yaml(tmp_path: Path) -> None:
    tree = yaml.safe_load(record(tmp_path))
    assert tree["plugins"] == [
        {"path": str(tmp_path / "own.py"), "sha256": hashlib.sha256((tmp_path / "own.py").read_bytes()).hexdigest()}
    ]
