"""What the service bears over HTTP on this machine: `python -m benchmarks.http`, or with `--url` one that runs.

Starts the whole service, with its own MongoDB and Redis and its settings from the environment, and measures
reads, duplicates, uploads, a download and event streams, one after the other, always while the worker is busy.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import os
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psutil
from PIL import Image

from benchmarks.load import Connection, Times, drive, form
from benchmarks.machine import heading
from main import worker_answers
from utils.local_run import Stack, start_everything
from utils.local_services import free_port
from utils.settings import load_settings

CONNECTIONS = 16
SECONDS = 10.0
STREAMS = 1000
UPLOAD_BYTES = 1_000_000
LARGE_SIDE = 3500  # px; 4 times that a side are 196 megapixels
PATIENCE = 900.0  # s for a large picture on a busy machine


@dataclass(frozen=True)
class Target:
    """The service that is measured. `web` is its web server's main process, where it runs here."""

    url: str
    web: psutil.Process | None

    async def ask(self, method: str, path: str, body: bytes = b"", content_type: str = "") -> dict[str, Any]:
        connection = await Connection.open(self.url)
        answer = await connection.request(method, path, body, content_type)
        connection.close()
        document: dict[str, Any] = json.loads(answer.body)
        if answer.status >= 400:
            raise RuntimeError(f"{method} {path}: {document}")
        return document

    async def upload(self, picture: bytes, **fields: str) -> dict[str, Any]:
        return await self.ask("POST", "/upscale", *form(new_name(), picture, **fields))

    async def end_of(self, task_id: str) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            task = await self.ask("GET", f"/tasks/{task_id}?wait=30")
            if task["finished_at"]:
                return task
        raise TimeoutError(f"{task_id} did not end within {PATIENCE:.0f} s")

    def web_memory(self) -> int:
        """Bytes that the web server's processes hold, 0 where they run elsewhere."""
        if self.web is None:
            return 0
        return sum(process.memory_info().rss for process in [self.web, *self.web.children(recursive=True)])

    @asynccontextmanager
    async def busy_worker(self) -> AsyncIterator[None]:
        """Give the worker large pictures to do meanwhile."""
        tasks = [await self.upload(noise(2500)) for _ in range(3)]
        try:
            yield
        finally:
            for task in tasks:
                await self.cancel(task["task_id"])

    async def cancel(self, task_id: str) -> None:
        connection = await Connection.open(self.url)
        await connection.request("DELETE", f"/tasks/{task_id}")  # 409 where it is over is as good
        connection.close()


def new_name() -> str:
    return f"{uuid.uuid4().hex}.jpg"


def noise(side: int, size: int = 0) -> bytes:
    """A JPEG of noise, unlike any other, padded with comments to `size` bytes."""
    file = io.BytesIO()
    Image.effect_noise((side, side), 80).convert("RGB").save(file, "JPEG", comment=uuid.uuid4().bytes)
    data = file.getvalue()
    comments = b""
    while (missing := size - len(data) - len(comments)) > 4:
        length = min(missing - 2, 65_535)
        comments += b"\xff\xfe" + length.to_bytes(2, "big") + bytes(length - 2)
    return data[:2] + comments + data[2:]


def unlike_any_other(picture: bytes) -> bytes:
    """The JPEG with a comment that makes its digest another, in no time."""
    return picture[:-2] + b"\xff\xfe\x00\x12" + uuid.uuid4().bytes + picture[-2:]


async def status_reads(target: Target) -> str:
    task = await target.end_of((await target.upload(noise(64)))["task_id"])
    path = f"/tasks/{task['task_id']}"
    async with target.busy_worker():
        times = await drive(
            target.url, lambda: ("GET", path, b"", ""), connections=CONNECTIONS, seconds=SECONDS, expected={200}
        )
    return str(times)


async def duplicates(target: Target) -> str:
    name, picture = new_name(), noise(300, 100_000)
    task = await target.ask("POST", "/upscale", *form(name, picture))
    await target.end_of(task["task_id"])
    body, content_type = form(name, picture)
    async with target.busy_worker():
        times = await drive(
            target.url,
            lambda: ("POST", "/upscale", body, content_type),
            connections=CONNECTIONS,
            seconds=SECONDS,
            expected={200},
        )
    return f"{times} (of {len(picture) / 1e6:.1f} MB each)"


async def uploads(target: Target) -> str:
    """Every upload is new and stored. The tasks are cancelled afterwards."""
    pictures = [noise(300, UPLOAD_BYTES) for _ in range(20)]
    sent = 0

    def next_upload() -> tuple[str, str, bytes, str]:
        nonlocal sent
        sent += 1
        return "POST", "/upscale", *form(new_name(), unlike_any_other(pictures[sent % len(pictures)]))

    async with target.busy_worker():
        times = await drive(target.url, next_upload, connections=CONNECTIONS, seconds=SECONDS, expected={202})
        for status in ("PENDING", "STARTED"):
            while waiting := (await target.ask("GET", f"/tasks?status={status}&limit=500"))["tasks"]:
                for task in waiting:
                    await target.cancel(task["task_id"])
    return str(times)


