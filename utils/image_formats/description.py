"""What is told of a picture beside its size and format: profile, EXIF tags, place and resolution, as JSON."""

from __future__ import annotations

import json
from typing import Any

from utils.image_formats import exif_json, icc, xmp
from utils.image_formats.metadata import Metadata

LARGEST = 64 * 1024  # bytes of JSON that the tags may take; whatever an upload holds, its description is small


def describe(metadata: Metadata, *, with_gps: bool = True) -> dict[str, Any]:
    """The members of a description.

    Args:
        with_gps: whether to tell the place; that there is one is told in any case.

    Returns:
        icc_profile: its name, or None.
        exif: tags by name, see `exif_json`.
        omitted: names of the tags that were too large to be told.
        has_gps: whether EXIF or XMP tells the place that it was taken at.
        dpi: [across, down], or None.
    """
    tags = exif_json.tags(metadata.exif, with_gps=with_gps)
    omitted = _omit_largest(tags)
    return {
        "icc_profile": icc.name(metadata.icc_profile),
        "exif": tags,
        "omitted": omitted,
        "has_gps": bool(metadata.exif.gps) or (metadata.xmp is not None and xmp.has_gps(metadata.xmp)),
        "dpi": [round(value, 2) for value in metadata.dpi] if metadata.dpi else None,
    }


def _omit_largest(tags: dict[str, Any]) -> list[str]:
    """Take the largest tags out until the rest is small enough. Their names."""
    sizes = {name: len(json.dumps({name: value})) for name, value in tags.items()}
    total = sum(sizes.values())
    omitted = []
    for name in sorted(sizes, key=lambda name: sizes[name], reverse=True):
        if total <= LARGEST:
            break
        total -= sizes[name]
        del tags[name]
        omitted.append(name)
    return sorted(omitted)
