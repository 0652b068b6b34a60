"""Records the aten calls of a function of tensors and replays them: the cost of a lone run is dispatch, not kernels.

``vmap``, ``functional_call`` and autograd take more time per step than the kernels of a small network. They decide
nothing that changes from step to step, so their work is done once: the function runs under a dispatch mode that writes
down every aten call, the list is compiled into straight-line Python, and the same shapes run that from then on, to the
same bits.

Each call's tensors are one of three kinds:
    inputs       given anew at every call;
    constants    everything that the function did not make: theta and h in place, masks. They are held by reference, so
                 who changes one must do it in place. Views of constants are made once and not replayed;
    results      of an earlier call, dropped after their last use.
Python branches are baked in: what must change them (training or evaluation) needs a recording of its own. A function
that reads a value from a tensor cannot be recorded, and one whose replay differs from its eager result is not replayed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

Function = Callable[..., tuple[Tensor, ...]]


class Replay:
    """A function of tensors to a tuple of tensors, recorded on its second call with the same shapes.

    Args:
        function: A pure function of its inputs and of constants.
        fixed: Constants that may also be passed as inputs (theta): such an input is held by reference.
    """

    def __init__(self, function: Function, fixed: tuple[Tensor, ...] = ()) -> None:
        self._function = function
        self._fixed = fixed
        self._recordings: dict[Any, Function | None] = {}

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Give what the function gives, without a gradient history."""
        key = tuple((x.shape, x.stride(), x.dtype, any(x is fixed for fixed in self._fixed)) for x in inputs)
        recording = self._recordings.get(key)
        if key not in self._recordings:
            # The first call runs as it is: what is called once is not worth a recording.
            self._recordings[key] = None
            return self._function(*inputs)
        if recording is None:
            recording = self._recordings[key] = self._record(inputs)
        with torch.no_grad():
            return recording(*inputs)

    def _record(self, inputs: tuple[Tensor, ...], share: bool = True) -> Function:
        recorder = _Recorder(inputs, self._fixed, share)
        try:
            with recorder:
                eager = self._function(*inputs)
        except _SharedResultError:
            return self._record(inputs, share=False)
        except _NotRecordableError:
            return self._function
        replay = recorder.compile(eager)
        with torch.no_grad():
            repeated = replay(*inputs)
        same = all(torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in zip(eager, repeated, strict=True))
        return replay if same else self._function


class _NotRecordableError(Exception):
    """The function's calls depend on the values of its tensors, or on chance."""


class _SharedResultError(Exception):
    """Something is changed in place after two equal calls were made one."""


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Writes down aten calls as lines of Python over named slots.

    Args:
        inputs: What is given anew at every call.
        fixed: Which of them are constants all the same.
        share: Make a call that is made twice with the same tensors (softmax for the loss and for the predictions) once.
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # the default wraps the mode for torch.compile, which imports torch._dynamo: seconds

    def __init__(self, inputs: tuple[Tensor, ...], fixed: tuple[Tensor, ...], share: bool) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._alive: list[Any] = []  # keeps every tensor seen, so that a key is never used twice
        self._slots: dict[Any, str] = {}
        self._globals: dict[str, Any] = {}
        self._lines: list[tuple[str, list[str], str]] = []  # results, names used, expression
        self._names_of: dict[str, list[str]] | None = {} if share else None  # results of a call, by its expression
        self._has_shared = False
        self._parameters: list[str] = []
        for number, tensor in enumerate(inputs):
            name = f"x{number}"
            self._parameters.append(name)
            if not any(tensor is each for each in fixed):
                self._slots[_identity(tensor)] = name
                self._alive.append(tensor)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        tensors = [x for x in pytree.tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
        results = [x for x in pytree.tree_leaves(out) if isinstance(x, Tensor)]
        if len(results) != len(pytree.tree_leaves(out)) or torch.Tag.nondeterministic_seeded in func.tags:
            raise _NotRecordableError
        self._alive += [*tensors, *results]
        from_constants = bool(tensors) and all(_identity(x) not in self._slots for x in tensors)
        is_view = func._schema.name != "aten::_unsafe_view" and all(
            r.alias_info is not None and not r.alias_info.is_write for r in func._schema.returns
        )
        known = all(_identity(x) in self._slots for x in results)
        if is_view and (from_constants or known):
            return out
        if func._schema.is_mutable and self._has_shared:
            raise _SharedResultError
        self._write(func, args, kwargs, [] if func._schema.is_mutable else results)
        return out

    def _write(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], results: list[Tensor]) -> None:
        used: list[str] = []

        def spell(x: Any) -> str:
            if isinstance(x, Tensor):
                used.append(self._name(x))
                return used[-1]
            if isinstance(x, list | tuple):
                return "[" + ", ".join(spell(each) for each in x) + "]"
            if isinstance(x, bool | int | float | str | None) and repr(x) not in ("inf", "-inf", "nan"):
                return repr(x)
            return self._constant(x)

        spelled = [spell(x) for x in args] + [f"{key}={spell(x)}" for key, x in kwargs.items()]
        expression = f"{self._constant(func._op)}({', '.join(spelled)})"
        shared = (self._names_of or {}).get(expression) if results else None
        names = shared or [f"t{len(self._lines)}_{number}" for number in range(len(results))]
        self._slots |= {_identity(result): name for result, name in zip(results, names, strict=True)}
        if shared:
            self._has_shared = True
            return
        is_list = len(func._schema.returns) == 1 and "[]" in str(func._schema.returns[0].type)
        self._lines.append((", ".join(names) + ("," if is_list else ""), used, expression))
        if self._names_of is not None:
            self._names_of[expression] = names

    def _name(self, tensor: Tensor) -> str:
        return self._slots.get(_identity(tensor)) or self._constant(tensor)

    def _constant(self, value: Any) -> str:
        for name, known in self._globals.items():
            if known is value:
                return name
        name = f"c{len(self._globals)}"
        self._globals[name] = value
        return name

    def compile(self, results: tuple[Tensor, ...]) -> Function:
        """Compile the calls that lead to the results, each name dropped after its last use."""
        returned = [self._name(x) for x in results]
        body = [f"return ({', '.join(returned)},)"]
        needed = set(returned)
        for left, used, expression in reversed(self._lines):
            names = left.replace(",", " ").split()
            if names and not needed.intersection(names):
                continue  # a result that nothing reads
            dead = [name for name in dict.fromkeys([*used, *names]) if name not in needed and name[0] == "t"]
            if dead:
                body.append(f"del {', '.join(dead)}")
            body.append(f"{left} = {expression}" if names else expression)
            needed.update(used)
        source = f"def replay({', '.join(self._parameters)}):\n    " + "\n    ".join(reversed(body))
        namespace = dict(self._globals)
        exec(source, namespace)  # noqa: S102 - the source is made of the names above, nothing a user wrote
        return namespace["replay"]  # type: ignore[no-any-return]


def _identity(tensor: Tensor) -> Any:
    """What makes two tensors the same memory seen the same way; autograd wraps saved tensors anew."""
    return (
        tensor.untyped_storage()._cdata,
        tensor.storage_offset(),
        tuple(tensor.shape),
        tuple(tensor.stride()),
        tensor.dtype,
    )
