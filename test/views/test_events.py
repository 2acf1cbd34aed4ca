"""Event streams of the running service, as server-sent events and over a WebSocket."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
import requests
from bson import ObjectId
from live_service import Service, running_service, wait_until
from sample_uploads import new_name, noise
from simple_websocket import Client

from celery_app.announcements import Announcer
from mongo import open_store
from mongo.jobs import Job, StoredImage
from utils.errors import Undecodable
from utils.upscale_request import UpscaleRequest

SILENCE = 60.0  # s without even a heartbeat: then a stream hangs
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    "Sec-WebSocket-Version": "13",
}


@dataclass(frozen=True)
class Event:
    kind: str
    id: str
    task: dict[str, Any]


@contextmanager
def stream(service: Service, task_id: str, **headers: str) -> Iterator[requests.Response]:
    url = f"{service.url}/tasks/{task_id}/events"
    with requests.get(url, headers=headers, stream=True, timeout=SILENCE) as response:
        yield response


def events(response: requests.Response) -> Iterator[Event]:
    """The events as they come, until the service closes the stream."""
    fields: dict[str, str] = {}
    for line in response.iter_lines(chunk_size=1, decode_unicode=True):
        if line:
            key, _, value = line.partition(": ")
            fields[key] = value
        elif "data" in fields:
            yield Event(fields["event"], fields["id"], json.loads(fields["data"]))
            fields = {}


def held(service: Service, owner: str = "everyone") -> Job:
    """A task that goes on for as long as a test likes: the test itself is its worker."""
    source = StoredImage(ObjectId(), "JPEG", "RGB", width=30, height=20, bytes=600, sha256="ab" * 32)
    job = Job.new(owner, new_name(), UpscaleRequest(model="fast"), source)
    service.store.jobs.create(job)
    claimed = service.store.jobs.claim(job.id)
    assert claimed is not None
    return claimed


# --- Server-sent events --------------------------------------------------------------------------


def test_a_stream_tells_state_progress_and_end(service: Service) -> None:
    task_id = service.upload_bytes(noise(1600), new_name()).json()["task_id"]
    with stream(service, task_id) as response:
        assert response.status_code == 200
        assert response.headers["Content-Type"].startswith("text/event-stream")
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["X-Accel-Buffering"] == "no"
        told = list(events(response))
    kinds = [event.kind for event in told]
    assert (kinds[0], kinds[-1]) == ("state", "end")
    assert set(kinds[1:-1]) == {"progress"}
    progress = [event.task["progress"] for event in told]
    assert progress == sorted(progress)
    assert len({event.id for event in told}) == len(told)
    assert told[-1].task == service.get(f"/tasks/{task_id}").json()
    assert told[-1].task["status"] == "SUCCESS"
    assert service.get(told[-1].task["links"]["result"]).status_code == 200


def test_a_task_names_its_stream(service: Service) -> None:
    task = service.upload_bytes(noise(20), new_name()).json()
    with requests.get(service.url + task["links"]["events"], stream=True, timeout=SILENCE) as response:
        assert [event.kind for event in events(response)][-1] == "end"


def test_a_finished_task_tells_state_and_end_at_once(service: Service) -> None:
    task = service.wait_for(service.upload_bytes(noise(20), new_name()).json()["task_id"])
    with stream(service, task["task_id"]) as response:
        told = list(events(response))
    assert [(event.kind, event.task) for event in told] == [("state", task), ("end", task)]


def test_a_failure_is_an_end_with_its_error(service: Service) -> None:
    job = held(service)
    with stream(service, job.id) as response:
        told = events(response)
        assert next(told).kind == "state"
        service.store.jobs.fail(job, Undecodable("The pixels end early."))
        end = next(told)
    assert (end.kind, end.task["status"], end.task["error"]["code"]) == ("end", "FAILURE", "undecodable")


def test_cancelling_is_an_end(service: Service) -> None:
    job = held(service)
    with stream(service, job.id) as response:
        told = events(response)
        assert next(told).kind == "state"
        service.delete(f"/tasks/{job.id}")
        assert [(event.kind, event.task["status"]) for event in told] == [("end", "REVOKED")]


def test_the_stream_of_an_unknown_task_is_a_problem(service: Service) -> None:
    answer = service.get("/tasks/never-given-out/events")
    assert answer.status_code == 404
    assert answer.json()["code"] == "unknown_task"
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_who_comes_back_gets_what_is_newer(service: Service) -> None:
    job = held(service)
    with stream(service, job.id) as response:
        state = next(events(response))
    with stream(service, job.id, **{"Last-Event-ID": state.id}) as response:
        service.store.jobs.heartbeat(job, 0.25)
        told = events(response)
        newer = next(told)
        assert (newer.kind, newer.task["progress"]) == ("progress", 0.25)
        service.delete(f"/tasks/{job.id}")
        end = next(told)
        assert end.kind == "end"
    with stream(service, job.id, **{"Last-Event-ID": end.id}) as response:
        assert response.status_code == 204
    with stream(service, job.id, **{"Last-Event-ID": state.id}) as response:
        assert [event.kind for event in events(response)] == ["state", "end"]


def test_the_head_of_a_stream_can_be_asked_for(service: Service) -> None:
    job = held(service)
    answer = requests.head(f"{service.url}/tasks/{job.id}/events", timeout=SILENCE)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    service.delete(f"/tasks/{job.id}")


@pytest.mark.timeout(300)
def test_a_client_that_never_reads_is_dropped(service: Service) -> None:
    job = held(service)
    address = urlsplit(service.url)
    announcing = open_store(service.stack.settings, Announcer(service.stack.settings))
    with closing(announcing), socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect((address.hostname, address.port))
        client.sendall(f"GET /tasks/{job.id}/events HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode())
        port = client.getsockname()[1]
        wait_until(lambda: is_served(service, port))
        step = iter(range(1, 1_000_000))

        def is_dropped() -> bool:
            for _ in range(50):
                announcing.jobs.heartbeat(job, next(step) / 1_000_000)
            return not is_served(service, port)

        wait_until(is_dropped, timeout=200)
        service.delete(f"/tasks/{job.id}")
        got = b""
        while block := client.recv(65536):
            got += block
    assert b"event: progress" in got
    assert b"event: end" not in got


def is_served(service: Service, port: int) -> bool:
    """Whether the web server holds the connection from that port open."""
    web = psutil.Process(service.stack.web.process.pid)
    connections = [each for process in web.children() for each in process.net_connections("tcp")]
    return any(each.raddr and each.raddr.port == port for each in connections)


# --- With a service of their own -----------------------------------------------------------------


@pytest.fixture(scope="module")
def own_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One with two streams at most, whose Redis and web server are there to be stopped."""
    with running_service(tmp_path_factory.mktemp("own"), WEB_WORKERS="1", WEB_STREAMS="2") as service:
        yield service


