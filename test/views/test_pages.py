"""The pages as a person meets them: a real Chromium, the whole service behind it, real pictures."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import requests
from live_service import Service
from PIL import Image
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Request, Response, expect, sync_playwright

from utils.errors import ServiceError

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
DESKTOP = {"width": 1200, "height": 900}
PHONE = {"width": 360, "height": 740}
PATIENCE = 60_000.0  # ms

# What the browser itself notes of a 4xx, and of an address that does not answer, is no fault of the page.
BROWSERS_OWN_NOTE = "Failed to load resource"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A Chromium with a profile of its own, for the tests of this file."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("there is no chromium on the PATH; CI installs it")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, service: Service) -> Iterator[Page]:
    """A tab of a visitor who was never here before. Whatever a script complains of fails the test."""
    context = browser.new_context(viewport=DESKTOP, base_url=service.url)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    complaints = _gather_complaints(page, service.url)
    yield page
    context.close()
    assert complaints == []


def _gather_complaints(page: Page, address: str) -> list[str]:
    complaints: list[str] = []

    def on_console(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(BROWSERS_OWN_NOTE):
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
    return complaints


def _copy(source: Path, folder: Path, name: str) -> Path:
    return shutil.copy(source, folder / name)


def _upload(page: Page, *pictures: Path) -> None:
    page.locator("#files").set_input_files(list(pictures))


def _card(page: Page, name: str) -> Locator:
    heading = page.get_by_role("heading", name=name, exact=True)
    return page.get_by_role("listitem").filter(has=heading).first


@contextmanager
def _stopped_worker(service: Service) -> Iterator[None]:
    """Let every task wait, as it does behind many others."""
    worker = psutil.Process(service.stack.worker.process.pid)
    processes = [worker, *worker.children(recursive=True)]
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            process.resume()


# --- One picture --------------------------------------------------------------------------------


def test_a_picture_is_uploaded_made_compared_and_downloaded(page: Page, shared: Path, tmp_path: Path) -> None:
    page.goto("/")
    _upload(page, _copy(shared / "images/ADE_val_00000114.jpg", tmp_path, "pages-beach.jpg"))
    card = _card(page, "pages-beach.jpg")
    expect(card).to_contain_text("256 × 256 → 1024 × 1024 · JPEG")
    expect(page.get_by_role("status").last).to_contain_text("pages-beach.jpg: Done")

    expect(card.get_by_alt_text("pages-beach.jpg, upscaled")).to_be_visible()
    assert card.get_by_alt_text("pages-beach.jpg, upscaled").evaluate("image => image.naturalWidth") == 1024
    assert card.get_by_alt_text("pages-beach.jpg, as it was").evaluate("image => image.naturalWidth") == 256

    with page.expect_download() as download:
        card.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "pages-beach.jpg"
    with Image.open(download.value.path()) as image:
        assert image.size == (1024, 1024)


def test_the_line_between_before_and_after_moves_by_keyboard(page: Page, shared: Path, tmp_path: Path) -> None:
    page.goto("/")
    _upload(page, _copy(shared / "images/0014.jpg", tmp_path, "pages-line.jpg"))
    line = page.get_by_role("slider", name="Line between before and after of pages-line.jpg")
    before = page.get_by_alt_text("pages-line.jpg, as it was")
    clipped_in_the_middle = before.evaluate("image => getComputedStyle(image).clipPath")
    line.press("Home")
    expect(line).to_have_attribute("aria-valuetext", "0 % original")
    assert before.evaluate("image => getComputedStyle(image).clipPath") != clipped_in_the_middle


def test_actual_pixels_shows_the_result_at_its_own_size(page: Page, shared: Path, tmp_path: Path) -> None:
    page.goto("/")
    _upload(page, _copy(shared / "images/children-alpha.png", tmp_path, "pages-zoom.png"))
    after = page.get_by_alt_text("pages-zoom.png, upscaled")
    expect(after).to_be_visible()
    assert after.evaluate("image => image.clientWidth") < DESKTOP["width"]
    page.get_by_role("button", name="Actual pixels").click()
    assert after.evaluate("image => image.clientWidth") == 4 * 566


def test_options_go_with_the_upload_and_into_the_command(page: Page, shared: Path, tmp_path: Path) -> None:
    page.goto("/")
    page.get_by_text("Options", exact=True).click()
    page.get_by_label("Enlargement").select_option("2")
    page.get_by_label("File format").select_option("webp")
    expect(page.locator("#curl")).to_contain_text("-F scale=2 -F format=webp")
    _upload(page, _copy(shared / "images/0014.jpg", tmp_path, "pages-options.jpg"))
    expect(_card(page, "pages-options.jpg")).to_contain_text("179 × 179 → 358 × 358 · WEBP")


def test_denoise_is_offered_for_models_that_have_it(page: Page) -> None:
    page.goto("/")
    page.get_by_text("Options", exact=True).click()
    expect(page.get_by_label("Denoise")).to_be_hidden()
    page.get_by_label("Model").select_option("realesr-general-x4v3")
    expect(page.get_by_label("Denoise")).to_be_visible()


# --- Ways in ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_a_picture_can_be_dropped_and_pasted(page: Page, shared: Path, kind: str) -> None:
    page.goto("/")
    page.evaluate(
        """([kind, name, bytes]) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(bytes)], name));
            const Kind = kind === "drop" ? DragEvent : ClipboardEvent;
            document.body.dispatchEvent(new Kind(kind, {
                bubbles: true, cancelable: true, dataTransfer: transfer, clipboardData: transfer,
            }));
        }""",
        [kind, f"pages-{kind}.jpg", list((shared / "images/0014.jpg").read_bytes())],
    )
    expect(_card(page, f"pages-{kind}.jpg")).to_contain_text("716 × 716")


def test_several_pictures_get_a_card_each(page: Page, shared: Path, tmp_path: Path) -> None:
    page.goto("/")
    names = ["pages-one.jpg", "pages-two.jpg", "pages-three.jpg"]
    _upload(page, *[_copy(shared / "images/0014.jpg", tmp_path, name) for name in names])
    for name in names:
        expect(_card(page, name)).to_contain_text("716 × 716")
    expect(page.get_by_role("heading", level=3)).to_have_text(names)


# --- What can go wrong --------------------------------------------------------------------------


def test_a_bad_file_is_answered_with_the_problems_sentence(page: Page, tmp_path: Path) -> None:
    page.goto("/")
    (tmp_path / "pages-notes.png").write_text("These are notes.")
    _upload(page, tmp_path / "pages-notes.png")
    card = _card(page, "pages-notes.png")
    expect(card).to_contain_text("Only PNG and JPEG pictures are accepted.")
    expect(card).to_contain_text("The file's content is neither a PNG nor a JPEG.")
    expect(card.get_by_role("button", name="Try again")).to_be_hidden()


def test_a_wrong_extension_can_be_mended(page: Page, shared: Path, tmp_path: Path) -> None:
    page.goto("/")
    _upload(page, _copy(shared / "images/0014.jpg", tmp_path, "pages-misnamed.png"))
    page.get_by_role("button", name="Upload as “pages-misnamed.jpg”").click()
    expect(_card(page, "pages-misnamed.jpg")).to_contain_text("716 × 716")


def test_a_file_that_is_too_large_is_not_sent(page: Page, service: Service, tmp_path: Path) -> None:
    page.goto("/")
    with (tmp_path / "pages-large.png").open("wb") as file:
        file.truncate(service.stack.settings.max_upload_bytes + 1)
    posts: list[str] = []
    page.on("request", lambda request: posts.append(request.url) if request.method == "POST" else None)
    _upload(page, tmp_path / "pages-large.png")
    expect(_card(page, "pages-large.png")).to_contain_text("50.0 MiB are allowed")
    assert posts == []


def test_a_picture_uploaded_before_shows_its_result_and_says_so(page: Page, shared: Path, tmp_path: Path) -> None:
    page.goto("/")
    picture = _copy(shared / "images/0014.jpg", tmp_path, "pages-again.jpg")
    _upload(page, picture)
    expect(_card(page, "pages-again.jpg")).to_contain_text("Done")
    _upload(page, picture)
    expect(_card(page, "pages-again.jpg")).to_contain_text("This picture had been uploaded before.")
    expect(_card(page, "pages-again.jpg").get_by_role("link", name="Download")).to_be_visible()
    expect(page.get_by_role("heading", name="pages-again.jpg")).to_have_count(1)


def test_other_options_for_a_finished_picture_can_replace_it(page: Page, shared: Path, tmp_path: Path) -> None:
    page.goto("/")
    picture = _copy(shared / "images/0014.jpg", tmp_path, "pages-replaced.jpg")
    _upload(page, picture)
    card = _card(page, "pages-replaced.jpg")
    expect(card).to_contain_text("716 × 716")
    page.get_by_text("Options", exact=True).click()
    page.get_by_label("Enlargement").select_option("3")
    _upload(page, picture)
    expect(card).to_contain_text("uploaded before, with other options")
    card.get_by_role("button", name="Replace that result").click()
    expect(card).to_contain_text("537 × 537")


def test_a_name_of_another_picture_can_be_changed(page: Page, shared: Path, tmp_path: Path) -> None:
    page.goto("/")
    _upload(page, _copy(shared / "images/0014.jpg", tmp_path, "pages-taken.jpg"))
    expect(_card(page, "pages-taken.jpg")).to_contain_text("Done")
    _upload(page, _copy(shared / "images/ADE_val_00000114.jpg", tmp_path, "pages-taken.jpg"))
    expect(_card(page, "pages-taken.jpg")).to_contain_text("The name pages-taken.jpg belongs to another picture.")
    page.get_by_role("button", name="Upload as “pages-taken (2).jpg”").click()
    expect(_card(page, "pages-taken (2).jpg")).to_contain_text("1024 × 1024")


def test_a_waiting_task_can_be_cancelled(page: Page, service: Service, shared: Path, tmp_path: Path) -> None:
    page.goto("/")
    with Image.open(shared / "images/00017_gray.png") as image:
        image.rotate(180).save(tmp_path / "pages-waiting.png")  # else the result of the other is given out at once
    with _stopped_worker(service):
        _upload(page, tmp_path / "pages-waiting.png")
        card = _card(page, "pages-waiting.png")
        expect(card).to_contain_text("in the queue")
        expect(card.get_by_role("progressbar")).to_be_visible()
        card.get_by_role("button", name="Cancel").click()
        expect(card).to_contain_text("The task was cancelled.")


def test_the_page_goes_on_trying_while_the_service_is_away(page: Page, shared: Path, tmp_path: Path) -> None:
    page.goto("/")
    page.context.set_offline(True)
    _upload(page, _copy(shared / "images/0014.jpg", tmp_path, "pages-offline.jpg"))
    expect(page.get_by_text("The service is not available.")).to_be_visible()
    page.context.set_offline(False)
    expect(_card(page, "pages-offline.jpg")).to_contain_text("716 × 716")
    expect(page.get_by_text("The service is not available.")).to_be_hidden()


# --- Between visits -----------------------------------------------------------------------------


def test_a_reload_keeps_the_tasks_and_what_to_compare(page: Page, shared: Path, tmp_path: Path) -> None:
    page.goto("/")
    _upload(page, _copy(shared / "images/0014.jpg", tmp_path, "pages-kept.jpg"))
    expect(_card(page, "pages-kept.jpg")).to_contain_text("Done")
    page.reload()
    page.get_by_role("button", name="Compare pages-kept.jpg").click()
    expect(page.get_by_alt_text("pages-kept.jpg, as it was")).to_be_visible()


def test_a_removed_card_stays_away(page: Page, shared: Path, tmp_path: Path) -> None:
    page.goto("/")
    _upload(page, _copy(shared / "images/0014.jpg", tmp_path, "pages-removed.jpg"))
    expect(_card(page, "pages-removed.jpg")).to_contain_text("Done")
    page.get_by_role("button", name="Remove pages-removed.jpg from this page").click()
    expect(page.locator("#files")).to_be_focused()
    page.reload()
    expect(page.get_by_role("heading", name="Make pictures larger")).to_be_visible()
    expect(page.get_by_role("heading", name="pages-removed.jpg")).to_have_count(0)


# --- The pages themselves -----------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/docs", "/docs/errors", "/nowhere"])
def test_no_page_scrolls_sideways_on_a_phone(page: Page, path: str) -> None:
    page.set_viewport_size(PHONE)
    page.goto(path)
    assert page.evaluate("() => document.documentElement.scrollWidth") <= PHONE["width"]


def test_without_scripts_the_page_names_the_command(browser: Browser, service: Service) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(service.url)
    expect(page.locator("noscript .notice")).to_contain_text(f"curl -F image=@photo.jpg {service.url}/upscale")
    context.close()


def test_the_limits_and_the_address_are_shown(page: Page, service: Service) -> None:
    page.goto("/")
    expect(page.locator("#limits")).to_contain_text("up to 50 MiB and 25 megapixels; results up to 200 megapixels")
    expect(page.locator("#curl")).to_have_text(f"curl -F image=@photo.jpg {service.url}/upscale")


def test_a_browser_gets_a_page_for_an_unknown_address(page: Page) -> None:
    page.goto("/nowhere")
    expect(page.get_by_role("heading", level=1)).to_have_text("There is nothing here")
    expect(page.get_by_text("There is nothing at /nowhere.")).to_be_visible()
    page.get_by_role("link", name="route_not_found").click()
    expect(page.locator("#route_not_found")).to_be_in_viewport()


def test_every_error_code_is_explained(service: Service) -> None:
    html = service.get("/docs/errors").text
    for kind in (ServiceError, *ServiceError.__subclasses__()):
        assert f'<li id="{kind.code}">' in html
        assert kind.title.replace("'", "&#39;") in html


@pytest.mark.parametrize("path", ["/", "/docs", "/docs/errors", "/nowhere"])
def test_pages_load_nothing_foreign_and_hold_no_inline_code(service: Service, path: str) -> None:
    response = service.get(path, headers={"Accept": "text/html"})
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", response.text)
    links = re.findall(r'(?:src|href)="([^"]*)"', response.text)
    assert [link for link in links if not link.startswith(("/", "#"))] == []
