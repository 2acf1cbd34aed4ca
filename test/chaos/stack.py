"""The whole service on one machine, each part a process of its own that is started again when it ends.

One mongod (a replica set of one), one redis-server with AOF, gunicorn with several web processes, three
Celery workers, and beat. The clock of one worker can be wrong, and its temporary files lie on a small disk.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import requests
from pymongo.errors import PyMongoError
from redis import Redis
from redis.exceptions import RedisError

from celery_app import make_celery
from chaos import tiny_model
from chaos.history import Recorder
from chaos.keeper import Keeper
from mongo import Store, open_store
from utils.local_services import free_port, start_mongod, start_redis
from utils.processes import ChildProcess
from utils.settings import Settings

REPOSITORY = Path(__file__).resolve().parents[2]
ANSWER_TIMEOUT = 240.0  # s; on a machine that has other things to do
WORKERS = ("worker-1", "worker-2", "worker-3")
ODD_WORKER = "worker-3"  # its clock can be wrong, and its disk is small
SMALL_DISK_BYTES = 32 * 1024**2
LIBFAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)  # Debian's package `faketime`

CLOCK_RIGHT, CLOCK_AHEAD = "+0\n", "+2h\n"

# As an operator could set them, short, so that what is lost is found in the time that a test has.
SETTINGS = {
    "LEASE_SECONDS": "4",
    "SWEEP_SECONDS": "1",
    "DEFAULT_MODEL": tiny_model.NAME,
    "DEVICE": "cpu",
    "PRECISION": "float32",  # the same bits wherever it is computed
    "WEB_WORKERS": "3",
    "WEB_STREAMS": "20",
    "WORKER_CONCURRENCY": "2",
}


@dataclass(frozen=True)
class Stack:
    """The running service.

    Args:
        folder: data, logs and temporary files.
        small_disk: where ODD_WORKER has its temporary files; None where mounting is not allowed.
        clock: says how far ODD_WORKER's clock is off; None without libfaketime.
    """

    folder: Path
    settings: Settings
    store: Store
    keeper: Keeper
    small_disk: Path | None
    clock: Path | None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.settings.port}"

    @property
    def temp_dirs(self) -> list[Path]:
        """Where temporary files are, as if each were on a machine of its own."""
        return [_temp_dir(self.folder), _odd_temp_dir(self.folder)]

    def mongod_answers(self) -> bool:
        """Whether it takes writes."""
        with suppress(PyMongoError):
            return bool(self.store.client.admin.command("hello")["isWritablePrimary"])
        return False

    def redis_answers(self) -> bool:
        with suppress(RedisError), Redis.from_url(self.settings.redis_address, socket_timeout=1) as client:
            return bool(client.ping())
        return False

    def web_answers(self) -> bool:
        with suppress(requests.RequestException):
            return requests.get(f"{self.url}/health/ready", timeout=30).ok
        return False

    def workers_answer(self) -> bool:
        with suppress(RedisError):
            return len(make_celery(self.settings).control.ping(timeout=2.0)) == len(WORKERS)
        return False


def wait_until(is_so: Callable[[], bool], timeout: float = ANSWER_TIMEOUT) -> None:
    """Wait until `is_so()`.

    Raises:
        TimeoutError: it is not.
    """
    deadline = time.monotonic() + timeout
    while not is_so():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout:.0f} s in vain for {is_so.__qualname__}")
        time.sleep(0.05)


@contextmanager
def running_stack(folder: Path, recorder: Recorder) -> Iterator[Stack]:
    """Everything, started and answering, under `folder`."""
    tiny_model.put_into(folder / "models")
    for path in (folder / "logs", _temp_dir(folder), _odd_temp_dir(folder)):
        path.mkdir()
    with ExitStack() as running:
        keeper = running.enter_context(Keeper(recorder))
        mongod, redis = start_mongod(folder, running), start_redis(folder, running)
        settings = Settings(
            _env_file=None,
            mongo_url=mongod.url,
            redis_url=redis.url,
            port=free_port(),
            data_dir=folder,
            **{key.lower(): value for key, value in SETTINGS.items()},
        )
        store = running.enter_context(closing(open_store(settings)))
        small_disk, clock = _small_disk(folder, running), _clock(folder)
        keeper.keep("mongod", mongod.process)
        keeper.keep("redis", redis.process)
        for name, command in _commands(folder).items():
            is_odd = name == ODD_WORKER
            environment = environment_of(settings, _odd_temp_dir(folder) if is_odd else _temp_dir(folder))
            environment |= _clock_of_its_own(clock) if is_odd and clock else {}
            child = ChildProcess(name, command, log=folder / "logs" / f"{name}.log", environment=environment)
            keeper.keep(name, running.enter_context(child))
        running.callback(keeper.hold_all)
        stack = Stack(folder, settings, store, keeper, small_disk, clock)
        wait_until(stack.web_answers)
        wait_until(stack.workers_answer)
        yield stack


def _commands(folder: Path) -> dict[str, list[str]]:
    celery = [sys.executable, "-m", "celery", "--quiet", "-A", "main.celery_app"]
    web = [sys.executable, "-m", "gunicorn", "-c", "deploy/gunicorn.conf.py", "main:create_app()"]
    quietly = ["-l", "info", "--without-gossip", "--without-mingle"]
    workers = {name: [*celery, "worker", "-n", f"{name}@%h", *quietly] for name in WORKERS}
    beat = [*celery, "beat", "-s", str(folder / "beat-schedule"), "--pidfile="]
    return {"web": web, **workers, "beat": beat}


def environment_of(settings: Settings, temp_dir: Path) -> dict[str, str]:
    """Of the service's processes, but for a clock that is off."""
    addresses = {"MONGO_URL": settings.mongo_address, "REDIS_URL": settings.redis_address, "PORT": str(settings.port)}
    paths = {"DATA_DIR": str(settings.data_dir), "TMPDIR": str(temp_dir), "ENV_FILE": os.devnull}
    return os.environ | SETTINGS | addresses | paths | {"OMP_NUM_THREADS": "1", "LOG_FORMAT": "json"}


def _temp_dir(folder: Path) -> Path:
    return folder / "temp"


def _odd_temp_dir(folder: Path) -> Path:
    return folder / "odd-temp"


def _small_disk(folder: Path, running: ExitStack) -> Path | None:
    """A disk in memory for the temporary files of ODD_WORKER; None where this user may not mount one."""
    disk = _odd_temp_dir(folder)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK_BYTES}", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        return None
    running.callback(subprocess.run, ["umount", "--lazy", str(disk)], check=True)
    return disk


def _clock(folder: Path) -> Path | None:
    """The file that libfaketime reads; None where it is not installed."""
    if LIBFAKETIME is None:
        return None
    clock = folder / "clock"
    clock.write_text(CLOCK_RIGHT)
    return clock


def _clock_of_its_own(clock: Path) -> dict[str, str]:
    """What makes a process go by `clock`, as it stands when the process starts.

    Set while it runs, libfaketime 0.9 would move the monotonic clock too, which no machine does.
    """
    return {
        "LD_PRELOAD": str(LIBFAKETIME),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_CACHE_DURATION": "1000000",  # s
        "FAKETIME_DISABLE_SHM": "1",  # it would be left behind by those that are killed
    }
