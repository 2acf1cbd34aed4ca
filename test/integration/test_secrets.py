"""No password and no secret is in a log line, an answer or a message, whatever goes wrong."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil
import pytest
import requests
from callback_receiver import SECRET as WEBHOOK_SECRET
from live_service import wait_until
from pymongo import MongoClient
from redis import Redis

from utils.local_services import free_port, start_mongod, start_redis

REPOSITORY = Path(__file__).resolve().parent.parent.parent
PASSWORD = "Xyzzy-4711-plugh"
NOBODY = "127.0.0.1:1"  # a port where nobody listens
PATIENCE = 180.0  # s

BAD_SETTINGS = {
    "a MongoDB that is away": {"MONGO_URL": f"mongodb://me:{PASSWORD}@{NOBODY}/?directConnection=true"},
    "a MongoDB of two @": {"MONGO_URL": f"mongodb://me:{PASSWORD}@@{NOBODY}/"},
    "a MongoDB of two colons": {"MONGO_URL": f"mongodb://me:{PASSWORD}:x@{NOBODY}/"},
    "a MongoDB without a host": {"MONGO_URL": f"mongodb://me:{PASSWORD}"},
    "no MongoDB at all": {"MONGO_URL": f"postgres://me:{PASSWORD}@{NOBODY}/"},
    "a MongoDB's user without @": {"MONGO_URL": f"me:{PASSWORD}"},
    "a Redis that is away": {"REDIS_URL": f"redis://:{PASSWORD}@{NOBODY}/0"},
    "a Redis whose password has a slash": {"REDIS_URL": f"redis://:{PASSWORD}/x@{NOBODY}/0"},
    "a Redis whose password has a hash": {"REDIS_URL": f"redis://:{PASSWORD}#x@{NOBODY}/0"},
    "no Redis at all": {"REDIS_URL": f"http://:{PASSWORD}@{NOBODY}/0"},
    "a Redis of no number": {"REDIS_URL": f"redis://:{PASSWORD}@127.0.0.1:port/0"},
    "a secret that signs nothing": {"WEBHOOK_SECRET": PASSWORD},
    "passwords of servers that are away": {
        "MONGO_URL": f"mongodb://{NOBODY}/?directConnection=true",
        "MONGO_USER": "me",
        "MONGO_PASSWORD": PASSWORD,
        "REDIS_PASSWORD": PASSWORD,
    },
}


def environment(folder: Path, **settings: str) -> dict[str, str]:
    own = {"DATA_DIR": str(folder / "data"), "PORT": str(free_port()), "ENV_FILE": os.devnull}
    return os.environ | own | {"LOG_LEVEL": "debug", "LOG_FORMAT": "json"} | settings


@pytest.mark.parametrize("wrong", BAD_SETTINGS.values(), ids=BAD_SETTINGS)
def test_a_message_about_settings_keeps_the_password_to_itself(tmp_path: Path, wrong: dict[str, str]) -> None:
    ended = subprocess.run(
        [sys.executable, "main.py"],
        cwd=REPOSITORY,
        env=environment(tmp_path, **wrong),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert ended.returncode == 1
    assert any(key in ended.stdout for key in wrong), ended.stdout
    assert "Traceback" not in ended.stdout
    assert PASSWORD not in ended.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("secrets")
    yield path
    shutil.rmtree(path)


def provoke(url: str) -> str:
    """All that is answered to requests of every kind."""
    told = []
    for method, path in (
        ("GET", "/"),
        ("GET", "/health/ready"),
        ("GET", "/metrics"),
        ("GET", "/tasks"),
        ("GET", f"/tasks/{uuid.uuid4()}"),
        ("GET", "/openapi.json"),
        ("POST", "/upscale"),
    ):
        files = {"image": (f"{uuid.uuid4().hex}.png", b"\x89PNG\r\n\x1a\n broken")} if method == "POST" else None
        with suppress(requests.RequestException):
            answer = requests.request(method, url + path, files=files, timeout=60)
            told.append(f"{answer.headers}{answer.text}")
    return "\n".join(told)


def test_logs_and_answers_of_a_service_in_trouble_hold_no_secret(folder: Path) -> None:
    with ExitStack() as running:
        mongod, redis = start_mongod(folder / "servers", running), start_redis(folder / "servers", running)
        with MongoClient(mongod.url) as client:
            client.admin.command("createUser", "me", pwd=PASSWORD, roles=["root"])
        control = running.enter_context(Redis.from_url(redis.url))
        control.config_set("requirepass", PASSWORD)
        settings = environment(
            folder,
            MONGO_URL=mongod.url.replace("mongodb://", f"mongodb://me:{PASSWORD}@"),
            REDIS_URL=redis.url.replace("redis://", f"redis://:{PASSWORD}@"),
            WEBHOOK_SECRET=WEBHOOK_SECRET,
            SWEEP_SECONDS="1",
        )
        log = folder / "log"
        with log.open("wb") as file:
            service = subprocess.Popen(
                [sys.executable, "main.py"], cwd=REPOSITORY, env=settings, stdout=file, stderr=file
            )
        running.callback(service.wait)
        running.callback(service.terminate)
        wait_until(lambda: "Ctrl-C stops everything" in log.read_text(), PATIENCE)
        url = f"http://127.0.0.1:{settings['PORT']}"
        told = provoke(url)
        control.config_set("requirepass", "another")  # from now on the service is not let in
        control.client_kill_filter(skipme=True)
        told += provoke(url)
        server = psutil.Process(mongod.process.process.pid)
        server.suspend()
        told += provoke(url)
        server.resume()
        time.sleep(3)  # some sweeps, which tell what they cannot do
        doctor = subprocess.run(
            [sys.executable, "-m", "flask", "--app", "main", "doctor"],
            cwd=REPOSITORY,
            env=settings,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        told += doctor.stdout + doctor.stderr
    said = log.read_text()
    assert "store_unavailable" in told
    assert len(said.splitlines()) > 20
    for secret in (PASSWORD, WEBHOOK_SECRET, WEBHOOK_SECRET.removeprefix("whsec_")):
        assert secret not in said
        assert secret not in told
