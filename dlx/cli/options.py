"""Arguments and flags that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Config = Annotated[Path, typer.Argument(metavar="CONFIG", help="The experiment, a YAML file.")]
ConfigOrRun = Annotated[
    Path, typer.Argument(metavar="CONFIG|RUN", help="An experiment (its initial weights), or a run (its best).")
]
Overrides = Annotated[
    list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Changes to it, as in optimizer.lr=0.01 seeds=5.")
]
Device = Annotated[str | None, typer.Option(help="Where to compute: auto, cpu, cuda or cuda:N.", show_default=False)]
RunsDir = Annotated[Path, typer.Option(help="Folder that the run directory is made in.")]
Name = Annotated[str | None, typer.Option(help="Name of the experiment in the run directory's name.")]
Quiet = Annotated[
    bool, typer.Option("--quiet", help="Print the run directory on stdout and nothing else but warnings and errors.")
]
Plugins = Annotated[
    list[Path] | None,
    typer.Option("--plugin", metavar="FILE", help="A Python file with definitions of your own; may be given again."),
]
Json = Annotated[bool, typer.Option("--json", help="Print result.json on stdout and nothing else there.")]
SameAsJson = Annotated[bool, typer.Option("--json", help="Print the same as JSON.")]
TrainedRun = Annotated[
    Path, typer.Argument(metavar="RUN", help="The run directory of a training, or of a search that chose.")
]
Split = Annotated[str | None, typer.Option(help="A part of its data: train, valid or test.", show_default=False)]
