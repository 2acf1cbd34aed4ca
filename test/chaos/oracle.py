"""What should come of a picture: what the same code makes of it in one quiet process to which nothing happens."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from chaos import tiny_model
from upscaler.catalog import find_model
from upscaler.engine import Engine
from upscaler.sizes import output_size
from utils.errors import ServiceError
from utils.image_files import decode, open_writer


@dataclass(frozen=True)
class Outcome:
    """Either the SHA-256 of a result or the code of an error."""

    sha256: str | None = None
    code: str | None = None


class Oracle:
    """Knows the outcome of every picture that was sent.

    Args:
        folder: the stack's, with its models and the sources by SHA-256.
    """

    def __init__(self, folder: Path) -> None:
        torch.set_num_threads(1)  # pictures are too small to be shared out
        models = folder / "models"
        self._sources = folder / "sources"
        self._engine = Engine.of_model(find_model(tiny_model.NAME, models), models, device="cpu", precision="float32")
        self._known: dict[str, Outcome] = {}

    def __call__(self, source: str) -> Outcome:
        """What should come of the picture with that SHA-256.

        Raises:
            FileNotFoundError: nobody sent it.
        """
        if source not in self._known:
            self._known[source] = self._make(self._sources / source)
        return self._known[source]

    def _make(self, path: Path) -> Outcome:
        try:
            picture = decode(path)
        except ServiceError as error:
            return Outcome(code=error.code)
        layout = picture.layout
        size = output_size(layout.width, layout.height, tiny_model.SCALE)
        made = io.BytesIO()
        large = replace(layout, width=size[0], height=size[1])
        image_format = "png" if picture.source_format == "PNG" else "jpeg"
        with open_writer(made, large, picture.metadata, image_format) as writer:
            self._engine.upscale(picture.pixels, size=size, on_rows=lambda _, rows: writer.write_rows(rows))
        return Outcome(sha256=hashlib.sha256(made.getvalue()).hexdigest())
