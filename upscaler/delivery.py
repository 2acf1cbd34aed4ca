"""Finished bands on their way from the device into the result: rounded there, copied while it computes on."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import cv2
import numpy as np
import torch
from torch import Tensor

from upscaler.pixels import Pixels, full_scale


def deliver(bands: Iterator[Tensor], result: Pixels, device: torch.device) -> Iterator[int]:
    """Round bands (h, W, C) in 0..1 into `result` from the top down; yields how many rows are final."""
    rounded = partial(_rounded, result=result)
    done = 0
    for rows in map(rounded, bands) if device.type == "cpu" else _downloaded(bands, result):
        result[done : done + len(rows)] = rows
        done += len(rows)
        del rows  # the next band wants its room
        yield done


def _rounded(band: Tensor, result: Pixels) -> Pixels:
    """OpenCV scales, rounds and saturates bytes in one pass, in a fifth of the time of torch's four."""
    if result.dtype != np.uint8:
        return _levels(band, result).numpy()
    positive = band.clamp_(min=0).flatten(1).numpy()  # else a negative number's magnitude would be taken
    return cv2.convertScaleAbs(positive, alpha=full_scale(result)).reshape(band.shape)


def _downloaded(bands: Iterator[Tensor], result: Pixels) -> Iterator[Pixels]:
    """From an accelerator, one band late: each copy runs beside the next band's computation."""
    copying = torch.cuda.Stream()
    late: tuple[Tensor, torch.cuda.Event] | None = None
    for band in bands:
        levels = _levels(band, result)
        copying.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(copying):
            rows = torch.empty(levels.shape, dtype=levels.dtype, pin_memory=True)
            rows.copy_(levels, non_blocking=True)
            levels.record_stream(copying)
        if late is not None:
            yield _landed(*late)
        late = rows, copying.record_event()
    if late is not None:
        yield _landed(*late)


def _landed(rows: Tensor, copied: torch.cuda.Event) -> Pixels:
    copied.synchronize()
    return rows.numpy()


def _levels(band: Tensor, result: Pixels) -> Tensor:
    """In the result's type, rounded where it holds whole numbers, and within its range."""
    white = full_scale(result)
    levels = band.mul(white).clamp_(0, white)
    return levels if result.dtype.kind == "f" else levels.round_().to(torch.from_numpy(result[:0]).dtype)
