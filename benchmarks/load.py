"""A load generator for HTTP: many connections in one thread, and what they had to wait.

It takes some of the processor that it measures on; a client on another machine would not.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

BOUNDARY = "----------b0undary"


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes


class Connection:
    """One connection that is kept open from request to request."""

    def __init__(self, url: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._host = urlsplit(url).netloc
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, url: str, source: str | None = None) -> Self:
        """Connect, from the address `source` of this machine where that matters."""
        address = urlsplit(url)
        local = (source, 0) if source else None
        return cls(
            url,
            *await asyncio.open_connection(address.hostname, address.port, limit=1024 * 1024, local_addr=local),
        )

    async def request(self, method: str, path: str, body: bytes = b"", content_type: str = "") -> Answer:
        await self.send(method, path, body, content_type)
        status, headers = await self.read_head()
        if headers.get("transfer-encoding") == "chunked":
            return Answer(status, b"".join([block async for block in self.blocks()]))
        return Answer(status, await self._reader.readexactly(int(headers.get("content-length", 0))))

    async def send(self, method: str, path: str, body: bytes = b"", content_type: str = "") -> None:
        head = f"{method} {path} HTTP/1.1\r\nHost: {self._host}\r\nAccept: */*\r\nContent-Length: {len(body)}\r\n"
        if content_type:
            head += f"Content-Type: {content_type}\r\n"
        self._writer.write(head.encode() + b"\r\n" + body)
        await self._writer.drain()

    async def read_head(self) -> tuple[int, dict[str, str]]:
        """The status and the headers, their names in lower case."""
        lines = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines[1:] if line)
        return int(lines[0].split(" ")[1]), {name.lower(): value for name, value in headers.items()}

    async def blocks(self) -> AsyncIterator[bytes]:
        """The chunks of a body in chunked transfer coding."""
        while size := int(await self._reader.readline(), 16):
            yield (await self._reader.readexactly(size + 2))[:-2]
        await self._reader.readline()

    async def count_body(self, length: int, block: int = 1024 * 1024) -> None:
        """Read a body of `length` bytes, and keep none of it."""
        while length:
            length -= len(await self._reader.read(min(block, length)))

    def close(self) -> None:
        self._writer.close()


@dataclass
class Times:
    """How long each of many things took, in seconds, and how long all together."""

    each: list[float] = field(default_factory=list)
    total: float = 0.0

    @property
    def per_second(self) -> float:
        return len(self.each) / self.total

    def percentile(self, share: float) -> float:
        """The time in ms that `share` (0..1) of them did not exceed."""
        return sorted(self.each)[min(len(self.each) - 1, int(share * len(self.each)))] * 1000

    def __str__(self) -> str:
        p50, p99 = self.percentile(0.5), self.percentile(0.99)
        return f"{self.per_second:.0f}/s, p50 {p50:.1f} ms, p99 {p99:.1f} ms, longest {max(self.each) * 1000:.0f} ms"


Request = Callable[[], tuple[str, str, bytes, str]]
"""Method, path, body and content type of the next request."""


async def drive(url: str, request: Request, *, connections: int, seconds: float, expected: set[int]) -> Times:
    """Send one request after the other on each of so many connections.

    Raises:
        RuntimeError: an answer had a status that is not `expected`.
    """
    times = Times()
    began = time.perf_counter()

    async def client() -> None:
        connection = await Connection.open(url)
        while (sent := time.perf_counter()) < began + seconds:
            answer = await connection.request(*request())
            if answer.status not in expected:
                raise RuntimeError(f"{answer.status} was answered: {answer.body[:500]!r}")
            times.each.append(time.perf_counter() - sent)
        connection.close()

    await asyncio.gather(*(client() for _ in range(connections)))
    times.total = time.perf_counter() - began
    return times


def form(name: str, picture: bytes, **fields: str) -> tuple[bytes, str]:
    """The body and the content type of an upload."""
    parts = [f'Content-Disposition: form-data; name="{key}"\r\n\r\n{value}'.encode() for key, value in fields.items()]
    parts.append(f'Content-Disposition: form-data; name="image"; filename="{name}"\r\n\r\n'.encode() + picture)
    body = b"".join(b"--" + BOUNDARY.encode() + b"\r\n" + part + b"\r\n" for part in parts)
    return body + b"--" + BOUNDARY.encode() + b"--\r\n", f"multipart/form-data; boundary={BOUNDARY}"
