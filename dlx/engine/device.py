"""Where to compute: the device that a config asks for, and what torch must be told for exact results."""

from __future__ import annotations

import ctypes
import os
import platform

import torch

from dlx.core.errors import UsageError

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Names of settings in glibc's malloc.h."""


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
    """Set kernel threads, keep freed memory and, on GPUs, say whether float32 products may be rounded to TF32."""
    keep_memory()
    torch.set_num_threads(threads)
    torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.backends.cudnn.allow_tf32 = tf32


def release_memory() -> None:
    """Give freed memory back to the system once, where glibc was told to keep it."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if platform.libc_ver()[0] == "glibc" else None
    if trim is not None:
        trim(0)


def keep_memory() -> None:
    """Tell the C library to keep what is freed: every step needs the same memory again.

    By default glibc may give large blocks back to the system after each step, whose pages then fault one by one in the
    next: about a quarter of the time of a population of a few megabytes. Other C libraries are left as they are.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if platform.libc_ver()[0] == "glibc" else None
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, 1 << 25)  # the largest that glibc takes
        mallopt(M_TRIM_THRESHOLD, (1 << 31) - 1)


def num_workers(device: torch.device, threads: int) -> int:
    """Count the chunks of a population that can advance at once: one per core, or one on a GPU."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // threads) if device.type == "cpu" else 1
