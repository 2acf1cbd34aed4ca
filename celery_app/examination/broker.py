"""Whether messages reach the workers, and a worker is there to reach."""

from __future__ import annotations

from redis.exceptions import RedisError

from celery_app import BrokerUnavailable, queue_length, worker_answers
from celery_app.examination.finding import Check, Ill, Patient
from utils.redis_server import open_redis

REDIS_TIMEOUT = 2.0  # s
WORKER_TIMEOUT = 3.0  # s


def _broker_answers(patient: Patient) -> str:
    try:
        return f"{queue_length()} message(s) wait"
    except BrokerUnavailable:
        raise Ill(
            "It does not answer. Uploads are kept, and made when it is back.",
            "Start it, and see that REDIS_URL and REDIS_PASSWORD, or BROKER_URL, are right.",
        ) from None


def _redis_keeps(patient: Patient) -> str:
    """Nothing depends on it, but messages that are lost are made up for only seconds later."""
    options = {"socket_timeout": REDIS_TIMEOUT, "socket_connect_timeout": REDIS_TIMEOUT, "decode_responses": True}
    try:
        with open_redis(patient.settings, **options) as redis:
            persistence, memory = redis.info("persistence"), redis.info("memory")
    except RedisError as error:
        raise Ill(f"Redis does not tell: {error}", "See that REDIS_URL and REDIS_PASSWORD are right.") from None
    if not persistence["aof_enabled"] or persistence["aof_last_write_status"] != "ok":
        raise Ill(
            "Redis keeps no append-only file, or cannot write it.",
            "Start it with --appendonly yes, on a disk with room.",
        )
    if memory["maxmemory_policy"] != "noeviction":
        raise Ill(
            f"Redis forgets when it is full ({memory['maxmemory_policy']}).", "Set maxmemory-policy to noeviction."
        )
    return "append-only file, noeviction"


def _worker_there(patient: Patient) -> str:
    if not worker_answers(WORKER_TIMEOUT):
        raise Ill(
            "None answers. Uploads are kept, and made when there is one.",
            "Start one: `celery -A main.celery_app worker`; its log says why it ended.",
        )
    return ""


BROKER: list[Check] = [
    ("The broker answers", _broker_answers),
    ("Redis keeps what it is told", _redis_keeps),
    ("A worker answers", _worker_there),
]
