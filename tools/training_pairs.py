"""What the bundled models learn from: small pictures and the large ones they should become.

`fast` learns from a teacher network's outputs on pictures such as people upload (shrunk, damaged);
`faithful` from photographs and their own bicubic reductions. The pairs of one photograph lie in one
`.npz` file, made once, so that stopping costs at most the photograph in hand.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageFilter
from torch import Tensor, nn
from tqdm import tqdm

from tools.matlab_images import Pixels, imresize
from tools.networks import SCALE, read_rgb, to_pixels, to_tensor

CROP = 48  # px of the small picture: a side of what one training step sees
LARGEST_INPUT = 192  # px; a teacher's output is 16 times as many, so large inputs are cut
VALIDATION_EVERY = 40  # one photograph in so many is kept from training

Pair = tuple[Pixels, Pixels]
"""A picture (h, w, 3) and its enlargement (4h, 4w, 3)."""
MakePairs = Callable[[Pixels, np.random.Generator], Iterator[Pair]]


def photographs(shared: Path, limit: int | None = None) -> list[Path]:
    """The training photographs under `shared`, in a fixed order.

    Raises:
        FileNotFoundError: there are none.
    """
    paths = sorted(path for path in (shared / "train").rglob("*") if path.suffix in {".jpg", ".png"})
    if not paths:
        raise FileNotFoundError(f"no photographs under {shared / 'train'}; name their folder with --shared")
    return paths[:limit]


def build_pairs(paths: list[Path], folder: Path, seed: int, make_pairs: MakePairs) -> list[Path]:
    """Write the pairs of every photograph into `folder`, what is already there left out; the files' paths."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for index, path in enumerate(tqdm(paths, desc="pairs", unit="photo")):
        file = folder / f"{path.parent.name}-{path.stem}.npz"
        if not file.exists():
            pairs = list(make_pairs(read_rgb(path), np.random.default_rng((seed, index))))
            arrays = {f"{side}{k}": pair[s] for k, pair in enumerate(pairs) for s, side in enumerate("xy")}
            unfinished = file.with_suffix(".part")
            with unfinished.open("wb") as stream:
                np.savez(stream, allow_pickle=False, **arrays)
            os.replace(unfinished, file)
        files.append(file)
    return files


def load_pairs(files: list[Path]) -> list[Pair]:
    """All pairs of `files`, in memory."""
    pairs = []
    for file in files:
        with np.load(file) as arrays:
            pairs += [(arrays[f"x{k}"], arrays[f"y{k}"]) for k in range(len(arrays.files) // 2)]
    return pairs


@dataclass
class PairSampler:
    """Batches of random crops, each turned and mirrored at random; a batch depends on (seed, step) alone."""

    pairs: list[Pair]
    batch: int
    seed: int

    def __post_init__(self) -> None:
        areas = np.array([small.shape[0] * small.shape[1] for small, _ in self.pairs], np.float64)
        self.shares = areas / areas.sum()

    def __call__(self, step: int) -> tuple[Tensor, Tensor]:
        """The (N, 3, 48, 48) inputs and (N, 3, 192, 192) targets of `step`, in 0..1."""
        random = np.random.default_rng((self.seed, step))
        chosen = random.choice(len(self.pairs), self.batch, p=self.shares)
        crops = [_random_crop(self.pairs[index], random) for index in chosen]
        return to_tensor([small for small, _ in crops]), to_tensor([large for _, large in crops])


def _random_crop(pair: Pair, random: np.random.Generator) -> Pair:
    small, large = pair
    y, x = (int(random.integers(side - CROP + 1)) for side in small.shape[:2])
    turns, mirror = int(random.integers(4)), bool(random.integers(2))
    crops = []
    for pixels, factor in ((small, 1), (large, SCALE)):
        top, left, side = y * factor, x * factor, CROP * factor
        crop = np.rot90(pixels[top : top + side, left : left + side], turns)
        crops.append(crop[:, ::-1] if mirror else crop)
    return crops[0], crops[1]


# --- fast: what the teacher makes of the pictures that people send ---------------------------------


def imitation_pairs(teacher: nn.Module, device: torch.device) -> MakePairs:
    """Three pairs a photograph: one only shrunk, as many uploads are, and two shrunk and damaged."""

    def make_pairs(photo: Pixels, random: np.random.Generator) -> Iterator[Pair]:
        for damaged in (False, True, True):
            low = 1.0 if damaged else 2.0
            small = _cut(_shrink(photo, random.uniform(low, 4.5), random), random)
            if damaged:
                small = _damage(small, random)
            with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16):
                yield small, to_pixels(teacher(to_tensor([small]).to(device)))

    return make_pairs


_FILTERS = (
    Image.Resampling.BICUBIC,
    Image.Resampling.BICUBIC,  # twice: it is what most programs use
    Image.Resampling.LANCZOS,
    Image.Resampling.BOX,
    Image.Resampling.BILINEAR,
)


def _shrink(photo: Pixels, factor: float, random: np.random.Generator) -> Pixels:
    """Shrink by `factor`, or by less where a crop would no longer fit, with one of the usual filters."""
    height, width = photo.shape[:2]
    factor = max(1.0, min(factor, height / CROP, width / CROP))
    size = (max(CROP, round(width / factor)), max(CROP, round(height / factor)))
    return np.asarray(Image.fromarray(photo).resize(size, _FILTERS[int(random.integers(len(_FILTERS)))]))


def _cut(pixels: Pixels, random: np.random.Generator) -> Pixels:
    """A part of at most LARGEST_INPUT px a side, anywhere in the picture."""
    y, x = (int(random.integers(max(0, side - LARGEST_INPUT) + 1)) for side in pixels.shape[:2])
    return pixels[y : y + LARGEST_INPUT, x : x + LARGEST_INPUT]


def _damage(pixels: Pixels, random: np.random.Generator) -> Pixels:
    """Blur, noise, JPEG and the loss of colour, each on some pictures only and in this order."""
    if random.random() < 0.2:
        blur = ImageFilter.GaussianBlur(random.uniform(0.3, 1.2))
        pixels = np.asarray(Image.fromarray(pixels).filter(blur))
    if random.random() < 0.25:
        noise = random.normal(0, random.uniform(1, 8), pixels.shape)
        pixels = np.clip(np.round(pixels + noise), 0, 255).astype(np.uint8)
    if random.random() < 0.6:
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "JPEG", quality=int(random.integers(30, 96)))
        pixels = np.asarray(Image.open(file))
    if random.random() < 0.08:
        pixels = np.asarray(Image.fromarray(pixels).convert("L").convert("RGB"))
    return pixels


# --- faithful: the photograph itself ---------------------------------------------------------------


def true_pairs(photo: Pixels, random: np.random.Generator) -> Iterator[Pair]:
    """The photograph and copies of it down to 0.6, each with its bicubic reduction to a quarter."""
    for factor in (1.0, 0.9, 0.8, 0.7, 0.6):
        height, width = (round(side * factor) // SCALE for side in photo.shape[:2])
        if min(height, width) < CROP:
            return
        large = (
            photo[: height * SCALE, : width * SCALE]
            if factor == 1
            else imresize(photo, (height * SCALE, width * SCALE))
        )
        yield imresize(large, (height, width)), large
