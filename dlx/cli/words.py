"""``dlx config``, ``schema``, ``list`` and ``describe``: what a config says, and what it can say."""

from __future__ import annotations

import sys
from json import dumps
from pathlib import Path
from typing import Annotated

import typer

from dlx.cli.options import Config, Overrides, Plugins

words_app = typer.Typer(rich_markup_mode=None)


@words_app.command()
def config(config: Config, overrides: Overrides = None, plugins: Plugins = None) -> None:
    """Print the config with every default and override filled in."""
    from dlx.config.experiment import resolved_yaml
    from dlx.config.load import load_any

    sys.stdout.write(resolved_yaml(load_any(config, overrides or [], plugins or []).experiment))


@words_app.command()
def schema(plugins: Plugins = None) -> None:
    """Print the JSON Schema of a config, for editors that complete and check YAML."""
    _use(plugins)
    from dlx.config.experiment import json_schema

    sys.stdout.write(dumps(json_schema(), indent=2, ensure_ascii=False) + "\n")


@words_app.command("list")
def list_(
    kind: Annotated[
        str | None, typer.Argument(metavar="KIND", help="As in a config: data, model, loss ...; or section.")
    ] = None,
    plugins: Plugins = None,
) -> None:
    """List what a config can name, of one kind or of all, and its sections."""
    _use(plugins)
    from dlx.commands.catalogue import list_definitions

    sys.stdout.write(list_definitions(kind))


@words_app.command()
def describe(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As in a config: adam, mlp, mse ...; or a section.")],
    plugins: Plugins = None,
) -> None:
    """Describe a definition or a section: formula, source, settings with ranges and defaults, an example to paste."""
    _use(plugins)
    from dlx.commands.catalogue import describe_definition

    sys.stdout.write(describe_definition(name))


def _use(plugins: list[Path] | None) -> None:
    """Let names mean the definitions of plugins, too."""
    from dlx.core.plugins import load_plugin, read_plugin
    from dlx.core.registry import use

    use([load_plugin(read_plugin(each)) for each in plugins or []])
