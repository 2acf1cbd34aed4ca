"""A model's weights: found on disk or downloaded, verified, and loaded into their network.

A download goes to a hidden part file beside its place, is resumed where it broke off, checked against
SHA-256 and moved into place in one step, under a lock that other processes wait for.
"""

from __future__ import annotations

import hashlib
import http.client
import logging
import os
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import torch
from filelock import FileLock
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from upscaler.architectures import Network, network_from_weights
from upscaler.catalog import ModelInfo
from upscaler.checkpoint_shapes import weights_of
from utils.errors import DiskFull, InvalidParameter, WeightsCorrupt, WeightsUnavailable

log = logging.getLogger(__name__)

ATTEMPTS = 3  # each goes on where the one before broke off
TIMEOUT_SECONDS = 30  # without a single byte
CHUNK_BYTES = 1 << 18
SECONDS_BETWEEN_PROGRESS_LINES = 5.0


def load_network(info: ModelInfo, models_dir: Path, denoise: float | None = None) -> Network:
    """The model's network with its weights in float32, downloaded first if need be.

    Args:
        denoise: 0 (keep grain) to 1 (clean fully), for a model that has a denoise partner: the two
            files' weights are mixed in that proportion. None takes the model as it is.

    Raises:
        WeightsUnavailable, WeightsCorrupt, DiskFull: see `ensure_weights`.
        InvalidParameter: `denoise` for a model that has no such control, or outside 0-1.
    """
    weights = _read(ensure_weights(info, models_dir))
    if denoise is not None:
        weights = _mixed(weights, info, models_dir, denoise)
    try:
        return network_from_weights(weights)
    except ValueError as error:
        raise WeightsCorrupt(f"{info.file}: {error}. Remove or replace it.") from error


def ensure_weights(info: ModelInfo, models_dir: Path) -> Path:
    """The path of the model's weights: on disk, whole, and with the hash the catalogue gives.

    Raises:
        WeightsUnavailable: not on disk, and the download failed.
        WeightsCorrupt: the file or the download has another SHA-256.
        DiskFull: no room for the download.
    """
    path = info.path(models_dir)
    if not path.is_file():
        _download(info, path)
    elif info.sha256 is not None and _sha256(path) != info.sha256:
        raise WeightsCorrupt(f"{path.name} does not have the SHA-256 of {info.name}. Delete it to fetch it again.")
    return path


def _mixed(weights: Mapping[str, Tensor], info: ModelInfo, models_dir: Path, denoise: float) -> dict[str, Tensor]:
    """Deep network interpolation (Wang et al. 2019), as in the official inference script."""
    if info.denoise_partner is None:
        raise InvalidParameter(f"The model {info.name} has no denoise control.", field="denoise")
    if not 0 <= denoise <= 1:
        raise InvalidParameter(f"denoise is {denoise:g}; it has to be between 0 and 1.", field="denoise")
    partner = _read(ensure_weights(info.denoise_partner, models_dir))
    return {name: torch.lerp(partner[name].float(), weights[name].float(), denoise) for name in weights}


def _read(path: Path) -> Mapping[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        return weights_of(checkpoint)
    except (MemoryError, FileNotFoundError, PermissionError):
        raise
    except (SafetensorError, Exception) as error:  # a damaged pickle raises almost anything
        raise WeightsCorrupt(f"{path.name} cannot be read: {error}. Remove or replace it.") from error


def _download(info: ModelInfo, path: Path) -> None:
    """Bring the model's file to `path`, once even if several processes want it."""
    if info.url is None:
        raise WeightsUnavailable(f"{path.name} is no longer in the models folder. Put it back.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f".{path.name}.lock")):
            if not path.is_file():  # another process may have brought it while this one waited
                _fetch_verified(info, info.url, path)
    except OSError as error:
        raise _disk_error(error, path) from error


def _fetch_verified(info: ModelInfo, url: str, path: Path) -> None:
    part = path.with_name(f".{path.name}.part")
    try:
        _fetch(url, part, info)
    except OSError:
        part.unlink(missing_ok=True)  # a full disk needs the room more than a later download the head start
        raise
    if info.sha256 is not None and _sha256(part) != info.sha256:
        part.unlink()
        raise WeightsCorrupt(f"What {url} sent does not have the SHA-256 of {info.name}. Nothing was kept.")
    part.replace(path)
    log.info("Downloaded %s", path.name)


def _fetch(url: str, part: Path, info: ModelInfo) -> None:
    """Append to `part` until it is whole, over a connection that may break."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            _fetch_rest(url, part, info)
        except urllib.error.HTTPError as error:
            raise WeightsUnavailable(_unavailable(info, url, error)) from error
        except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError) as error:
            if attempt == ATTEMPTS:
                raise WeightsUnavailable(_unavailable(info, url, error)) from error
            log.warning("The download of %s broke off (%s); going on", info.file, error)
        else:
            return


def _unavailable(info: ModelInfo, url: str, error: Exception) -> str:
    return f"The weights of {info.name} could not be downloaded ({error}). Put {url} into the models folder by hand."


def _fetch_rest(url: str, part: Path, info: ModelInfo) -> None:
    have = part.stat().st_size if part.exists() else 0
    if have >= info.bytes:  # whole, or something else altogether: the hash will tell
        return
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})  # noqa: S310
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 (the catalogue's URL)
        resumed = answer.status == http.HTTPStatus.PARTIAL_CONTENT
        with part.open("ab" if resumed else "wb") as file:
            _copy(answer, file, info)
    if part.stat().st_size < info.bytes:
        raise ConnectionError("the connection closed early")


def _copy(answer: http.client.HTTPResponse, file: BinaryIO, info: ModelInfo) -> None:
    reported = 0.0
    while chunk := answer.read(CHUNK_BYTES):
        file.write(chunk)
        if time.monotonic() - reported > SECONDS_BETWEEN_PROGRESS_LINES:
            reported = time.monotonic()
            log.info("Downloading %s: %.1f of %.1f MB", info.file, file.tell() / 1e6, info.bytes / 1e6)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _disk_error(error: OSError, path: Path) -> Exception:
    if DiskFull.explains(error):
        return DiskFull(f"There is no room for {path.name} in the models folder. Free some and try again.")
    return WeightsUnavailable(f"{path.name} cannot be written to the models folder: {os.strerror(error.errno or 0)}.")
