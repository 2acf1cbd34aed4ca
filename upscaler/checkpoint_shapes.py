"""Names and shapes of the tensors in a checkpoint file, read without torch and without their data.

A safetensors file says them in its header. A `.pth` file is a zip around a pickle; it is read by an
unpickler that knows tensors and dictionaries and nothing else, so no code in it can run.
"""

from __future__ import annotations

import json
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from upscaler.network_shapes import Shapes

CHECKPOINT_SUFFIXES = (".safetensors", ".pth")
"""What a file of weights is called; where a stem has both, the first one counts."""

WEIGHT_KEYS = ("params_ema", "params")
"""Under which of a training checkpoint's entries the weights stand, the better one first."""

MAX_HEADER_BYTES = 100_000_000  # the limit of the safetensors library itself


def read_shapes(path: Path) -> Shapes:
    """Tensor names -> shapes of the checkpoint at `path`.

    Raises:
        ValueError: it is not a checkpoint.
        OSError: it cannot be read.
    """
    stat = path.stat()
    return _read_shapes(path, stat.st_mtime_ns, stat.st_size)


def weights_of(checkpoint: Mapping[str, Any]) -> Mapping[str, Any]:
    """The weights within a checkpoint: under `params_ema` or `params`, or the whole of it."""
    for key in WEIGHT_KEYS:
        if isinstance(checkpoint.get(key), Mapping):
            return checkpoint[key]  # type: ignore[no-any-return]
    return checkpoint


@lru_cache(maxsize=256)
def _read_shapes(path: Path, mtime_ns: int, size: int) -> Shapes:
    """Time and size are there for the cache: a replaced file is read again."""
    del mtime_ns, size
    return _safetensors_shapes(path) if path.suffix == ".safetensors" else _pickle_shapes(path)


def _safetensors_shapes(path: Path) -> Shapes:
    """Format: 8 bytes of length, then that much JSON (huggingface/safetensors, README, "Format")."""
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(min(length, MAX_HEADER_BYTES)))
        return {name: tuple(entry["shape"]) for name, entry in header.items() if name != "__metadata__"}
    except (struct.error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path.name} is not a safetensors file: {error}") from error


def _pickle_shapes(path: Path) -> Shapes:
    try:
        with zipfile.ZipFile(path) as archive:
            name = next(name for name in archive.namelist() if name.endswith("data.pkl"))
            with archive.open(name) as file:
                checkpoint = _ShapeUnpickler(file).load()
        weights = weights_of(checkpoint)
        return {name: shape for name, shape in weights.items() if isinstance(shape, tuple)}
    except OSError:
        raise
    except Exception as error:  # whatever a damaged pickle makes the unpickler raise
        raise ValueError(f"{path.name} is not a PyTorch checkpoint: {error}") from error


class _ShapeUnpickler(pickle.Unpickler):
    """Rebuilds a checkpoint with every tensor's shape in the tensor's place."""

    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        match module, name:
            case "collections", "OrderedDict":
                return OrderedDict
            case "torch._utils", "_rebuild_tensor_v2":
                return _shape_of_tensor
            case "torch._utils", "_rebuild_parameter":
                return _shape_of_parameter
            case "torch", _ if name.endswith("Storage"):
                return object
        raise pickle.UnpicklingError(f"it holds a {module}.{name}, which weights do not need")

    def persistent_load(self, pid: Any) -> None:
        """A storage: its numbers stay on disk."""


def _shape_of_tensor(storage: None, offset: int, size: tuple[int, ...], *rest: Any) -> tuple[int, ...]:
    del storage, offset, rest
    return tuple(size)


def _shape_of_parameter(shape: tuple[int, ...], *rest: Any) -> tuple[int, ...]:
    del rest
    return shape
