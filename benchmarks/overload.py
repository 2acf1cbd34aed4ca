"""What ten times more uploads than can be done lead to: `python -m benchmarks.overload`.

Starts the whole service and nginx with the configuration of deploy/nginx in front of it, measures how many pictures
a second the worker makes, and sends ten times as many for a minute, each over a connection of its own and whether or
not those before are answered. Every answer is counted; queue and memory are looked at once a second.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from benchmarks.http import address, new_name, noise, start_stack, unlike_any_other
from benchmarks.load import Connection, Times, form
from benchmarks.machine import heading
from benchmarks.shipped_nginx import ShippedNginx
from mongo import Store, open_store
from utils.local_run import Stack
from utils.processes import ChildProcess

SIDE = 256  # px of the pictures, which become four times that
TO_BEGIN_WITH = 100  # tasks; while these wait the capacity is measured
PATIENCE = 60.0  # s for an answer
NO_LIMITS = {"CONNECTIONS_PER_ADDRESS": "60000", "UPLOADS_PER_ADDRESS": "100000"}


@dataclass
class Answers:
    """How long each kind of answer took."""

    times: dict[str, Times] = field(default_factory=dict)

    def add(self, kind: str, seconds: float) -> None:
        self.times.setdefault(kind, Times()).each.append(seconds)

    def table(self) -> str:
        rows = [
            f"| {kind} | {len(times.each)} | {times.percentile(0.5):.0f} | {times.percentile(0.99):.0f} |"
            for kind, times in sorted(self.times.items())
        ]
        return "\n".join(["| answer | how many | p50, ms | p99 |", "|---|---|---|---|", *rows])


@dataclass
class Most:
    """The longest queue and the most memory of each part that were seen."""

    waiting: int = 0
    memory: Counter[str] = field(default_factory=Counter)  # bytes

    def look(self, store: Store, parts: dict[str, int]) -> None:
        self.waiting = max(self.waiting, store.jobs.waiting())
        self.memory |= Counter(parts)


async def upload(url: str, picture: bytes, answers: Answers) -> None:
    began = time.perf_counter()
    try:
        async with asyncio.timeout(PATIENCE):
            connection = await Connection.open(url)
            answer = await connection.request("POST", "/upscale", *form(new_name(), unlike_any_other(picture)))
            connection.close()
    except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
        kind = f"none ({type(error).__name__})"
    else:
        code = json.loads(answer.body).get("code")
        kind = f"{answer.status} {code}" if code else str(answer.status)
    answers.add(kind, time.perf_counter() - began)


async def capacity(url: str, store: Store, picture: bytes, seconds: float) -> float:
    """How many pictures the worker makes in a second."""
    accepted = Answers()
    for _ in range(TO_BEGIN_WITH):
        await upload(url, picture, accepted)
    began, waiting = time.monotonic(), store.jobs.waiting()
    while (left := store.jobs.waiting()) and time.monotonic() < began + seconds:
        await asyncio.sleep(0.2)
    return (waiting - left) / (time.monotonic() - began)


async def storm(url: str, picture: bytes, per_second: float, seconds: float) -> Answers:
    """So many uploads a second, sent at their time."""
    answers = Answers()
    began = time.monotonic()
    async with asyncio.TaskGroup() as uploads:
        for number in range(int(per_second * seconds)):
            await asyncio.sleep(began + number / per_second - time.monotonic())
            uploads.create_task(upload(url, picture, answers))
    return answers


async def watch(store: Store, stack: Stack, nginx: ShippedNginx, seen: Most) -> None:
    while True:
        await asyncio.to_thread(seen.look, store, memory_of(stack, nginx))
        await asyncio.sleep(1)


def memory_of(stack: Stack, nginx: ShippedNginx) -> dict[str, int]:
    """Bytes that each part of the service holds."""
    servers = {"mongod": stack.mongod, "redis": stack.redis}
    parts = {"web": stack.web, "worker": stack.worker} | {name: part.process for name, part in servers.items() if part}
    return {"nginx": nginx.memory()} | {name: resident(part) for name, part in parts.items()}


def resident(part: ChildProcess) -> int:
    main = psutil.Process(part.process.pid)
    return sum(process.memory_info().rss for process in [main, *main.children(recursive=True)])


async def measure(stack: Stack, nginx: ShippedNginx, store: Store, seconds: float) -> None:
    picture = noise(SIDE)
    able = await capacity(nginx.url, store, picture, seconds / 3)
    before, seen = memory_of(stack, nginx), Most()
    print(f"The worker makes {able:.1f} pictures a second; {10 * able:.0f} a second are sent for {seconds:.0f} s.\n")
    watching = asyncio.create_task(watch(store, stack, nginx, seen))
    answers = await storm(nginx.url, picture, 10 * able, seconds)
    watching.cancel()
    print(answers.table())
    print(f"\nMost that waited: {seen.waiting} (MAX_QUEUE={stack.settings.max_queue})\n")
    print("| part | MB before | MB at most |\n|---|---|---|")
    for part, most in seen.memory.items():
        print(f"| {part} | {before[part] / 1e6:.0f} | {most / 1e6:.0f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long the storm lasts")
    parser.add_argument("--one-address", action="store_true", help="leave nginx's limits of one address as shipped")
    arguments = parser.parse_args()
    limits = {} if arguments.one_address else NO_LIMITS
    print(heading(), flush=True)
    with ExitStack() as running:
        stack = start_stack(running)
        folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="nginx-")))
        nginx = ShippedNginx(address(stack), folder, running, **limits)
        store = running.enter_context(closing(open_store(stack.settings)))
        asyncio.run(measure(stack, nginx, store, arguments.seconds))


if __name__ == "__main__":
    sys.exit(main())
