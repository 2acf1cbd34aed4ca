"""A decoder in a process of its own: as good as one in this process, and lost alone when a picture kills it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import pytest
from live_service import wait_until
from PIL import Image

from utils.decoder import Decoder, DecoderLost
from utils.errors import OutOfMemory, Undecodable, UnsupportedFormat
from utils.image_files import decode
from utils.settings import Settings

PLENTY = 2 * 1024**3  # bytes
LARGE = 5000  # px a side, progressive: it takes a second or more


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    with Decoder(PLENTY) as running:
        yield running


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("large") / "large.jpg"
    noise = Image.effect_noise((LARGE // 10, LARGE // 10), 80).convert("RGB")
    noise.resize((LARGE, LARGE)).save(path, "JPEG", progressive=True)
    return path


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.png"
    Image.effect_noise((60, 40), 80).convert("RGBA").save(path)
    return path


def process_of(decoder: Decoder) -> psutil.Process:
    assert decoder._process is not None
    return psutil.Process(decoder._process.pid)


def is_busy(process: psutil.Process, path: Path) -> bool:
    return any(file.path == str(path) for file in process.open_files())


@contextmanager
def when_busy(decoder: Decoder, path: Path, act: Callable[[psutil.Process], object]) -> Iterator[psutil.Process]:
    """Inside the block, `act` is done to the decoder's process while it has the picture at `path`."""
    process = process_of(decoder)

    def watch() -> None:
        wait_until(lambda: is_busy(process, path), interval=0.001)
        act(process)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield process
    finally:
        watcher.join()


def assert_decodes(decoder: Decoder, path: Path) -> None:
    with path.open("rb") as source:
        found = decoder.decode(source)
    expected = decode(path)
    np.testing.assert_array_equal(found.pixels, expected.pixels)
    assert found.pixels.dtype == expected.pixels.dtype
    assert found.pixels.flags.writeable
    for field in ("metadata", "source_metadata", "source_format", "source_mode"):
        assert getattr(found, field) == getattr(expected, field)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "CMYK"])
def test_pictures_are_decoded_as_they_are_in_this_process(decoder: Decoder, tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("picture.jpg" if mode == "CMYK" else "picture.png")
    noise = Image.effect_noise((61, 43), 80)
    if mode == "I;16":
        noise = Image.fromarray(np.asarray(noise).astype(np.uint16) * 257)
    image = noise if mode == "I;16" else noise.convert(mode)
    image.save(path, dpi=(300, 300))
    assert_decodes(decoder, path)


def test_a_picture_on_its_side_is_turned(decoder: Decoder, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.effect_noise((61, 43), 80).save(tmp_path / "picture.jpg", exif=exif)
    assert_decodes(decoder, tmp_path / "picture.jpg")


def test_errors_come_with_their_code_and_the_process_goes_on(decoder: Decoder, small: Path, tmp_path: Path) -> None:
    process = process_of(decoder)
    broken = bytearray(small.read_bytes())
    broken[60] ^= 0xFF
    for content, kind in ((b"no picture", UnsupportedFormat), (bytes(broken), Undecodable)):
        (tmp_path / "file").write_bytes(content)
        with (tmp_path / "file").open("rb") as source, pytest.raises(kind) as caught:
            decoder.decode(source)
        assert caught.value.detail
    assert_decodes(decoder, small)
    assert process_of(decoder) == process


def test_a_decoder_that_is_killed_over_a_picture_is_told_and_replaced(
    decoder: Decoder, large: Path, small: Path
) -> None:
    assert_decodes(decoder, small)
    with (
        when_busy(decoder, large, psutil.Process.kill),
        large.open("rb") as source,
        pytest.raises(DecoderLost) as lost,
    ):
        decoder.decode(source)
    assert lost.value.error.code == "undecodable"
    assert_decodes(decoder, small)


def test_a_decoder_that_hangs_is_killed(large: Path, small: Path) -> None:
    with Decoder(PLENTY, time_limit=3.0) as decoder:
        assert_decodes(decoder, small)
        with (
            when_busy(decoder, large, psutil.Process.suspend) as process,
            large.open("rb") as source,
            pytest.raises(DecoderLost, match="more than 3 s"),
        ):
            decoder.decode(source)
        assert not process.is_running()
        assert_decodes(decoder, small)


def test_a_picture_that_takes_more_memory_than_there_is_fails_alone(large: Path, small: Path) -> None:
    with Decoder(memory=30_000_000) as decoder:
        assert_decodes(decoder, small)
        with large.open("rb") as source, pytest.raises(OutOfMemory):
            decoder.decode(source)
        assert_decodes(decoder, small)


def test_a_decoder_that_died_while_it_rested_costs_no_picture(decoder: Decoder, small: Path) -> None:
    assert_decodes(decoder, small)
    process_of(decoder).kill()
    process_of(decoder).wait()
    assert_decodes(decoder, small)


def test_the_largest_pictures_fit_into_the_memory_that_the_settings_give(tmp_path: Path) -> None:
    side = 5000  # MAX_INPUT_PIXELS, in the kinds that take most
    pixels = np.zeros((side, side, 4), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "alpha.png", compress_level=1)
    Image.fromarray(pixels, "CMYK").save(tmp_path / "cmyk.jpg", progressive=True)
    with Decoder.of_settings(Settings(_env_file=None)) as decoder:
        for path in (tmp_path / "alpha.png", tmp_path / "cmyk.jpg"):
            with path.open("rb") as source:
                assert decoder.decode(source).pixels.shape[:2] == (side, side)


def test_the_process_knows_nothing_of_the_networks(decoder: Decoder, small: Path) -> None:
    assert_decodes(decoder, small)
    assert "torch" not in Path(f"/proc/{process_of(decoder).pid}/maps").read_text()
