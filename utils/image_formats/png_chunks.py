"""The container of a PNG: walking its chunks without decoding them, and writing chunks.

PNG specification, third edition: https://www.w3.org/TR/png-3/
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from utils.errors import Undecodable

SIGNATURE = b"\x89PNG\r\n\x1a\n"

# Each chunk costs a read, so a file of nothing but empty chunks would hold the web process for a
# minute. Encoders write IDATs of 8 KiB and more; a 64 MB file has some 8,000 of them.
_MOST_CHUNKS = 100_000
_LARGEST_READ = 8 << 20  # bytes; libpng's own limit on a chunk that is not pixels


@dataclass(frozen=True)
class Chunk:
    """Where a chunk's data stands in the file.

    Args:
        kind: the four letters, such as `b"IHDR"`.
        offset: of the data, in bytes from the start of the file.
        length: of the data, in bytes.
    """

    kind: bytes
    offset: int
    length: int


def walk(stream: BinaryIO) -> Iterator[Chunk]:
    """Every chunk from IHDR to IEND, which is the last one whatever follows it.

    Raises:
        Undecodable: the file ends before IEND, or is no PNG at all.
    """
    stream.seek(0)
    if stream.read(len(SIGNATURE)) != SIGNATURE:
        raise Undecodable("The file does not begin with the PNG signature.")
    size = stream.seek(0, 2)
    offset = len(SIGNATURE)
    for _ in range(_MOST_CHUNKS):
        stream.seek(offset)
        head = stream.read(8)
        if len(head) < 8:
            raise Undecodable("The PNG is truncated: it ends before its last chunk. Send the whole file.")
        length, kind = struct.unpack(">I4s", head)
        chunk = Chunk(kind, offset + 8, length)
        offset = chunk.offset + length + 4
        if offset > size:
            raise Undecodable(f"The PNG is truncated inside a {_printable(kind)} chunk. Send the whole file.")
        yield chunk
        if kind == b"IEND":
            return
    raise Undecodable(f"The PNG has more than {_MOST_CHUNKS} chunks. Save it again with another program.")


def read(stream: BinaryIO, chunk: Chunk) -> bytes | None:
    """A chunk's data, or None where its checksum is wrong or it is too large to be metadata."""
    if chunk.length > _LARGEST_READ:
        return None
    stream.seek(chunk.offset)
    data = stream.read(chunk.length)
    checksum = stream.read(4)
    return data if struct.pack(">I", zlib.crc32(data, zlib.crc32(chunk.kind))) == checksum else None


def chunk_bytes(kind: bytes, data: bytes) -> bytes:
    """A whole chunk, ready to be written."""
    return struct.pack(">I4s", len(data), kind) + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))


def _printable(kind: bytes) -> str:
    return kind.decode("ascii", "backslashreplace")
