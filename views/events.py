"""Tasks as they go on: `GET /tasks/<id>/events` as server-sent events, `GET /ws/notifications` as a WebSocket.

Both tell the same three kinds of events. `state` comes first and says how the task stands, `progress` follows
whenever that has changed (once a second at most: a worker's heartbeat tells of it), `end` is the last one. Each
carries the whole task, so a client that missed some has missed nothing.
"""

from __future__ import annotations

import re
import select
import socket
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Literal
from urllib.parse import urlsplit

from flask import Blueprint, Response, current_app, g, request, stream_with_context
from flask_sock import Sock
from simple_websocket import Server
from typing_extensions import TypedDict

from mongo.jobs import Job
from mongo.task_document import TaskDocument, task_document
from utils.errors import BadRequest, ForeignOrigin, StoreUnavailable, TooManyStreams, UnknownTask, UpgradeRequired
from views.answers import no_content
from views.context import context, owner
from views.lookout import News, Watch
from views.openapi import examples
from views.openapi.headers import CACHE_CONTROL, UPGRADE
from views.openapi.operations import Answer, Parameter, operation
from views.tasks import find_task

blueprint = Blueprint("events", __name__)
sockets = Sock()

SOCKET = "/ws/notifications"
WEBSOCKET_KEY = re.compile("[A-Za-z0-9+/]{21}[AQgw]==")
HEARTBEAT = 15.0  # s; a client that left is noticed by then, and a proxy sees that the connection lives
RECONNECT_AFTER = 2000  # ms; what EventSource waits before it comes back

# What is on its way to a client that does not read stays small, and so does the time that it is kept.
SEND_BUFFER = 32 * 1024  # bytes
PATIENCE = 15.0  # s
LONGEST_MESSAGE = 1024  # bytes; who sends more than that over a WebSocket, which is to be listened to, is cut off

Kind = Literal["state", "progress", "end"]

LAST_EVENT_ID = Parameter(
    "Last-Event-ID", "header", "The `id` of the event that was seen last; browsers send it.", {"type": "string"}
)
NOTHING_NEW = Answer(HTTPStatus.NO_CONTENT, "The client has seen the end; an EventSource does not come again.")


class StreamedEvent(TypedDict):
    """One event of a stream. `retry` comes before the first: milliseconds to wait before coming back."""

    event: Kind
    id: str
    """To be sent as `Last-Event-ID` by who comes back."""
    data: str
    """A document in JSON."""


def stream_answer(of_what: str, example: str) -> Answer:
    """The answer that is a stream of events, for the API's description."""
    return Answer(
        HTTPStatus.OK,
        f"Server-sent events: `state` first, `progress` with every change, `end` last. `data` is {of_what} in JSON. "
        f"A comment comes after {HEARTBEAT:.0f} seconds of silence.",
        "text/event-stream",
        StreamedEvent,
        example,
        [CACHE_CONTROL],
    )


@dataclass(frozen=True)
class Event:
    """One message of a stream."""

    kind: Kind
    id: str
    data: str  # the document of what is watched, in JSON

    def as_sse(self) -> str:
        return f"event: {self.kind}\nid: {self.id}\ndata: {self.data}\n\n"

    def as_json(self) -> str:
        return f'{{"event": "{self.kind}", "id": "{self.id}", "data": {self.data}}}'


@blueprint.get("/tasks/<task_id>/events")
@operation(
    "follow_task",
    "Tasks",
    stream_answer("the whole task", examples.TASK_STREAM),
    NOTHING_NEW,
    errors=[UnknownTask, TooManyStreams],
    parameters=[LAST_EVENT_ID],
)
def task_events(task_id: str) -> Response:
    """The task's events, from its present state to its end.

    A client that comes back with the Last-Event-ID of an event gets only what is newer; one that has seen the
    end gets 204, which tells an EventSource not to come again.
    """
    g.task_id = task_id
    job = find_task(task_id)
    is_known = request.headers.get("Last-Event-ID") == event_id(job)
    if is_known and job.status.is_final:
        return no_content()
    watch = context().lookout.watch_job(job, is_known=is_known)
    return event_stream(watch, (list(events_of(news)) for news in watch.news(HEARTBEAT)))


@blueprint.before_request
def _refuse_foreign_pages() -> None:
    """Browsers let a page of any site open a WebSocket to any other, and name the page's origin."""
    origin = request.headers.get("Origin")
    if request.path == SOCKET and origin and urlsplit(origin).netloc != request.host:
        raise ForeignOrigin(f"Notifications are for pages of {request.host}, and this one is of {origin}.")


