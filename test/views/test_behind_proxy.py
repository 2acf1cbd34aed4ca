"""BEHIND_PROXY: whom a proxy speaks for, and whether it is believed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from flask.testing import FlaskClient

from main import create_app
from views.context import context_of

FORWARDED = {
    "X-Forwarded-For": "203.0.113.7",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "pictures.example",
}

NewClient = Callable[[str], FlaskClient]


@pytest.fixture
def new_client(mongo_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[NewClient]:
    """Makes a client of a new web application with the given BEHIND_PROXY."""
    with ExitStack() as opened:

        def new(behind_proxy: str) -> FlaskClient:
            monkeypatch.setenv("MONGO_URL", mongo_url)
            monkeypatch.setenv("BEHIND_PROXY", behind_proxy)
            app = create_app()
            opened.callback(context_of(app).store.close)
            return app.test_client()

        yield new


def test_behind_a_proxy_its_clients_address_and_scheme_are_told(
    new_client: NewClient, capfd: pytest.CaptureFixture[str]
) -> None:
    page = new_client("1").get("/docs", headers=FORWARDED).text
    assert "curl -F image=@photo.jpg https://pictures.example/upscale" in page
    assert "203.0.113.7" in "".join(capfd.readouterr())


def test_without_a_proxy_nobody_is_believed(new_client: NewClient, capfd: pytest.CaptureFixture[str]) -> None:
    page = new_client("0").get("/docs", headers=FORWARDED).text
    assert "curl -F image=@photo.jpg http://localhost/upscale" in page
    logged = "".join(capfd.readouterr())
    assert "127.0.0.1" in logged
    assert "203.0.113.7" not in logged
