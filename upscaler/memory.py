"""Memory: keeping what was freed at hand, how much there is, and telling by type when there is none left."""

from __future__ import annotations

import ctypes
import sys
from functools import cache

import numpy as np
import torch

# Of glibc's mallopt(3).
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
MAPPED_BYTES = 32 << 20  # from here on a block is of its own and goes back when freed: pictures, not layers (4 MiB)
KEPT_BYTES = 32 << 20  # so much freed room at the heap's end stays


@cache
def keep_freed_memory() -> None:
    """Have the process keep the room of a layer's output for the next layer's.

    By default glibc gives freed room at the end of its heap back to the kernel from 128 KiB on, and learns better
    only by chance. Then every layer's output is faulted in page by page: general-x4v3 took 245 ms for what took 175.
    Where there is no mallopt (musl, macOS, Windows), nothing happens.
    """
    if sys.platform == "linux" and (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)):
        mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES)
        mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)


def free_bytes(device: torch.device) -> int:
    """What a CUDA device can still give, its freed but kept blocks included."""
    kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return torch.cuda.mem_get_info(device)[0] + kept


def is_out_of_memory(error: BaseException, wanted: int) -> bool:
    """Whether `error` means that an allocation failed.

    torch raises OutOfMemoryError for accelerators, but a bare RuntimeError for the processor's own
    memory. There the question is put to numpy, whose refusal has a type: can `wanted` bytes be had?
    """
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return type(error) is RuntimeError and not _can_allocate(wanted)


def _can_allocate(size: int) -> bool:
    try:
        np.empty(size, np.uint8)
    except MemoryError:
        return False
    return True
