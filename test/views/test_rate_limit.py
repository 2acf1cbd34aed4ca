"""RATE_LIMIT on a real Redis, and on one that is away."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from main import create_app
from utils.local_services import LocalServer, start_redis
from views.context import context_of

POLICY = '"owner";q=3;w=3600'


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[LocalServer]:
    """A Redis of the test's own, to count in and to take away."""
    with ExitStack() as running:
        yield start_redis(tmp_path, running)


NewClient = Callable[[str], FlaskClient]


@pytest.fixture
def new_client(redis: LocalServer, mongo_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[NewClient]:
    """Makes a client of a new web application with the given RATE_LIMIT."""
    with ExitStack() as opened:

        def new(limit: str) -> FlaskClient:
            for key, value in {"REDIS_URL": redis.url, "MONGO_URL": mongo_url, "RATE_LIMIT": limit}.items():
                monkeypatch.setenv(key, value)
            app = create_app()
            opened.callback(context_of(app).store.close)
            return app.test_client()

        yield new


@pytest.fixture
def client(new_client: NewClient) -> FlaskClient:
    return new_client("3/hour")


def test_each_answer_tells_what_is_left(client: FlaskClient) -> None:
    for left in (2, 1, 0):
        answer = client.get("/tasks")
        assert answer.status_code == 200
        assert answer.headers["RateLimit-Policy"] == POLICY
        told = re.fullmatch(r'"owner";r=(\d+);t=(\d+)', answer.headers["RateLimit"])
        assert told is not None
        assert int(told[1]) == left
        assert 3000 < int(told[2]) <= 3600


def test_one_too_many_is_refused_with_the_time_to_wait(client: FlaskClient) -> None:
    for _ in range(3):
        client.get("/tasks")
    answer = client.get("/tasks")
    assert answer.status_code == 429
    assert answer.content_type == "application/problem+json"
    assert answer.get_json()["code"] == "too_many_requests"
    assert answer.headers["RateLimit-Policy"] == POLICY
    assert answer.headers["RateLimit"] == f'"owner";r=0;t={answer.headers["Retry-After"]}'
    assert client.post("/upscale", data={"image": (b"", "photo.png")}).status_code == 429


def test_all_processes_count_together(client: FlaskClient, new_client: NewClient) -> None:
    another = new_client("3/hour")
    assert [each.get("/tasks").status_code for each in (client, another, client, another)] == [200, 200, 200, 429]


def test_when_the_window_is_over_requests_are_taken_again(
    new_client: NewClient,
) -> None:
    client = new_client("1/second")
    statuses = [client.get("/tasks").status_code]
    while statuses.count(200) < 2:
        statuses.append(client.get("/tasks").status_code)
    assert set(statuses) <= {200, 429}


def test_health_and_pages_are_not_counted(client: FlaskClient) -> None:
    for path in ("/health/live", "/health/ready", "/", "/docs/errors", "/static/favicon.svg", "/nowhere"):
        for _ in range(4):
            answer = client.get(path)
            assert answer.status_code in (200, 404, 503)
            assert "RateLimit" not in answer.headers
            answer.close()
    assert client.get("/tasks").status_code == 200


def test_while_redis_is_gone_everything_is_let_through(client: FlaskClient, redis: LocalServer) -> None:
    redis.process.stop()
    for _ in range(10):
        answer = client.get("/tasks")
        assert answer.status_code == 200
        assert "RateLimit" not in answer.headers


def test_while_redis_is_frozen_everything_is_let_through(client: FlaskClient, redis: LocalServer) -> None:
    client.get("/tasks")
    redis.process.process.send_signal(signal.SIGSTOP)
    try:
        for _ in range(10):
            assert client.get("/tasks").status_code == 200
    finally:
        redis.process.process.send_signal(signal.SIGCONT)


def test_without_the_setting_nothing_is_counted_or_told(
    new_client: NewClient,
) -> None:
    client = new_client("")
    for _ in range(10):
        answer = client.get("/tasks")
        assert answer.status_code == 200
        assert "RateLimit" not in answer.headers
        assert "RateLimit-Policy" not in answer.headers
