"""gunicorn's configuration, taken from the service's own settings: `gunicorn -c deploy/gunicorn.conf.py …`."""

from gunicorn.config import Config
from gunicorn.glogging import Logger

from utils.logging import configure_logging
from utils.settings import settings_or_exit

settings = settings_or_exit()

host = f"[{settings.host}]" if ":" in settings.host else settings.host
bind = f"{host}:{settings.port}"

# Threads: they wait for MongoDB and for nginx, and compute next to nothing.
worker_class = "gthread"
workers = settings.web_workers
threads = settings.web_threads

graceful_timeout = 30  # seconds for running requests when it is told to stop
control_socket_disable = True


class logger_class(Logger):  # noqa: N801 - gunicorn's name for this setting
    """gunicorn's own log lines in the shape of all others. Requests are logged by the application."""

    def setup(self, cfg: Config) -> None:
        configure_logging(settings)
        self.error_log.propagate = True
