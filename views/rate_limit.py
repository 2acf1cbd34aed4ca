"""RATE_LIMIT: so many requests of one owner in so much time, counted in Redis for all web processes together.

Told in the headers RateLimit and RateLimit-Policy (draft-ietf-httpapi-ratelimit-headers-10). It guards against
haste, not against attacks: while Redis is away, everything is let through.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import structlog
from flask import Flask, Response, g, request
from limits import RateLimitItem, parse
from limits.storage import RedisStorage
from limits.strategies import FixedWindowRateLimiter
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from celery_app.pause import Pause
from utils.errors import TooManyRequests
from utils.redis_server import open_redis
from utils.settings import Settings
from views.context import context_of, owner

# Blueprints; None is the files of the pages, and what is not found.
NOT_COUNTED = ("health", "metrics", "pages", "api_docs", None)
KEYS = "upscaler:rate"
PATIENCE = 0.5  # s for Redis to answer

log = structlog.get_logger()


@dataclass(frozen=True)
class Standing:
    """What an owner has left of the present window."""

    remaining: int
    resets_in: int  # s
    is_exceeded: bool


class RateLimiter:
    """Counts requests, each owner's in windows that begin with a request: one number a window, whatever the limit."""

    def __init__(self, limit: str, settings: Settings) -> None:
        self.limit: RateLimitItem = parse(limit)
        client = open_redis(
            settings, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE, retry=Retry(NoBackoff(), 0)
        )
        storage = RedisStorage(settings.redis_address, client.connection_pool, key_prefix=KEYS)
        self._windows = FixedWindowRateLimiter(storage)
        self._idle = Pause(5.0)  # or each request would wait for Redis

    def count(self, owner: str) -> Standing | None:
        """Count a request of `owner`; None where Redis does not answer."""
        if not self._idle.is_over:
            return None
        try:
            is_within = self._windows.hit(self.limit, owner)
            window = self._windows.get_window_stats(self.limit, owner)
        except (RedisError, OSError) as error:
            self._idle.begin()
            log.warning("requests are not counted", reason=str(error))
            return None
        return Standing(window.remaining, max(1, math.ceil(window.reset_time - time.time())), not is_within)


def is_counted(blueprint: str | None) -> bool:
    """Whether requests for the views of that blueprint count."""
    return blueprint not in NOT_COUNTED


def register(app: Flask) -> None:
    """Hold every owner to RATE_LIMIT, if it is set."""
    settings = context_of(app).settings
    if not settings.rate_limit:
        return
    limiter = RateLimiter(settings.rate_limit, settings)
    quota, window = limiter.limit.amount, limiter.limit.get_expiry()

    @app.before_request
    def _count() -> None:
        if not is_counted(request.blueprint):
            return
        g.standing = standing = limiter.count(owner())
        if standing and standing.is_exceeded:
            raise TooManyRequests(
                f"{quota} requests in {window} seconds are allowed. Wait {standing.resets_in} seconds.",
                retry_after=standing.resets_in,
            )

    @app.after_request
    def _tell(response: Response) -> Response:
        standing: Standing | None = g.get("standing")
        if standing:
            response.headers["RateLimit-Policy"] = f'"owner";q={quota};w={window}'
            response.headers["RateLimit"] = f'"owner";r={standing.remaining};t={standing.resets_in}'
        return response
