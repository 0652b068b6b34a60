"""How ``dlx gradcheck`` fails: what is wrong, where it lies, and what to do about it."""

from __future__ import annotations

from typing import Any

from dlx.core.errors import CheckError
from dlx.reporting.gradcheck_tables import wrong_derivative_sentence


def require_right(result: dict[str, Any]) -> None:
    """Refuse a result that is not right.

    Args:
        result: Content of result.json.

    Raises:
        CheckError: If a gradient is wrong or not verified, or a planted fault was missed.
    """
    found = {
        verdict: [
            (entry, tensor) for entry in result["checks"] for tensor in entry["tensors"] if tensor["verdict"] == verdict
        ]
        for verdict in ("wrong", "unverified")
    }
    if found["wrong"]:
        raise CheckError(_wrong(result, *found["wrong"][0], _names(found["wrong"])))
    if found["unverified"]:
        raise CheckError(
            f"kinks hide more than a fifth of the entries of {_names(found['unverified'])}, so they are not verified; "
            "try gradcheck.batch_size=2, more gradcheck.burn_in, or a smooth activation"
        )
    if result["status"] == "unverified":
        raise CheckError(
            f"every entry of the gradient is smaller than rounding ({result['noise_floor']:.1e}), so nothing is "
            "verified; the loss is at its minimum, or no slope reaches the weights: try gradcheck.burn_in=0, other "
            "weights, or more examples"
        )
    missed = [each for each in (result["self_test"] or {}).get("faults", []) if each["outcome"] == "missed"]
    if missed:
        raise CheckError(_missed(result, [each["name"] for each in missed]))


def _names(found: list[tuple[dict[str, Any], dict[str, Any]]]) -> str:
    return ", ".join(dict.fromkeys(tensor["name"] for _, tensor in found))


def _wrong(result: dict[str, Any], entry: dict[str, Any], tensor: dict[str, Any], names: str) -> str:
    why = f"; it is {tensor['meaning']}" if tensor["meaning"] else ""
    first = f"; the first wrong part is {result['first_wrong']}" if result["first_wrong"] else ""
    own = f". {wrong_derivative_sentence(result)}" if result["wrong_derivatives"] else ""
    return f"the gradient of the {entry['of']} ({entry['by']}) is wrong in {names}{why}{first}{own}".removesuffix(".")


def _missed(result: dict[str, Any], names: list[str]) -> str:
    is_sampled = any(tensor["num_directions"] for tensor in result["checks"][0]["tensors"])
    hint = (
        "Of a model as large as this only some entries and directions of each tensor are compared: try a smaller one, "
        "in which every entry is (10,000 parameters), gradcheck.burn_in=0, where slopes are larger, or another seed"
        if is_sampled
        else "Try gradcheck.burn_in=0, where slopes are larger, or more gradcheck.batch_size"
    )
    what = "1 planted fault was" if len(names) == 1 else f"{len(names)} planted faults were"
    return f"{what} missed: {'; '.join(names)}. {hint}"
