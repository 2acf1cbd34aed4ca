"""How many uploads a web process takes in at once, on a real MongoDB."""

from __future__ import annotations

import io
import threading
import uuid
from collections.abc import Iterator
from contextlib import closing

import pytest
from flask.testing import FlaskClient
from live_service import wait_until
from PIL import Image
from werkzeug.test import TestResponse

from main import create_app
from views.context import context_of


@pytest.fixture
def client(mongo_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[FlaskClient]:
    """A client of a web application that takes in one upload at a time, and has nobody wait long for that."""
    database = f"places-{uuid.uuid4().hex[:8]}"
    settings = {"MONGO_URL": mongo_url, "MONGO_DATABASE": database, "WEB_THREADS": "1", "MAX_QUEUE": "2"}
    for key, value in settings.items():
        monkeypatch.setenv(key, value)
    monkeypatch.setattr("views.upload_places.PATIENCE", 0.1)
    app = create_app()
    with closing(context_of(app).store) as store:
        yield app.test_client()
        store.client.drop_database(database)


def upload(client: FlaskClient, name: str, **headers: str) -> TestResponse:
    file = io.BytesIO()
    Image.new("RGB", (20, 20), "teal").save(file, "PNG")
    file.seek(0)
    return client.post("/upscale", data={"image": (file, name)}, headers=headers)


def test_an_upload_without_a_place_is_told_to_come_again(client: FlaskClient) -> None:
    with context_of(client.application).upload_places.take():
        answer = upload(client, "late.png")
        assert answer.status_code == 503
        assert answer.json["code"] == "too_many_uploads"
        assert int(answer.headers["Retry-After"]) >= 1
    assert upload(client, "late.png").status_code == 202


def test_a_refused_upload_leaves_its_place(client: FlaskClient) -> None:
    assert client.post("/upscale", data={"image": "text"}).status_code == 400
    assert upload(client, "one.png").status_code == 202
    assert upload(client, "two.png").status_code == 202
    assert upload(client, "three.png").json["code"] == "queue_full"
    assert client.post("/upscale", data={}).status_code == 400


def test_an_upload_that_waits_for_its_task_has_left_its_place(client: FlaskClient) -> None:
    store = context_of(client.application).store
    waiting = threading.Thread(target=upload, args=(client, "first.png"), kwargs={"Prefer": "wait=60"})
    waiting.start()
    first = wait_until(lambda: store.jobs.latest("everyone", "first.png"))
    assert wait_until(lambda: upload(client, "second.png").status_code in (200, 202))
    assert waiting.is_alive()
    client.delete(f"/tasks/{first.id}")
    waiting.join(60)
    assert not waiting.is_alive()
