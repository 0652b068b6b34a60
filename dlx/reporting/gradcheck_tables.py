"""Turns the result of a gradient check into tables and sentences, for the terminal and for report.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dlx.reporting.tables import MISSING, Table, format_number

Result = Mapping[str, Any]
WORDS = ("shape", "worst entry", "verdict", "planted in", "tensors", "outcome", "fault")
SHOWN_TENSORS = 3
"""Names of tensors that a table spells out; of more the number is given."""


def shown_checks(result: Result) -> list[Mapping[str, Any]]:
    """Give the comparisons worth a table of their own: the objective by autograd, and every one that is not ok."""
    of = "objective" if any(each["of"] == "objective" for each in result["checks"]) else "loss"
    return [
        each for each in result["checks"] if (each["of"], each["by"]) == (of, "autograd") or each["verdict"] != "ok"
    ]


def gradcheck_tables(result: Result, every: bool = False) -> Iterator[Table]:
    """Compose the tables of a check.

    Args:
        result: Content of result.json.
        every: Show every comparison, also those that are as they should be.
    """
    for entry in result["checks"] if every else shown_checks(result):
        yield _tensor_table(entry)
    if result["agreement"]:
        yield _agreement_table(result)
    if result["self_test"]:
        yield from _self_test_tables(result["self_test"])


def _tensor_table(entry: Mapping[str, Any]) -> Table:
    rows = []
    for tensor in entry["tensors"]:
        rows.append(
            (
                tensor["name"],
                "x".join(map(str, tensor["shape"])) or "scalar",
                f"{tensor['num_checked']:,}",
                f"{tensor['num_crossed']:,}",
                f"{tensor['num_zero']:,}",
                format_number(tensor["norm"], 3),
                _error(tensor["relative_error"]),
                _error(tensor["absolute_error"]),
                _worst(tensor["worst"]),
                _verdict(tensor),
            )
        )
    title = (
        f"gradient of the {entry['of']} {_by(entry['by'])} against central differences: relative error is "
        "|a - n| / (|a| + |n|)"
    )
    header = (
        "tensor", "shape", "checked", "at kinks", "both zero", "norm", "relative error", "largest error", "worst entry",
        "verdict",
    )  # fmt: skip
    return Table(title, header, tuple(rows), WORDS)


def _by(by: str) -> str:
    return "by autograd" if by == "autograd" else by


def _error(value: float | None) -> str:
    """Write an error; None stands for two gradients that are both zero but for rounding."""
    return "both zero" if value is None else "0" if value == 0 else f"{value:.1e}"


def _verdict(tensor: Mapping[str, Any]) -> str:
    """Give the verdict; beside ok say where the relative error is large and yet no more than rounding."""
    return "ok (rounding)" if tensor["is_rounding"] else str(tensor["verdict"])


def _worst(worst: Mapping[str, Any] | None) -> str:
    if worst is None:
        return MISSING
    place = f"[{', '.join(map(str, worst['index']))}]"
    pair = f"{format_number(worst['gradient'], 5)} against {format_number(worst['difference'], 5)}"
    ratio = f", ratio {format_number(worst['ratio'], 5)}" if worst["ratio"] is not None else ""
    return f"{place} {pair}{ratio}"


def _agreement_table(result: Result) -> Table:
    """Compare the ways to one gradient with each other."""
    by_hand, products = result["agreement"]["by_hand"], result["agreement"]["jacobians"]
    autograd, hand = shown_checks(result)[0], next(each for each in result["checks"] if each["by"] == "by hand")
    rows = []
    for a, h in zip(autograd["tensors"], hand["tensors"], strict=True):
        name = a["name"]
        product = MISSING if products is None else _error(products[name])
        rows.append((name, _error(by_hand[name]), product, _error(a["relative_error"]), _error(h["relative_error"])))
    header = ("tensor", "by hand - autograd", "Jacobians - autograd", "autograd - differences", "by hand - differences")
    return Table("three ways to one gradient: relative difference of each two", header, tuple(rows), ())


def _self_test_tables(found: Mapping[str, Any]) -> Iterator[Table]:
    rows = [
        (each["name"], each["place"], _names(each["tensors"]), _error(each["smallest_error"]), each["outcome"])
        for each in found["faults"]
    ]
    header = ("fault", "planted in", "tensors", "relative error", "outcome")
    if rows:
        yield Table("planted faults: each must be caught, in these tensors and no other", header, tuple(rows), WORDS)
    least = tuple((name, MISSING if each is None else f"{each:.0e}") for name, each in found["sensitivity"].items())
    yield Table("smallest relative error that this check would have noticed", ("tensor", "error"), least, ())


def _names(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= SHOWN_TENSORS else f"{len(names)} tensors"


def gradcheck_sentences(result: Result) -> Iterator[str]:
    """Say what a check found, what it left out, and how much it would have seen."""
    tensors = shown_checks(result)[0]["tensors"]
    checked, entries = sum(each["num_checked"] for each in tensors), sum(each["num_entries"] for each in tensors)
    crossed = sum(each["num_crossed"] for each in tensors)
    sampled = any(each["num_directions"] for each in tensors)
    how = f"{checked:,} of {entries:,} entries" if sampled or crossed else f"Every entry ({entries:,})"
    more = f", and {sum(each['num_directions'] for each in tensors)} directions," if sampled else ""
    yield (
        f"{how}{more} compared in float64 on {result['num_examples']} examples; errors below "
        f"{result['noise_floor']:.1e} are rounding."
    )
    if crossed:
        yield (
            f"{crossed:,} entries were left out: a kink, or a jump of the second derivative, lies within their step, "
            "and a difference across it is not the derivative."
        )
    for entry in result["checks"]:
        for tensor in entry["tensors"]:
            if tensor["verdict"] in ("suspicious", "wrong"):
                yield _finding(entry, tensor)
    if result["not_by_hand"]:
        also = ", and with it the planted faults" if result["self_test"] else ""
        yield f"Backprop by hand is left out{also}: {result['not_by_hand']}."
    if result["wrong_derivatives"]:
        yield wrong_derivative_sentence(result)
    if result["first_wrong"]:
        yield f"The first part whose backward does not fit its forward: {result['first_wrong']}."
        yield "While the gradient itself is wrong, no faults are planted and no error against the step is measured."
        return
    yield from _curve_sentences(result)
    if result["self_test"] and result["self_test"]["faults"]:
        yield _self_test_sentence(result["self_test"]["faults"])


def _finding(entry: Mapping[str, Any], tensor: Mapping[str, Any]) -> str:
    why = f": it is {tensor['meaning']}" if tensor["meaning"] else ""
    return f"{tensor['name']}, {_by(entry['by'])} ({entry['of']}): {tensor['verdict']}{why}."


def wrong_derivative_sentence(result: Result) -> str:
    """Say what to look at where the gradient by hand alone is wrong, and that training does not use it."""
    found = result["wrong_derivatives"]
    users = "" if not any(each["kind"] == "loss" for each in found) else ", but for the rule `gauss_newton`"
    which = " and ".join(f"`{each['class']}.derivative` of the {each['kind']} `{each['name']}`" for each in found)
    return f"Autograd agrees with the differences, so training is unaffected{users}: look at {which}."


def _curve_sentences(result: Result) -> Iterator[str]:
    curve = result["v_curve"]
    if curve is None:
        return
    down, up = curve["truncation_slope"], curve["rounding_slope"]
    truncation = "no truncation error to be seen" if down is None else f"slope {down:.2f} for large steps (2 expected)"
    rounding = "no rounding to be seen" if up is None else f"{up:.2f} for small ones (-1 expected)"
    yield f"Error against step: {truncation}, {rounding}; the check takes {curve['chosen']:.1e}."


def _self_test_sentence(faults: Sequence[Mapping[str, Any]]) -> str:
    counts = Counter(each["outcome"] for each in faults)
    none = f"; {counts['no effect']} without effect in this network" if counts["no effect"] else ""
    text = f"Of {len(faults)} planted faults {counts['caught']} were caught and {counts['missed']} missed{none}."
    if not counts["below rounding"]:
        return text
    return (
        f"{text} For {counts['below rounding']} there is nothing to see in some tensor: what is compared there changes "
        "by less than rounding, for the gradient is small here. Slopes are larger with gradcheck.burn_in=0."
    )


def cost_sentence(result: Result, timing: Mapping[str, Any]) -> str:
    """Say what differences cost against backprop; the seconds are those of timing.json."""
    seconds, once = timing["differences"], timing["backprop"]
    return (
        f"Differences took {result['num_evaluations']:,} evaluations and {seconds:.2g} s; backprop gives the same "
        f"gradient in {once * 1e3:.2g} ms, {seconds / once:,.0f} times as fast."
    )
