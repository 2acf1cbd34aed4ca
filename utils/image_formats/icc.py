"""ICC profiles: what they are for, what they are called, and colours through them to sRGB."""

from __future__ import annotations

import re
from io import BytesIO

from PIL import Image, ImageCms

_CHANNELS = {"GRAY": 1, "RGB": 3, "CMYK": 4}
_LONGEST_NAME = 200  # characters
_CODE = re.compile(rb"<\?php|<script", re.IGNORECASE)  # a profile is kept as it is, so not one with this


def channels(profile: bytes | None) -> int | None:
    """The colour channels a profile describes (1, 3 or 4), or None where it is no usable profile."""
    if not profile or _CODE.search(profile):
        return None
    try:
        space = ImageCms.ImageCmsProfile(BytesIO(profile)).profile.xcolor_space
    except (OSError, TypeError, ValueError):
        return None
    return _CHANNELS.get(space.strip())


def name(profile: bytes | None) -> str | None:
    """What a profile calls itself, such as `Display P3`; None where it is no usable profile."""
    if profile is None or channels(profile) is None:
        return None
    found = ImageCms.ImageCmsProfile(BytesIO(profile)).profile
    return (found.profile_description or "").strip()[:_LONGEST_NAME] or "unnamed"


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Grey or RGB in the colours of the profile to sRGB. As it is where there is no profile for it."""
    if profile is None or channels(profile) not in (1, 3):
        return image
    described = image.convert("L" if channels(profile) == 1 else "RGB")
    try:
        converted = ImageCms.profileToProfile(
            described, ImageCms.ImageCmsProfile(BytesIO(profile)), ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    except ImageCms.PyCMSError:
        converted = None
    return converted or image


def cmyk_to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """CMYK to sRGB through the embedded profile, or by (1 - C)(1 - K) where there is no usable one."""
    if profile is None or channels(profile) != 4:
        return image.convert("RGB")
    try:
        converted = ImageCms.profileToProfile(
            image,
            ImageCms.ImageCmsProfile(BytesIO(profile)),
            ImageCms.createProfile("sRGB"),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except ImageCms.PyCMSError:  # such as a profile without the table for this direction
        converted = None
    return converted or image.convert("RGB")
