"""Records the aten calls of a function of tensors and replays them: the cost of a lone run is dispatch, not kernels.

``vmap``, ``functional_call`` and autograd take more time per step than the kernels of a small network. They decide
nothing that changes from step to step, so their work is done once: the function runs under a dispatch mode that writes
down every aten call, the calls become one TorchScript graph, and the same shapes run that from then on, to the same
bits, without Python between two kernels (and without its lock, so that chunks in threads do not wait for each other).

Each call's tensors are one of three kinds:
    inputs       given anew at every call;
    constants    everything that the function did not make: theta and h in place, masks. They are held by reference, so
                 who changes one must do it in place. Views of constants are made once and not replayed;
    results      of an earlier call, dropped after their last use.
Python branches are baked in: what must change them (training or evaluation) needs a recording of its own. A function
that reads a value from a tensor or draws from torch's generator cannot be recorded and runs as it is, as does one whose
replay differs from its eager result in any bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from dlx.engine.device import release_memory

ENUMERATED = {torch.contiguous_format: 0, torch.preserve_format: 1, torch.channels_last: 2, torch.strided: 0}
"""Numbers that graphs have for what Python has objects for; those of c10's MemoryFormat and Layout."""
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
        if key not in self._recordings:
            # The first call runs as it is: what is called once is not worth a recording.
            self._recordings[key] = None
            return self._function(*inputs)
        recording = self._recordings[key]
        if recording is None:
            recording = self._recordings[key] = self._record(inputs)
            # A recording holds every intermediate tensor at once; what stays among them would keep their memory in
            # pieces that the next large recording (of another chunk of the population) does not fit into.
            release_memory()
        with torch.no_grad():
            return recording(*inputs)

    def _record(self, inputs: tuple[Tensor, ...], share: bool = True) -> Function:
        recorder = _Recorder(inputs, self._fixed, share)
        try:
            with recorder:
                eager = self._function(*inputs)
            replay = recorder.compile(eager)
            with torch.no_grad():
                repeated = replay(*inputs)
        except _SharedResultError:
            return self._record(inputs, share=False)
        except (_NotRecordableError, RuntimeError, TypeError, KeyError):
            return self._function
        same = all(torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in zip(eager, repeated, strict=True))
        return replay if same else self._function


class _NotRecordableError(Exception):
    """The function's calls depend on the values of its tensors, or on chance."""


class _SharedResultError(Exception):
    """Something is changed in place after two equal calls were made one."""


class _Slot(NamedTuple):
    """A tensor of the recording, by its number."""

    number: int


class _Call(NamedTuple):
    """An aten call: all arguments of its schema in order, with slots for tensors, and the slots of its results."""

    operation: Any
    arguments: tuple[Any, ...]
    results: tuple[_Slot, ...]
    gives_list: bool

    @property
    def tensors(self) -> list[_Slot]:
        """The slots among the arguments."""
        return [each for each in _leaves(self.arguments) if isinstance(each, _Slot)]


