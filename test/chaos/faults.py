"""What is done to the service, a function each. KILLS are over at once; TROUBLES last a while and can overlap them."""

from __future__ import annotations

import random
import resource
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass

import psutil
from redis import Redis
from redis.exceptions import RedisError

from chaos.client import Client
from chaos.history import Dependency, Kill, Recorder, now
from chaos.pictures import LARGE, Source, noise
from chaos.stack import CLOCK_AHEAD, CLOCK_RIGHT, ODD_WORKER, WORKERS, Stack, wait_until

AWAY = (0.0, 4.0)  # s that a killed server stays away
LASTING = (1.0, 8.0)  # s that a trouble lasts; up to twice the lease
MEMORY_LEFT = 4_000_000  # bytes; less than a large picture takes


@dataclass(frozen=True)
class Scene:
    """Where a fault happens: the stack, and the chance that decides about details.

    Args:
        number: of this fault, in the history.
    """

    stack: Stack
    recorder: Recorder
    chance: random.Random
    number: int

    def kill(self, name: str, processes: Iterable[psutil.Process]) -> None:
        """Send SIGKILL to processes of the part called `name`."""
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.kill()
                self.recorder.record(Kill(now(), self.number, name, process.pid))

    def main_process(self, name: str) -> psutil.Process:
        """The part's first process, once it is there."""
        found: list[psutil.Process] = []

        def is_there() -> bool:
            found.extend(process for process in [self.stack.keeper.main_process(name)] if process)
            return bool(found)

        wait_until(is_there)
        return found[0]

    def children(self, name: str) -> list[psutil.Process]:
        """The part's other processes, once there are some."""
        found: list[psutil.Process] = []

        def are_there() -> bool:
            found.extend(self.stack.keeper.children(name))
            return bool(found)

        wait_until(are_there)
        return found

    def a_worker(self) -> str:
        return self.chance.choice(WORKERS)

    def endure(self) -> None:
        """Let the trouble last for a while."""
        time.sleep(self.chance.uniform(*LASTING))


# --- Kills --------------------------------------------------------------------------------------


def kill_worker_child(scene: Scene) -> None:
    name = scene.a_worker()
    scene.kill(name, [scene.chance.choice(scene.children(name))])


def kill_worker(scene: Scene) -> None:
    name = scene.a_worker()
    scene.kill(name, [scene.main_process(name)])


def kill_worker_and_children(scene: Scene) -> None:
    name = scene.a_worker()
    scene.kill(name, [*scene.children(name), scene.main_process(name)])


def kill_web_process(scene: Scene) -> None:
    scene.kill("web", [scene.chance.choice(scene.children("web"))])


def kill_web_server(scene: Scene) -> None:
    scene.kill("web", [scene.main_process("web")])


def kill_beat(scene: Scene) -> None:
    scene.kill("beat", [scene.main_process("beat")])


def kill_redis(scene: Scene) -> None:
    _kill_server(scene, "redis", scene.stack.redis_answers)


def kill_mongod(scene: Scene) -> None:
    """In the middle of an upload of its own, beside those that happen to be under way."""
    source = Source(f"killing-{uuid.uuid4().hex[:12]}.png", noise(scene.chance, ".png", (900, 1000)))
    sources = scene.stack.folder / "sources"
    (sources / source.sha256).write_bytes(source.data)
    upload = threading.Thread(target=Client(scene.stack.url, scene.recorder).upload, args=(source,))
    upload.start()
    time.sleep(scene.chance.uniform(0.0, 0.15))
    _kill_server(scene, "mongod", scene.stack.mongod_answers)
    upload.join()


def _kill_server(scene: Scene, name: str, answers: Callable[[], bool]) -> None:
    with scene.stack.keeper.held(name):
        scene.kill(name, [scene.main_process(name)])
        time.sleep(scene.chance.uniform(*AWAY))
    wait_until(answers)


# --- Troubles -----------------------------------------------------------------------------------


def stop_worker_child(scene: Scene) -> None:
    _stop(scene, [scene.chance.choice(scene.children(scene.a_worker()))])


def stop_worker(scene: Scene) -> None:
    name = scene.a_worker()
    _stop(scene, [scene.main_process(name), *scene.children(name)])


def stop_web_process(scene: Scene) -> None:
    _stop(scene, [scene.chance.choice(scene.children("web"))])


def stop_redis(scene: Scene) -> None:
    _stop(scene, [scene.main_process("redis")])
    wait_until(scene.stack.redis_answers)


