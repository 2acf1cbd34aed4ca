"""MongoDB or Redis is away: whoever asks gets an honest answer soon, and afterwards everything goes on by itself.

The promise is an answer within 3 s. The tests give ANSWER_TIMEOUT, so that a machine that runs much else at once
does not fail them: what they are to catch is a hang, which takes 20 s and more with each of the drivers' own defaults.
"""

from __future__ import annotations

import io
import shutil
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import psutil
import pytest
import requests
from breakage import PATIENCE, frozen, is_ready, killed, mongod, redis_server
from live_service import Service, running_service, wait_until
from PIL import Image
from redis import Redis
from werkzeug.routing import Rule

from main import create_app
from views.context import context_of

ANSWER_TIMEOUT = 15.0  # s

# Routes that answer without MongoDB. One that is new has to be named here, or to answer 503 while MongoDB is away.
WITHOUT_STORE = {"/", "/docs/errors", "/models", "/health/live", "/metrics", "/docs", "/openapi.json"}
WITHOUT_STORE |= {"/static/<path:filename>", "/language"}
SAMPLES = {"task_id": str(uuid.uuid4()), "batch_id": str(uuid.uuid4()), "name": "photo.jpg", "filename": "favicon.svg"}
LEFT_OUT = {"/ws/notifications", "/error_500"}  # a WebSocket; in development only


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service to be maltreated."""
    data_dir = tmp_path_factory.mktemp("victim")
    with running_service(data_dir) as running:
        yield running
    shutil.rmtree(data_dir)


def photo() -> bytes:
    file = io.BytesIO()
    Image.effect_noise((40, 40), 80).convert("RGB").save(file, "JPEG")
    return file.getvalue()


def image() -> tuple[str, tuple[str, bytes]]:
    return "image", (f"{uuid.uuid4().hex[:12]}.jpg", photo())


def assert_made(service: Service, task_id: str) -> None:
    def ended() -> dict[str, Any] | None:
        task: dict[str, Any] = service.get(f"/tasks/{task_id}").json()
        return task if task.get("status") in ("SUCCESS", "FAILURE") else None

    assert wait_until(ended, PATIENCE)["status"] == "SUCCESS"


# --- MongoDB ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def routes() -> list[Rule]:
    """All that the service has."""
    app = create_app()
    context_of(app).store.close()
    return [rule for rule in app.url_map.iter_rules() if rule.rule not in LEFT_OUT]


def requests_of(service: Service, rule: Rule) -> Iterator[requests.Request]:
    """Each kind of request to a route, with everything in its place."""
    path = service.url + rule.rule
    for argument in rule.arguments:
        path = path.replace(f"<path:{argument}>", SAMPLES[argument]).replace(f"<{argument}>", SAMPLES[argument])
    if rule.rule != "/upscale":
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            yield requests.Request(method, path)
    else:
        yield requests.Request("POST", path, files=[image()])
        yield requests.Request("POST", path, files=[image()], headers={"Idempotency-Key": str(uuid.uuid4())})
        yield requests.Request("POST", path, files=[image(), image()])


def answers(asked: list[requests.Request]) -> list[requests.Response]:
    """To all of them at once."""

    def ask(request: requests.Request) -> requests.Response:
        with requests.Session() as session:
            return session.send(request.prepare(), timeout=ANSWER_TIMEOUT)

    with ThreadPoolExecutor(len(asked)) as pool:
        return list(pool.map(ask, asked))


@contextmanager
def mongod_killed(service: Service) -> Iterator[None]:
    with killed(service, mongod(service)):
        yield


@contextmanager
def mongod_frozen(service: Service) -> Iterator[None]:
    with frozen(psutil.Process(mongod(service).process.process.pid)):
        yield
    wait_until(lambda: is_ready(service), PATIENCE)


@pytest.mark.parametrize("away", [mongod_killed, mongod_frozen])
def test_without_mongodb_every_route_that_needs_it_says_so_and_the_others_answer(
    victim: Service, routes: list[Rule], away: Any
) -> None:
    with away(victim):
        needing = [each for rule in routes if rule.rule not in WITHOUT_STORE for each in requests_of(victim, rule)]
        for request, answer in zip(needing, answers(needing), strict=True):
            assert answer.status_code == 503, f"{request.method} {request.url} -> {answer.status_code}"
            if not request.url.endswith("/health/ready"):
                assert answer.headers["Content-Type"] == "application/problem+json"
                assert answer.json()["code"] == "store_unavailable"
                assert int(answer.headers["Retry-After"]) >= 1
        others = [each for rule in routes if rule.rule in WITHOUT_STORE for each in requests_of(victim, rule)]
        for request, answer in zip(others, answers(others), strict=True):
            assert answer.status_code == 200, f"{request.method} {request.url} -> {answer.status_code}"
    made = victim.upload_bytes(photo(), f"{uuid.uuid4().hex[:12]}.jpg")
    assert made.status_code == 202
    assert_made(victim, made.json()["task_id"])


def test_without_mongodb_the_service_is_alive_and_not_ready_and_says_why(victim: Service) -> None:
    with mongod_killed(victim):
        assert requests.get(f"{victim.url}/health/live", timeout=ANSWER_TIMEOUT).status_code == 200
        ready = requests.get(f"{victim.url}/health/ready", timeout=ANSWER_TIMEOUT)
        assert ready.status_code == 503
        assert "MongoDB does not answer" in ready.json()["checks"]["mongo"]["detail"]
        assert ready.json()["checks"]["redis"]["status"] == "ok"
    assert victim.get("/health/ready").status_code == 200


# --- Redis --------------------------------------------------------------------------------------


@contextmanager
def redis_killed(service: Service) -> Iterator[None]:
    with killed(service, redis_server(service)):
        yield


def redis_frozen(service: Service) -> AbstractContextManager[None]:
    return frozen(psutil.Process(redis_server(service).process.process.pid))


@contextmanager
def redis_full(service: Service) -> Iterator[None]:
    """It refuses every write, for its policy is `noeviction`; also those of the worker that has to connect again."""
    with Redis.from_url(redis_server(service).url) as client:
        client.config_set("maxmemory", 1)
        client.client_kill_filter(_type="normal", skipme=True)
        try:
            yield
        finally:
            client.config_set("maxmemory", 0)


@contextmanager
def redis_emptied(service: Service) -> Iterator[None]:
    """Whatever is told to it is gone at once."""
    with Redis.from_url(redis_server(service).url) as client:
        client.flushall()
        yield
        client.flushall()


@pytest.mark.parametrize("away", [redis_killed, redis_frozen, redis_full, redis_emptied])
def test_without_redis_uploads_are_accepted_and_done_when_it_is_back(victim: Service, away: Any) -> None:
    with away(victim):
        uploads = [requests.Request("POST", f"{victim.url}/upscale", files=[image()]) for _ in range(8)]
        accepted = answers(uploads)
        assert [answer.status_code for answer in accepted] == [202] * len(uploads)
        assert requests.get(f"{victim.url}/health/ready", timeout=ANSWER_TIMEOUT).status_code == 200
    for answer in accepted:
        assert_made(victim, answer.json()["task_id"])
    assert not victim.stack.worker.has_ended()
