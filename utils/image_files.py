"""Pictures from files and back: decoding, orientation, encoding.

OpenCV decodes PNG, because it keeps 16 bits a channel and refuses truncated data. Pillow decodes JPEG,
because it gives the four channels of CMYK untouched and fails on more damage than OpenCV does (13 of
the 337 fuzzed files of ImageTestSuite come out of OpenCV half grey, with a warning on stderr).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, JpegImagePlugin

from utils import png_chunks
from utils.errors import OutOfMemory, OutputTooLarge, ServiceError, Undecodable
from utils.image_header import ImageHeader, read_header
from utils.image_metadata import (
    Metadata,
    png_metadata_chunks,
    profile_channels,
    read_jpeg_metadata,
    read_png_metadata,
)
from utils.png_writer import PngWriter

Pixels = NDArray[np.uint8] | NDArray[np.uint16]
OutputFormat = Literal["png", "jpeg", "webp"]
MetadataPolicy = Literal["keep", "no-gps", "strip"]

DEFAULT_QUALITY = 95
LARGEST_SIDE: dict[OutputFormat, int] = {"png": 2**31 - 1, "jpeg": 65535, "webp": 16383}


@dataclass(frozen=True)
class Picture:
    """A decoded picture.

    Args:
        pixels: (H, W) grey, (H, W, 2) grey and alpha, (H, W, 3) RGB or (H, W, 4) RGBA; uint8 or uint16,
            by the depth of the file. Alpha is straight, not premultiplied.
        metadata: what it carries beside the pixels.
        source_format: `PNG` or `JPEG`.
        source_mode: as in `ImageHeader.mode`.
    """

    pixels: Pixels
    metadata: Metadata = field(default_factory=Metadata)
    source_format: str = "PNG"
    source_mode: str = "RGB"

    @property
    def width(self) -> int:
        """In pixels."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """In pixels."""
        return int(self.pixels.shape[0])

    @property
    def channels(self) -> int:
        """1 grey, 2 grey and alpha, 3 RGB, 4 RGBA."""
        return 1 if self.pixels.ndim == 2 else self.pixels.shape[2]

    @property
    def bits(self) -> int:
        """8 or 16 a channel."""
        return self.pixels.dtype.itemsize * 8


# --- Decoding -----------------------------------------------------------------------------------


def decode(path: Path | str) -> Picture:
    """Decode a PNG or JPEG file, upright and in the channels it is meant to be seen in.

    Raises:
        UnsupportedFormat, AnimatedImage: as `read_header`.
        Undecodable: the decoder fails, in whatever way, or the data ends early.
        OutOfMemory: the pixels do not fit into memory.
    """
    try:
        with open(path, "rb") as stream:
            header = read_header(stream)
            picture = _decode_png(stream, header) if header.format == "PNG" else _decode_jpeg(stream, header)
    except (ServiceError, FileNotFoundError):
        raise
    except MemoryError as error:
        raise OutOfMemory("There is not enough memory to decode this picture.") from error
    except Exception as error:  # decoders meet hostile bytes, and each fails in its own way
        if isinstance(error, cv2.error) and error.code == cv2.Error.StsNoMem:
            raise OutOfMemory("There is not enough memory to decode this picture.") from error
        raise Undecodable(f"The {header.format} is damaged and cannot be decoded: {error}") from error
    return replace(picture, pixels=_upright(picture.pixels, header.orientation))


def _decode_png(stream: BinaryIO, header: ImageHeader) -> Picture:
    encoded = np.frombuffer(stream.read(), np.uint8)
    pixels: Any = cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise Undecodable("The PNG is damaged and cannot be decoded. Save it again with another program.")
    if header.mode.startswith("LA"):
        pixels = pixels[:, :, [0, 3]]  # OpenCV spreads grey with alpha over BGRA
    elif pixels.ndim == 3:
        order = cv2.COLOR_BGR2RGB if pixels.shape[2] == 3 else cv2.COLOR_BGRA2RGBA
        pixels = cv2.cvtColor(pixels, order, dst=pixels)
    elif (key := _transparent_grey(stream, header)) is not None:
        pixels = _with_transparent_grey(pixels, key)
    metadata = read_png_metadata(stream)
    return Picture(pixels, _with_fitting_profile(metadata, pixels), "PNG", header.mode)


def _transparent_grey(stream: BinaryIO, header: ImageHeader) -> int | None:
    """The one grey that a grey PNG's tRNS chunk makes transparent, which OpenCV passes over."""
    depth = 8
    for chunk in png_chunks.walk(stream):
        data = png_chunks.read(stream, chunk) if chunk.kind in (b"IHDR", b"tRNS") else None
        if chunk.kind == b"IHDR" and data:
            depth = data[8]
        if chunk.kind == b"tRNS" and data and len(data) == 2:
            (key,) = struct.unpack(">H", data)
            return int(key) if depth == 16 else (key & (2**depth - 1)) * 255 // (2**depth - 1)
    return None


def _with_transparent_grey(grey: Pixels, key: int) -> Pixels:
    opaque = np.iinfo(grey.dtype).max
    with_alpha: Pixels = np.dstack([grey, np.where(grey == key, 0, opaque).astype(grey.dtype)])
    return with_alpha


