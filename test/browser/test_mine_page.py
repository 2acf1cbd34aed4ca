"""The list of the visitor's tasks: newest first, live, to be searched, deleted and paged through."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from breakage import stopped_worker
from live_service import Service
from playwright.sync_api import Page, expect
from visits import send

Draw = Callable[..., Path]


def test_the_newest_comes_first_with_its_thumbnail(page: Page, picture: Draw) -> None:
    send(page, picture("mine-older.jpg"))
    send(page, picture("mine-newer.jpg"))
    page.goto("/mine")
    rows = page.locator(".row")
    expect(rows.nth(0)).to_contain_text("mine-newer.jpg")
    expect(rows.nth(1)).to_contain_text("mine-older.jpg")
    expect(rows.nth(0).locator("img")).to_have_js_property("naturalWidth", 256)


def test_states_and_new_tasks_appear_by_themselves(page: Page, service: Service, picture: Draw) -> None:
    page.goto("/mine")
    with stopped_worker(service):
        service.upload(picture("mine-live.jpg"))
        row = page.locator(".row").filter(has_text="mine-live.jpg")
        expect(row).to_contain_text("Waiting")
    expect(row).to_contain_text("Done")
    expect(row.get_by_role("link", name="Download mine-live.jpg")).to_be_visible()


def test_names_are_searched_by_a_part(page: Page, service: Service, picture: Draw) -> None:
    for name in ("mine-Sought (1).jpg", "mine-else.jpg"):
        service.wait_for(service.upload(picture(name)).json()["task_id"])
    page.goto("/mine")
    page.get_by_label("Part of the name").fill("sought (")
    page.get_by_role("button", name="Search").click()
    expect(page.locator(".row")).to_have_count(1)
    expect(page.locator(".row")).to_contain_text("mine-Sought (1).jpg")
    page.get_by_label("Part of the name").fill("no such name")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_text("No picture has “no such name” in its name.")).to_be_visible()


def test_a_result_is_deleted_and_a_waiting_task_cancelled_from_the_list(
    page: Page, service: Service, picture: Draw
) -> None:
    service.wait_for(service.upload(picture("mine-deleted.jpg")).json()["task_id"])
    page.goto("/mine?search=mine-deleted")
    page.get_by_role("button", name="Delete mine-deleted.jpg").click()
    expect(page.locator(".row")).to_have_count(0)
    page.wait_for_url("**/mine?search=mine-deleted")
    with stopped_worker(service):
        service.upload(picture("mine-cancelled.jpg"))
        page.goto("/mine?search=mine-cancelled")
        page.get_by_role("button", name="Cancel mine-cancelled.jpg").click()
        expect(page.locator(".row")).to_contain_text("Cancelled")


def test_long_lists_come_in_pages(page: Page, service: Service, picture: Draw) -> None:
    data = picture("mine-paged.png", (8, 8)).read_bytes()
    for number in range(26):
        service.upload_bytes(data, f"mine-paged-{number:02}.png").raise_for_status()
    page.goto("/mine?search=mine-paged-")
    expect(page.locator(".row")).to_have_count(24)
    page.get_by_role("link", name="Older").click()
    expect(page.locator(".row-name")).to_have_text(["mine-paged-01.png", "mine-paged-00.png"])
    page.get_by_role("link", name="Newest").click()
    expect(page.locator(".row-name").first).to_have_text("mine-paged-25.png")
