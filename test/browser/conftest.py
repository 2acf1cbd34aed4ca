"""A real Chromium for the whole session, and visitors in it. Whatever a page complains of fails the test."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests
from live_service import Service
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, Response, expect, sync_playwright
from visits import DESKTOP, PATIENCE, Visit, draw

CHROMIUM_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

# What the browser itself notes of a 4xx, and of an address that does not answer, is no fault of the page.
BROWSERS_OWN_NOTES = ("Failed to load resource", "WebSocket connection to")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests; each visitor has a profile of its own."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("there is no chromium on the PATH; CI installs it")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Browser, service: Service) -> Iterator[Visit]:
    """Open a tab for somebody who was never here before: `visit(color_scheme="dark")` and the like."""
    complaints: list[str] = []
    with ExitStack() as contexts:

        def open_tab(**traits: Any) -> Page:
            traits = {"viewport": DESKTOP, "locale": "en-GB", "base_url": service.url} | traits
            context = browser.new_context(**traits)
            contexts.callback(context.close)
            page = context.new_page()
            page.set_default_timeout(PATIENCE)
            expect.set_options(timeout=PATIENCE)
            _gather_complaints(page, traits["base_url"], complaints)
            return page

        yield open_tab
    assert complaints == []


@pytest.fixture
def page(visit: Visit) -> Page:
    """The tab of a visitor at a desk."""
    return visit()


@pytest.fixture
def picture(tmp_path: Path) -> Callable[..., Path]:
    """Draw a picture that nobody has sent before: `picture("photo.jpg")`, and with `size` as (width, height)."""
    return lambda name, size=(64, 48): draw(tmp_path / name, size)


def _gather_complaints(page: Page, address: str, complaints: list[str]) -> None:
    def on_console(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(BROWSERS_OWN_NOTES):
            complaints.append(message.text)

    def on_request(request: Request) -> None:
        if not request.url.startswith((address, f"blob:{address}")):
            complaints.append(f"asked for {request.url}")

    def on_response(response: Response) -> None:
        if "/static/" in response.url and response.status >= requests.codes.bad_request:
            complaints.append(f"{response.status} for {response.url}")

    page.on("console", on_console)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", on_request)
    page.on("response", on_response)
