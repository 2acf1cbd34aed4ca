"""The MongoDB and the Redis that MONGO_URL and REDIS_URL name: whether they answer, or in one sentence why not."""

from __future__ import annotations

from typing import Any

from pymongo import MongoClient
from pymongo.errors import PyMongoError
from redis.exceptions import RedisError

from utils.processes import ProgramError
from utils.redis_server import open_redis
from utils.settings import Settings

TIMEOUT = 5.0  # s


def check_mongo(settings: Settings) -> None:
    """Raise ProgramError unless the MongoDB of `settings` answers and lets us in."""
    password = settings.mongo_password
    try:
        client: MongoClient[dict[str, Any]] = MongoClient(
            settings.mongo_address,
            username=settings.mongo_user if password else None,
            password=password.get_secret_value() if password else None,
            serverSelectionTimeoutMS=int(TIMEOUT * 1000),
        )
        with client:
            client.admin.command("ping")
    except (PyMongoError, ValueError) as error:
        reason = str(error).partition(" (configured timeouts")[0]  # what follows is for PyMongo's developers
        raise ProgramError(
            f"The MongoDB of MONGO_URL cannot be used: {reason}. Mend that, or unset MONGO_URL to have one started."
        ) from None


def check_redis(settings: Settings) -> None:
    """Raise ProgramError unless the Redis of `settings` answers and lets us in."""
    try:
        with open_redis(settings, socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT) as client:
            client.ping()
    except (RedisError, ValueError) as error:
        # What Python says of a bad address may be a piece of its password.
        reason = error if isinstance(error, RedisError) else "it is no address (%-encode a password's / # ? and @)"
        raise ProgramError(
            f"The Redis of REDIS_URL cannot be used: {reason}. Mend that, or unset REDIS_URL to have one started."
        ) from None
