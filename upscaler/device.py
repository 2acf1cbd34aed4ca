"""Which device the engine computes on."""

from __future__ import annotations

import torch

from utils.errors import InvalidParameter


def choose_device(wish: str) -> torch.device:
    """The device for `wish`: `auto` (the first GPU, else the processor), `cpu`, `cuda`, `cuda:1`...

    Raises:
        InvalidParameter: there is no such device here.
    """
    if wish == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(wish)
    except RuntimeError as error:
        raise InvalidParameter(f"DEVICE is {wish!r}; it has to be auto, cpu or cuda.") from error
    if device.type not in ("cpu", "cuda"):
        raise InvalidParameter(f"DEVICE is {wish!r}; it has to be auto, cpu or cuda.")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InvalidParameter(f"DEVICE is {wish!r}, but {torch.cuda.device_count()} CUDA devices are here.")
    return device
