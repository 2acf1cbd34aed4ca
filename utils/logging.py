"""Log lines of every process in one shape: to read by default, JSON with LOG_FORMAT=json."""

from __future__ import annotations

import logging
import sys

import structlog
from structlog.typing import Processor

from utils.settings import Settings

QUIET_LIBRARIES = (
    *("pymongo", "kombu", "amqp", "PIL", "urllib3"),
    # Celery tells of every message and its end; our tasks log their own steps.
    *("celery.redirected", "celery.app.trace", "celery.beat", "celery.worker.strategy"),
)

COMMON: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.stdlib.ExtraAdder(),
]


def configure_logging(settings: Settings) -> None:
    """Send structlog's and the standard library's log lines to standard error in the chosen shape."""
    if settings.log_format == "json":
        rendering: list[Processor] = [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ]
    else:
        rendering = [
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), pad_event_to=0, exception_formatter=structlog.dev.plain_traceback
            )
        ]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=COMMON,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
    )
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.log_level.upper())
    for name in QUIET_LIBRARIES:
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *COMMON[:-1],
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
