"""The running service as the tests see it, and waiting for what it does."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
import requests

from main import worker_answers
from mongo import Store, open_store
from utils.local_run import Stack, start_everything
from utils.local_services import free_port
from utils.settings import load_settings

T = TypeVar("T")

FINAL = ("SUCCESS", "FAILURE", "REVOKED")


@dataclass(frozen=True)
class Service:
    """The running service, as a client and an operator see it."""

    url: str
    stack: Stack
    store: Store

    def upload(self, path: Path, name: str | None = None, **form: Any) -> requests.Response:
        """POST the file at `path` as `name`."""
        with path.open("rb") as file:
            return self.upload_bytes(file.read(), name or path.name, **form)

    def upload_bytes(self, data: bytes, name: str, **form: Any) -> requests.Response:
        return requests.post(f"{self.url}/upscale", files={"image": (name, data)}, data=form, timeout=60)

    def get(self, path: str, **options: Any) -> requests.Response:
        return requests.get(f"{self.url}{path}", timeout=60, **options)

    def delete(self, path: str) -> requests.Response:
        return requests.delete(f"{self.url}{path}", timeout=60)

    def wait_for(self, task_id: str) -> dict[str, Any]:
        """The task once it has ended, or a failed test after TEST_DEFAULT_TIMEOUT_WAITING seconds."""

        def ended() -> dict[str, Any] | None:
            task: dict[str, Any] = self.get(f"/tasks/{task_id}").json()
            return task if task["status"] in FINAL else None

        return wait_until(ended, self.stack.settings.test_default_timeout_waiting)


def wait_until(look: Callable[[], T | None], timeout: float = 60.0, interval: float = 0.1) -> T:
    """What `look` returns once it is something, or a failed test."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(interval)
    pytest.fail(f"waited {timeout:.0f} s in vain for {look.__qualname__}")


@contextmanager
def running_service(data_dir: Path, **settings: str) -> Iterator[Service]:
    """Everything, started as `make run` starts it, with leases and sweeps short enough to wait for."""
    changes = {"DATA_DIR": str(data_dir), "PORT": str(free_port()), "LEASE_SECONDS": "4", "SWEEP_SECONDS": "1"}
    with pytest.MonkeyPatch.context() as patch, ExitStack() as running:
        for key, value in (changes | settings).items():
            patch.setenv(key, value)
        stack = start_everything(load_settings(), worker_answers, running)
        store = running.enter_context(closing(open_store(stack.settings)))
        yield Service(f"http://127.0.0.1:{stack.settings.port}", stack, store)
