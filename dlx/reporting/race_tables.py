"""Turns the result of a race on an analytic surface into tables, for the terminal and for report.md."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dlx.reporting.tables import MISSING, Table, format_number, is_number

LABEL = "Geometry, no ranking: two variables say little about networks of thousands."
"""What stands above every race on a surface."""
NEVER = "never"
"""Stands for the step at which most starts, or one, had not arrived."""


def race_tables(result: dict[str, Any]) -> list[Table]:
    """Tabulate the race from the usual start, that from all starts, the learning rates, and the minima."""
    tables = [_usual(result)]
    if result["num_starts"] > 1:
        tables.append(_all(result))
    if any(each["sweep"] for each in result["optimizers"]):
        tables.append(_rates(result))
    if any("condition" in minimum for minimum in result["minima"]):
        tables.append(_minima(result))
    return tables


def place(at: Sequence[float], longest: int = 4) -> str:
    """Write a point, of many variables the first."""
    shown = [f"{each:.4g}" for each in at[:longest]] + (["..."] if len(at) > longest else [])
    return f"({', '.join(shown)})"


def _usual(result: dict[str, Any]) -> Table:
    rows = []
    for each in result["optimizers"]:
        usual = each["usual"]
        rows.append((
            each["optimizer"], step_text(usual["arrived"]), final_text(usual["value"]),
            place(usual["end"]), format_number(usual["distance"], 2) if is_number(usual["distance"]) else MISSING,
            ending(usual, result),
        ))  # fmt: skip
    title = (
        f"from {place(result['start'])}, {result['steps']:,} steps each; arrived: stays within a hundredth of the way"
    )
    header = ("", "arrived", "f", "end", "distance", "note")
    return Table(title, header, tuple(rows), ("end", "note"))


def step_text(step: float | None) -> str:
    """Write the step of an arrival."""
    return NEVER if step is None else f"step {step:g}"


def final_text(value: float | None) -> str:
    """Write a final value, which may be infinite."""
    return "infinite" if value is None else format_number(value, 3)


def fate_name(fate: str, result: dict[str, Any]) -> str:
    """Name what became of a path, for a person."""
    names = {
        "outside": "left the box", "other minimum": "at another minimum", "saddle": "at a saddle",
        "maximum": "at a maximum",
    }  # fmt: skip
    if fate.startswith("minimum "):
        return f"at {place(result['minima'][int(fate.split()[1]) - 1]['point'])}"
    return names.get(fate, fate)


def ending(usual: dict[str, Any], result: dict[str, Any]) -> str:
    """Say what became of a path from the usual start."""
    if usual["fate"] == "diverged":
        return f"diverged after step {usual['steps']}"
    if usual["fate"] == "outside":
        return f"left the box at step {usual['left_box']}" if usual["left_box"] is not None else "left the box"
    return fate_name(usual["fate"], result)


def _all(result: dict[str, Any]) -> Table:
    count = result["num_starts"]
    fates = [fate for fate in result["fates"] if any(fate in each["all"]["fates"] for each in result["optimizers"])]
    rows = []
    for each in result["optimizers"]:
        found = each["all"]
        shares = [f"{found['fates'].get(fate, 0) / count:.0%}" for fate in fates]
        values = found["value"]
        texts = [final_text(values[name]) for name in ("median", "lower", "upper")]
        rows.append((each["label"], *shares, step_text(found["median_arrival"]), texts[0], f"{texts[1]} to {texts[2]}"))
    title = f"from {count:,} starts, the usual one among them: where they end, and medians over all (never is infinite)"
    header = ("", *(fate_name(fate, result) for fate in fates), "arrived", "f", "middle half of f")
    return Table(title, header, tuple(rows), ("middle half of f",))


def _rates(result: dict[str, Any]) -> Table:
    rows = []
    for each in result["optimizers"]:
        if not each["sweep"]:
            rows.append((each["label"], "has no learning rate", *[MISSING] * 4))
            continue
        best = best_rate(each["sweep"], result["rates"])
        lower = [lr for lr, value in zip(result["rates"], each["sweep"], strict=True) if is_below(value, result)]
        rows.append((
            swept_name(each, result),
            *((f"{best[0]:.2g}", format_number(best[1], 3)) if best else (MISSING, MISSING)),
            f"{each['lr']:.3g}", final_text(written_value(each)),
            f"{max(lower):.2g}" if lower else MISSING,
        ))  # fmt: skip
    title = (
        f"{len(result['rates'])} learning rates from {min(result['rates']):.2g} to {max(result['rates']):.2g}, "
        "other settings as written; f: median over all starts"
    )
    return Table(title, ("", "best lr", "f there", "lr as written", "f there", "highest that goes down"), tuple(rows))


def is_below(value: float | None, result: dict[str, Any]) -> bool:
    """Tell whether a final value is below the median of the starts."""
    first = result["median_at_starts"]
    return is_number(value) and (first is None or value < first)


def swept_name(each: dict[str, Any], result: dict[str, Any]) -> str:
    """Name a rule in a sweep; where that is from the usual start alone, with that."""
    return str(each["label"]) + (" (usual start)" if each["swept_starts"] < result["num_starts"] else "")


def written_value(each: dict[str, Any]) -> float | None:
    """Give what the rule comes to as it is written, from the starts that its sweep is from."""
    value: float | None = each["usual"]["value"] if each["swept_starts"] == 1 else each["all"]["value"]["median"]
    return value


def best_rate(values: Sequence[float | None], rates: Sequence[float]) -> tuple[float, float] | None:
    """Give the learning rate of the lowest value and that value; None where none is finite."""
    known = [(value, lr) for value, lr in zip(values, rates, strict=True) if value is not None]
    value, lr = min(known, default=(None, None))
    return None if value is None or lr is None else (lr, value)


def _minima(result: dict[str, Any]) -> Table:
    rows = []
    for minimum in result["minima"]:
        if "condition" not in minimum:
            continue
        best = minimum["best"]
        cells = [f"{best[name]['factor']:.4f}, {per_digit(best[name]['steps_per_digit'])}" for name in best]
        rows.append((
            place(minimum["point"]), format_number(minimum["lowest_curvature"]),
            format_number(minimum["highest_curvature"]), format_number(minimum["condition"]),
            f"{2 / minimum['highest_curvature']:.3g}", *cells,
        ))  # fmt: skip
    title = "near each minimum: the factor per step by which the distance shrinks at best, and steps for a tenth of it"
    header = ("", "lowest curvature", "highest", "condition", "2 / highest", "best descent", "best heavy ball")
    return Table(title, header, tuple(rows))


def per_digit(steps: float | None) -> str:
    """Write the steps that shrink a distance to a tenth."""
    if steps is None:
        return NEVER
    return "one step" if steps < 0.1 else f"{steps:.1f} steps" if steps < 10 else f"{steps:,.0f} steps"
