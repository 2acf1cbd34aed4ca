"""STORE_QUOTA_BYTES on a real MongoDB: uploads end where the room ends, and what needs none goes on."""

from __future__ import annotations

import io
import uuid
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sample_uploads import noise
from werkzeug.test import TestResponse

from main import create_app
from mongo import Store
from views.context import context_of

QUOTA = 2 * 1024**2


@pytest.fixture
def client(mongo_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[FlaskClient]:
    """A client of a web application with an empty store of two megabytes."""
    database = f"quota-{uuid.uuid4().hex[:8]}"
    settings = {"MONGO_URL": mongo_url, "MONGO_DATABASE": database, "STORE_QUOTA_BYTES": str(QUOTA)}
    for key, value in settings.items():
        monkeypatch.setenv(key, value)
    app = create_app()
    with closing(context_of(app).store) as store:
        yield app.test_client()
        store.client.drop_database(database)


def store_of(client: FlaskClient) -> Store:
    return context_of(client.application).store


def upload(client: FlaskClient, picture: bytes, name: str) -> TestResponse:
    return client.post("/upscale", data={"image": (io.BytesIO(picture), name)})


def fill(client: FlaskClient) -> list[TestResponse]:
    """The answers to more uploads than there is room for."""
    return [upload(client, noise(400, image_format="PNG"), f"{number}.png") for number in range(6)]


def test_an_upload_that_there_is_no_room_for_is_refused(client: FlaskClient) -> None:
    answers = fill(client)
    assert {answer.status_code for answer in answers} == {202, 507}
    assert answers[-1].get_json()["code"] == "store_full"
    assert "2.0MiB" in answers[-1].get_json()["detail"]
    assert store_of(client).used_bytes() <= QUOTA


def test_duplicates_and_reused_results_are_answered_all_the_same(client: FlaskClient) -> None:
    store = store_of(client)
    picture = noise(400, image_format="PNG")
    job = store.jobs.claim(upload(client, picture, "photo.png").get_json()["task_id"])
    assert job is not None
    store.jobs.succeed(job, job.source, keep=timedelta(days=1))
    assert fill(client)[-1].status_code == 507
    assert upload(client, picture, "photo.png").status_code == 200
    assert upload(client, picture, "same-bytes.png").status_code == 200


def test_when_pictures_are_gone_there_is_room_again(client: FlaskClient) -> None:
    store = store_of(client)
    job = store.jobs.get("everyone", fill(client)[0].get_json()["task_id"])
    assert job is not None
    assert job.source.file_id is not None
    store.uploads.delete(job.source.file_id)
    assert upload(client, noise(400, image_format="PNG"), "another.png").status_code == 202
