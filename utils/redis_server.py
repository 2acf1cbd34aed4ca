"""The Redis of REDIS_URL: one server, or the one that Sentinels name as the master at that time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from redis import Redis
from redis.sentinel import Sentinel

from utils.settings import Settings

SENTINEL_PORT = 26379


@dataclass(frozen=True)
class SentinelAddress:
    """`redis+sentinel://:password@host:26379,host:26379/name/0`: the Sentinels, and what they watch over."""

    sentinels: tuple[tuple[str, int], ...]
    name: str
    database: int
    password: str | None  # of Redis; the Sentinels are asked without one

    @classmethod
    def of(cls, address: str) -> Self | None:
        """None for the address of a single server."""
        parts = urlsplit(address)
        if parts.scheme != "redis+sentinel":
            return None
        credentials, _, hosts = parts.netloc.rpartition("@")
        name, _, database = parts.path.strip("/").partition("/")
        password = unquote(credentials.partition(":")[2]) or None
        return cls(tuple(_host_and_port(host) for host in hosts.split(",")), name, int(database or 0), password)


def open_redis(settings: Settings, **options: Any) -> Redis:
    """A client. It connects on first use, after a failover to the new master.

    Args:
        options: of redis.Redis, such as `socket_timeout`; they hold for the Sentinels as well.
    """
    watched = SentinelAddress.of(settings.redis_address)
    if watched is None:
        return Redis.from_url(settings.redis_address, **options)
    timeouts = {key: value for key, value in options.items() if key in ("socket_timeout", "socket_connect_timeout")}
    sentinels = Sentinel(watched.sentinels, sentinel_kwargs=timeouts)
    return sentinels.master_for(watched.name, db=watched.database, password=watched.password, **options)


def _host_and_port(text: str) -> tuple[str, int]:
    host, _, port = text.partition(":")
    return host, int(port or SENTINEL_PORT)
