"""Weights and training state on disk: safetensors, no pickle, with a checksum of the content.

Weights are named as in the model's ``state_dict`` and load in plain torch and safetensors without dlx. The state of a
training is one file, so that it is replaced whole: its tensors, and in the header everything else that resume needs.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import save
from torch import Tensor

from dlx.core.errors import CheckpointError
from dlx.tracking.files import naming_failures, write_atomic


def save_tensors(path: Path, tensors: dict[str, Tensor], state: dict[str, Any] | None = None) -> None:
    """Write named tensors, atomically.

    Args:
        path: The file; its folder is made if it is missing.
        tensors: By name, on any device.
        state: What else to keep, as JSON.

    Raises:
        RunError: If the file cannot be written.
    """
    stored = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    # One key alone: safetensors writes several in an order of chance, and equal runs must give equal bytes.
    header = {"dlx": json.dumps({"sha256": _checksum(stored, state), "state": state}, sort_keys=True)}
    with naming_failures("make", path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, save(stored, metadata=header))


def load_tensors(path: Path) -> tuple[dict[str, Tensor], Any]:
    """Read what ``save_tensors`` wrote.

    Returns:
        The tensors on the CPU, and the state.

    Raises:
        CheckpointError: If the file is missing, truncated, corrupted or not one of dlx's.
    """
    remedy = "delete it to start this run again from its beginning, or restore it from a copy"
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
    except FileNotFoundError as error:
        raise CheckpointError(f"there is no checkpoint {path}") from error
    except (OSError, safetensors.SafetensorError) as error:
        raise CheckpointError(f"the checkpoint {path} is truncated or damaged ({error}); {remedy}") from error
    try:
        own = json.loads(header["dlx"])
        state = own["state"]
        is_whole = own["sha256"] == _checksum(tensors, state)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is not a checkpoint of dlx: its header has no state and checksum") from error
    if not is_whole:
        raise CheckpointError(f"the checkpoint {path} is damaged: its content does not match its checksum; {remedy}")
    return tensors, state


def _checksum(tensors: dict[str, Tensor], state: Any) -> str:
    digest = hashlib.sha256(json.dumps(state, sort_keys=True).encode())
    for name in sorted(tensors):
        digest.update(f"{name} {tensors[name].dtype} {tuple(tensors[name].shape)}".encode())
        digest.update(tensors[name].reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
