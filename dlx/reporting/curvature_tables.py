"""Turns the result.json of ``dlx curvature`` into tables of strings, for the terminal and for report.md."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dlx.reporting.tables import MISSING, Table, format_mean, format_number

Result = dict[str, Any]


def curvature_tables(result: Result) -> list[Table]:
    """Tabulate slopes and curvatures along directions, the eigenvalues, the steps, and the Jacobian.

    Args:
        result: Content of a result.json.
    """
    return [directions_table(result), eigenvalue_table(result), *_steps_table(result), *_jacobian_table(result)]


def directions_table(result: Result) -> Table:
    """Tabulate what was found along random directions between the limits that no direction exceeds."""
    found, spectrum, norm = result["directions"], result["spectrum"], result["gradient_norm"]
    slope = (-norm, *(found["slope"][key] for key in ("lowest", "mean", "highest")), norm)
    ends = spectrum["lowest"]["value"], spectrum["highest"]["value"]
    bend = (ends[0], *(found["curvature"][key] for key in ("lowest", "mean", "highest")), ends[1])
    title = f"along {found['num']} random directions u of length 1, between the limits of all directions"
    header = ("", "lower limit", "lowest", "mean", "highest", "upper limit")
    rows = (
        ("slope g'u (limits -|g| and |g|)", *map(format_number, slope)),
        ("curvature u'Hu (limits: extreme eigenvalues)", *map(format_number, bend)),
    )
    return Table(title, header, rows)


def eigenvalue_table(result: Result) -> Table:
    """Tabulate the extreme eigenvalues with their bounds, the trace, and the counts of signs."""
    spectrum = result["spectrum"]
    is_dense = spectrum["method"] == "dense"
    how = "all eigenvalues" if is_dense else "the extreme ones by Lanczos's method, the trace from random directions"
    rows = [
        (f"{name} eigenvalue", format_number(spectrum[end]["value"], 6), f"{spectrum[end]['bound']:.1e}",
         format_number(spectrum[end]["along_vector"], 6))
        for name, end in (("highest", "highest"), ("lowest", "lowest"))
    ]  # fmt: skip
    error = spectrum["trace_standard_error"]
    trace = format_number(spectrum["trace"], 6) if error is None else format_mean(spectrum["trace"], error)
    rows.append(("trace (their sum)", trace, MISSING, MISSING))
    if (signs := spectrum["signs"]) is not None:
        counts = f"{signs['positive']} / {signs['zero']} / {signs['negative']}"
        rows.append(("positive / zero / negative", counts, MISSING, MISSING))
    header = ("", "value", "off by at most", "u'Hu along it")
    return Table(f"Hessian of {result['num_parameters']:,} parameters: {how}", header, tuple(rows))


def _steps_table(result: Result) -> Iterator[Table]:
    steps = result["steps"]
    if steps is None or not steps["marks"]:
        return
    rows = []
    for mark in sorted(steps["marks"], key=lambda each: float(each["size"])):
        changes = [value - result["value"] if _is_finite(value) else None for value in _ends_of(mark)]
        texts = [MISSING if value is None else format_number(value) for value in changes]
        rows.append((mark["name"], format_number(mark["size"]), *texts))
    header = ("step size eps", "value", "predicted change of f", "measured change of f")
    yield Table("one step theta - eps g of the gradient, from here", header, tuple(rows))


def _ends_of(mark: dict[str, Any]) -> tuple[float | None, float | None]:
    return mark["predicted"], mark["measured"]


def _is_finite(value: float | None) -> bool:
    return value is not None and abs(value) < float("inf")


def _jacobian_table(result: Result) -> Iterator[Table]:
    found = result["jacobian"]
    if found is None:
        return
    rows = (
        ("rows: outputs of examples", f"{found['num_outputs']} of {found['num_examples']}, {found['num_rows']} in all"),
        ("columns: parameters", f"{found['num_columns']:,}"),
        ("rank", f"{found['rank']}"),
        ("largest singular value", format_number(found["largest_singular_value"])),
        ("root of the sum of squares", format_number(found["frobenius_norm"])),
    )
    yield Table("Jacobian of the outputs by the parameters", ("", "value"), rows)
