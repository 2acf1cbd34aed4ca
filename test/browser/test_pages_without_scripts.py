"""The whole way without JavaScript: a form, a page that comes again by itself, a result, links and buttons."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from breakage import stopped_worker
from live_service import Service
from playwright.sync_api import Page, expect
from visits import BATCH_PAGE, TASK_PAGE, Visit, draw

Draw = Callable[..., Path]


@pytest.fixture
def page(visit: Visit) -> Page:
    """The tab of a visitor whose browser runs no scripts."""
    return visit(java_script_enabled=False)


def submit(page: Page, *pictures: Path) -> None:
    page.goto("/")
    page.get_by_label("Choose pictures").set_input_files(list(pictures))
    page.get_by_role("button", name="Make larger").click()


def test_a_picture_is_sent_made_and_downloaded(page: Page, picture: Draw) -> None:
    submit(page, picture("plain-sent.jpg"))
    page.wait_for_url(TASK_PAGE)
    expect(page.get_by_alt_text("plain-sent.jpg, made larger")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "plain-sent.jpg"


def test_the_waiting_page_comes_again_by_itself_and_can_cancel(page: Page, service: Service, picture: Draw) -> None:
    with stopped_worker(service):
        submit(page, picture("plain-waiting.jpg"))
        expect(page.locator(".waiting-words")).to_contain_text("in the queue")
        expect(page.locator("meta[http-equiv=refresh]")).to_be_attached()
        page.get_by_role("button", name="Cancel").click()
        expect(page.get_by_text("The task was cancelled.")).to_be_visible()


def test_several_pictures_become_a_batch(page: Page, picture: Draw) -> None:
    submit(page, picture("plain-one.jpg"), picture("plain-two.jpg"))
    page.wait_for_url(BATCH_PAGE)
    expect(page.get_by_role("link", name="Download all as ZIP")).to_be_visible()


def test_a_name_that_exists_leads_to_its_picture_and_says_what_to_do(page: Page, picture: Draw) -> None:
    first = picture("plain-taken.jpg")
    submit(page, first)
    expect(page.get_by_alt_text("plain-taken.jpg, made larger")).to_be_visible()
    submit(page, draw(first, (32, 32)))
    expect(page.get_by_text("The name was taken, and this is the picture that has it.")).to_be_visible()


def test_a_result_is_deleted(page: Page, picture: Draw) -> None:
    submit(page, picture("plain-deleted.jpg"))
    expect(page.get_by_alt_text("plain-deleted.jpg, made larger")).to_be_visible()
    page.get_by_role("button", name="Delete").click()
    page.wait_for_url("**/mine")
    expect(page.get_by_text("plain-deleted.jpg")).to_have_count(0)


def test_again_leads_to_the_start_page_with_the_choice_made(page: Page, picture: Draw) -> None:
    submit(page, picture("plain-again.jpg"))
    page.get_by_role("radio", name="Faithful").check()
    page.get_by_role("button", name="Make again").click()
    page.wait_for_url("**/?model=faithful&scale=")
    expect(page.get_by_role("radio", name="Faithful")).to_be_checked()


def test_an_upload_of_a_program_gets_json_whatever_else_it_takes(service: Service, picture: Draw) -> None:
    for accept in ("*/*", "application/json", "application/json, text/html;q=0.9"):
        with picture("plain-program.jpg").open("rb") as file:
            answer = requests.post(
                f"{service.url}/upscale", files={"image": file}, headers={"Accept": accept}, timeout=60
            )
        assert answer.headers["Content-Type"] == "application/json"
        assert answer.json()["name"] == "plain-program.jpg"


def test_a_form_of_another_site_can_delete_nothing(service: Service, picture: Draw) -> None:
    task = service.wait_for(service.upload(picture("plain-foreign.jpg")).json()["task_id"])
    address = f"{service.url}/t/{task['task_id']}/delete"
    assert requests.post(address, headers={"Origin": "https://elsewhere.example"}, timeout=60).status_code == 403
    assert service.get(task["links"]["result"]).status_code == 200
