"""Announcements over a real Redis: heard while it is there, missed without harm while it is not."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest
from live_service import wait_until

from celery_app import BrokerUnavailable
from celery_app.announcements import Announcer, Listener
from utils.local_services import free_port, start_redis
from utils.settings import Settings


def settings_for(url: str) -> Settings:
    return Settings(_env_file=None, redis_url=url)


def test_what_is_announced_is_heard_once_with_its_owner(tmp_path: Path) -> None:
    with ExitStack() as running:
        settings = settings_for(start_redis(tmp_path, running).url)
        announce, listener = Announcer(settings), Listener(settings)
        assert listener.hear(timeout=0.1) == []
        announce("anna", "job-1")
        announce("bert", "job-2")
        heard: list[tuple[str, str]] = []
        wait_until(lambda: len(heard) == 2 or heard.extend(listener.hear(timeout=0.5)))
        assert heard == [("anna", "job-1"), ("bert", "job-2")]
        assert listener.hear(timeout=0.1) == []


def test_without_redis_nothing_fails_but_the_hearing() -> None:
    settings = settings_for(f"redis://127.0.0.1:{free_port()}/0")
    Announcer(settings)("anna", "job-1")
    listener = Listener(settings)
    for _ in range(2):
        with pytest.raises(BrokerUnavailable):
            listener.hear(timeout=0.1)


def test_a_listener_hears_again_when_redis_is_back(tmp_path: Path) -> None:
    with ExitStack() as running:
        redis = start_redis(tmp_path, running)
        settings = settings_for(redis.url)
        listener = Listener(settings)
        listener.hear(timeout=0.1)
        redis.process.stop()
        wait_until(lambda: is_deaf(listener))
        redis.process.start()

        def hears() -> bool:
            Announcer(settings)("anna", "job-1")
            try:
                return ("anna", "job-1") in listener.hear(timeout=0.5)
            except BrokerUnavailable:
                return False

        wait_until(hears)


def is_deaf(listener: Listener) -> bool:
    try:
        listener.hear(timeout=0.1)
    except BrokerUnavailable:
        return True
    return False
