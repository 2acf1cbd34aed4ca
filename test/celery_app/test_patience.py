"""Waiting for a MongoDB that is killed and comes back, and for one that does not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest
from live_service import wait_until

from celery_app import patience
from celery_app.patience import patiently
from mongo import Store, open_store
from utils.errors import StoreUnavailable
from utils.local_services import LocalServer, start_mongod
from utils.settings import Settings


@pytest.fixture(scope="module")
def mongod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    with ExitStack() as running:
        yield start_mongod(tmp_path_factory.mktemp("mongod"), running)


@pytest.fixture
def own_store(mongod: LocalServer) -> Iterator[Store]:
    with closing(open_store(Settings(_env_file=None, mongo_url=mongod.url))) as store:
        yield store


def test_what_could_not_be_done_is_done_when_mongodb_is_back(mongod: LocalServer, own_store: Store) -> None:
    mongod.process.process.kill()
    mongod.process.process.wait()
    pauses = []

    def start_again() -> None:
        if not pauses:
            mongod.process.start()
        pauses.append(1)

    patiently(own_store.ping, check=start_again)
    assert pauses


def test_the_waiting_ends_when_there_is_nothing_to_wait_for_any_more(mongod: LocalServer, own_store: Store) -> None:
    class Enough(Exception):  # noqa: N818
        """It is."""

    def check() -> None:
        raise Enough

    mongod.process.process.kill()
    mongod.process.process.wait()
    try:
        with pytest.raises(Enough):
            patiently(own_store.ping, check)
    finally:
        mongod.process.start()
        wait_until(lambda: answers(own_store))


def test_patience_ends(monkeypatch: pytest.MonkeyPatch, mongod: LocalServer, own_store: Store) -> None:
    monkeypatch.setattr(patience, "PATIENCE", 1.0)
    mongod.process.process.kill()
    mongod.process.process.wait()
    try:
        with pytest.raises(StoreUnavailable):
            patiently(own_store.ping)
    finally:
        mongod.process.start()
        wait_until(lambda: answers(own_store))


def answers(store: Store) -> bool:
    try:
        store.ping()
    except StoreUnavailable:
        return False
    return True
