"""Draw the pictures of docs/models.md: the same crops by bicubic, the bundled models and general-x4v3.

python -m tools.compare_models docs/images
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tools.matlab_images import Pixels
from tools.measure_bundled import Enlarge, bicubic, enlarge_by
from tools.networks import load_network, load_teacher, read_rgb

CELL = 208  # px: a side of a crop, enlarged
GAP = 6  # px between crops
TITLE = 24  # px above the crops
BUNDLED = Path(__file__).parents[1] / "upscaler" / "bundled"


@dataclass(frozen=True)
class Crop:
    """A square of CELL px of the picture `path` (under shared/), enlarged; its centre lies at (x, y) of 0..1."""

    path: str
    x: float
    y: float

    def of(self, large: Pixels) -> Pixels:
        """The square itself, moved inward where it would stick out."""
        height, width = large.shape[:2]
        left = min(max(round(self.x * width) - CELL // 2, 0), width - CELL)
        top = min(max(round(self.y * height) - CELL // 2, 0), height - CELL)
        return large[top : top + CELL, left : left + CELL]


DAMAGED = (
    Crop("images/ADE_val_00000114.jpg", 0.22, 0.38),
    Crop("images/0014.jpg", 0.50, 0.36),
    Crop("images/00017_gray.png", 0.31, 0.29),
)
CLEAN = (
    Crop("eval/Set14/x4/img_014_SRF_4_LR.png", 0.72, 0.48),
    Crop("eval/Set14/x4/img_013_SRF_4_LR.png", 0.75, 0.15),
    Crop("eval/Set5/x4/img_003_SRF_4_LR.png", 0.55, 0.45),
)


def draw(crops: tuple[Crop, ...], columns: dict[str, Enlarge], shared: Path, with_truth: bool) -> Image.Image:
    """A sheet: a row a crop, a column a model, and the true picture as the last one where there is one."""
    rows = []
    for crop in crops:
        path = shared / crop.path
        row = [crop.of(enlarge(read_rgb(path))) for enlarge in columns.values()]
        if with_truth:
            row.append(crop.of(read_rgb(path.with_name(path.name.replace("LR", "HR")))))
        rows.append(row)
    titles = [*columns, "the true picture"] if with_truth else list(columns)
    pitch = CELL + GAP
    sheet = Image.new("RGB", (len(titles) * pitch - GAP, TITLE + len(rows) * pitch - GAP), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(16)
    for column, title in enumerate(titles):
        pen.text((column * pitch + CELL / 2, TITLE / 2), title, "black", font, anchor="mm")
        for index, row in enumerate(rows):
            sheet.paste(Image.fromarray(np.ascontiguousarray(row[column])), (column * pitch, TITLE + index * pitch))
    return sheet


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the pictures go")
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    options = parser.parse_args()
    columns = {
        "bicubic": bicubic,
        "fast": enlarge_by(load_network(BUNDLED / "fast.safetensors")),
        "faithful": enlarge_by(load_network(BUNDLED / "faithful.safetensors")),
        "general-x4v3": enlarge_by(load_teacher(options.shared)),
    }
    options.folder.mkdir(parents=True, exist_ok=True)
    for name, crops, with_truth in (("damaged", DAMAGED, False), ("clean", CLEAN, True)):
        path = options.folder / f"models-{name}.webp"
        draw(crops, columns, options.shared, with_truth).save(path, quality=88, method=6)


if __name__ == "__main__":
    main()
