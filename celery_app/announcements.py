"""Word of a job's change, over Redis: from the process that made it to those where somebody waits for it.

It is a hint and may be lost: it says which job changed, not how. Whoever hears it reads the job from MongoDB.
"""

from __future__ import annotations

import structlog
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from celery_app import BrokerUnavailable
from celery_app.pause import Pause
from utils.redis_server import open_redis
from utils.settings import Settings

CHANNEL = "upscaler:jobs:"  # and the owner
PATIENCE = 0.5  # s for Redis to answer: a hint is not worth more

log = structlog.get_logger()


class Announcer:
    """Tells of changed jobs. Takes half a second at most, and never fails."""

    def __init__(self, settings: Settings) -> None:
        self._redis = _connect(settings)
        self._silence = Pause(5.0)

    def __call__(self, owner: str, job_id: str) -> None:
        """Announce that a job of `owner` is new or changed."""
        if not self._silence.is_over:
            return
        try:
            self._redis.publish(CHANNEL + owner, job_id)
        except (RedisError, OSError) as error:
            self._silence.begin()
            log.debug("change not announced", task_id=job_id, reason=str(error))


class Listener:
    """Hears what any process announces, of all owners, through one subscription."""

    def __init__(self, settings: Settings) -> None:
        self._subscription = _connect(settings).pubsub(ignore_subscribe_messages=True)

    def hear(self, timeout: float) -> list[tuple[str, str]]:
        """Owner and job id of each change announced since the last call; waits `timeout` seconds for the first.

        Raises:
            BrokerUnavailable: Redis does not answer. The next call tries to connect again.
        """
        heard: list[tuple[str, str]] = []
        try:
            if not self._subscription.subscribed:
                self._subscription.psubscribe(CHANNEL + "*")
            while message := self._subscription.get_message(timeout=0 if heard else timeout):
                heard.append((message["channel"].removeprefix(CHANNEL), message["data"]))
        except (RedisError, OSError) as error:
            raise BrokerUnavailable(str(error)) from error
        return heard


def _connect(settings: Settings) -> Redis:
    return open_redis(
        settings,
        decode_responses=True,
        socket_connect_timeout=PATIENCE,
        socket_timeout=PATIENCE,
        retry=Retry(NoBackoff(), 0),
    )
