"""Pictures that are pages and scripts as well: what a real browser makes of what the service serves of them."""

from __future__ import annotations

import io
import uuid

import pytest
from live_service import Service
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from playwright.sync_api import Browser

SCRIPT = "<html><script>document.title='taken over';window.hacked=1</script>"


def polyglot(image_format: str) -> bytes:
    """A picture with a page in its metadata and behind its end."""
    file = io.BytesIO()
    image = Image.effect_noise((40, 40), 80).convert("RGB")
    if image_format == "PNG":
        notes = PngInfo()
        notes.add_text("Comment", SCRIPT)
        image.save(file, "PNG", pnginfo=notes)
    else:
        image.save(file, "JPEG", comment=SCRIPT.encode())
    return file.getvalue() + SCRIPT.encode()


@pytest.fixture(params=["PNG", "JPEG"])
def result(service: Service, request: pytest.FixtureRequest) -> str:
    """The path of what was made of a polyglot, whose name is that of a page as well."""
    name = f"{uuid.uuid4().hex[:12]}.html.{request.param.lower().replace('jpeg', 'jpg')}"
    data = polyglot(request.param)
    assert SCRIPT.encode() in data
    task = service.wait_for(service.upload_bytes(data, name).json()["task_id"])
    assert task["status"] == "SUCCESS", task["error"]
    return str(task["links"]["result"])


def test_nothing_of_the_page_is_in_the_result(service: Service, result: str) -> None:
    assert b"<script" not in service.get(result).content


def test_every_answer_forbids_to_be_more_than_it_is(service: Service, result: str) -> None:
    for path in (result, f"{result}/thumbnail", f"{result}/metadata", "/tasks", "/models", "/nowhere", "/metrics"):
        headers = service.get(path).headers
        assert headers["X-Content-Type-Options"] == "nosniff", path
        assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'; sandbox", path
    answer = service.get(result)
    assert answer.headers["Content-Type"] in ("image/png", "image/jpeg")
    assert answer.headers["Content-Disposition"].startswith("attachment; filename=")


def test_a_browser_saves_a_result_and_does_not_show_it_as_a_page(
    browser: Browser, service: Service, result: str
) -> None:
    with browser.new_context(base_url=service.url) as context:
        page = context.new_page()
        page.goto("/")
        with page.expect_download() as download:
            page.evaluate("path => { location.href = path }", result)
        assert download.value.suggested_filename.endswith((".png", ".jpg"))
        assert page.evaluate("window.hacked") is None


def test_a_browser_does_not_run_a_result_as_a_script(browser: Browser, service: Service, result: str) -> None:
    with browser.new_context(base_url=service.url) as context:
        page = context.new_page()
        page.goto("/")
        outcome = page.evaluate(
            """path => new Promise(resolve => {
                const script = document.createElement("script");
                script.src = path;
                script.onload = () => resolve("run");
                script.onerror = () => resolve("refused");
                document.head.append(script);
            })""",
            result,
        )
        assert outcome == "refused"
        assert page.evaluate("window.hacked") is None
