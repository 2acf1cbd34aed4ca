"""Whether MongoDB is as it has to be, and the upkeep of what it keeps is done."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pymongo.errors import PyMongoError

from celery_app import clean_up_seconds
from celery_app.examination.finding import Check, Ill, Patient, size
from mongo.job_store import INDEXES
from utils.errors import StoreUnavailable

LEAST_FREE = 1024**3  # bytes on a disk; a few large pictures on their way
MOST_APART = timedelta(seconds=5)  # clocks: what callers are told of times and estimates is off by as much


def _mongo_answers(patient: Patient) -> str:
    try:
        patient.store.ping()
    except StoreUnavailable as error:
        raise Ill(
            error.detail, "Start MongoDB, and see that MONGO_URL, MONGO_USER and MONGO_PASSWORD are right."
        ) from None
    return f"database {patient.settings.mongo_database}"


def _is_replica_set(patient: Patient) -> str:
    hello = patient.store.client.admin.command("hello")
    if "setName" not in hello:
        raise Ill(
            "It is a standalone server, which loses confirmed writes when it is killed.",
            "Start it with --replSet, and call rs.initiate() once. One member is enough.",
        )
    return f"{hello['setName']}, {len(hello.get('hosts', []))} member(s)"


def _writes_last(patient: Patient) -> str:
    concern = patient.store.database.write_concern.document
    try:
        patient.store.database["upkeep"].update_one({"_id": "doctor"}, {"$set": {"seen": True}}, upsert=True)
    except PyMongoError as error:
        raise Ill(f"Writing failed: {error}", "See that most members of the replica set run, and have room.") from None
    return f"w={concern.get('w')}"


def _has_indexes(patient: Patient) -> str:
    jobs = patient.store.database["jobs"]
    wanted = {index.document["name"] for index in INDEXES}
    missing = sorted(wanted - set(jobs.index_information())) if jobs.find_one({}, {"_id": 1}) else []
    if missing:
        raise Ill(f"Missing: {', '.join(missing)}.", "Restart the web server; the next upload makes them.")
    return f"{len(wanted)} on tasks"


def _has_room(patient: Patient) -> str:
    stats = patient.store.database.command("dbStats")
    free = int(stats["fsTotalSize"] - stats["fsUsedSize"])
    if free < LEAST_FREE:
        raise Ill(f"Its disk has {size(free)} left.", "Give it a larger disk, or lower RESULT_TTL.")
    return f"{size(free)} free"


def _is_within_quota(patient: Patient) -> str:
    used, quota = patient.store.used_bytes(), patient.settings.store_quota_bytes
    if quota and used > quota:
        raise Ill(
            f"{size(used)} of {size(quota)} are used, and uploads are refused.",
            "Wait: the sweep lets the oldest results go, and GRACE_SECONDS later their bytes. Or raise the quota.",
        )
    return f"{size(used)} of {size(quota)}" if quota else f"{size(used)}, no quota"


def _clocks_agree(patient: Patient) -> str:
    theirs = patient.store.client.admin.command("hello")["localTime"].replace(tzinfo=UTC)
    apart = abs(datetime.now(UTC) - theirs)
    if apart > MOST_APART:
        raise Ill(
            f"MongoDB's clock and this machine's are {apart.total_seconds():.0f} s apart.",
            "Have both set by NTP. Until then estimates are wrong; leases and expiry go by MongoDB's clock alone.",
        )
    return f"{apart.total_seconds() * 1000:.0f} ms apart"


def _sweep_runs(patient: Patient) -> str:
    ages = []
    for kind, pause in (
        ("sweep", patient.settings.sweep_seconds),
        ("clean_up", clean_up_seconds(patient.settings)),
    ):
        age = patient.store.sweep.age(kind)
        ages.append(f"{kind} {_seconds(age)}")
        if age is None or age > 3 * timedelta(seconds=pause) + timedelta(minutes=1):
            raise Ill(
                f"The last {kind}: {_seconds(age)}.",
                "Start beat (`celery -A main.celery_app beat`) and a worker that is not busy for minutes.",
            )
    return ", ".join(ages)


MONGODB: list[Check] = [
    ("MongoDB answers", _mongo_answers),
    ("MongoDB is a replica set", _is_replica_set),
    ("MongoDB confirms what most members have on disk", _writes_last),
    ("MongoDB has its indexes", _has_indexes),
    ("MongoDB's disk has room", _has_room),
    ("The store is within its quota", _is_within_quota),
    ("The clocks agree", _clocks_agree),
    ("The upkeep is done", _sweep_runs),
]


def _seconds(age: timedelta | None) -> str:
    return "never" if age is None else f"{age.total_seconds():.0f} s ago"
