"""Where to compute: the device that a config asks for, and what torch must be told for exact results."""

from __future__ import annotations

import os

import torch

from dlx.core.errors import UsageError


def choose_device(name: str) -> torch.device:
    """Find the device.

    Args:
        name: ``auto`` (a GPU if there is one), ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        UsageError: If it asks for a GPU that this machine does not have.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(name)
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if count <= (device.index or 0):
            found = f"torch {torch.__version__} finds {count or 'no'} CUDA device{'s' if count > 1 else ''}"
            hint = (
                f"use cuda:0 to cuda:{count - 1}" if count else "use --device cpu, or auto, which takes what is there"
            )
            raise UsageError(f"the device `{name}` is not on this machine: {found}; {hint}")
    return device


def prepare_torch(threads: int, tf32: bool) -> None:
    """Set kernel threads and, on GPUs, whether float32 products may be rounded to TF32."""
    torch.set_num_threads(threads)
    torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.backends.cudnn.allow_tf32 = tf32


def num_workers(device: torch.device, threads: int) -> int:
    """Count the chunks of a population that can advance at once: one per core, or one on a GPU."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // threads) if device.type == "cpu" else 1
