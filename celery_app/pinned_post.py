"""A POST to an address that a stranger chose: looked up once, checked, and sent to that very address."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import SplitResult, urlsplit

from utils.callback_url import is_public

CONNECT_TIME = 5.0  # s, shared by all addresses of the name
ANSWER_TIME = 10.0  # s from the connection to the status, however the other end dawdles

Endpoint = tuple[Any, ...]
"""Family, type, protocol, canonical name and socket address, as `socket.getaddrinfo` gives them."""

LookUp = Callable[[str, int], Sequence[Endpoint]]


class NotSent(Exception):  # noqa: N818 - with its sentence it reads as what happened
    """The POST got no answer. The message says why."""


def look_up(host: str, port: int) -> Sequence[Endpoint]:
    """The addresses of `host`, by the system's resolver."""
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    allow_private: bool,
    look_up: LookUp = look_up,
    answer_time: float = ANSWER_TIME,
) -> int:
    """POST `body` to `url`. Redirects are not followed, no proxy is used, and only the answer's head is read.

    Args:
        allow_private: also send to addresses that are not on the internet.
        look_up: resolves the name. It is asked once; what it says is checked, and connected to.
        answer_time: seconds that the other end has once it is connected.

    Returns:
        The answer's status.

    Raises:
        NotSent: there is no answer.
    """
    parts = urlsplit(url)
    try:
        endpoints = look_up(parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))
        if not allow_private:
            _check(endpoints)
        with closing(_connect(parts, endpoints)) as connection, _within(answer_time, connection):
            return _exchange(parts, connection, body, headers)
    except (OSError, HTTPException, ValueError) as error:  # ValueError: names that cannot be encoded
        raise NotSent(str(error) or type(error).__name__) from None


def _check(endpoints: Sequence[Endpoint]) -> None:
    """One bad address among good ones is reason enough: who mixes them is up to something."""
    for *_, address in endpoints:
        if not is_public(address[0]):
            raise NotSent(f"the name stands for {address[0]}, which is not an address on the internet")


def _connect(parts: SplitResult, endpoints: Sequence[Endpoint]) -> socket.socket:
    """A connection to the first of the addresses that takes one, its handshake still to be made."""
    failure = OSError("the name has no address")
    for family, kind, protocol, _, address in endpoints:
        connection = socket.socket(family, kind, protocol)
        if parts.scheme == "https":
            connection = ssl.create_default_context().wrap_socket(
                connection, server_hostname=parts.hostname, do_handshake_on_connect=False
            )
        connection.settimeout(CONNECT_TIME / len(endpoints))
        try:
            connection.connect(address)
        except OSError as error:
            connection.close()
            failure = error
        else:
            connection.settimeout(None)
            return connection
    raise failure


@contextmanager
def _within(seconds: float, connection: socket.socket) -> Iterator[None]:
    """Hang up after `seconds`. A socket's own timeout starts anew with every byte that trickles in.

    Raises:
        NotSent: the time was over before the end.
    """
    is_late = threading.Event()

    def hang_up() -> None:
        is_late.set()
        with suppress(OSError):  # it is over already
            socket.socket.shutdown(connection, socket.SHUT_RDWR)

    timer = threading.Timer(seconds, hang_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    except (OSError, HTTPException):
        if is_late.is_set():
            raise NotSent(f"no answer within {seconds:.0f} s") from None
        raise
    finally:
        timer.cancel()


def _exchange(parts: SplitResult, connection: socket.socket, body: bytes, headers: Mapping[str, str]) -> int:
    if isinstance(connection, ssl.SSLSocket):
        connection.do_handshake()
    http = HTTPConnection(parts.hostname or "")
    http.sock = connection
    http.auto_open = 0  # or it would look the name up for itself, should the connection be lost
    target = parts._replace(scheme="", netloc="", fragment="").geturl() or "/"
    with closing(http):
        http.request("POST", target, body, {**headers, "Host": parts.netloc, "Connection": "close"})
        return http.getresponse().status
