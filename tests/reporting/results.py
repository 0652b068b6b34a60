"""Results and epochs as `dlx train` writes them, made by hand."""

import math
import statistics
from typing import Any

DIVERGED: dict[str, Any] = {
    "seed": 9,
    "stop_reason": "diverged",
    "last_epoch": 2,
    "first_nonfinite_step": 52,
    "last_finite_loss": 1e30,
}


def scored(train: float, valid: float, test: float, accuracies: tuple[float, float, float]) -> dict[str, Any]:
    return {
        part: {"loss": loss, "accuracy": accuracy}
        for part, loss, accuracy in zip(("train", "valid", "test"), (train, valid, test), accuracies, strict=True)
    }


def member(seed: int, shift: float = 0.0) -> dict[str, Any]:
    """A member that early stopping stopped; train and test losses move together with ``shift``."""
    return {
        "seed": seed,
        "stop_reason": "patience",
        "best_epoch": 10 + seed,
        "last_epoch": 15 + seed,
        **scored(0.1 + shift, 0.2 + shift, 0.25 + 1.1 * shift, (0.98, 0.95, 0.94 - shift)),
        "last": scored(0.02 + shift, 0.25 + shift, 0.3 + 1.1 * shift, (0.99, 0.94, 0.91 - shift)),
    }


def summarized(members: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean and standard deviation of every score over members."""
    summary: dict[str, Any] = {}
    for part in ("train", "valid", "test"):
        if all(part in each for each in members):
            for name in members[0][part]:
                values = [each[part][name] for each in members]
                std = statistics.stdev(values) if len(values) > 1 else None
                summary.setdefault(part, {})[name] = {"mean": statistics.fmean(values), "std": std}
    return summary


def finished(members: list[dict[str, Any]], metrics: tuple[str, ...] = ("accuracy",)) -> dict[str, Any]:
    """The result.json of members."""
    good = [each for each in members if each["stop_reason"] != "diverged"]
    summary: dict[str, Any] = {"num_members": len(members)}
    if good:
        summary |= {**summarized(good), "last": summarized([each["last"] for each in good])}
    partly = "partly_diverged" if good else "diverged"
    return {
        "schema": 1,
        "command": "train",
        "name": "digits",
        "status": "done" if len(good) == len(members) else partly,
        "loss": "cross_entropy",
        "metrics": list(metrics),
        "members": members,
        "summary": summary,
    }


def one_seed() -> dict[str, Any]:
    return finished([member(0)])


def several_seeds(*more: dict[str, Any]) -> dict[str, Any]:
    return finished([member(0), member(1, 0.05), member(2, 0.02), *more])


def course(lengths: dict[int, int], diverging: dict[int, int], *, valid: bool = True, metric: bool = True) -> Any:
    """Epochs and result of members with losses that fall, validation losses that rise again.

    Args:
        lengths: Epochs by seed of the members that end well.
        diverging: Epoch of divergence by seed of the others; their losses grow a hundredfold per epoch.
        valid: Whether there is validation data.
        metric: Whether there is a metric.
    """
    lines: list[dict[str, Any]] = []
    for epoch in range(1, max({**lengths, **diverging}.values()) + 1):
        records = [
            at_epoch(seed, epoch, epoch == length, valid, metric) for seed, length in lengths.items() if epoch <= length
        ]
        records += [diverging_at(seed, epoch, end) for seed, end in diverging.items() if epoch <= end]
        lines.append({"epoch": epoch, "members": records, "time": {"seconds": 0.5}})
    members = [ended(seed, lines, metric) for seed in lengths]
    members += [{**DIVERGED, "seed": seed, "last_epoch": end} for seed, end in diverging.items()]
    members.sort(key=lambda each: each["seed"])
    return lines, finished(members, ("accuracy",) if metric else ())


def at_epoch(seed: int, epoch: int, is_last: bool, valid: bool, metric: bool) -> dict[str, Any]:
    wobble = 1 + 0.2 * math.sin(5.0 * seed + epoch)
    train = 2.3 * math.exp(-epoch / 5) * wobble + 0.01
    held = train + (0.05 + 0.004 * epoch) * (1 + 0.1 * seed)
    record: dict[str, Any] = {"seed": seed, "repeat": 0, "fold": 0, "step": 17 * epoch, "lr": 0.001}
    record |= {part: {"loss": loss} for part, loss in (("train", train), ("valid", held))}
    if metric:
        record["train"]["accuracy"], record["valid"]["accuracy"] = math.exp(-train / 2), math.exp(-held / 2)
    if not valid:
        del record["valid"]
    return record | {"is_best": True} | ({"stop_reason": "patience"} if is_last else {})


def diverging_at(seed: int, epoch: int, end: int) -> dict[str, Any]:
    record = {"seed": seed, "repeat": 0, "fold": 0, "step": 17 * epoch, "lr": 10.0, "is_best": False}
    if epoch == end:
        divergence = {"first_nonfinite_step": 17 * epoch - 3, "last_finite_loss": 1e30}
        return record | {"stop_reason": "diverged", "divergence": divergence}
    return record | {part: {"loss": 2 * 100.0**epoch, "accuracy": 0.1} for part in ("train", "valid")}


def ended(seed: int, lines: list[dict[str, Any]], metric: bool) -> dict[str, Any]:
    """The member of result.json that epochs lead to."""
    own = [(line["epoch"], each) for line in lines for each in line["members"] if each["seed"] == seed]
    watched = "valid" if "valid" in own[0][1] else "train"
    best_epoch, best = min(own, key=lambda pair: pair[1][watched]["loss"]) if watched == "valid" else own[-1]

    def scores(record: dict[str, Any]) -> dict[str, Any]:
        parts = {part: record[part] for part in ("train", "valid") if part in record}
        test = {"loss": record[watched]["loss"] * 1.2} | ({"accuracy": 0.9 + 0.01 * seed} if metric else {})
        return parts | {"test": test}

    ends = {"stop_reason": "patience", "best_epoch": best_epoch, "last_epoch": own[-1][0]}
    return {"seed": seed, **ends, **scores(best), "last": scores(own[-1][1])}
