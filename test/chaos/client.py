"""The service's HTTP as a client sees it. Whatever is asked, and whatever comes of it, goes into the history."""

from __future__ import annotations

import hashlib
import socket
import struct
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlsplit

import requests

from chaos.history import Action, Call, Recorder, now
from chaos.pictures import Source

TIMEOUT = 60.0  # s for one answer; longer than any may take
RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER: no farewell, what is unsent is thrown away


class Client:
    """For one thread."""

    def __init__(self, url: str, recorder: Recorder) -> None:
        self._url = url
        self._recorder = recorder
        self._session = requests.Session()

    def upload(self, source: Source, key: str | None = None) -> Call:
        """Send the picture, with an Idempotency-Key if there is one."""
        headers = {"Idempotency-Key": key} if key else {}
        files = {"image": (source.name, source.data)}
        return self._call("upload", source, lambda: self._post(files=files, headers=headers))

    def follow(self, source: Source, task_id: str) -> Call:
        """Ask how the task stands."""
        return self._call("follow", source, lambda: self._request("GET", f"/tasks/{task_id}"), task_id)

    def cancel(self, source: Source, task_id: str) -> Call:
        return self._call("cancel", source, lambda: self._request("DELETE", f"/tasks/{task_id}"), task_id)

    def fetch(self, source: Source, task_id: str) -> Call:
        """Fetch the finished picture."""
        path = f"/processed/{quote(source.name)}"
        return self._call("fetch", source, lambda: self._request("GET", path), task_id)

    def reset(self, source: Source, share: float) -> None:
        """Begin to send the picture, and break the connection off after `share` of it."""
        prepared = requests.Request(
            "POST", f"{self._url}/upscale", files={"image": (source.name, source.data)}
        ).prepare()
        head = f"POST /upscale HTTP/1.1\r\nHost: {urlsplit(self._url).netloc}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in prepared.headers.items()) + "\r\n"
        assert isinstance(prepared.body, bytes)
        began = now()
        try:
            self._send_and_reset(head.encode() + prepared.body[: int(len(prepared.body) * share)])
        except OSError as error:
            lost = type(error).__name__
        else:
            lost = f"broken off after {share:.0%}"
        self._recorder.record(Call("reset", began, now(), source.name, source.sha256, lost=lost))

    def _send_and_reset(self, data: bytes) -> None:
        address = urlsplit(self._url)
        assert address.hostname
        assert address.port
        with socket.create_connection((address.hostname, address.port), TIMEOUT) as connection:
            connection.sendall(data)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)

    def _post(self, **content: Any) -> requests.Response:
        return self._session.post(f"{self._url}/upscale", timeout=TIMEOUT, **content)

    def _request(self, method: str, path: str) -> requests.Response:
        return self._session.request(method, self._url + path, timeout=TIMEOUT)

    def _call(
        self, action: Action, source: Source, ask: Callable[[], requests.Response], task_id: str | None = None
    ) -> Call:
        began = now()
        told: dict[str, Any] = {}
        try:
            told = _told(action, ask())
        except requests.RequestException as error:
            told = {"lost": type(error).__name__}
        call = Call(action, began, now(), source.name, source.sha256, **({"task_id": task_id} | told))
        self._recorder.record(call)
        return call


def _told(action: Action, response: requests.Response) -> dict[str, Any]:
    """What the answer says, as members of a Call."""
    told: dict[str, Any] = {"status": response.status_code}
    if not response.ok:
        return told | {"code": _json(response).get("code")}
    if action == "fetch":
        return told | {"sha256": hashlib.sha256(response.content).hexdigest()}
    task = _json(response)
    failure = task.get("error") or {}
    return told | {"task_id": task.get("task_id"), "state": task.get("status"), "code": failure.get("code")}


def _json(response: requests.Response) -> dict[str, Any]:
    try:
        found = response.json()
    except requests.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}
