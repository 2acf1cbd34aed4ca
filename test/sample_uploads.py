"""What tests upload: pictures of noise, of which no two are alike, under names that no other test uses."""

from __future__ import annotations

import io
import uuid

from PIL import Image


def noise(width: int = 20, height: int | None = None, image_format: str = "JPEG") -> bytes:
    """A file of that many pixels, as high as wide unless said otherwise."""
    file = io.BytesIO()
    Image.effect_noise((width, height or width), 80).convert("RGB").save(file, image_format)
    return file.getvalue()


def new_name() -> str:
    return f"{uuid.uuid4().hex[:12]}.jpg"
