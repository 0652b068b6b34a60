"""The first-order rules of torch.optim, by their class."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from functools import cache, partial
from typing import Annotated, Any, Literal

import torch
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    PositiveFloat,
    create_model,
    model_validator,
)
from pydantic_core import PydanticCustomError
from torch import Tensor

from dlx.core.definition import FirstOrder, Tunable
from dlx.core.types import Hyper, State

UNFIT = {
    "Adafactor": "it sees whole matrices, and a row of theta has none",
    "LBFGS": "it needs several gradients per step; dlx has its own: optimizer=lbfgs",
    "Muon": "it sees whole matrices, and a row of theta has none",
    "SparseAdam": "it is for sparse gradients, and those of dlx are dense",
}
"""Why classes of torch.optim cannot be named."""
NOT_OURS = {"params", "lr", "foreach", "fused", "capturable", "differentiable", "maximize"}
"""Arguments that are given by dlx, or only choose how the same numbers are computed; or that would climb."""


def _refuse_unfit(name: Any) -> Any:
    if isinstance(name, str) and (reason := UNFIT.get(name)):
        message = "`torch.optim.{name}` cannot be used: {reason}"
        raise PydanticCustomError("torch_class", message, {"name": name, "reason": reason})
    return name


ClassName = Annotated[
    Literal["ASGD", "Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "NAdam", "RAdam", "RMSprop", "Rprop", "SGD"],
    BeforeValidator(_refuse_unfit),
]
# A field of this name cannot be declared in a class body.
_CLASS: dict[str, Any] = {"class": (ClassName, Field("Adamax", description="Class of torch.optim."))}
_Named: Any = create_model("_Named", __base__=FirstOrder, **_CLASS)


def _add_keywords(schema: dict[str, Any]) -> None:
    """Add the arguments of all classes to a JSON schema: which of them a class takes, the reader says."""
    schema["additionalProperties"] = False
    owners: dict[str, list[str]] = {}
    for name in schema["properties"]["class"]["enum"]:
        for key, field in _keywords_of(name).model_json_schema()["properties"].items():
            owners.setdefault(key, []).append(name)
            # Classes differ in their defaults, and arguments have no sign here: the constructor judges.
            schema["properties"].setdefault(key, {each: field[each] for each in field if each != "default"})
    for key, names in owners.items():
        schema["properties"][key]["description"] = f"Of {', '.join(names)}."


class Torch(_Named):
    """Torch: a rule of torch.optim by the name of its class, with the settings that the class has.

        optimizer: {name: torch, class: NAdam, lr: 0.002, momentum_decay: 0.004}

    Every other argument of the class is a setting, with torch's name and default (``betas: [0.9, 0.999]``). Those that
    take one gradient per step and work on each parameter by itself can be named: ASGD, Adadelta, Adagrad, Adam, AdamW,
    Adamax, NAdam, RAdam, RMSprop, Rprop and SGD. Each row of theta is a parameter group of its own, whose lr follows
    the schedule. A step is a loop over rows in Python, so with many members the rules that dlx has itself (``dlx list
    optimizer``) are much faster; and the first use imports torch's compiler, which takes seconds.

    Source:
        The documentation of torch.optim names the paper of each.
    """

    model_config = ConfigDict(extra="allow", json_schema_extra=_add_keywords)

    name: Literal["torch"] = "torch"
    lr: Tunable[PositiveFloat] = 0.002
    """Learning rate; by default that of the class."""

    @model_validator(mode="wrap")
    @classmethod
    def _read_keywords(cls, data: Any, handler: ModelWrapValidatorHandler[Torch]) -> Torch:
        """Check the arguments against the signature of the class, and fill in its defaults."""
        if not isinstance(data, dict):
            return handler(data)
        own = {key: value for key, value in data.items() if key in cls.model_fields}
        name = getattr(handler(own), "class")
        given = {key: value for key, value in data.items() if key not in own}
        keywords = dict(_keywords_of(name).model_validate(given))
        own.setdefault("lr", float(_signature(name)["lr"].default))
        if given:
            _require_accepted(name, keywords)
        return handler({**own, **keywords})

    @classmethod
    def more_keys(cls, values: Mapping[str, Any]) -> list[str]:
        """Name the arguments of the class that is chosen."""
        name = values.get("class", cls.model_fields["class"].default)
        return list(_keywords_of(name).model_fields)  # asked for only where the class is one of those

    def init(self, theta: Tensor) -> State:
        """Find the names and shapes of the class's state by a step of zeros; a row's own begins with its first step."""
        parameter = torch.nn.Parameter(torch.zeros_like(theta[0]))
        parameter.grad = torch.zeros_like(parameter)
        peer = self._build([{"params": [parameter]}])
        peer.step()
        state = {name: theta.new_zeros(len(theta), *part.shape) for name, part in peer.state[parameter].items()}
        return {**state, TAKEN: torch.zeros_like(theta[:, :1])}

    def update(self, theta: Tensor, gradient: Tensor, state: State, h: Hyper) -> None:
        """Apply one step to theta and state in place, [M, P]; the one rule that loops over rows."""
        taken, rates = state[TAKEN].flatten().tolist(), h.lr.flatten().tolist()
        parameters = [torch.nn.Parameter(row) for row in theta]  # they share its memory
        peer = self._build({"params": [each], "lr": lr} for each, lr in zip(parameters, rates, strict=True))
        parts = {name: part for name, part in state.items() if name != TAKEN}
        for row, parameter in enumerate(parameters):
            parameter.grad = gradient[row]
            if taken[row]:
                # What torch counts in is of the default dtype, which theta's holds exactly.
                peer.state[parameter] = {
                    name: part[row].clone() if part.dim() > 1 else part[row].to(torch.get_default_dtype())
                    for name, part in parts.items()
                }
        peer.step()
        for name, part in parts.items():
            for row, parameter in enumerate(parameters):
                part[row].copy_(peer.state[parameter][name])
        state[TAKEN].add_(1)

    def _build(self, groups: Iterable[dict[str, Any]]) -> torch.optim.Optimizer:
        peer: torch.optim.Optimizer = _class(getattr(self, "class"))(
            list(groups), lr=self.lr, foreach=False, **(self.model_extra or {})
        )
        return peer


TAKEN = "taken"
"""Name of the count of steps in the state; no class of torch.optim calls a part of its state so."""


def _class(name: str) -> Any:
    return getattr(torch.optim, name)


def _signature(name: str) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(_class(name).__init__).parameters


@cache
def _keywords_of(name: str) -> type[BaseModel]:
    """Build the schema of a class's arguments: their types are those of their defaults."""
    fields = {
        key: (_type_of(parameter.default), parameter.default)
        for key, parameter in _signature(name).items()
        if key not in {"self", *NOT_OURS}
    }
    config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, validate_default=True)
    return create_model(name, __config__=config, **fields)  # type: ignore[call-overload, no-any-return]


def _type_of(default: Any) -> Any:
    if isinstance(default, tuple):
        numbers = tuple.__class_getitem__((float,) * len(default))
        return Annotated[numbers, Field(strict=False), BeforeValidator(partial(_require_length, default=default))]
    return bool if isinstance(default, bool) else float


def _require_length(value: Any, default: tuple[float, ...]) -> Any:
    if isinstance(value, list | tuple) and len(value) == len(default):
        return value
    message = "expected a list of {count} numbers, such as {default}"
    raise PydanticCustomError("torch_length", message, {"count": len(default), "default": str(list(default))})


def _require_accepted(name: str, keywords: Mapping[str, Any]) -> None:
    """Let the class judge the values, by its constructor and by a step.

    Raises:
        PydanticCustomError: If it refuses them; with its reason.
    """
    try:
        parameter = torch.zeros(1, requires_grad=True)
        parameter.grad = torch.ones(1)
        _class(name)([parameter], foreach=False, **keywords).step()
    except (ValueError, TypeError, RuntimeError) as error:
        raise PydanticCustomError(
            "torch_refused",
            "`torch.optim.{name}` refuses these settings: {reason}",
            {"name": name, "reason": str(error)},
        ) from error
