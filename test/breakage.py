"""Taking away what the service stands on, for a while: servers killed or frozen, disks without room."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from live_service import Service, wait_until

from utils.local_services import LocalServer

PATIENCE = 120.0  # s


def mongod(service: Service) -> LocalServer:
    assert service.stack.mongod is not None
    return service.stack.mongod


def redis_server(service: Service) -> LocalServer:
    assert service.stack.redis is not None
    return service.stack.redis


def is_ready(service: Service) -> bool:
    """Whether MongoDB and Redis answer."""
    checks = service.get("/health/ready").json()["checks"]
    return checks["mongo"]["status"] == checks["redis"]["status"] == "ok"


@contextmanager
def killed(service: Service, server: LocalServer) -> Iterator[None]:
    """`server` is away inside the block, and back after it."""
    server.process.process.kill()
    server.process.process.wait()
    try:
        yield
    finally:
        server.process.start()
        wait_until(lambda: is_ready(service), PATIENCE)


@contextmanager
def frozen(process: psutil.Process) -> Iterator[None]:
    process.suspend()
    wait_until(lambda: is_stopped(process), PATIENCE)
    try:
        yield
    finally:
        process.resume()


def is_stopped(process: psutil.Process) -> bool:
    """Whether all its threads have stopped: on a busy machine, some answer for a while after the signal."""
    states = (path.read_text().rpartition(") ")[2][0] for path in Path(f"/proc/{process.pid}/task").glob("*/stat"))
    return set(states) == {"T"}


@contextmanager
def stopped_worker(service: Service) -> Iterator[None]:
    """Let every task wait, as it does behind many others."""
    worker = psutil.Process(service.stack.worker.process.pid)
    processes = [worker, *worker.children(recursive=True)]
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            process.resume()


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """A disk of its own for `folder`, in memory. Skips the test where this user may not mount one."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"a disk cannot be mounted here: {mounted.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def filled(folder: Path) -> Iterator[None]:
    """The disk that `folder` is on has no room inside the block."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(64 * 1024))
    try:
        yield
    finally:
        filler.unlink()
