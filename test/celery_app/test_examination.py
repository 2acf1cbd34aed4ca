"""`flask doctor` on the running service: all is well there, and what is wrong elsewhere is told with a remedy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bson import ObjectId
from live_service import Service, wait_until
from pymongo import MongoClient
from redis import Redis

from mongo.job_store import INDEXES
from mongo.jobs import Job, StoredImage
from utils.local_services import free_port, start_redis
from utils.upscale_request import UpscaleRequest

REPOSITORY = Path(__file__).resolve().parents[2]
PICTURE = StoredImage(ObjectId(), "PNG", "RGB", width=30, height=20, bytes=600, sha256="ab" * 32)


def doctor(*options: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "flask", "--app", "main", "doctor", *options],
        cwd=REPOSITORY,
        env=os.environ | {"ENV_FILE": os.devnull} | settings,
        capture_output=True,
        text=True,
        check=False,
    )


def addresses(service: Service) -> dict[str, str]:
    assert service.stack.mongod is not None
    assert service.stack.redis is not None
    return {"MONGO_URL": service.stack.mongod.url, "REDIS_URL": service.stack.redis.url}


def findings(ended: subprocess.CompletedProcess[str]) -> dict[str, Mapping[str, Any]]:
    """By what should be so."""
    return {finding["check"]: finding for finding in json.loads(ended.stdout)}


def wrong(ended: subprocess.CompletedProcess[str]) -> set[str]:
    assert ended.returncode == 1, ended.stderr
    return {check for check, finding in findings(ended).items() if finding["status"] == "not ok"}


def test_of_a_running_service_all_is_well(service: Service) -> None:
    settings = {**addresses(service), "SWEEP_SECONDS": "1", "DATA_DIR": str(service.stack.settings.data_dir)}
    ended = wait_until(lambda: done if (done := doctor("--read-all", **settings)).returncode == 0 else None)
    lines = ended.stdout.splitlines()
    assert lines[-1] == "All is well."
    assert len(lines) > 15
    assert all(line.startswith("ok ") for line in lines[:-1])


def test_without_mongodb_and_broker_what_rests_on_them_is_not_looked_at() -> None:
    nobody = f"127.0.0.1:{free_port()}"
    ended = doctor("--json", MONGO_URL=f"mongodb://{nobody}/?directConnection=true", REDIS_URL=f"redis://{nobody}")
    assert wrong(ended) == {"MongoDB answers", "The broker answers"}
    assert findings(ended)["A worker answers"]["status"] == "not looked at"
    assert findings(ended)["Every finished task has its result"]["status"] == "not looked at"
    assert findings(ended)["The models that are here can be read"]["status"] == "ok"
    assert all(finding["remedy"] for finding in findings(ended).values() if finding["status"] == "not ok")


def test_what_is_set_up_badly_is_told(service: Service, mongo_url: str, tmp_path: Path) -> None:
    with ExitStack() as running:
        redis = start_redis(tmp_path, running)
        with Redis.from_url(redis.url) as client:
            client.config_set("appendonly", "no")
        settings = {"MONGO_URL": mongo_url, "MONGO_DATABASE": "neglected", "REDIS_URL": redis.url}
        ended = doctor("--json", **settings, DATA_DIR=str(tmp_path))
    assert wrong(ended) == {"Redis keeps what it is told", "A worker answers", "The upkeep is done"}
    with MongoClient[dict[str, Any]](mongo_url) as client:
        client.drop_database("neglected")


def test_a_damaged_model_and_a_missing_index_are_told(service: Service, tmp_path: Path) -> None:
    (tmp_path / "RealESRGAN_x4plus.pth").write_bytes(b"no network")
    jobs = service.store.jobs._jobs
    service.store.jobs.create(Job.new("ann", "never-sent.png", UpscaleRequest(), PICTURE))
    jobs.drop_index("list")
    try:
        ended = doctor("--json", **addresses(service), MODELS_DIR=str(tmp_path))
    finally:
        jobs.create_indexes(INDEXES)
    assert {"The models that are here can be read", "MongoDB has its indexes"} <= wrong(ended)
    assert "RealESRGAN_x4plus.pth is damaged" in findings(ended)["The models that are here can be read"]["detail"]
    assert findings(ended)["MongoDB has its indexes"]["detail"] == "Missing: list."
