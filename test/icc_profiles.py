"""Small ICC profiles made by hand, for tests: grey, and CMYK with a table of our choosing."""

from __future__ import annotations

import itertools
import struct


def make_profile(space: bytes, tags: dict[bytes, bytes], connection_space: bytes = b"XYZ ") -> bytes:
    """A version 2 display or output profile (ICC.1:2001-04, sections 6.1 and 6.2)."""
    table_length = 4 + 12 * len(tags)
    entries, data = b"", b""
    for name, content in tags.items():
        entries += name + struct.pack(">II", 128 + table_length + len(data), len(content))
        data += content + bytes(-len(content) % 4)
    kind = b"prtr" if space == b"CMYK" else b"mntr"
    header = struct.pack(
        ">I4sI4s4s4s12s4s", 128 + table_length + len(data), bytes(4), 0x02400000, kind, space,
        connection_space, bytes(12), b"acsp",
    )  # fmt: skip
    illuminant = struct.pack(">III", 0xF6D6, 0x10000, 0xD32D)
    header = header.ljust(68, b"\0") + illuminant
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + entries + data


def grey_profile() -> bytes:
    """Grey with a gamma of 1.8."""
    white = b"XYZ " + bytes(4) + struct.pack(">III", 0xF6D6, 0x10000, 0xD32D)
    gamma = b"curv" + bytes(4) + struct.pack(">IH", 1, round(1.8 * 256))
    return make_profile(b"GRAY", {b"wtpt": white, b"kTRC": gamma})


def cmyk_profile_of_one_colour(lab: tuple[int, int, int]) -> bytes:
    """A CMYK profile in which every mixture is the same colour, so that its use cannot be missed.

    Args:
        lab: L* in per cent, a* and b* from -128.
    """
    lightness, a, b = lab
    node = bytes((round(lightness * 2.55), a + 128, b + 128))
    identity = struct.pack(
        ">9I", *(0x10000 if row == column else 0 for row, column in itertools.product(range(3), repeat=2))
    )
    ramp = bytes(range(256))
    table = b"mft1" + bytes(4) + bytes((4, 3, 2, 0)) + identity + ramp * 4 + node * 16 + ramp * 3
    white = b"XYZ " + bytes(4) + struct.pack(">III", 0xF6D6, 0x10000, 0xD32D)
    return make_profile(b"CMYK", {b"wtpt": white, b"A2B0": table, b"A2B1": table}, b"Lab ")
