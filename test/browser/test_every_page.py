"""What holds for every page: accessible, narrow enough for a phone, nothing foreign, no inline code, few bytes."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from axe_playwright_python.sync_playwright import Axe
from breakage import stopped_worker
from live_service import Service
from playwright.sync_api import Page, Response, Route, expect
from visits import PHONE, Visit, choose, draw, send

Draw = Callable[..., Path]
Paths = dict[str, str]

FIRST_PAGE_BYTES = 60_000


@pytest.fixture(scope="module")
def paths(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Paths:
    """An address of each kind of page, but for the waiting one."""
    folder = tmp_path_factory.mktemp("every-page")
    done, other = draw(folder / "every-done.jpg", (64, 48)), draw(folder / "every-other.png", (64, 48))
    task = service.wait_for(service.upload(done).json()["task_id"])
    files = [("image", (path.name, path.read_bytes())) for path in (done, other)]
    batch = requests.post(f"{service.url}/upscale", files=files, timeout=60).json()
    service.get(f"/batches/{batch['batch_id']}?wait=60")
    with stopped_worker(service):
        cancelled = service.upload(draw(folder / "every-cancelled.jpg", (64, 48))).json()
        service.delete(cancelled["links"]["self"])
    return {
        "start": "/",
        "result": f"/t/{task['task_id']}",
        "cancelled": f"/t/{cancelled['task_id']}",
        "batch": f"/b/{batch['batch_id']}",
        "mine": "/mine",
        "error": "/nowhere",
        "error codes": "/docs/errors",
        "API": "/docs",
    }


def violations(page: Page) -> list[str]:
    """What axe finds wrong with the page as it stands."""
    found = Axe().run(page).response["violations"]
    return [f"{rule['id']}: {node['html']}" for rule in found for node in rule["nodes"]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(visit: Visit, paths: Paths, scheme: str) -> None:
    page = visit(color_scheme=scheme)
    for path in paths.values():
        page.goto(path)
        page.wait_for_load_state("networkidle")
        assert violations(page) == [], path


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_while_pictures_are_chosen_asked_about_and_waiting(
    visit: Visit, service: Service, picture: Draw, scheme: str
) -> None:
    page = visit(color_scheme=scheme, viewport=PHONE)
    page.goto("/")
    page.get_by_label("Start at once").uncheck()
    page.get_by_text("More options").click()
    first = picture(f"every-{scheme}.jpg")
    service.wait_for(service.upload(first).json()["task_id"])
    choose(page, picture(f"every-{scheme}.jpg", (32, 32)))
    expect(page.locator(".chosen-picture")).to_be_visible()
    assert violations(page) == []
    with stopped_worker(service):
        page.get_by_role("button", name="Make larger").click()
        page.get_by_role("button", name="Keep both").wait_for()
        assert violations(page) == []
        page.get_by_role("button", name="Keep both").click()
        page.locator("#emerging").wait_for()
        assert violations(page) == []


@pytest.mark.parametrize("language", ["en", "ru", "fr"])
def test_no_page_scrolls_sideways_on_a_phone(visit: Visit, paths: Paths, language: str) -> None:
    page = visit(viewport=PHONE, is_mobile=True, has_touch=True, locale=language)
    for path in paths.values():
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], path


def test_a_phone_sends_and_compares_by_touch(visit: Visit, picture: Draw) -> None:
    page = visit(viewport=PHONE, is_mobile=True, has_touch=True)
    send(page, picture("every-phone.jpg"))
    line = page.get_by_role("slider")
    box = page.locator(".stage").bounding_box()
    assert box
    page.touchscreen.tap(box["x"] + box["width"] * 0.2, box["y"] + box["height"] / 2)
    page.wait_for_function("() => Math.abs(document.querySelector('.split').value - 20) < 6")
    expect(line).to_be_visible()


def test_the_dark_is_dark(visit: Visit) -> None:
    page = visit(color_scheme="dark")
    page.goto("/")
    red, green, blue = (
        int(part) for part in re.findall(r"\d+", page.evaluate("getComputedStyle(document.body).backgroundColor"))
    )
    assert max(red, green, blue) < 64


def test_pages_hold_no_inline_code_and_name_no_other_host(service: Service, paths: Paths) -> None:
    for path in paths.values():
        response = service.get(path, headers={"Accept": "text/html"})
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", response.text)
        links = re.findall(r'(?:src|href|action)="([^"]*)"', response.text)
        assert [link for link in links if not link.startswith(("/", "#"))] == []


def test_the_first_page_is_light(page: Page) -> None:
    answers: list[Response] = []
    page.on("response", lambda answer: answers.append(answer))
    page.goto("/")
    page.wait_for_load_state("networkidle")
    assert sum(len(answer.body()) for answer in answers) < FIRST_PAGE_BYTES


def test_the_first_page_can_be_used_before_any_script_has_loaded(visit: Visit, picture: Draw) -> None:
    page = visit()
    page.route("**/*.js", lambda route: route.abort())
    page.goto("/")
    page.get_by_label("Choose pictures").set_input_files(picture("every-early.jpg"))
    page.unroute("**/*.js")
    page.get_by_role("button", name="Make larger").click()
    expect(page.get_by_alt_text("every-early.jpg, made larger")).to_be_visible()


def test_a_picture_that_was_chosen_before_the_script_came_is_not_lost(page: Page, picture: Draw) -> None:
    held: list[Route] = []
    page.route("**/start.js", lambda route: held.append(route))
    with page.expect_request("**/start.js"):
        page.goto("/", wait_until="commit")
    page.get_by_label("Choose pictures").set_input_files(picture("every-held.jpg"))
    held[0].continue_()
    expect(page.locator(".chosen-picture")).to_contain_text("every-held.jpg")
    expect(page.get_by_role("button", name="Make larger")).to_be_enabled()


def test_the_language_follows_the_browser_and_the_switch(visit: Visit) -> None:
    page = visit(locale="ru-RU")
    page.goto("/mine?search=x")
    expect(page.get_by_role("heading", level=1)).to_have_text("Мои картинки")
    page.get_by_role("button", name="Français").click()
    page.wait_for_url("**/mine?search=x")
    expect(page.get_by_role("heading", level=1)).to_have_text("Mes images")
    page.goto("/")
    expect(page.locator("html")).to_have_attribute("lang", "fr")


def test_the_switch_sends_nobody_elsewhere(service: Service) -> None:
    for back in ("https://elsewhere.example/", "//elsewhere.example", "/\\elsewhere.example"):
        answer = requests.post(
            f"{service.url}/language", data={"language": "fr", "back": back}, allow_redirects=False, timeout=60
        )
        assert answer.headers["Location"] == "/"
