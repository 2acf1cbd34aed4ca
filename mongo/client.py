"""The connection to MongoDB, and the turning of its driver's errors into the service's own."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import pymongo
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.errors import ConfigurationError, InvalidURI, OperationFailure, PyMongoError

from utils.errors import StoreFull, StoreUnavailable
from utils.settings import SettingsError

if TYPE_CHECKING:
    from mongo.batches import BatchStore
    from mongo.callbacks import CallbackStore
    from mongo.census import Census
    from mongo.idempotency import IdempotencyStore
    from mongo.images import ImageStore
    from mongo.invariants import Invariants
    from mongo.job_store import JobStore
    from mongo.job_sweep import JobSweep
    from mongo.particulars import ParticularsStore
    from mongo.tallies import TallyStore
    from utils.settings import Settings

Document = dict[str, Any]
Announce = Callable[[str, str], None]
"""Is told the owner and the id of a job that was just made or changed. Must not fail."""

P = ParamSpec("P")
R = TypeVar("R")

OUT_OF_DISK_SPACE = 14031  # MongoDB's error code OutOfDiskSpace
BRIEF = 2.0  # s; what is read and written for a request is a document or a few, and a caller waits 3 s at most
FAREWELL = 0.5  # s for tidying up after a failure: what is left undone is found later
RETRY_AFTER = 5  # s; a replica set elects a new primary in about this time


@dataclass(frozen=True)
class Store:
    """Everything that is kept: jobs, batches, uploads, results, what is told of them, answers by key, sums."""

    client: MongoClient[Document]
    database: Database[Document]
    jobs: JobStore
    sweep: JobSweep
    batches: BatchStore
    uploads: ImageStore
    results: ImageStore
    particulars: ParticularsStore
    idempotency_keys: IdempotencyStore
    callbacks: CallbackStore
    census: Census
    tallies: TallyStore
    invariants: Invariants

    def ping(self) -> None:
        """Ask the server for a sign of life.

        Raises:
            StoreUnavailable: there is none.
        """
        brief(self.client.admin.command)("ping")

    def used_bytes(self) -> int:
        """How much is kept: pictures and all that is known of them, indexes aside.

        MongoDB keeps count of that, so it is asked for in no time. The files on its disk are something else: they
        are compressed, and do not shrink when pictures go.

        Raises:
            StoreUnavailable: MongoDB does not answer.
        """
        return int(brief(self.database.command)("dbStats")["dataSize"])

    def close(self) -> None:
        self.client.close()


def open_store(settings: Settings, announce: Announce = lambda *_: None) -> Store:
    """A store on the server of `settings`. Connects on first use, so the server may still be starting.

    Call it after forking: a MongoClient must not cross a fork.

    Args:
        announce: where whoever waits for jobs is to be told of their changes.

    Raises:
        SettingsError: MONGO_URL cannot be read.
    """
    from mongo.batches import BatchStore
    from mongo.callbacks import CallbackStore
    from mongo.census import Census
    from mongo.idempotency import IdempotencyStore
    from mongo.images import ImageStore
    from mongo.invariants import Invariants
    from mongo.job_store import JobStore
    from mongo.job_sweep import JobSweep
    from mongo.particulars import ParticularsStore
    from mongo.tallies import TallyStore

    client = _connect(settings)
    grace = timedelta(seconds=settings.grace_seconds)
    database = client[settings.mongo_database]
    return Store(
        client=client,
        database=database,
        jobs=JobStore(
            database,
            lease=timedelta(seconds=settings.lease_seconds),
            max_attempts=settings.max_attempts,
            keep_sources=settings.keep_sources,
            announce=announce,
        ),
        sweep=JobSweep(database, max_attempts=settings.max_attempts),
        batches=BatchStore(database),
        uploads=ImageStore(database, "uploads", grace),
        results=ImageStore(database, "results", grace),
        particulars=ParticularsStore(database),
        idempotency_keys=IdempotencyStore(database),
        callbacks=CallbackStore(database),
        census=Census(database),
        tallies=TallyStore(database),
        invariants=Invariants(database, grace),
    )


def _connect(settings: Settings) -> MongoClient[Document]:
    credentials: dict[str, Any] = {}
    if settings.mongo_user and settings.mongo_password:
        credentials = {
            "username": settings.mongo_user,
            "password": settings.mongo_password.get_secret_value(),
        }
    try:
        return MongoClient(
            settings.mongo_address,
            **credentials,
            appname="image-upscaler",
            tz_aware=True,
            # A write is done when it survives the loss of a server: without this, a kill loses some.
            w="majority",
            wTimeoutMS=10_000,
            readConcernLevel="majority",
            # The driver's 30 s would keep callers hanging; a 503 with Retry-After is kinder.
            serverSelectionTimeoutMS=2_000,
            connectTimeoutMS=2_000,
            socketTimeoutMS=30_000,
        )
    except (ConfigurationError, InvalidURI, ValueError) as error:
        raise SettingsError(f"MONGO_URL cannot be used: {error}") from None


def translated(function: Callable[P, R]) -> Callable[P, R]:
    """`function`, with PyMongo's errors raised as StoreUnavailable or StoreFull."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except PyMongoError as error:
            raise _translate(error) from error

    return wrapper


def brief(function: Callable[P, R]) -> Callable[P, R]:
    """`function`, translated, and given up after BRIEF seconds: somebody waits for an answer.

    A MongoDB that is frozen, and not merely gone, would otherwise keep each caller for a minute.
    """

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        with pymongo.timeout(BRIEF):
            return function(*args, **kwargs)

    return translated(wrapper)


def _translate(error: PyMongoError) -> StoreFull | StoreUnavailable:
    if isinstance(error, OperationFailure) and error.code == OUT_OF_DISK_SPACE:
        return StoreFull("MongoDB has no disk space left. Delete pictures or give it a larger disk.")
    return StoreUnavailable(
        "MongoDB does not answer as it should. Try again in a few seconds.", retry_after=RETRY_AFTER
    )
