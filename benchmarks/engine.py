"""How fast the engine is, against other engines and against what the machine can do at all.

    python -m benchmarks.engine                          # the table of ratios
    python -m benchmarks.engine --growth --memory        # also: how time and memory grow
    python -m benchmarks.engine --job photo.png          # also: a whole job against the network alone

All in one run, on the same weights, picture and threads. Engines take turns and the best of several rounds
counts, so that a busy moment of the machine hits all alike. What is not installed is left out, by name.
"""

from __future__ import annotations

import argparse
import io
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from benchmarks import other_engines
from upscaler.architectures import SRVGGNetCompact
from upscaler.catalog import DEFAULT_MODEL, find_model
from upscaler.convolution import convolve
from upscaler.engine import Engine
from upscaler.precision import processor_has_bfloat16
from upscaler.weights import load_network
from utils.image_files import decode, open_writer

OUTPUT_MEGAPIXELS = (25, 100, 200)
INPUT_MEGAPIXELS = (0.25, 1, 4, 25)
REFERENCE = "plain PyTorch, float32"


def main() -> None:
    options = _arguments()
    torch.set_num_threads(options.threads)
    network = load_network(find_model(options.model, options.models_dir), options.models_dir)
    if not isinstance(network, SRVGGNetCompact):
        sys.exit("The other engines are given SRVGGNetCompact networks only. Choose such a --model.")
    print(f"{options.model}, {options.size[1]}x{options.size[0]}, {options.threads} threads, {_processor()}\n")
    _compare(network, options)
    if options.growth:
        _growth(options)
    if options.memory:
        _memory(options)
    if options.job:
        _job(options)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--models-dir", type=Path, default=Path("data/models"))
    parser.add_argument("--size", type=_size, default=(256, 256), metavar="HxW", help="of the picture, in pixels")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--growth", action="store_true", help="time from 0.25 to 25 megapixels in")
    parser.add_argument("--memory", action="store_true", help="memory at 25, 100 and 200 megapixels out")
    parser.add_argument("--job", type=Path, metavar="PICTURE", help="decode, upscale and encode this picture")
    parser.add_argument("--precision", default="auto", help="for --growth, --memory and --job")
    parser.add_argument("--measure-memory", type=float, metavar="MEGAPIXELS", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure_memory:
        print(_bytes_a_pixel(options))
        sys.exit()
    return options


def _size(text: str) -> tuple[int, int]:
    height, width = text.split("x")
    return int(height), int(width)


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if sys.platform == "linux" else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return (names or ["unknown processor"])[0] + (" with bfloat16" if processor_has_bfloat16() else "")


# --- Against other engines ------------------------------------------------------------------------


def _compare(network: SRVGGNetCompact, options: argparse.Namespace) -> None:
    picture = _photograph(*options.size)
    with tempfile.TemporaryDirectory() as folder:
        engines = _engines(network, options, Path(folder))
        best = _best_of(engines, picture, options.repeats)
        exact = _eight_bit(engines[REFERENCE](picture))
        quality = {name: _decibels(exact, _eight_bit(run(picture))) for name, run in engines.items()}
    work = 2 * sum(parameter.numel() for name, parameter in network.named_parameters() if parameter.dim() == 4)
    peak = {dtype: _peak(network.body[0].out_channels, dtype) for dtype in (torch.float32, torch.bfloat16)}
    print("| engine | ms | time, plain = 1 | from plain, dB | share of the peak |")
    print("|---|---|---|---|---|")
    for name, seconds in best.items():
        dtype = torch.bfloat16 if "bfloat16" in name else torch.float32
        share = work * picture.shape[0] * picture.shape[1] / seconds / peak[dtype]
        decibels = "same" if math.isinf(quality[name]) else f"{quality[name]:.1f}"
        print(f"| {name} | {seconds * 1e3:.0f} | {seconds / best[REFERENCE]:.2f} | {decibels} | {share:.0%} |")
    print(f"\nPeak of a 3x3 convolution of {network.body[0].out_channels} channels, measured in this run: ", end="")
    print(", ".join(f"{flops / 1e9:.0f} GFLOP/s in {str(dtype)[6:]}" for dtype, flops in peak.items()) + "\n")


def _engines(
    network: SRVGGNetCompact, options: argparse.Namespace, folder: Path
) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """What can be compared here. Ours takes and gives bytes; the others give float, which saves them a step."""
    threads, size = options.threads, options.size
    rows, channels_last = torch.contiguous_format, torch.channels_last
    makers: dict[str, Callable[[], Callable[[np.ndarray], np.ndarray]]] = {
        REFERENCE: lambda: other_engines.eager(network, torch.float32, rows),
        "PyTorch channels-last, float32": lambda: other_engines.eager(network, torch.float32, channels_last),
        "PyTorch channels-last, bfloat16": lambda: other_engines.eager(network, torch.bfloat16, channels_last),
        "onnxruntime, float32": lambda: other_engines.onnxruntime(network, threads),
        "OpenVINO, float32": lambda: other_engines.openvino(network, threads, "f32", size),
        "OpenVINO, bfloat16": lambda: other_engines.openvino(network, threads, "bf16", size),
        "ncnn, float32": lambda: other_engines.ncnn(network, threads, folder),
        "this engine, float32": lambda: Engine(network, "cpu", "float32").upscale,
        "this engine, bfloat16": lambda: Engine(network, "cpu", "bfloat16").upscale,
    }
    engines = {}
    for name, make in makers.items():
        try:
            engines[name] = make()
        except ImportError as error:
            print(f"Left out: {name} ({error.name} is not installed)", file=sys.stderr)
    return engines


def _best_of(
    engines: dict[str, Callable[[np.ndarray], np.ndarray]], picture: np.ndarray, repeats: int
) -> dict[str, float]:
    """Seconds, the best of `repeats` rounds after one to warm up."""
    best = dict.fromkeys(engines, math.inf)
    for turn in range(repeats + 1):
        for name, run in engines.items():
            seconds = _seconds(lambda run=run: run(picture))
            if turn:
                best[name] = min(best[name], seconds)
    return best


def _peak(features: int, dtype: torch.dtype) -> float:
    """Floating-point operations a second of the network's inner convolution alone, repeated."""
    side, padding = 160, (1, 1)
    x = torch.rand(1, features, side, side).to(dtype).contiguous(memory_format=torch.channels_last)
    weight = torch.rand(features, features, 3, 3).to(dtype).contiguous(memory_format=torch.channels_last)
    bias = torch.rand(features).to(dtype)
    with torch.inference_mode():
        seconds = min(_seconds(lambda: convolve(x, weight, bias, padding)) for _ in range(100))
    return 2 * side * side * weight.numel() / seconds


# --- How it grows ---------------------------------------------------------------------------------


def _growth(options: argparse.Namespace) -> None:
    engine = _engine(options)
    print("| megapixels in | seconds | seconds a megapixel |\n|---|---|---|")
    points = []
    for megapixels in INPUT_MEGAPIXELS:
        picture = _photograph(*_sides(megapixels))
        seconds = min(_seconds(lambda picture=picture: engine.upscale(picture)) for _ in range(2))
        points.append((math.log(picture.size), math.log(seconds)))
        print(f"| {megapixels:g} | {seconds:.2f} | {seconds / megapixels:.3f} |")
    exponent = np.polyfit(*zip(*points, strict=True), 1)[0]
    print(f"\nTime grows with the number of pixels to the power of {exponent:.3f}.\n")


def _memory(options: argparse.Namespace) -> None:
    """In processes of their own, since a process's peak never goes down."""
    print("| megapixels out | bytes an output pixel above the loaded model |\n|---|---|")
    for megapixels in OUTPUT_MEGAPIXELS:
        command = [sys.executable, "-m", "benchmarks.engine", f"--measure-memory={megapixels}"]
        command += [f"--model={options.model}", f"--models-dir={options.models_dir}"]
        command += [f"--precision={options.precision}", f"--threads={options.threads}"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        print(f"| {megapixels} | {float(done.stdout):.2f} |", flush=True)
    print()


def _bytes_a_pixel(options: argparse.Namespace) -> float:
    """Peak of resident memory during one picture, above what the process held before, source included."""
    torch.set_num_threads(options.threads)
    engine = _engine(options)
    engine.upscale(_photograph(64, 64))
    sides = _sides(options.measure_memory / engine.scale**2)
    picture = np.random.default_rng(0).integers(0, 256, (*sides, 3), np.uint8)  # made without leaving free memory
    before = _resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    result = engine.upscale(picture)
    return (_resident("VmHWM") - before) / (result.shape[0] * result.shape[1])


def _resident(which: str) -> int:
    """Bytes, by the kernel's count."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(which))


# --- A whole job ----------------------------------------------------------------------------------


def _job(options: argparse.Namespace) -> None:
    """Decode, upscale and encode, rows being encoded while later ones are computed, against upscale alone."""
    engine = _engine(options)
    pixels = decode(options.job).pixels
    engine.upscale(pixels)
    alone, whole = math.inf, math.inf
    for _ in range(max(2, options.repeats // 2)):
        alone = min(alone, _seconds(lambda: engine.upscale(pixels)))
        whole = min(whole, _seconds(lambda: _whole_job(options.job, engine)))
    megapixels = pixels.shape[0] * pixels.shape[1] / 1e6
    print(
        f"A job on {megapixels:.2f} megapixels: {whole:.2f} s, the network alone {alone:.2f} s: {whole / alone:.3f}\n"
    )


def _whole_job(path: Path, engine: Engine) -> None:
    picture = decode(path)
    width, height = (length * engine.scale for length in (picture.layout.width, picture.layout.height))
    layout = replace(picture.layout, width=width, height=height)
    image_format = "jpeg" if path.suffix.lower() in (".jpg", ".jpeg") else "png"
    with open_writer(io.BytesIO(), layout, picture.metadata, image_format) as writer:
        engine.upscale(picture.pixels, on_rows=lambda _, rows: writer.write_rows(rows))


# --- Common ---------------------------------------------------------------------------------------


def _engine(options: argparse.Namespace) -> Engine:
    info = find_model(options.model, options.models_dir)
    return Engine.of_model(info, options.models_dir, device="cpu", precision=options.precision)


def _photograph(height: int, width: int) -> np.ndarray:
    """Noise with a photograph's spectrum: as much detail at every scale."""
    generator = np.random.default_rng(0)
    picture = np.zeros((height, width, 3), np.float32)
    step = 1
    while step < max(height, width):
        coarse = generator.standard_normal((height // step + 1, width // step + 1, 3), np.float32)
        picture += coarse.repeat(step, 0).repeat(step, 1)[:height, :width]
        step *= 4
    return np.clip(picture * 20 + 128, 0, 255).astype(np.uint8)


def _sides(megapixels: float) -> tuple[int, int]:
    side = round(math.sqrt(megapixels * 1e6))
    return side, side


def _seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def _eight_bit(result: np.ndarray) -> np.ndarray:
    return result if result.dtype == np.uint8 else np.rint(np.clip(result, 0, 1) * 255).astype(np.uint8)


def _decibels(one: np.ndarray, other: np.ndarray) -> float:
    error = float(np.mean(np.square(one.astype(np.float32) - other)))
    return 10 * math.log10(255**2 / error) if error else math.inf


if __name__ == "__main__":
    main()
