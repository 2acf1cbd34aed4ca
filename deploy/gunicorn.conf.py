"""gunicorn's configuration, taken from the service's own settings: `gunicorn -c deploy/gunicorn.conf.py …`."""

import os
import resource
import shutil
import signal
from types import FrameType

from gunicorn.arbiter import Arbiter
from gunicorn.config import Config
from gunicorn.glogging import Logger
from gunicorn.workers.base import Worker

from utils.logging import configure_logging
from utils.processes import end_with_parent
from utils.settings import settings_or_exit
from utils.temp_folder import memory, own_folder, remove_abandoned
from utils.web_worker import WebWorker

# First of all, for prometheus-client looks for it when it is imported. In memory, because it writes through mmap(2):
# on a full disk that would kill the process.
os.environ["PROMETHEUS_MULTIPROC_DIR"] = metrics_folder = str(own_folder(memory()))

from prometheus_client.multiprocess import mark_process_dead

from views.context import context_of

settings = settings_or_exit()

host = f"[{settings.host}]" if ":" in settings.host else settings.host
bind = f"{host}:{settings.port}"

# Threads: they wait for MongoDB, for nginx and for jobs, and compute next to nothing.
worker_class = "utils.web_worker.WebWorker"
workers = settings.web_workers
threads = settings.web_threads + settings.web_streams
worker_connections = 2 * threads  # those that rest between two requests have no thread
limit_request_line = 8190  # bytes, the most there can be

# Every stream is an open file, and many systems give a program no more than 1024 of them at first.
_, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))

graceful_timeout = 30  # seconds for running requests when it is told to stop
control_socket_disable = True


def on_starting(server: Arbiter) -> None:
    """The numbers of runs that were killed are of no use."""
    remove_abandoned(memory())


def child_exit(server: Arbiter, worker: Worker) -> None:
    """What a worker counted stays. What it had open, such as streams, it has no longer, however it ended."""
    mark_process_dead(worker.pid)


def on_exit(server: Arbiter) -> None:
    """The numbers of this run go with it."""
    shutil.rmtree(metrics_folder, ignore_errors=True)


def post_fork(arbiter: Arbiter, worker: WebWorker) -> None:
    """Tell the worker to stop if the arbiter is killed.

    gunicorn's own look at its parent lets it answer kept-alive connections for another `graceful_timeout`.
    """
    end_with_parent()


def post_worker_init(worker: WebWorker) -> None:
    """Let the open streams end first when the worker is told to stop: it waits for all that it answers."""
    stop = signal.getsignal(signal.SIGTERM)

    def end_streams(signum: int, frame: FrameType | None) -> None:
        context_of(worker.wsgi).lookout.end()
        if os.getppid() != worker.ppid:
            worker.method_queue.defer(worker.leave_address)  # the next arbiter needs it
        stop(signum, frame)

    signal.signal(signal.SIGTERM, end_streams)


class logger_class(Logger):  # noqa: N801 - gunicorn's name for this setting
    """gunicorn's own log lines in the shape of all others. Requests are logged by the application."""

    def setup(self, cfg: Config) -> None:
        configure_logging(settings)
        self.error_log.propagate = True