def stop_mongod(scene: Scene) -> None:
    _stop(scene, [scene.main_process("mongod")])
    wait_until(scene.stack.mongod_answers)


def _stop(scene: Scene, processes: list[psutil.Process]) -> None:
    """SIGSTOP, a while, SIGCONT."""
    try:
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.suspend()
        scene.endure()
    finally:
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.resume()


def flush_redis(scene: Scene) -> None:
    _tell_redis(scene, lambda redis: redis.flushall())


def fill_redis(scene: Scene) -> None:
    """It refuses every write for want of memory (its policy is noeviction)."""
    _tell_redis(scene, lambda redis: redis.config_set("maxmemory", 1))
    try:
        scene.endure()
    finally:
        _tell_redis(scene, lambda redis: redis.config_set("maxmemory", 0))


def _tell_redis(scene: Scene, tell: Callable[[Redis], object]) -> None:
    """Tell it until it has heard: another fault may have it just now."""

    def was_told() -> bool:
        with suppress(RedisError), Redis.from_url(scene.stack.settings.redis_address, socket_timeout=5) as redis:
            tell(redis)
            return True
        return False

    wait_until(was_told)


def move_clock(scene: Scene) -> None:
    """A worker is told to stop and comes back with its clock two hours ahead, or right again."""
    clock = scene.stack.clock
    assert clock
    clock.write_text(CLOCK_AHEAD if clock.read_text() == CLOCK_RIGHT else CLOCK_RIGHT)
    scene.main_process(ODD_WORKER).terminate()


def limit_memory(scene: Scene) -> None:
    """A worker's children cannot have more memory than they have, and large pictures come."""
    processes = scene.children(scene.a_worker())
    with ExitStack() as limited:
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                _limit(process, limited)
        for _ in range(4):
            _send_large(scene)
        scene.endure()


def _limit(process: psutil.Process, limited: ExitStack) -> None:
    before = process.rlimit(resource.RLIMIT_AS)
    process.rlimit(resource.RLIMIT_AS, (process.memory_info().vms + MEMORY_LEFT, before[1]))

    def unlimit() -> None:
        with suppress(psutil.NoSuchProcess):
            process.rlimit(resource.RLIMIT_AS, before)

    limited.callback(unlimit)


def _send_large(scene: Scene) -> None:
    source = Source(f"large-{uuid.uuid4().hex[:12]}.png", noise(scene.chance, ".png", LARGE))
    (scene.stack.folder / "sources" / source.sha256).write_bytes(source.data)
    Client(scene.stack.url, scene.recorder).upload(source)


def fill_disk(scene: Scene) -> None:
    """A worker has no room for temporary files."""
    disk = scene.stack.small_disk
    assert disk
    filler = disk / "filler"
    try:
        with filler.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(64 * 1024))
        scene.endure()
    finally:
        filler.unlink()


# --- All of them --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kind:
    """A fault that can be chosen.

    Args:
        share: how often, beside the others.
        away: what is not there while it lasts.
        explains: codes that a task may honestly fail with because of it.
    """

    act: Callable[[Scene], None]
    share: int = 1
    away: Dependency | None = None
    explains: tuple[str, ...] = ()

    @property
    def what(self) -> str:
        return self.act.__name__.replace("_", " ")


LOST = ("worker_lost",)

KILLS = (
    Kind(kill_worker_child, share=6, explains=LOST),
    Kind(kill_worker, share=3, explains=LOST),
    Kind(kill_worker_and_children, share=2, explains=LOST),
    Kind(kill_web_process, share=3),
    Kind(kill_web_server),
    Kind(kill_beat),
    Kind(kill_redis, share=2, away="redis"),
    Kind(kill_mongod, share=2, away="mongod", explains=LOST),
)

TROUBLES = (
    Kind(stop_worker_child, explains=LOST),
    Kind(stop_worker, explains=LOST),
    Kind(stop_web_process),
    Kind(stop_redis, away="redis"),
    Kind(stop_mongod, away="mongod", explains=LOST),
    Kind(flush_redis),
    Kind(fill_redis, away="redis"),
    Kind(move_clock, explains=LOST),
    Kind(limit_memory, explains=("out_of_memory", *LOST)),
    Kind(fill_disk, explains=("disk_full",)),
)


def impossible(stack: Stack) -> dict[str, str]:
    """What cannot be done on this machine, and why."""
    reasons = {}
    if stack.clock is None:
        reasons["move clock"] = "libfaketime is not installed"
    if stack.small_disk is None:
        reasons["fill disk"] = "this user may not mount a disk"
    return reasons
