"""gunicorn's configuration, taken from the service's own settings: `gunicorn -c deploy/gunicorn.conf.py …`."""

from utils.settings import settings_or_exit

settings = settings_or_exit()

host = f"[{settings.host}]" if ":" in settings.host else settings.host
bind = f"{host}:{settings.port}"

# Threads: they wait for MongoDB and for nginx, and compute next to nothing.
worker_class = "gthread"
workers = settings.web_workers
threads = settings.web_threads

loglevel = settings.log_level
accesslog = None  # the application logs one line a request itself
control_socket_disable = True  # a socket in the home folder, which a container has not

graceful_timeout = 30  # seconds for running requests when it is told to stop
