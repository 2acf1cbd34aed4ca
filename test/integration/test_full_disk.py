"""A disk without room: uploads are refused with a reason, and nothing that was accepted is lost."""

from __future__ import annotations

import hashlib
import io
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from breakage import PATIENCE, filled, small_disk
from live_service import FINAL, Service, running_service, wait_until
from PIL import Image

MONGO_DISK = "700m"  # an empty mongod takes 300 MB, most of it for its journal
TEMP_DISK = "24m"
SMALL, LARGE = 40, 700  # px a side; the web server keeps the first in memory, and the other in a file


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a service whose mongod, and whose temporary files, have small disks of their own."""
    folder = tmp_path_factory.mktemp("cramped")
    with small_disk(folder / "mongo", MONGO_DISK), small_disk(folder / "temp", TEMP_DISK):
        yield folder


@pytest.fixture(scope="module")
def cramped(disk: Path) -> Iterator[Service]:
    with running_service(disk, TMPDIR=str(disk / "temp")) as running:
        yield running


def upload(service: Service, side: int) -> requests.Response:
    """Send noise, which takes three bytes a pixel as a PNG too."""
    file = io.BytesIO()
    Image.frombytes("RGB", (side, side), os.urandom(3 * side * side)).save(file, "PNG")
    return service.upload_bytes(file.getvalue(), f"{uuid.uuid4().hex[:12]}.png")


def end_of(service: Service, accepted: requests.Response) -> dict:
    """The task that was accepted, once it has ended."""

    def look() -> dict | None:
        task = service.get(accepted.json()["links"]["self"]).json()
        return task if task.get("status") in FINAL else None

    return wait_until(look, PATIENCE)


def assert_can_be_fetched(service: Service, task: dict) -> None:
    picture = service.get(task["links"]["result"]).content
    assert hashlib.sha256(picture).hexdigest() == task["result"]["sha256"]


def test_an_upload_that_the_web_server_has_no_room_for_is_refused_with_507(cramped: Service, disk: Path) -> None:
    with filled(disk / "temp"):
        refused = upload(cramped, LARGE)
    assert refused.status_code == 507
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert refused.json()["code"] == "disk_full"
    accepted = upload(cramped, LARGE)
    assert accepted.status_code == 202
    assert_can_be_fetched(cramped, end_of(cramped, accepted))


def test_a_full_disk_of_mongodb_refuses_uploads_and_loses_none_that_was_accepted(cramped: Service, disk: Path) -> None:
    finished = end_of(cramped, upload(cramped, SMALL))
    answers: list[requests.Response] = []

    def is_refused() -> bool:
        answers.append(upload(cramped, LARGE))
        return answers[-1].status_code != 202

    with filled(disk / "mongo"):
        wait_until(is_refused, PATIENCE)
    assert answers[-1].status_code in (503, 507)
    assert answers[-1].json()["code"] in ("store_unavailable", "store_full")
    assert cramped.stack.mongod is not None
    if cramped.stack.mongod.process.has_ended():  # which is what mongod does without room for its journal
        cramped.stack.mongod.process.start()
    wait_until(lambda: cramped.get("/health/ready").ok, PATIENCE)
    assert_can_be_fetched(cramped, finished)
    for accepted in answers[:-1]:
        assert_can_be_fetched(cramped, end_of(cramped, accepted))
