"""The real parts that the tests talk to: a mongod, a redis-server, gunicorn and a Celery worker of their own."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
import requests

# Before anything reads a setting: a developer's own .env must not reach the tests.
os.environ["ENV_FILE"] = os.devnull

from main import worker_answers
from mongo import Store, open_store
from utils.local_run import Stack, start_everything
from utils.local_services import free_port, start_mongod
from utils.settings import Settings, load_settings

SHARED = Path(__file__).resolve().parent.parent.parent / "shared"

T = TypeVar("T")

FINAL = ("SUCCESS", "FAILURE", "REVOKED")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real pictures and weights beside the checkout."""
    if not SHARED.is_dir():
        pytest.skip("the folder ../shared is not here")
    return SHARED


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


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The service that the tests share. One that kills something starts its own."""
    data_dir = tmp_path_factory.mktemp("service")
    with running_service(data_dir) as running:
        yield running
    shutil.rmtree(data_dir)


@pytest.fixture(scope="session")
def mongo_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A mongod for the tests of the stores alone."""
    with ExitStack() as running:
        yield start_mongod(tmp_path_factory.mktemp("mongod"), running).url


@pytest.fixture
def store(mongo_url: str, request: pytest.FixtureRequest) -> Iterator[Store]:
    """An empty store, in a database of the test's own."""
    database = f"test-{abs(hash(request.node.nodeid)):x}"[:38]
    settings = Settings(_env_file=None, mongo_url=mongo_url, mongo_database=database)
    store = open_store(settings)
    yield store
    store.client.drop_database(database)
    store.close()
