"""Several pictures at once: a grid, their total progress, one ZIP."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import requests
from breakage import stopped_worker
from live_service import Service
from playwright.sync_api import Page, expect
from visits import BATCH_PAGE, choose

Draw = Callable[..., Path]


def test_a_batch_is_followed_to_its_end_and_downloaded_as_one_zip(page: Page, service: Service, picture: Draw) -> None:
    page.goto("/")
    with stopped_worker(service):
        choose(page, picture("batch-one.jpg"), picture("batch-two.png"))
        page.wait_for_url(BATCH_PAGE)
        expect(page.get_by_text("0 of 2 done · 0 %")).to_be_visible()
        expect(page.get_by_role("listitem").filter(has_text="batch-two.png")).to_contain_text("Waiting")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download all as ZIP").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        assert {"batch-one.jpg", "batch-two.png"} <= set(archive.namelist())


def test_each_picture_of_a_batch_leads_to_its_own_page_with_before_and_after(page: Page, picture: Draw) -> None:
    page.goto("/")
    choose(page, picture("batch-first.jpg"), picture("batch-other.jpg"))
    page.wait_for_url(BATCH_PAGE)
    expect(page.get_by_role("link", name="Download all as ZIP")).to_be_visible()
    page.get_by_role("link", name="batch-other.jpg").click()
    expect(page.get_by_alt_text("batch-other.jpg, as it was")).to_be_visible()


def test_what_was_refused_is_said_in_its_place(page: Page, service: Service, picture: Draw) -> None:
    files = [
        ("image", ("batch-good.jpg", picture("batch-good.jpg").read_bytes())),
        ("image", ("batch-bad.jpg", b"These are notes.")),
    ]
    batch = requests.post(f"{service.url}/upscale", files=files, timeout=60).json()
    page.goto(f"/b/{batch['batch_id']}")
    bad = page.get_by_role("listitem").filter(has_text="batch-bad.jpg")
    expect(bad).to_contain_text("Not taken.")
    expect(bad).to_contain_text("neither a PNG nor a JPEG")
