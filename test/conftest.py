"""The real parts that the tests talk to: a mongod, a redis-server, gunicorn and a Celery worker of their own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from utils.settings import Settings

# Before anything reads a setting: neither a developer's .env nor the shell's variables reach the tests.
os.environ["ENV_FILE"] = os.devnull
for name in set(Settings.model_fields) - {"test_default_timeout_waiting"}:
    os.environ.pop(name.upper(), None)

from live_service import Service, running_service

from mongo import Store, open_store
from utils.local_services import start_mongod

SHARED = Path(__file__).resolve().parent.parent.parent / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real pictures and weights beside the checkout."""
    if not SHARED.is_dir():
        pytest.skip("the folder ../shared is not here")
    return SHARED


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