class _Memory(NamedTuple):
    """Where a tensor of the recording lies: its storage, and how it lies there."""

    home: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: torch.dtype


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Writes down aten calls over numbered slots.

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
        self._alive: list[Any] = []  # keeps every tensor seen, so that an identity is never used twice
        self._slots: dict[Any, _Slot] = {}
        self._constants: dict[Any, tuple[_Slot, Tensor]] = {}
        self._calls: list[_Call] = []
        self._made: dict[Any, tuple[_Slot, ...]] | None = {} if share else None
        self._memory: dict[_Slot, _Memory] = {}
        self._homes: dict[int, int] = {}  # of a call that is made once instead of twice: the other's storage
        self._has_shared = False
        self._count = 0
        self._inputs = [self._new_slot() for _ in inputs]
        for slot, tensor in zip(self._inputs, inputs, strict=True):
            if not any(tensor is each for each in fixed):
                self._slots[_identity(tensor)] = slot
                self._alive.append(tensor)
            self._memory[slot] = self._memory_of(tensor)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        tensors = [x for x in _leaves([*args, *kwargs.values()]) if isinstance(x, Tensor)]
        leaves = list(_leaves(out))
        results = [x for x in leaves if isinstance(x, Tensor)]
        if len(results) != len(leaves) or torch.Tag.nondeterministic_seeded in func.tags:
            raise _NotRecordableError
        self._alive += [*tensors, *results]
        if func is torch.ops.aten._to_copy.default and not tensors:
            return out  # vmap makes a tensor of a number that meets a member's scalar: a constant
        if _is_view(func) and (
            all(_identity(x) not in self._slots for x in tensors) or all(_identity(x) in self._slots for x in results)
        ):
            return out  # a view of constants, or another name of what is known
        if func._schema.is_mutable and self._has_shared:
            raise _SharedResultError
        self._write(func, args, kwargs, [] if func._schema.is_mutable else results)
        return out

    def _write(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], results: list[Tensor]) -> None:
        schema = func._schema.arguments
        given = {argument.name: value for argument, value in zip(schema, args, strict=False)} | kwargs
        complete = [given.get(argument.name, argument.default_value) for argument in schema]
        arguments = tuple(self._spell(value) for value in complete)
        key = (func, repr(arguments))
        shared = self._made.get(key) if self._made and results else None
        slots = shared or tuple(self._new_slot() for _ in results)
        self._slots |= {_identity(result): slot for result, slot in zip(results, slots, strict=True)}
        if shared:
            self._has_shared = True
            self._homes |= {
                _storage(result): self._memory[slot].home for result, slot in zip(results, slots, strict=True)
            }
            return
        self._memory |= {slot: self._memory_of(result) for result, slot in zip(results, slots, strict=True)}
        gives_list = any(each.type.kind() == "ListType" for each in func._schema.returns)
        self._calls.append(_Call(func, arguments, slots, gives_list))
        if self._made is not None:
            self._made[key] = slots

    def _spell(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            return self._slot_of(value)
        return [self._spell(each) for each in value] if isinstance(value, list | tuple) else value

    def _slot_of(self, tensor: Tensor) -> _Slot:
        identity = _identity(tensor)
        if identity in self._slots:
            return self._slots[identity]
        slot = self._constants.setdefault(identity, (self._new_slot(), tensor))[0]
        self._memory[slot] = self._memory_of(tensor)
        return slot

    def _memory_of(self, tensor: Tensor) -> _Memory:
        storage = _storage(tensor)
        return _Memory(self._homes.get(storage, storage), tensor.shape, tensor.stride(), tensor.dtype)

    def _new_slot(self) -> _Slot:
        self._count += 1
        return _Slot(self._count)

    def compile(self, results: tuple[Tensor, ...]) -> Function:
        """Turn the calls into a graph that gives the results.

        Raises:
            RuntimeError: If TorchScript has no such call; TypeError or KeyError if it has no form for an argument.
        """
        returned = [self._slot_of(result) for result in results]
        graph = torch._C.Graph()
        values = {slot: graph.addInput() for slot in self._inputs}
        values |= {slot: graph.addInput() for slot, _ in self._constants.values()}
        given = {self._memory[slot].home for slot in values}
        for call in _in_place(self._calls, self._memory, given, returned):
            _emit(graph, values, call)
        graph.registerOutput(_construct(graph, [values[slot] for slot in returned], "prim::TupleConstruct"))
        function = torch._C._create_function_from_graph("replay", graph)
        constants = [tensor for _, tensor in self._constants.values()]

        def replay(*inputs: Tensor) -> tuple[Tensor, ...]:
            # Without the optimizer of graphs: what it fuses has other bits.
            torch._C._set_graph_executor_optimize(False)
            return function(*inputs, *constants)  # type: ignore[no-any-return]

        return replay


def _in_place(
    calls: list[_Call], memory: dict[_Slot, _Memory], given: set[int], returned: list[_Slot]
) -> Iterator[_Call]:
    """Let elementwise calls write over their first argument where nobody reads that again: less memory to pass.

    Args:
        calls: The calls, in order.
        memory: Where each tensor lies.
        given: Storages that the calls did not make.
        returned: What is read after the last call.
    """
    last = {memory[slot].home: number for number, call in enumerate(calls) for slot in call.tensors}
    kept = given | {memory[slot].home for slot in returned}
    for number, call in enumerate(calls):
        packet, _, overload = str(call.operation.__name__).partition(".")
        twin = getattr(getattr(torch.ops.aten, f"{packet}_", None), overload, None)
        if twin is None or torch.Tag.pointwise not in call.operation.tags or not isinstance(call.arguments[0], _Slot):
            yield call
            continue
        own, result = memory[call.arguments[0]], memory[call.results[0]]
        is_free = own.home not in kept and last[own.home] == number
        is_alone = [memory[slot].home for slot in call.tensors].count(own.home) == 1
        yield call._replace(operation=twin) if is_free and is_alone and own[1:] == result[1:] else call


def _emit(graph: Any, values: dict[_Slot, Any], call: _Call) -> None:
    """Append a call to a graph."""

    def value_of(argument: Any) -> Any:
        if isinstance(argument, _Slot):
            return values[argument]
        if isinstance(argument, list) and any(isinstance(each, _Slot) for each in argument):
            return _construct(graph, [values[each] for each in argument], "prim::ListConstruct")
        return graph.insertConstant(ENUMERATED[argument] if _is_enumerated(argument) else argument)

    count = 1 if call.gives_list else len(call.operation._schema.returns)
    node = graph.create(call.operation._schema.name, [value_of(each) for each in call.arguments], count)
    graph.appendNode(node)
    outputs = list(node.outputs())
    if call.gives_list:
        outputs[0].setType(torch._C.ListType.ofTensors())
        unpack = graph.create("prim::ListUnpack", outputs, len(call.results))
        graph.appendNode(unpack)
        outputs = list(unpack.outputs())
    values |= dict(zip(call.results, outputs, strict=False))


def _is_enumerated(argument: Any) -> bool:
    return isinstance(argument, torch.memory_format | torch.layout)


def _construct(graph: Any, elements: list[Any], kind: str) -> Any:
    """Append a list or tuple of tensors to a graph."""
    node = graph.create(kind, elements, 1)
    graph.appendNode(node)
    types = torch._C.ListType.ofTensors() if kind == "prim::ListConstruct" else _tuple_type(len(elements))
    node.output().setType(types)
    return node.output()


def _tuple_type(length: int) -> Any:
    return torch._C.TupleType([torch._C.TensorType.get()] * length)


def _leaves(tree: Any) -> Iterator[Any]:
    """Give what lists and tuples in each other hold: pytree's own way takes a third of the time of a recording."""
    if isinstance(tree, list | tuple) and not isinstance(tree, _Slot):
        for each in tree:
            yield from _leaves(each)
    else:
        yield tree


def _is_view(func: Any) -> bool:
    """Tell whether the results of a call are views of its arguments, and nothing is changed."""
    returns = func._schema.returns
    return all(each.alias_info is not None and not each.alias_info.is_write for each in returns)


def _storage(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)


def _identity(tensor: Tensor) -> Any:
    """What makes two tensors the same memory seen the same way; autograd wraps saved tensors anew."""
    return (
        _storage(tensor),
        tensor.storage_offset(),
        tuple(tensor.shape),
        tuple(tensor.stride()),
        tensor.dtype,
    )
