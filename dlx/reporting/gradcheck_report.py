"""Writes report.md of a gradient check."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dlx.reporting.gallery import Picture
from dlx.reporting.gradcheck_tables import Result, gradcheck_sentences, gradcheck_tables
from dlx.reporting.report import replace_file, shown_pictures
from dlx.reporting.tables import Table, escape, markdown

HOW = """\
- by autograd: torch's backward pass through the model, the loss and the prior, as in training.
- central differences: (f(theta + h e_i) - f(theta - h e_i)) / 2h for each parameter, which needs f alone.
- by hand: the recurrences of backprop, delta_(l-1) = W_l' delta_l * g'(z_(l-1)), from the derivatives that losses and
  activations carry; where there are no layers that these know, it is left out.
- Jacobians: the same gradient as a product of the layers' Jacobian matrices.

A tensor is ok below a relative error of 1e-7, suspicious below 1e-5, else wrong; a single entry below 1e-6 and 1e-3.
What rounding explains counts as equal. Entries within a step of a kink have no derivative to compare with; they are
counted.
"""


def write_gradcheck_report(run_dir: Path, result: Result, facts: Mapping[str, str], picture: Picture) -> None:
    """Write report.md into a run directory.

    Args:
        run_dir: The run directory.
        result: Content of result.json.
        facts: What was checked, by name.
        picture: The figure of the error against the step.

    Raises:
        RunError: If the file cannot be written.
    """
    curve = result["v_curve"]
    rows = tuple(
        (f"{step:.1e}", "-" if error is None else f"{error:.1e}", f"{share:.0%}")
        for step, error, share in zip(curve["steps"], curve["errors"], curve["shares"], strict=True)
    )
    steps = Table("relative error for each step", ("step", "relative error", "entries not at kinks"), rows, ())
    sections: dict[str, list[Any]] = {
        "What was checked": [f"- {escape(key)}: {escape(value)}\n" for key, value in facts.items()],
        "What was found": [f"- {escape(text)}\n" for text in gradcheck_sentences(result)],
        "Tensors": [markdown(table) + "\n" for table in gradcheck_tables(result, every=True)],
        "How": [HOW],
        "Step": [*shown_pictures([picture]), "\n", markdown(steps)],
    }
    body = (f"## {title}\n\n{''.join(parts).rstrip()}\n" for title, parts in sections.items() if parts)
    head = f"# {escape(str(result['name']))}: gradcheck\n\nThe gradient is {result['status']}.\n"
    replace_file(run_dir / "report.md", "\n".join([head, *body]).encode())
