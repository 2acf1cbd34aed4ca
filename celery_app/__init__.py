"""The Celery application: how the web process tells workers that there is something to do.

The broker holds hints only: a message carries a job's id and may be lost, late or delivered twice. What there
is to do stands in MongoDB, and the sweep sends again what got lost. Importing this loads no torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from amqp import AMQPError
from celery import Celery
from celery.signals import celeryd_init, setup_logging
from kombu import Connection, Producer, Queue
from kombu.exceptions import OperationalError
from kombu.pools import producers
from kombu.transport import redis
from redis.exceptions import RedisError

from celery_app.broker import broker_of
from celery_app.pause import Pause
from utils.logging import configure_logging
from utils.settings import Settings, load_settings, settings_or_exit

UPSCALE_QUEUE = "upscale"
SWEEP_QUEUE = "sweep"
ONE_RETRY = {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0}


# A worker that loses Redis in the middle of a job would try to give its message back over the connection it has
# lost, and Kombu 5.7 dies of that (AttributeError: 'NoneType' object has no attribute 'hostname'). Nothing needs
# the message: the sweep sends again.
redis.Channel.do_restore = False


class BrokerUnavailable(Exception):  # noqa: N818 - named like the other dependencies' errors
    """Redis, or RabbitMQ, does not answer. Nothing is lost by it: the sweep sends later."""


def make_celery(settings: Settings) -> Celery:
    """The application for a worker, for beat, and for sending."""
    broker = broker_of(settings)
    application = Celery("upscaler", broker=broker.url)
    application.conf.update(
        # MongoDB alone knows how a job stands. A result backend would be a second truth, and publishing
        # hung for 19 s with it when Redis was down.
        task_ignore_result=True,
        # Two queues, so that the sweep does not wait behind a hundred pictures.
        task_queues=[
            Queue(name, queue_arguments=dict(broker.queue_arguments)) for name in (UPSCALE_QUEUE, SWEEP_QUEUE)
        ],
        task_default_queue=UPSCALE_QUEUE,
        task_routes={"sweep": {"queue": SWEEP_QUEUE}},
        # In Redis a message goes when its task begins: from then on the job's lease stands for it. (Acknowledged late,
        # a task that ended after Redis had been away ended its worker too.) And no worker takes more messages than
        # it has hands, so that one that waits can be seen in the queue.
        task_acks_late=broker.holds_messages,
        worker_disable_prefetch=not broker.holds_messages,
        worker_prefetch_multiplier=1,
        worker_concurrency=settings.worker_concurrency,
        worker_hijack_root_logger=False,
        worker_send_task_events=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        # A worker that connects to a Redis without memory is refused a lock, and would end.
        broker_channel_error_retry=True,
        broker_transport_options=dict(broker.options),
        beat_schedule={"sweep": {"task": "sweep", "schedule": float(settings.sweep_seconds)}},
    )
    return application


def clean_up_seconds(settings: Settings) -> float:
    """Often enough that nothing stays much longer than its grace, and seldom: it looks through everything."""
    return max(settings.sweep_seconds, min(600.0, settings.grace_seconds / 6))


_settings = settings_or_exit()
app = make_celery(_settings)
_rest = Pause(2.0)  # from sending, after the broker failed to answer; the sweep sends later


@celeryd_init.connect
def _load_tasks(**_: Any) -> None:
    """Only into workers, before they fork. Beat, `celery inspect` and the web know tasks by name, and need no torch."""
    import_module("celery_app.tasks")


@setup_logging.connect
def _use_our_logging(**_: Any) -> None:
    configure_logging(load_settings())


def send_upscale(job_id: str, request_id: str | None = None) -> None:
    """Tell the workers of a job.

    Args:
        request_id: of the HTTP request that it came with, for what is logged before the job is read.

    Raises:
        BrokerUnavailable: the broker did not take the message, or failed to take another one just now.
    """
    if not _rest.is_over:
        raise BrokerUnavailable("it failed to answer just now")
    headers = {"request_id": request_id}
    try:
        with _producer() as producer:
            app.send_task("upscale", args=[job_id], headers=headers, producer=producer, retry_policy=ONE_RETRY)
    except BrokerUnavailable:
        _rest.begin()
        raise


def queue_length() -> int:
    """Messages that wait for a worker.

    Raises:
        BrokerUnavailable: the broker does not answer.
    """
    with _producer() as producer:
        queue = app.amqp.queues[UPSCALE_QUEUE](producer.channel)
        return int(queue.queue_declare().message_count)


def worker_answers(timeout: float = 0.5) -> bool:
    """Whether any worker answers within `timeout` seconds, busy or not.

    Raises:
        BrokerUnavailable: the broker does not answer.
    """
    # A connection of its own: one that was listened on for answers is of no use to those who send next.
    with _translated(), _hasty_connection() as connection:
        return bool(app.control.ping(connection=connection, timeout=timeout, limit=1))


@contextmanager
def _producer() -> Iterator[Producer]:
    """Something to send with, over a connection that gives up soon: an upload is answered only then.

    The worker's own connection must not give up so: on losing Redis, it would end the worker.
    """
    with _translated(), producers[_hasty_connection()].acquire(block=True) as producer:
        yield producer


def _hasty_connection() -> Connection:
    return app.connection(transport_options={**broker_of(_settings).hasty_options, **ONE_RETRY})


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (OperationalError, RedisError, AMQPError, OSError) as error:
        raise BrokerUnavailable(str(error)) from error
