"""Where text is printed: as it is, on a console that outlives its reader."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console


def open_console(stream: TextIO, is_live: bool | None = None) -> Console:
    """Open a console; one that is live can redraw lines."""
    from rich.console import Console

    class Patient(Console):
        """Falls silent where its reader goes away; rich would end the process, and a training with it."""

        def on_broken_pipe(self) -> None:
            self.quiet = True
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # what is still buffered must go somewhere

    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="replace")  # where the encoding lacks ±, a run must still end well
    return Patient(file=stream, force_terminal=is_live, highlight=False, markup=False, emoji=False)


def write_out(text: str, stream: TextIO | None = None) -> None:
    """Write a text without loading rich, which takes longer than a list of runs; a reader may go away.

    Args:
        text: With its line breaks.
        stream: Where to write; stdout by default.
    """
    stream = stream or sys.stdout
    if stream is None:  # started without it: ``>&-``
        return
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="replace")
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def print_text(console: Console, text: str, style: str = "") -> None:
    """Print a text as it is: not wrapped, not cropped, nothing in it read as markup."""
    from rich.text import Text

    console.print(Text(text, style=style), soft_wrap=True)


def print_labelled(console: Console, label: str, text: str, style: str) -> None:
    """Print a text after its label."""
    from rich.text import Text

    console.print(Text.assemble((f"{label}:", style), " ", text), soft_wrap=True)
