"""What carries messages to the workers: RabbitMQ where BROKER_URL is set, else the Redis of REDIS_URL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from utils.redis_server import SentinelAddress
from utils.settings import Settings

Options = Mapping[str, Any]

REDIS_OPTIONS: Options = {
    "socket_timeout": 5,
    "socket_connect_timeout": 3,
    "socket_keepalive": True,
    "queue_order_strategy": "round_robin",
    # Longer than any job. Recovery rests on the lease and the sweep, not on redelivery.
    "visibility_timeout": 6 * 3600,
}
# A caller waits for his answer 3 s at most, and a stopped Redis is waited for three times before sending gives up.
HASTY_REDIS: Options = {"socket_timeout": 0.6, "socket_connect_timeout": 0.6}
HASTY_RABBITMQ: Options = {"connect_timeout": 1.5, "read_timeout": 1.5, "write_timeout": 1.5, "confirm_publish": True}


@dataclass(frozen=True)
class Broker:
    """How Celery is to use it.

    `options` are Kombu's transport options; `hasty_options` those of connections that give up soon, to send from the
    web. `holds_messages`: whether a message may be acknowledged only after its task, as RabbitMQ needs to hand none
    to a worker that is busy.
    """

    url: str
    options: Options
    hasty_options: Options
    queue_arguments: Options = field(default_factory=dict)
    holds_messages: bool = False


def broker_of(settings: Settings) -> Broker:
    if settings.broker_url:
        # Quorum queues: their messages are on the disks of most nodes before they are confirmed.
        quorum = {"x-queue-type": "quorum"}
        return Broker(settings.broker_url, {}, HASTY_RABBITMQ, queue_arguments=quorum, holds_messages=True)
    watched = SentinelAddress.of(settings.redis_address)
    if watched is None:
        return Broker(settings.redis_address, REDIS_OPTIONS, HASTY_REDIS)
    name = {"master_name": watched.name}
    return Broker(_kombu_address(watched), {**REDIS_OPTIONS, **name}, {**HASTY_REDIS, **name})


def _kombu_address(watched: SentinelAddress) -> str:
    """As Kombu has it: one URL for each Sentinel."""
    credentials = f":{quote(watched.password, safe='')}@" if watched.password else ""
    return ";".join(f"sentinel://{credentials}{host}:{port}/{watched.database}" for host, port in watched.sentinels)