@pytest.mark.timeout(300)
def test_there_are_so_many_streams_and_no_more(own_service: Service) -> None:
    job = held(own_service)
    with stream(own_service, job.id) as one, stream(own_service, job.id) as two:
        assert (one.status_code, two.status_code) == (200, 200)
        answer = own_service.get(f"/tasks/{job.id}/events")
        assert answer.status_code == 503
        assert answer.json()["code"] == "too_many_streams"
        assert int(answer.headers["Retry-After"]) >= 1
        assert own_service.get(f"/tasks/{job.id}?wait=60").json()["status"] == "STARTED"

    def is_let_in() -> bool:
        with stream(own_service, job.id) as response:
            return response.status_code == 200

    wait_until(is_let_in)
    own_service.delete(f"/tasks/{job.id}")


@pytest.mark.timeout(300)
def test_without_redis_a_stream_ends_all_the_same(own_service: Service) -> None:
    redis = own_service.stack.redis
    assert redis is not None
    job = held(own_service)
    with let_in(own_service, job.id) as response:
        told = events(response)
        assert next(told).kind == "state"
        redis.process.stop()
        try:
            own_service.store.jobs.heartbeat(job, 0.5)
            assert next(told).task["progress"] == 0.5
            own_service.delete(f"/tasks/{job.id}")
            assert [event.kind for event in told] == ["end"]
        finally:
            redis.process.start()


