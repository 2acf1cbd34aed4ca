"""Measure the bundled models and print the tables of their cards.

    python -m tools.measure_bundled teacher upscaler/bundled/fast.safetensors
    python -m tools.measure_bundled truth upscaler/bundled/faithful.safetensors

Against the teacher's output decibels are counted in RGB; against the true picture in luma, with 4 pixels
of every edge left out, as super-resolution papers do. Bicubic enlargement goes through the same mill.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn

from tools.matlab_images import Pixels, grey, imresize, luma, psnr
from tools.networks import SCALE, load_network, load_teacher, read_rgb, to_pixels, to_tensor

Enlarge = Callable[[Pixels], Pixels]
Row = tuple[str, float, float]
"""What was measured, the decibels of bicubic, those of the model."""


def enlarge_by(network: nn.Module) -> Enlarge:
    """A function from a picture to its enlargement by `network`."""

    def enlarge(pixels: Pixels) -> Pixels:
        with torch.inference_mode():
            return to_pixels(network(to_tensor([pixels])))

    return enlarge


def bicubic(pixels: Pixels) -> Pixels:
    """Four times larger, by MATLAB's bicubic interpolation."""
    return imresize(pixels, (pixels.shape[0] * SCALE, pixels.shape[1] * SCALE))


def reduced_paths(shared: Path, name: str) -> list[Path]:
    """The small pictures of Set5 or Set14; each true picture lies beside it."""
    return sorted((shared / "eval" / name / "x4").glob("*_LR.png"))


def measure_against_teacher(model: Enlarge, shared: Path) -> list[Row]:
    """Decibels against the teacher's output on Set14's small pictures and on `images/`."""
    teacher = enlarge_by(load_teacher(shared))
    paths = reduced_paths(shared, "Set14") + sorted((shared / "images").iterdir())
    rows = []
    for path in paths:
        pixels = read_rgb(path)
        wanted = teacher(pixels)
        rows.append((path.stem, psnr(bicubic(pixels), wanted), psnr(model(pixels), wanted)))
    return [*rows, ("**mean**", *mean_decibels(rows))]


def measure_against_truth(model: Enlarge, shared: Path) -> list[Row]:
    """Mean decibels in luma against the true pictures of Set5 and Set14."""
    return [
        (name, *mean_decibels([luma_row(model, path) for path in reduced_paths(shared, name)]))
        for name in ("Set5", "Set14")
    ]


def luma_row(model: Enlarge, path: Path) -> Row:
    """The luma decibels of one picture, SCALE pixels of every edge left out.

    As in the papers, a grey file (one in Set14) is taken as it is, 0..255, others as luma, 16..235.
    """
    true_path = path.with_name(path.name.replace("LR", "HR"))
    with Image.open(true_path) as image:
        brightness = grey if image.mode == "L" else luma
    small, true = read_rgb(path), brightness(read_rgb(true_path))
    before, after = (psnr(brightness(large), true, shave=SCALE) for large in (bicubic(small), model(small)))
    return path.stem, before, after


def mean_decibels(rows: list[Row]) -> tuple[float, float]:
    """The means of both columns."""
    return float(np.mean([row[1] for row in rows])), float(np.mean([row[2] for row in rows]))


def print_facts(path: Path) -> None:
    """What a file of ours tells of itself, as a Markdown table."""
    with safe_open(path, "pt") as file:
        header = file.metadata()
    content = path.read_bytes()
    kernels = [value.numel() for value in load_file(path).values() if value.ndim == 4]
    features, convolutions = header["features"], header["convolutions"]
    print("| what | value |\n|---|---|")
    print(f"| network | {header['architecture']}, {features} features, {convolutions} convolutions |")
    print(f"| multiply-adds for an input pixel | {sum(kernels):,} |")
    print(f"| bytes | {len(content):,} |")
    print(f"| SHA-256 | {hashlib.sha256(content).hexdigest()} |")
    print(f"| steps | {int(header['steps_done']):,} |")
    print(f"| seed | {header['seed']} |")
    print(f"| highest learning rate | {header['rate']} |\n")


def print_table(rows: list[Row], model: str) -> None:
    """A Markdown table."""
    print(f"| picture | bicubic | {model} | gain |\n|---|---:|---:|---:|")
    for name, before, after in rows:
        print(f"| {name} | {before:.2f} | {after:.2f} | {after - before:+.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("against", choices=("teacher", "truth"))
    parser.add_argument("weights", type=Path, help="a .safetensors file, or an official .pth file")
    parser.add_argument("--shared", type=Path, default=Path("../shared"), help="holds eval/, images/ and weights/")
    options = parser.parse_args()
    if options.weights.suffix == ".safetensors":
        print_facts(options.weights)
    measure = {"teacher": measure_against_teacher, "truth": measure_against_truth}[options.against]
    print_table(measure(enlarge_by(load_network(options.weights)), options.shared), options.weights.stem)


if __name__ == "__main__":
    main()