@blueprint.before_request
def _refuse_a_bad_handshake() -> None:
    """What RFC 6455 (4.2.1) demands, and the library does not look at."""
    if request.path != SOCKET:
        return
    if request.headers.get("Sec-WebSocket-Version") != "13":
        raise UpgradeRequired("Of WebSockets there is version 13 here, and that has to be asked for.")
    if not WEBSOCKET_KEY.fullmatch(request.headers.get("Sec-WebSocket-Key", "")):
        raise BadRequest("Sec-WebSocket-Key is not 16 bytes in Base64.", field="Sec-WebSocket-Key")


@sockets.route(SOCKET, bp=blueprint)
@operation(
    "follow_all_tasks",
    "Tasks",
    Answer(
        HTTPStatus.SWITCHING_PROTOCOLS,
        'A WebSocket. Each message is `{"event": "state" | "progress" | "end", "id": "…", "data": <the task>}`. '
        "What the client says is not listened to.",
        headers=[UPGRADE],
    ),
    errors=[ForeignOrigin, UpgradeRequired, TooManyStreams],
    parameters=[
        Parameter("Upgrade", "header", "RFC 6455.", {"const": "websocket"}, required=True),
        Parameter("Connection", "header", "RFC 6455.", {"const": "Upgrade"}, required=True),
        Parameter("Sec-WebSocket-Version", "header", "RFC 6455.", {"const": "13"}, required=True),
        Parameter(
            "Sec-WebSocket-Key",
            "header",
            "16 bytes in Base64 (RFC 6455).",
            {"type": "string", "pattern": f"^{WEBSOCKET_KEY.pattern}$"},
            "dGhlIHNhbXBsZSBub25jZQ==",
            required=True,
        ),
    ],
)
def notifications(connection: Server) -> None:
    """The events of all tasks over a WebSocket: of those that wait or run now, and of those to come.

    The tasks of a batch are told of one by one; the batch as a whole has a stream of its own.
    """
    connection.input_buffer = deque(maxlen=0)  # what a client says is neither asked for nor kept
    with context().lookout.watch_owner(owner()) as watch, suppress(OSError):
        client = _Client(connection.sock)
        for news in watch.news(HEARTBEAT):
            if not (connection.connected and client.takes_more()):
                return
            for event in events_of(news):
                connection.send(event.as_json())


def events_of(news: News | None) -> Iterator[Event]:
    """What there is to tell of `news`: for a task that is over by the time it is first told of, state and end."""
    if news is None:
        return
    number, task = event_id(news.job), news.sight.as_text(_task)
    if news.is_first:
        yield Event("state", number, task)
    if news.job.status.is_final:
        yield Event("end", number, task)
    elif not news.is_first:
        yield Event("progress", number, task)


def event_id(job: Job) -> str:
    """The same for every process and at any time, so that a client can come back to another server."""
    return f"{job.attempt}-{job.status}-{job.progress:.3f}"


def event_stream(watch: Watch, groups: Iterator[list[Event]]) -> Response:
    """Server-sent events, as they come out of `watch`, up to the one of kind `end`.

    Args:
        groups: of events that are told together; an empty one shows that the connection lives.
    """
    response = Response(stream_with_context(_as_sse(groups)), mimetype="text/event-stream")
    # Not in the generator: it never runs where the client left before the first byte, or asked with HEAD.
    response.call_on_close(watch.leave)
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"  # nginx passes on every event at once
    return response


def _as_sse(groups: Iterator[list[Event]]) -> Iterator[str]:
    client = _Client(request.environ.get("gunicorn.socket"))
    yield f"retry: {RECONNECT_AFTER}\n\n"
    for events in groups:
        if not client.takes_more():
            return
        yield "".join(event.as_sse() for event in events) or ":\n\n"
        if events and events[-1].kind == "end":
            return


def _task(job: Job) -> str:
    return current_app.json.dumps(_document(job))


def _document(job: Job) -> TaskDocument:
    if job.status.is_final:
        return task_document(job)
    try:
        estimate = context().estimator.of(job)
    except StoreUnavailable:
        return task_document(job)  # the stream goes on without an estimate
    return task_document(job, estimate.position, estimate.eta)


class _Client:
    """The one at the other end of a stream, who may have stopped reading.

    Args:
        connection: None where the web server does not tell; then it has to take care of that itself.
    """

    def __init__(self, connection: socket.socket | None) -> None:
        self._poll = select.poll() if connection else None
        if connection and self._poll:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
            self._poll.register(connection, select.POLLOUT)

    def takes_more(self) -> bool:
        """Whether an event can be sent without waiting for the client. It gets PATIENCE seconds to make room."""
        return self._poll is None or any(state == select.POLLOUT for _, state in self._poll.poll(PATIENCE * 1000))
