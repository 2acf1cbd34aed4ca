"""The models there are, as data: name, scale, licence, size, where the weights come from.

Free of torch and numpy, for the web process. Three sources: `bundled` weights that ship with the code,
`official` releases that are downloaded on first use, and whatever checkpoint of either family lies in
the models `folder`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from upscaler.checkpoint_shapes import CHECKPOINT_SUFFIXES, read_shapes
from upscaler.network_shapes import network_shape
from utils.errors import UnknownModel, WeightsCorrupt

log = logging.getLogger(__name__)

DEFAULT_MODEL = "fast"

BUNDLED_DIR = Path(__file__).parent / "bundled"
RELEASES = "https://github.com/xinntao/Real-ESRGAN/releases/download/"

Source = Literal["bundled", "official", "folder"]


@dataclass(frozen=True)
class ModelInfo:
    """One model. `file` is the name of its weights, in the models folder or, bundled, beside this file.

    `sha256` is known for official files only. `denoise_partner` is a model of the same shape whose
    weights are mixed in by `denoise`; a model without one has no such control.
    """

    name: str
    scale: int
    licence: str
    description: str
    file: str
    bytes: int
    sha256: str | None = None
    url: str | None = None
    source: Source = "official"
    denoise_partner: ModelInfo | None = None

    @property
    def can_denoise(self) -> bool:
        """Whether `denoise` (0-1) means anything for this model."""
        return self.denoise_partner is not None

    def path(self, models_dir: Path) -> Path:
        """Where the weights lie, or will lie once downloaded."""
        return (BUNDLED_DIR if self.source == "bundled" else models_dir) / self.file

    def is_on_disk(self, models_dir: Path) -> bool:
        """Whether all its files are there, so that the first task need not download."""
        partner_there = self.denoise_partner is None or self.denoise_partner.path(models_dir).is_file()
        return partner_there and self.path(models_dir).is_file()


def _official(
    name: str, scale: int, release: str, size: int, sha256: str, description: str, partner: ModelInfo | None = None
) -> ModelInfo:
    return ModelInfo(
        name=name,
        scale=scale,
        licence="BSD-3-Clause",
        description=description,
        file=release.rpartition("/")[2],
        bytes=size,
        sha256=sha256,
        url=RELEASES + release,
        denoise_partner=partner,
    )


_GENERAL_WDN = _official(
    "realesr-general-wdn-x4v3",
    4,
    "v0.2.5.0/realesr-general-wdn-x4v3.pth",
    4_885_111,
    "1641f8c4464b9f097c9fdda5589273713f67cf59f3d909e0bd688f0cee269dca",
    "realesr-general-x4v3 with weak denoising: keeps grain and texture, and noise as well.",
)

OFFICIAL_MODELS = (
    _official(
        "realesr-general-x4v3",
        4,
        "v0.2.5.0/realesr-general-x4v3.pth",
        4_885_111,
        "8dc7edb9ac80ccdc30c3a5dca6616509367f05fbc184ad95b731f05bece96292",
        "Photographs with noise and compression damage; small and quick. `denoise` says how much to clean.",
        _GENERAL_WDN,
    ),
    _GENERAL_WDN,
    _official(
        "realesr-animevideov3",
        4,
        "v0.2.5.0/realesr-animevideov3.pth",
        2_504_012,
        "b8a8376811077954d82ca3fcf476f1ac3da3e8a68a4f4d71363008000a18b75d",
        "Frames of drawn animation; the smallest official network.",
    ),
    _official(
        "realesrgan-x4plus",
        4,
        "v0.1.0/RealESRGAN_x4plus.pth",
        67_040_989,
        "4fa0d38905f75ac06eb49a7951b426670021be3018265fd191d2125df9d682f1",
        "Photographs, with the most invented detail; about fourteen times the work of general-x4v3.",
    ),
    _official(
        "realesrgan-x2plus",
        2,
        "v0.2.1/RealESRGAN_x2plus.pth",
        67_061_725,
        "49fafd45f8fd7aa8d31ab2a22d14d91b536c34494a5cfe31eb5d89c2fa266abb",
        "Photographs that need only twice the size; the large network at a quarter of x4plus's work.",
    ),
    _official(
        "realesrgan-x4plus-anime",
        4,
        "v0.2.2.4/RealESRGAN_x4plus_anime_6B.pth",
        17_938_799,
        "f872d837d3c90ed2e05227bed711af5671a6fd1c9f7d7e91c911a61f155e99da",
        "Drawn pictures and illustrations, with clean lines.",
    ),
)

_BUNDLED_DESCRIPTIONS = {
    "fast": "The default: photographs with noise or compression damage, in little time on any processor.",
    "faithful": "Clean pictures where nothing may be invented: the closest to the true picture.",
}


def list_models(models_dir: Path) -> list[ModelInfo]:
    """Every model: bundled, official, then the others in `models_dir` by name."""
    known = [*_bundled_models(), *OFFICIAL_MODELS]
    return known + list(_folder_models(models_dir, taken={name for info in known for name in (info.name, info.file)}))


def find_model(name: str, models_dir: Path) -> ModelInfo:
    """The model called `name`.

    Raises:
        UnknownModel: there is none; the message lists those there are.
        WeightsCorrupt: a file of that name lies in `models_dir`, but holds no such network.
    """
    models = list_models(models_dir)
    for info in models:
        if info.name == name:
            return info
    for path in _checkpoints(models_dir):
        if path.stem == name:
            return _folder_model(path)  # raises: it would have been listed otherwise
    names = ", ".join(info.name for info in models)
    raise UnknownModel(f"There is no model {name!r}. There are: {names}.", field="model")


def _bundled_models() -> Iterator[ModelInfo]:
    for name, description in _BUNDLED_DESCRIPTIONS.items():
        path = BUNDLED_DIR / f"{name}.safetensors"
        if path.is_file():
            yield _model_in_file(path, "bundled", "MIT", description)


def _folder_models(models_dir: Path, taken: set[str]) -> Iterator[ModelInfo]:
    """Readable checkpoints in the folder whose file and stem no known model has."""
    for path in _checkpoints(models_dir):
        if path.stem in taken or path.name in taken:
            continue
        try:
            yield _folder_model(path)
        except WeightsCorrupt as error:
            log.warning("Left out of the models: %s", error.detail)
        else:
            taken = taken | {path.stem}


def _checkpoints(models_dir: Path) -> list[Path]:
    """Checkpoint files in the folder, by name; hidden ones are unfinished downloads."""
    if not models_dir.is_dir():
        return []
    files = [
        path for path in models_dir.iterdir() if path.suffix in CHECKPOINT_SUFFIXES and not path.name.startswith(".")
    ]
    return sorted(files, key=lambda path: (path.stem, CHECKPOINT_SUFFIXES.index(path.suffix)))


def _folder_model(path: Path) -> ModelInfo:
    return _model_in_file(path, "folder", "unknown", "A checkpoint that the operator put into the models folder.")


def _model_in_file(path: Path, source: Source, licence: str, description: str) -> ModelInfo:
    try:
        scale = network_shape(read_shapes(path)).scale
        size = path.stat().st_size
    except (ValueError, OSError) as error:
        raise WeightsCorrupt(f"{path.name} is not a model: {error}. Remove or replace it.") from error
    return ModelInfo(
        name=path.stem,
        scale=scale,
        licence=licence,
        description=description,
        file=path.name,
        bytes=size,
        source=source,
    )