def _decode_jpeg(stream: BinaryIO, header: ImageHeader) -> Picture:
    # The class itself, not Image.open: that would take a JPEG with a gain map or preview behind it for
    # a multi-picture file, and warn of sizes that the caller has already judged.
    jpeg = JpegImagePlugin.JpegImageFile(stream)
    metadata = read_jpeg_metadata(jpeg)
    jpeg.load()
    image: Image.Image = jpeg
    if image.mode == "CMYK":
        image = _cmyk_to_srgb(image, metadata.icc_profile)
        metadata = replace(metadata, icc_profile=None)
    pixels = np.array(image)
    return Picture(pixels, _with_fitting_profile(metadata, pixels), "JPEG", header.mode)


def _cmyk_to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """CMYK to sRGB through the embedded profile, or by the plain formula where there is none."""
    if profile_channels(profile) != 4:
        return image.convert("RGB")
    converted = ImageCms.profileToProfile(
        image,
        ImageCms.ImageCmsProfile(BytesIO(profile or b"")),
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode="RGB",
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    return converted or image.convert("RGB")  # the former, always, when not asked to work in place


def _with_fitting_profile(metadata: Metadata, pixels: Pixels) -> Metadata:
    """Metadata without a profile that is broken or for other channels: viewers ignore such a one."""
    grey = pixels.ndim == 2 or pixels.shape[2] == 2
    fits = profile_channels(metadata.icc_profile) in ((1, 3) if grey else (3,))
    return metadata if fits else replace(metadata, icc_profile=None)


def _upright(pixels: Pixels, orientation: int) -> Pixels:
    """Pixels turned as EXIF orientation 1 to 8 says they are meant to be seen."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


# --- Encoding -----------------------------------------------------------------------------------


def encode(
    picture: Picture,
    target: Path | str | BinaryIO,
    image_format: OutputFormat = "png",
    *,
    quality: int = DEFAULT_QUALITY,
    metadata: MetadataPolicy = "keep",
) -> None:
    """Encode a picture into a file.

    Args:
        target: a path, or a stream to write to, which is left open.
        image_format: JPEG and WebP get 8 bits; JPEG has no alpha, and is laid on white.
        quality: 1 to 100, for JPEG and WebP. From 90 on JPEG keeps colour at full resolution.
        metadata: `keep`, `no-gps`, or `strip`, which leaves the colour profile alone.

    Raises:
        OutputTooLarge: the format cannot hold a picture of that size.
    """
    check_fits(picture.width, picture.height, image_format)
    if isinstance(target, Path | str):
        with open(target, "wb") as stream:
            return encode(picture, stream, image_format, quality=quality, metadata=metadata)
    kept = _apply_policy(picture.metadata, metadata)
    if image_format == "png":
        _encode_png(picture, kept, target)
    else:
        _encode_lossy(picture, kept, target, image_format, quality)
    return None


def check_fits(width: int, height: int, image_format: OutputFormat) -> None:
    """Raise OutputTooLarge where a format cannot hold that many pixels a side."""
    limit = LARGEST_SIDE[image_format]
    if max(width, height) > limit:
        raise OutputTooLarge(
            f"A {image_format} can be {limit} pixels wide or high, and this one would be {width} × {height}. "
            "Ask for format=png or a smaller scale."
        )


def _apply_policy(metadata: Metadata, policy: MetadataPolicy) -> Metadata:
    if policy == "strip":
        return metadata.colour_only()
    return metadata.without_gps() if policy == "no-gps" else metadata


def _encode_png(picture: Picture, metadata: Metadata, stream: BinaryIO) -> None:
    if picture.channels <= 2 and profile_channels(metadata.icc_profile) != 1:
        metadata = replace(metadata, icc_profile=None)  # the PNG standard allows no RGB profile on grey
    chunks = png_metadata_chunks(metadata, picture.width, picture.height)
    with PngWriter(stream, picture.width, picture.height, picture.channels, picture.bits, chunks) as writer:
        writer.write_rows(picture.pixels)


def _encode_lossy(
    picture: Picture, metadata: Metadata, stream: BinaryIO, image_format: OutputFormat, quality: int
) -> None:
    pixels = _to_8_bits(picture.pixels)
    if image_format == "jpeg" and picture.channels in (2, 4):
        pixels = _on_white(pixels)
    image = Image.fromarray(pixels)
    fields = {
        "icc_profile": metadata.icc_profile,
        "exif": metadata.exif_block(picture.width, picture.height),
        "xmp": metadata.xmp,
        "dpi": metadata.dpi,
    }
    options = {name: value for name, value in fields.items() if value}
    if image_format == "jpeg":
        image.save(stream, "JPEG", quality=quality, subsampling=0 if quality >= 90 else 2, **options)
    else:
        image.save(stream, "WEBP", quality=quality, **options)


def _to_8_bits(pixels: Pixels) -> NDArray[np.uint8]:
    """16 bits to 8 by exact rounding: 65535 / 255 = 257."""
    if pixels.dtype == np.uint8:
        return pixels.astype(np.uint8, copy=False)
    return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _on_white(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, 2 or 4) with straight alpha, laid on white: (H, W) or (H, W, 3)."""
    colour, alpha = pixels[..., :-1].astype(np.uint16), pixels[..., -1:].astype(np.uint16)
    return (
        ((colour * alpha + 255 * (255 - alpha) + 127) // 255)
        .astype(np.uint8)
        .squeeze(-1 if pixels.shape[2] == 2 else ())
    )
