"""A real nginx with the shipped configuration: who is held back, and what it passes on of a request."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests
from live_service import wait_until
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

from benchmarks.shipped_nginx import ShippedNginx

pytestmark = pytest.mark.skipif(not shutil.which("nginx"), reason="there is no nginx on the PATH")

NOBODY = "192.0.2.1/32"  # for TRUSTED_PROXY


@dataclass
class Upstream:
    """What stands behind nginx: answers with the headers that reached it.

    At /slow it answers only once it is told to go on, at /events it tells one event before and one after that.
    """

    url: str = ""
    arrived: list[str] = field(default_factory=list)
    go_on: threading.Event = field(default_factory=threading.Event)

    def __call__(self, request: Request) -> Response:
        self.arrived.append(request.path)
        if request.path == "/slow":
            self.go_on.wait(60)
        if request.path == "/events":
            return Response(self._events(), mimetype="text/event-stream", headers={"X-Accel-Buffering": "no"})
        return Response(json.dumps(dict(request.headers)), mimetype="application/json")

    def _events(self) -> Iterator[str]:
        yield "event: state\n\n"
        self.go_on.wait(60)
        yield "event: end\n\n"


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    upstream = Upstream()
    server = make_server("127.0.0.1", 0, Request.application(upstream), threaded=True)
    upstream.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield upstream
    upstream.go_on.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def start_nginx(upstream: Upstream, tmp_path: Path):
    with ExitStack() as running:
        yield lambda **environment: ShippedNginx(upstream.url, tmp_path, running, **environment)


def _assert_held_back(answer: requests.Response, code: str) -> None:
    assert (answer.status_code, answer.headers["Content-Type"]) == (429, "application/problem+json")
    assert answer.json()["code"] == code
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.headers["X-Request-ID"]


def test_an_address_with_too_many_requests_under_way_is_held_back(start_nginx, upstream):
    url = start_nginx(CONNECTIONS_PER_ADDRESS="2").url
    with ThreadPoolExecutor() as clients:
        slow = [clients.submit(requests.get, f"{url}/slow", timeout=60) for _ in range(2)]
        wait_until(lambda: upstream.arrived == ["/slow", "/slow"])
        _assert_held_back(requests.get(url, timeout=60), "too_many_connections")
        upstream.go_on.set()
        assert [client.result().status_code for client in slow] == [200, 200]
    assert requests.get(url, timeout=60).status_code == 200


def test_an_address_that_uploads_too_fast_is_held_back_and_may_still_ask(start_nginx):
    url = start_nginx(UPLOADS_PER_ADDRESS="1").url
    with requests.Session() as client:
        answers = [client.post(f"{url}/upscale", timeout=60) for _ in range(150)]
        assert {answer.status_code for answer in answers[:100]} == {200}
        held_back = [answer for answer in answers if answer.status_code != 200]
        _assert_held_back(held_back[0], "too_many_requests")
        assert client.get(f"{url}/tasks", timeout=60).status_code == 200


def test_a_request_gets_an_id_of_its_own_whatever_the_client_says(start_nginx):
    url = start_nginx(TRUSTED_PROXY=NOBODY).url
    ids = {requests.get(url, headers={"X-Request-ID": "mine-0001"}, timeout=60).json()["X-Request-Id"] for _ in "ab"}
    assert len(ids) == 2
    assert "mine-0001" not in ids


def test_the_id_and_the_client_that_a_trusted_proxy_names_are_passed_on(start_nginx):
    url = start_nginx(TRUSTED_PROXY="127.0.0.1/32").url
    told = {"X-Request-ID": "proxy-0001", "X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}
    passed_on = requests.get(url, headers=told, timeout=60).json()
    assert passed_on["X-Request-Id"] == "proxy-0001"
    assert passed_on["X-Forwarded-For"] == "203.0.113.9"
    assert passed_on["X-Forwarded-Proto"] == "https"


def test_an_event_passes_before_the_next_one_is_there(start_nginx, upstream):
    with requests.get(f"{start_nginx().url}/events", stream=True, timeout=60) as answer:
        lines = answer.iter_lines(chunk_size=1)
        assert next(lines) == b"event: state"
        upstream.go_on.set()
        assert b"event: end" in list(lines)


def test_metrics_are_not_for_the_outside(start_nginx, upstream):
    answer = requests.get(f"{start_nginx().url}/metrics", timeout=60)
    assert (answer.status_code, answer.json()["code"]) == (404, "route_not_found")
    assert upstream.arrived == []


def test_what_never_reached_the_application_is_logged_with_its_id(start_nginx):
    nginx = start_nginx(LOG_FORMAT="json")
    requests.get(nginx.url, timeout=60)
    refused = requests.get(f"{nginx.url}/metrics", timeout=60)
    (line,) = wait_until(lambda: nginx.log.read_text().splitlines())
    logged = json.loads(line)
    assert logged["event"] == "GET /metrics HTTP/1.1"
    assert (logged["status"], logged["request_id"]) == (404, refused.headers["X-Request-ID"])
