"""Whether others are answered while thousands of clients are slow: `python -m benchmarks.slow_clients`.

Starts the whole service and nginx with the configuration of deploy/nginx in front of it, attacks that with Debian's
slowhttptest, by headers (-H) and by bodies (-B) that come a few bytes every two seconds, and meanwhile reads a task's
state over a new connection each time. Once with the limits of one address as shipped, and once without, as if each
slow client had an address of its own. The attack and the others share this machine's processor with the service.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from benchmarks.http import Target, address, noise, start_stack
from benchmarks.load import Connection, Times
from benchmarks.machine import heading
from benchmarks.shipped_nginx import ShippedNginx

SLOW_CLIENTS = 10_000
BYTES_EVERY = 2  # s; nginx gives up a body of which nothing came for 5 s


@dataclass(frozen=True)
class Attack:
    """Options of slowhttptest, and how many of it it takes to have SLOW_CLIENTS connections open at a time."""

    options: tuple[str, ...] = ()
    programs: int = 0


ATTACKS = {
    "none": Attack(),
    # Each opens at most 2,000 connections a second, and nginx cuts one off whose header takes longer than 5 s.
    "slow headers (-H)": Attack(("-H",), programs=3),
    "slow bodies (-B)": Attack(("-B", "-s", "65536", "-t", "POST"), programs=1),
}
NO_LIMITS = {"CONNECTIONS_PER_ADDRESS": "60000", "UPLOADS_PER_ADDRESS": "100000"}
LIMITS: dict[str, dict[str, str]] = {"as shipped": {}, "none": NO_LIMITS}

READERS = 10  # clients that are not slow
PAUSE = 0.1  # s between two reads of one
OTHER_ADDRESS = "127.0.0.2"  # theirs, so that the attacker's limits are not theirs
PATIENCE = 10.0  # s; a read that took longer has failed
WARM_UP = 8.0  # s until the attack is at its height


@dataclass
class Readings:
    """What the readers met with."""

    times: Times = field(default_factory=Times)
    failed: int = 0

    def __str__(self) -> str:
        times = self.times
        waited = " | ".join(f"{times.percentile(share):.1f}" for share in (0.5, 0.99, 1.0))
        return f"{len(times.each)} | {self.failed} | {waited}"


async def read(url: str, path: str, readings: Readings) -> None:
    """One read, from connecting to the last byte."""
    began = time.perf_counter()
    try:
        async with asyncio.timeout(PATIENCE):
            connection = await Connection.open(url, source=OTHER_ADDRESS)
            answer = await connection.request("GET", path)
            connection.close()
    except (OSError, TimeoutError, asyncio.IncompleteReadError):
        readings.failed += 1
        return
    readings.failed += answer.status != 200
    readings.times.each.append(time.perf_counter() - began)


async def read_meanwhile(url: str, path: str, seconds: float) -> Readings:
    readings = Readings()
    end = time.monotonic() + seconds

    async def reader() -> None:
        while time.monotonic() < end:
            await read(url, path, readings)
            await asyncio.sleep(PAUSE)

    await asyncio.gather(*(reader() for _ in range(READERS)))
    return readings


@contextmanager
def under(attack: Attack, url: str, seconds: float) -> Iterator[None]:
    """Attacked meanwhile: slowhttptest is begun again whenever all its connections were cut off."""
    program = [
        *("slowhttptest", *attack.options, "-u", f"{url}/upscale", "-c", str(SLOW_CLIENTS), "-r", str(SLOW_CLIENTS)),
        *("-i", str(BYTES_EVERY), "-x", "8", "-l", str(int(seconds)), "-p", str(int(PATIENCE)), "-v", "0"),
    ]
    attackers = [
        subprocess.Popen(
            ["sh", "-c", 'while :; do "$@"; done', "again", *program],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(attack.programs)
    ]
    try:
        yield
    finally:
        for attacker in attackers:
            for process in [psutil.Process(attacker.pid), *psutil.Process(attacker.pid).children()]:
                process.kill()
            attacker.wait()


async def most_connections(nginx: ShippedNginx, seconds: float) -> tuple[int, int]:
    """The most connections and the most bytes of memory that nginx had, looked at once a second."""
    connections = memory = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        connections, memory = max(connections, nginx.open_files()), max(memory, nginx.memory())
        await asyncio.sleep(1)
    return connections, memory


async def measure(nginx: ShippedNginx, path: str, attack: Attack, seconds: float) -> str:
    at_rest = nginx.open_files()
    with under(attack, nginx.url, WARM_UP + seconds + PATIENCE):
        if attack.programs:
            await asyncio.sleep(WARM_UP)
        readings, (connections, memory) = await asyncio.gather(
            read_meanwhile(nginx.url, path, seconds), most_connections(nginx, seconds)
        )
    return f"{connections - at_rest} | {memory / 1e6:.0f} | {readings}"


async def a_finished_task(url: str) -> str:
    """The route of a task that has ended."""
    target = Target(url, None)
    task = await target.end_of((await target.upload(noise(64)))["task_id"])
    return f"/tasks/{task['task_id']}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30.0, help="how long each measurement takes")
    seconds = parser.parse_args().seconds
    if not shutil.which("slowhttptest"):
        sys.exit("There is no slowhttptest on the PATH. Install it: apt install slowhttptest")
    print(heading(), flush=True)
    print("| limits | attack | slow connections | nginx, MB | reads | failed | p50, ms | p99 | longest |", flush=True)
    print("|---|---|---|---|---|---|---|---|---|", flush=True)
    with ExitStack() as running:
        url = address(start_stack(running))
        path = asyncio.run(a_finished_task(url))
        for limits, environment in LIMITS.items():
            for name, attack in ATTACKS.items():
                with ExitStack() as one, tempfile.TemporaryDirectory(prefix="nginx-") as folder:
                    nginx = ShippedNginx(url, Path(folder), one, **environment)
                    print(f"| {limits} | {name} | {asyncio.run(measure(nginx, path, attack, seconds))} |", flush=True)


if __name__ == "__main__":
    main()
