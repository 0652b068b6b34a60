"""What a training comes to: the values of metrics.jsonl, result.json and preprocessing.json."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from dlx.config.experiment import Experiment
from dlx.core.definition import Optimizer
from dlx.core.records import PARTS, Cell, EpochDone, MemberEpoch, Scores
from dlx.core.types import Examples
from dlx.data.preprocessing import Affine
from dlx.engine.evaluation import score_members
from dlx.engine.feed import DeviceExamples
from dlx.engine.population import Member, Population
from dlx.engine.stopping import Course
from dlx.reporting.tables import mean_and_std


def epoch_line(record: EpochDone, seconds: float) -> dict[str, Any]:
    """Give the line of metrics.jsonl of an epoch; clock values are under ``time`` alone."""
    members = [_without_nothing(_member_line(member)) for member in record.members]
    return {"epoch": record.epoch, "members": members, "time": {"seconds": round(seconds, 3)}}


def _member_line(member: MemberEpoch) -> dict[str, Any]:
    return {
        "seed": member.cell.seed,
        "repeat": member.cell.repeat,
        "fold": member.cell.fold,
        "step": member.step,
        "lr": member.lr,
        **member.scores,
        "is_best": member.is_best,
        "stop_reason": member.stop_reason,
        "divergence": member.divergence and dataclasses.asdict(member.divergence),
        "optimizer": member.diagnostics or None,
        "gradient_norm": member.gradient_norms or None,
    }


def _without_nothing(line: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in line.items() if value is not None}


def train_result(experiment: Experiment, populations: Sequence[Population], data: DeviceExamples) -> dict[str, Any]:
    """Score best and last weights of every member, once, on train, valid and test, and summarise.

    Args:
        experiment: What was trained.
        populations: All members, finished.
        data: The examples.

    Returns:
        The value of result.json: no clock values, so a repeated run gives the same.
    """
    best: dict[Cell, dict[str, Scores]] = {}
    last: dict[Cell, dict[str, Scores]] = {}
    for population in populations:
        best |= score_members(population.members, population.best_weights, data, PARTS)
        last |= score_members(population.members, population.last_weights, data, PARTS)
    courses = {
        member.cell: course
        for population in populations
        for member, course in zip(population.members, population.courses, strict=True)
    }
    members = [
        {**_member_result(cell, course, best[cell], last[cell]), **_told(experiment.optimizer, course)}
        for cell, course in courses.items()
    ]
    finished = [member for member in members if "last" in member]
    remark = experiment.loss.remark()
    return {
        "schema": 1,
        "command": "train",
        "name": experiment.name,
        "status": "done" if len(finished) == len(members) else "partly_diverged" if finished else "diverged",
        "loss": experiment.loss.name,
        **({"loss_remark": remark} if remark else {}),
        "split_seed": experiment.data.split.seed,
        "metrics": [metric.name for metric in experiment.metrics],
        "higher_is_better": {metric.name: metric.higher_is_better for metric in experiment.metrics},
        "members": members,
        "summary": {
            "num_members": len(finished),
            **summarise_members(finished),
            "last": summarise_members([m["last"] for m in finished]),
        },
    }


def _member_result(cell: Cell, course: Course, best: dict[str, Scores], last: dict[str, Scores]) -> dict[str, Any]:
    common = {"seed": cell.seed, "stop_reason": course.stop_reason, "last_epoch": course.last_epoch}
    if course.divergence is not None:
        best_epoch = {"best_epoch": course.best_epoch} if course.best_epoch else {}
        return {**common, **best_epoch, **dataclasses.asdict(course.divergence)}
    return {**common, "best_epoch": course.best_epoch, **best, "last": last}


def _told(optimizer: Optimizer, course: Course) -> dict[str, Any]:
    """Give what the update rule tells of a member's steps, in numbers and in words."""
    if not course.diagnostics:
        return {}
    remark = optimizer.remark(course.diagnostics)
    return {"optimizer": course.diagnostics, **({"remark": f"{optimizer.name}: {remark}"} if remark else {})}


def summarise_members(members: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, dict[str, float | None]]]:
    """Give mean and standard deviation (ddof 1) over members of every score, by part."""
    parts = [part for part in PARTS if members and part in members[0]]
    return {part: {name: _mean_std([m[part][name] for m in members]) for name in members[0][part]} for part in parts}


def _mean_std(values: list[float]) -> dict[str, float | None]:
    mean, std = mean_and_std(values) if all(map(math.isfinite, values)) else (None, None)
    return {"mean": mean, "std": std}


def preprocessing(members: Sequence[Member], examples: Examples) -> dict[str, Any]:
    """Give the value of preprocessing.json: names, and the fitted constants of each member."""
    return {
        "task": examples.task,
        "features": list(examples.feature_names),
        "targets": list(examples.target_names),
        **({"table": [dataclasses.asdict(column) for column in examples.table]} if examples.table else {}),
        "members": [
            {
                "seed": member.cell.seed,
                "inputs": _constants(member.input_scale),
                "targets": member.target_scale and _constants(member.target_scale),
            }
            for member in members
        ],
    }


def _constants(scale: Affine) -> dict[str, list[float]]:
    fill = {} if scale.fill is None else {"fill": scale.fill.tolist()}
    return {"shift": scale.shift.tolist(), "scale": scale.scale.tolist(), **fill}
