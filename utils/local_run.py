"""Everything on this machine: servers, web, worker and beat, started in order, kept running and stopped together."""

from __future__ import annotations

import fcntl
import signal
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO

from utils.local_services import LocalServer, start_mongod, start_redis
from utils.processes import ChildProcess, ProgramError
from utils.remote_services import check_mongo, check_redis
from utils.settings import Settings
from utils.supervisor import keep_running

START_TIMEOUT = 120.0  # s; the first import of torch on a slow disk takes its time
TILE_TIME = 15.0  # s; so long a stopping worker may take for the tile that it is at, and to end
WORKER_NICENESS = 5  # a third of the web server's share, where both want the processor: whoever asks goes first
STOP_TIMEOUT = 60.0  # s; a worker that lost its supervisor ends the picture that it is at
REPOSITORY = Path(__file__).resolve().parent.parent

_stop_asked = threading.Event()


@dataclass(frozen=True)
class Stack:
    """The running service: the settings with the servers' true addresses, and its processes.

    `mongod` and `redis` are None where a server that runs elsewhere is used.
    """

    settings: Settings
    web: ChildProcess
    worker: ChildProcess
    mongod: LocalServer | None
    redis: LocalServer | None

    @property
    def processes(self) -> list[ChildProcess]:
        servers = [server.process for server in (self.mongod, self.redis) if server]
        return [*servers, self.web, self.worker]


def run_everything(settings: Settings, worker_answers: Callable[[Settings], bool]) -> int:
    """Run the whole service until Ctrl-C or SIGTERM.

    Args:
        settings: where MONGO_URL or REDIS_URL is not set, a server of our own is started.
        worker_answers: whether a Celery worker answers on the broker of the given settings.

    Returns:
        The exit status: 0 after being stopped, 1 after a failure, which was explained on standard error.
    """
    _stop_asked.clear()
    # SIGINT too: a shell that starts this in the background has it ignored, and Python leaves it at that.
    for stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop, _as_keyboard_interrupt)
    try:
        with ExitStack() as running:
            stack = start_everything(settings, worker_answers, running)
            _say_hello(settings)
            # What takes time to stop does so at the same time.
            running.callback(stack.web.ask_to_stop)
            running.callback(stack.worker.ask_to_stop)
            keep_running(stack.processes)
    except KeyboardInterrupt:
        _say("\nStopped. The data is kept.")
        return 0
    except ProgramError as error:
        _say(f"\nCannot run: {error}")
    return 1


def start_everything(settings: Settings, worker_answers: Callable[[Settings], bool], running: ExitStack) -> Stack:
    """Start the servers that are not set, the web server and a worker, and wait until all answer.

    Args:
        running: stops them in reverse order when it is closed.

    Raises:
        ProgramError: in one sentence, why it does not run.
    """
    lock = _lock(settings.data_dir, running)
    _check_port(settings)
    mongod, redis = _start_servers(settings, running, lock)
    servers = {"mongo_url": mongod, "redis_url": redis}
    urls = {key: server.url for key, server in servers.items() if server}
    settings = settings.model_copy(update=urls)
    environment = {key.upper(): url for key, url in urls.items()}

    _say("Starting the worker and the web server…")
    web = running.enter_context(
        ChildProcess("The web server", _web_command(), environment=environment, inherited=[lock])
    )
    worker = running.enter_context(
        ChildProcess(
            "The worker",
            _worker_command(settings),
            environment=environment,
            patience=settings.stop_seconds + TILE_TIME,
            inherited=[lock],
            niceness=WORKER_NICENESS,
        )
    )
    web.wait_until(_unless_stopped(lambda: _is_ready(settings)), START_TIMEOUT)
    worker.wait_until(_unless_stopped(lambda: worker_answers(settings)), START_TIMEOUT)
    return Stack(settings, web, worker, mongod, redis)


def _start_servers(settings: Settings, running: ExitStack, lock: int) -> tuple[LocalServer | None, LocalServer | None]:
    """Start MongoDB and Redis, unless the settings name ones that run: those only have to answer."""
    mongod = redis = None
    if settings.mongo_url:
        check_mongo(settings)
    else:
        _say("Starting MongoDB…")
        mongod = start_mongod(settings.data_dir, running, inherited=[lock])
    if settings.redis_url:
        check_redis(settings)
    else:
        _say("Starting Redis…")
        redis = start_redis(settings.data_dir, running, inherited=[lock])
    return mongod, redis


def _web_command() -> list[str]:
    config = REPOSITORY / "deploy" / "gunicorn.conf.py"
    return [sys.executable, "-m", "gunicorn", "-c", str(config), "main:create_app()"]


def _worker_command(settings: Settings) -> list[str]:
    schedule = settings.data_dir / "beat-schedule"
    worker = ["-A", "main.celery_app", "worker", "--beat", "-s", str(schedule), "-l", settings.log_level]
    return [sys.executable, "-m", "celery", "--quiet", *worker, "--without-gossip", "--without-mingle"]


def _check_port(settings: Settings) -> None:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((settings.host, settings.port))
        except OSError as error:
            raise ProgramError(
                f"{settings.host}:{settings.port} cannot be listened on ({error.strerror}). "
                f"Stop what uses it, or choose another port: PORT={settings.port % 65535 + 1} make run"
            ) from None


def _lock(data_dir: Path, running: ExitStack) -> int:
    """Hold `data_dir` for this run alone, until `running` is closed.

    Returns:
        The descriptor of a second lock, for every process of the run to inherit: those of a run that was
        killed take some seconds to end, and the folder is theirs until then.
    """
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        run, processes = (
            running.enter_context((data_dir / name).open("ab")) for name in ("run.lock", "processes.lock")
        )
    except OSError as error:
        raise ProgramError(
            f"The folder {data_dir} cannot be written ({error.strerror}). Mend that, or set DATA_DIR."
        ) from None
    if not _is_locked(run, timeout=0):
        raise ProgramError(f"Another run uses the folder {data_dir}. Stop it, or set DATA_DIR.")
    if not _is_locked(processes, STOP_TIMEOUT):
        raise ProgramError(f"Processes of an earlier run still use the folder {data_dir}. Stop them first.")
    return processes.fileno()


def _is_locked(file: IO[bytes], timeout: float) -> bool:
    """Lock `file`, within `timeout` seconds, until it is closed here and in every process that inherits it."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.1)
        else:
            return True


def _address(settings: Settings) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.host, settings.host)  # noqa: S104
    return f"http://{host}:{settings.port}"


def _is_ready(settings: Settings) -> bool:
    try:
        with urllib.request.urlopen(f"{_address(settings)}/health/ready", timeout=5):  # noqa: S310
            return True
    except (urllib.error.URLError, OSError):
        return False


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _say_hello(settings: Settings) -> None:
    address = _address(settings)
    _say(
        f"\nReady: {address}\n\n"
        f"  Upload:   curl -F image=@photo.jpg {address}/upscale\n"
        f"  Follow:   curl {address}/tasks/<task_id>\n"
        f"  Fetch:    curl -O {address}/processed/photo.jpg\n\n"
        "Ctrl-C stops everything; the data is kept."
    )


def _as_keyboard_interrupt(signum: int, frame: FrameType | None) -> None:
    _stop_asked.set()
    raise KeyboardInterrupt


def _unless_stopped(ready: Callable[[], bool]) -> Callable[[], bool]:
    """`ready`, looking first whether a stop was asked for: a library may swallow a signal's KeyboardInterrupt."""

    def ready_or_stopped() -> bool:
        if _stop_asked.is_set():
            raise KeyboardInterrupt
        return ready()

    return ready_or_stopped