@pytest.mark.timeout(300)
def test_streams_are_closed_in_order_when_the_service_stops(own_service: Service) -> None:
    job = held(own_service)
    with let_in(own_service, job.id) as response:
        told = events(response)
        assert next(told).kind == "state"
        own_service.stack.web.process.terminate()
        assert list(told) == []
    assert own_service.stack.web.process.wait(60) == 0


@contextmanager
def let_in(service: Service, task_id: str) -> Iterator[requests.Response]:
    """A stream, once the places of those that left before are free."""

    def try_it() -> requests.Response | None:
        url = f"{service.url}/tasks/{task_id}/events"
        response = requests.get(url, stream=True, timeout=SILENCE)
        return response if response.status_code == 200 else None

    with wait_until(try_it) as response:
        yield response


# --- WebSocket -----------------------------------------------------------------------------------


@contextmanager
def notifications(service: Service, **headers: str) -> Iterator[Callable[[], dict[str, Any]]]:
    """A function that waits for the next message."""
    client = Client.connect(f"{service.url.replace('http', 'ws')}/ws/notifications", headers=headers)

    def receive() -> dict[str, Any]:
        message = client.receive(timeout=SILENCE)
        assert message is not None, "no message came"
        return json.loads(message)

    try:
        yield receive
    finally:
        client.close()


def until_end(receive: Callable[[], dict[str, Any]], task_id: str) -> list[dict[str, Any]]:
    messages = []
    while not (messages and messages[-1]["event"] == "end" and messages[-1]["data"]["task_id"] == task_id):
        messages.append(receive())
    return messages


def test_notifications_tell_of_every_task_from_its_state_to_its_end(service: Service) -> None:
    running = held(service)
    with notifications(service) as receive:
        while (message := receive())["data"]["task_id"] != running.id:
            pass  # what other tests left
        assert message["event"] == "state"
        task_id = service.upload_bytes(noise(1000), new_name()).json()["task_id"]
        of_it = [each for each in until_end(receive, task_id) if each["data"]["task_id"] == task_id]
        assert (of_it[0]["event"], of_it[-1]["event"]) == ("state", "end")
        assert of_it[-1]["data"] == service.get(f"/tasks/{task_id}").json()
        service.delete(f"/tasks/{running.id}")
        assert until_end(receive, running.id)[-1]["data"]["status"] == "REVOKED"


def test_notifications_tell_of_nobody_elses_tasks(service: Service) -> None:
    foreign = held(service, owner="somebody-else")
    with notifications(service) as receive:
        service.store.jobs.heartbeat(foreign, 0.5)
        foreign_too = held(service, owner="somebody-else")
        mine = service.upload_bytes(noise(600), new_name()).json()["task_id"]
        told_of = {message["data"]["task_id"] for message in until_end(receive, mine)}
    assert told_of.isdisjoint({foreign.id, foreign_too.id})
    for job in (foreign, foreign_too):
        service.store.jobs.cancel("somebody-else", job.id)


def test_pages_of_other_sites_get_no_notifications(service: Service) -> None:
    answer = service.get("/ws/notifications", headers={**UPGRADE, "Origin": "https://elsewhere.example"})
    assert answer.status_code == 403
    assert answer.json()["code"] == "foreign_origin"
    own_page = f"http://{urlsplit(service.url).hostname}"  # this client's Host names no port
    with notifications(service, Origin=own_page):
        pass


def test_notifications_without_a_websocket_are_refused(service: Service) -> None:
    answer = service.get("/ws/notifications")
    assert answer.status_code == 426
    assert answer.headers["Upgrade"] == "websocket"
    assert answer.json()["code"] == "upgrade_required"


@pytest.mark.parametrize(
    ("header", "value", "status", "code"),
    [
        ("Sec-WebSocket-Version", "8", 426, "upgrade_required"),
        ("Sec-WebSocket-Version", None, 426, "upgrade_required"),
        ("Sec-WebSocket-Key", "too short", 400, "bad_request"),
        ("Sec-WebSocket-Key", None, 400, "bad_request"),
    ],
)
def test_a_bad_handshake_is_refused(service: Service, header: str, value: str | None, status: int, code: str) -> None:
    answer = service.get("/ws/notifications", headers={**UPGRADE, header: value})
    assert answer.status_code == status
    assert answer.json()["code"] == code
