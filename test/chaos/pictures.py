"""What the clients send: small pictures that nobody has seen before, a few large ones, and poison."""

from __future__ import annotations

import hashlib
import io
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

SMALL = (16, 48)  # px a side
LARGE = (420, 520)  # px a side; a file above what Werkzeug keeps in memory, and something for the engine to hold
LARGE_SHARE = 0.01
POISON_SHARE = 0.04

BAD_IMAGES = Path(__file__).resolve().parents[3] / "shared" / "bad-images"
MOST_POISON_BYTES = 200_000


@dataclass(frozen=True)
class Source:
    """A file to be sent."""

    name: str
    data: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


class Pictures:
    """One user's endless supply. Each is new to the service, for what has been made once is not made again."""

    def __init__(self, user: int, seed: int) -> None:
        self._random = random.Random(f"pictures of user {user} of {seed}")
        self._user = user
        self._count = 0
        self._poison = _poison()

    def next(self) -> Source:
        self._count += 1
        number = f"{self._user}-{self._count}"
        if self._random.random() < POISON_SHARE:
            suffix, data = self._random.choice(self._poison)
            return Source(f"poison-{number}{suffix}", data)
        sides = LARGE if self._random.random() < LARGE_SHARE else SMALL
        suffix = self._random.choice((".png", ".jpg"))
        return Source(f"picture-{number}{suffix}", noise(self._random, suffix, sides))


def noise(chance: random.Random, suffix: str, sides: tuple[int, int]) -> bytes:
    """A picture that no compression makes small and no other is equal to."""
    height, width = (chance.randint(*sides) for _ in range(2))
    generator = np.random.default_rng(chance.getrandbits(64))
    pixels = generator.integers(0, 256, (height, width, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG" if suffix == ".png" else "JPEG")
    return file.getvalue()


def _poison() -> list[tuple[str, bytes]]:
    """Files with the signature of a picture that are damaged behind it: our own, and the known suites if at hand."""
    png = noise(random.Random(0), ".png", (64, 64))
    middle = len(png) // 2
    flipped = png[:middle] + bytes([png[middle] ^ 0xFF]) + png[middle + 1 :]
    own = [(".png", png[:middle]), (".png", flipped), (".png", png[:40] + bytes(500))]
    known = sorted(path for path in BAD_IMAGES.rglob("*") if path.suffix in (".png", ".jpg", ".jpeg"))
    small = (path for path in known if 0 < path.stat().st_size <= MOST_POISON_BYTES)
    return own + [(path.suffix, path.read_bytes()) for path in small]
