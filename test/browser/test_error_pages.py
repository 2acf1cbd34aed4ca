"""Errors as pages: each says what happened and what to do, in the visitor's language."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from breakage import stopped_worker
from live_service import Service, running_service
from playwright.sync_api import Page, expect
from visits import Visit, draw

from utils.errors import ServiceError

Draw = Callable[..., Path]


@pytest.fixture(scope="module")
def strict_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with narrow limits, in development."""
    data_dir = tmp_path_factory.mktemp("strict")
    with running_service(data_dir, MAX_QUEUE="1", MAX_UPLOAD_BYTES="20KiB", FLASK_DEBUG="1") as running:
        yield running


@pytest.fixture
def strict_page(visit: Visit, strict_service: Service) -> Page:
    """The tab of a visitor of that service, without scripts: so it is the form itself that is answered."""
    return visit(base_url=strict_service.url, java_script_enabled=False)


def submit(page: Page, picture: Path) -> None:
    page.goto("/")
    page.get_by_label("Choose pictures").set_input_files(picture)
    page.get_by_role("button", name="Make larger").click()


def test_an_unknown_address(page: Page) -> None:
    page.goto("/nowhere")
    expect(page.get_by_role("heading", level=1)).to_have_text("There is nothing here")
    page.get_by_role("link", name="route_not_found").click()
    expect(page.locator("#route_not_found")).to_be_in_viewport()


def test_a_task_that_never_was(page: Page) -> None:
    page.goto("/t/00000000-0000-0000-0000-000000000000")
    expect(page.get_by_role("heading", level=1)).to_have_text("There is nothing here")


def test_a_picture_that_is_gone(page: Page, service: Service, picture: Draw) -> None:
    task = service.wait_for(service.upload(picture("error-gone.jpg")).json()["task_id"])
    service.delete(task["links"]["result"])
    answer = page.goto(f"/t/{task['task_id']}")
    assert answer
    assert answer.status == 410
    expect(page.get_by_role("heading", level=1)).to_have_text("The picture is gone")


def test_what_is_too_large(strict_page: Page, tmp_path: Path) -> None:
    submit(strict_page, draw(tmp_path / "error-large.png", (400, 400)))
    expect(strict_page.get_by_role("heading", level=1)).to_have_text("That is too large")


def test_what_is_no_picture(strict_page: Page, tmp_path: Path) -> None:
    (tmp_path / "error-notes.png").write_text("These are notes.")
    submit(strict_page, tmp_path / "error-notes.png")
    expect(strict_page.get_by_role("heading", level=1)).to_have_text("That is no PNG or JPEG")


def test_too_much_at_once_names_what_is_being_made(strict_page: Page, strict_service: Service, picture: Draw) -> None:
    with stopped_worker(strict_service):
        submit(strict_page, picture("error-first.jpg"))
        address = strict_page.url
        submit(strict_page, picture("error-second.jpg"))
        expect(strict_page.get_by_role("heading", level=1)).to_have_text("Too much at once")
        expect(strict_page.get_by_text("It is worth trying again in")).to_be_visible()
        strict_page.get_by_role("link", name="error-first.jpg").click()
        strict_page.wait_for_url(address)


def test_a_mistake_on_purpose_in_development_only(strict_page: Page, page: Page) -> None:
    strict_page.goto("/error_500")
    expect(strict_page.get_by_role("heading", level=1)).to_have_text("That was our mistake")
    page.goto("/error_500")
    expect(page.get_by_role("heading", level=1)).to_have_text("There is nothing here")


def test_a_store_that_is_away(strict_page: Page, strict_service: Service) -> None:
    mongod = strict_service.stack.mongod
    assert mongod
    mongod.process.process.send_signal(signal.SIGSTOP)
    try:
        strict_page.goto("/mine")
        expect(strict_page.get_by_role("heading", level=1)).to_have_text("Not available just now")
        strict_page.goto("/")
        expect(strict_page.get_by_role("heading", level=1)).to_have_text("Make pictures larger")
    finally:
        mongod.process.process.send_signal(signal.SIGCONT)


def test_pages_of_errors_speak_the_visitors_language(visit: Visit) -> None:
    page = visit(locale="fr-FR")
    page.goto("/nowhere")
    expect(page.get_by_role("heading", level=1)).to_have_text("Il n’y a rien ici")


def test_every_error_code_is_explained(service: Service) -> None:
    html = service.get("/docs/errors").text
    for kind in (ServiceError, *ServiceError.__subclasses__()):
        assert f'<li id="{kind.code}">' in html
        assert kind.title.replace("'", "&#39;") in html