async def download(target: Target) -> str:
    """A result of nearly 200 megapixels, three times in a row."""
    task = await target.end_of((await target.upload(noise(LARGE_SIDE), scale="4"))["task_id"])
    if task["status"] != "SUCCESS":
        return f"not measured: {task['error']}"
    before, most, length = target.web_memory(), 0, 0
    began = time.perf_counter()
    for _ in range(3):
        connection = await Connection.open(target.url)
        await connection.send("GET", task["links"]["result"])
        _, headers = await connection.read_head()
        length = int(headers["content-length"])
        reading = asyncio.create_task(connection.count_body(length))
        while not reading.done():
            most = max(most, target.web_memory())
            await asyncio.wait([reading], timeout=0.05)
        connection.close()
    speed = 3 * length / (time.perf_counter() - began) / 1e6
    size = f"{task['result']['width']}x{task['result']['height']}, {length / 1e6:.0f} MB"
    memory = f"; the web server held {before / 1e6:.0f} MB before, {most / 1e6:.0f} MB at most" if target.web else ""
    return f"{speed:.0f} MB/s ({size}){memory}"


async def streams(target: Target) -> str:
    """So many clients follow one task to its end, while others read its state.

    The delay of its end is taken against `finished_at`, so client and worker have to share a clock.
    """
    idle = target.web_memory()
    picture = await target.upload(noise(2500))
    connections = await asyncio.gather(*(open_stream(target, picture["task_id"]) for _ in range(STREAMS)))
    grown = target.web_memory() - idle
    followers = [asyncio.create_task(follow(connection)) for connection in connections]
    path = f"/tasks/{picture['task_id']}"
    reads = await drive(
        target.url, lambda: ("GET", path, b"", ""), connections=CONNECTIONS, seconds=SECONDS, expected={200}
    )
    ends = await asyncio.gather(*followers)
    delays = Times([delay for delay, _ in ends], total=1.0)
    events = sum(count for _, count in ends)
    memory = f"; {grown / STREAMS / 1e3:.0f} kB of memory a stream" if target.web else ""
    return (
        f"{events} events; the end came after p50 {delays.percentile(0.5):.0f} ms, "
        f"p99 {delays.percentile(0.99):.0f} ms, longest {max(delays.each) * 1000:.0f} ms{memory}\n"
        f"{'':30}status reads meanwhile: {reads}"
    )


async def open_stream(target: Target, task_id: str) -> Connection:
    connection = await Connection.open(target.url)
    await connection.send("GET", f"/tasks/{task_id}/events")
    status, _ = await connection.read_head()
    if status != 200:
        raise RuntimeError(f"a stream was answered {status}")
    return connection


async def follow(connection: Connection) -> tuple[float, int]:
    """Seconds from the task's end to the news of it, and how many events came in all."""
    count = 0
    async for block in connection.blocks():
        count += block.count(b"event: ")
        if b"event: end" in block:
            now = datetime.now(UTC)
            task = json.loads(block.rpartition(b"data: ")[2])
            connection.close()
            return (now - datetime.fromisoformat(task["finished_at"])).total_seconds(), count
    raise RuntimeError("a stream ended before its task")


MEASUREMENTS: dict[str, Callable[[Target], Awaitable[str]]] = {
    "status reads": status_reads,
    "duplicate answers": duplicates,
    "uploads of 1 MB": uploads,
    "download": download,
    f"{STREAMS} event streams": streams,
}


@contextmanager
def a_target(url: str | None) -> Iterator[Target]:
    if url:
        yield Target(url.rstrip("/"), None)
        return
    with ExitStack() as running:
        stack = start_stack(running)
        yield Target(address(stack), psutil.Process(stack.web.process.pid))


def start_stack(running: ExitStack) -> Stack:
    """The whole service with a data folder of its own; `running` stops it. Of its log lines only warnings are shown."""
    os.environ.setdefault("LOG_LEVEL", "warning")
    os.environ["DATA_DIR"] = running.enter_context(tempfile.TemporaryDirectory(prefix="benchmark-"))
    os.environ["PORT"] = str(free_port())
    return start_everything(load_settings(), worker_answers, running)


def address(stack: Stack) -> str:
    return f"http://127.0.0.1:{stack.settings.port}"


async def measure(target: Target, only: str) -> None:
    for name, measurement in MEASUREMENTS.items():
        if only in name:
            print(f"{name:28}  {await measurement(target)}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="a service that runs already, on a machine with the same clock")
    parser.add_argument("--only", default="", help="measure only what has this in its name")
    arguments = parser.parse_args()
    print(heading(), flush=True)
    with a_target(arguments.url) as target:
        asyncio.run(measure(target, arguments.only))


if __name__ == "__main__":
    sys.exit(main())
