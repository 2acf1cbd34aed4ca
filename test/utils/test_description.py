"""What is told of a picture: every EXIF type as JSON, and never more than a bounded amount."""

from __future__ import annotations

import json
import struct

import pytest

from utils.image_formats import exif, exif_json
from utils.image_formats.description import LARGEST, describe
from utils.image_formats.exif import Exif, Field
from utils.image_formats.metadata import Metadata
from utils.image_formats.xmp import rewrite


@pytest.mark.parametrize(
    ("field", "told"),
    [
        (Field(2, 6, b"Maker\0"), "Maker"),
        (Field(2, 7, "Bäu\0".encode() + b"\0\0"), "Bäu"),
        (Field(2, 2, b"\xff\0"), "\N{REPLACEMENT CHARACTER}"),
        (Field(129, 4, "ö".encode() + b"\0\0"), "ö"),
        (Field(1, 2, b"\x01\xff"), {"base64": "Af8="}),
        (Field(7, 4, b"0231"), {"base64": "MDIzMQ=="}),
        (Field(3, 1, struct.pack(">H", 6)), 6),
        (Field(4, 2, struct.pack(">II", 7, 2**32 - 1)), [7, 2**32 - 1]),
        (Field(5, 1, struct.pack(">II", 1, 250)), 0.004),
        (Field(5, 2, struct.pack(">IIII", 1, 0, 3, 2)), [None, 1.5]),
        (Field(10, 1, struct.pack(">ii", -1, 3)), -1 / 3),
        (Field(6, 2, b"\xff\x01"), [-1, 1]),
        (Field(9, 1, struct.pack(">i", -5)), -5),
        (Field(11, 1, struct.pack(">f", 0.5)), 0.5),
        (Field(12, 2, struct.pack(">dd", float("nan"), float("inf"))), [None, None]),
    ],
)
def test_every_type_has_its_form(field: Field, told: object) -> None:
    value = exif_json.tags(Exif(main={0x010F: field}), with_gps=True)["Make"]
    assert value == told
    json.dumps(value, allow_nan=False)


def test_a_tag_without_a_name_is_called_by_its_number() -> None:
    tags = exif_json.tags(Exif(left_behind={0xFADE: Field(3, 1, b"\0\x01")}), with_gps=True)
    assert tags == {"0xFADE": 1}


def test_the_place_is_flagged_and_told_only_where_it_may_be() -> None:
    metadata = Metadata(exif=Exif(gps={1: Field(2, 2, b"N\0")}))
    assert describe(metadata)["exif"] == {"GPSLatitudeRef": "N"}
    assert describe(metadata, with_gps=False)["exif"] == {}
    assert describe(metadata, with_gps=False)["has_gps"] is True


@pytest.mark.parametrize(("attribute", "has_gps"), [("exif:GPSLatitude='48,6.0N'", True), ("exif:Flash='1'", False)])
def test_a_place_in_xmp_is_flagged_too(attribute: str, has_gps: bool) -> None:
    packet = f"<x:xmpmeta xmlns:x='adobe:ns:meta/' xmlns:exif='http://ns.adobe.com/exif/1.0/' {attribute}/>"
    assert describe(Metadata(xmp=rewrite(packet.encode())))["has_gps"] is has_gps


def test_a_description_is_small_whatever_an_upload_holds() -> None:
    fields = {0x9000 + number: Field(7, 16_000, bytes(16_000)) for number in range(50)}
    description = describe(Metadata(exif=Exif(details=fields, main={0x010F: Field(2, 6, b"Maker\0")})))
    assert len(json.dumps(description["exif"])) <= LARGEST
    assert description["exif"]["Make"] == "Maker"
    assert len(description["omitted"]) + len(description["exif"]) == 51


def test_the_pointers_between_directories_are_not_told() -> None:
    block = exif.build(Exif(main={0x010F: Field(2, 6, b"Maker\0")}, gps={1: Field(2, 2, b"N\0")}), 30, 20)
    assert block is not None
    tags = exif_json.tags(exif.parse(block), with_gps=True)
    assert set(tags) == {"Make", "Orientation", "ExifImageWidth", "ExifImageHeight", "GPSLatitudeRef"}
