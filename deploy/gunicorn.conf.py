"""gunicorn's configuration, taken from the service's own settings: `gunicorn -c deploy/gunicorn.conf.py …`."""

import resource
import signal
from types import FrameType

from gunicorn.config import Config
from gunicorn.glogging import Logger
from gunicorn.workers.base import Worker

from utils.logging import configure_logging
from utils.settings import settings_or_exit
from views.context import context_of

settings = settings_or_exit()

host = f"[{settings.host}]" if ":" in settings.host else settings.host
bind = f"{host}:{settings.port}"

# Threads: they wait for MongoDB, for nginx and for jobs, and compute next to nothing.
worker_class = "gthread"
workers = settings.web_workers
threads = settings.web_threads + settings.web_streams
worker_connections = 2 * threads  # those that rest between two requests have no thread

# Every stream is an open file, and many systems give a program no more than 1024 of them at first.
_, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))

graceful_timeout = 30  # seconds for running requests when it is told to stop
control_socket_disable = True


def post_worker_init(worker: Worker) -> None:
    """Let the open streams end first when the worker is told to stop: it waits for all that it answers."""
    stop = signal.getsignal(signal.SIGTERM)

    def end_streams(signum: int, frame: FrameType | None) -> None:
        context_of(worker.wsgi).lookout.end()
        stop(signum, frame)

    signal.signal(signal.SIGTERM, end_streams)


class logger_class(Logger):  # noqa: N801 - gunicorn's name for this setting
    """gunicorn's own log lines in the shape of all others. Requests are logged by the application."""

    def setup(self, cfg: Config) -> None:
        configure_logging(settings)
        self.error_log.propagate = True
