"""Telling that memory ran out from every other failure, by type and never by message."""

from __future__ import annotations

import numpy as np
import torch


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
