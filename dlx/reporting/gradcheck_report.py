"""Writes report.md of a gradient check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
Errors that the rounding of f explains are shown but do not count for that: "ok (rounding)" stands where the relative
error is larger only because of them, as in tensors whose gradient is small. Entries within a step of a kink, or of a
jump of the second derivative, as elu has with alpha 1, have no exact difference to compare with; they are left out and
counted.
"""


def write_gradcheck_report(
    run_dir: Path, result: Result, facts: Mapping[str, str], pictures: Sequence[Picture]
) -> None:
    """Write report.md into a run directory.

    Args:
        run_dir: The run directory.
        result: Content of result.json.
        facts: What was checked, by name.
        pictures: The figure of the error against the step, if there is one.

    Raises:
        RunError: If the file cannot be written.
    """
    sections: dict[str, list[Any]] = {
        "What was checked": [f"- {escape(key)}: {escape(value)}\n" for key, value in facts.items()],
        "What was found": [f"- {escape(text)}\n" for text in gradcheck_sentences(result)],
        "Tensors": [markdown(table) + "\n" for table in gradcheck_tables(result, every=True)],
        "How": [HOW],
        "Step": [*shown_pictures(pictures), "\n", markdown(_steps(result["v_curve"]))] if pictures else [],
    }
    body = (f"## {title}\n\n{''.join(parts).rstrip()}\n" for title, parts in sections.items() if parts)
    head = f"# {escape(str(result['name']))}: gradcheck\n\nThe gradient is {result['status']}.\n"
    replace_file(run_dir / "report.md", "\n".join([head, *body]).encode())


def _steps(curve: Mapping[str, Any]) -> Table:
    rows = tuple(
        (f"{step:.1e}", "-" if error is None else f"{error:.1e}", f"{share:.0%}")
        for step, error, share in zip(curve["steps"], curve["errors"], curve["shares"], strict=True)
    )
    return Table("relative error for each step", ("step", "relative error", "entries not at kinks"), rows, ())
