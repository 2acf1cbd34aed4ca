"""Make the screenshots in README.md: the result page at a desk, the start page on a phone in the dark.

python -m tools.page_screenshots photo.jpg docs/images
"""

from __future__ import annotations

import argparse
import io
import shutil
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

DESK = {"viewport": {"width": 1120, "height": 860}, "locale": "en-GB"}
PHONE = {
    "viewport": {"width": 390, "height": 860},
    "locale": "en-GB",
    "color_scheme": "dark",
    "is_mobile": True,
    "has_touch": True,
    "device_scale_factor": 2,
}
QUALITY = 82  # of WebP; text stays crisp


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo", type=Path, help="what to send")
    parser.add_argument("folder", type=Path, help="where to put the screenshots")
    parser.add_argument("--url", default="http://127.0.0.1:5000", help="the running service (default: %(default)s)")
    options = parser.parse_args()

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--headless", "--no-sandbox", "--disable-gpu"]
        )
        save(result_page(browser, options.url, options.photo), options.folder / "page-result.webp")
        save(start_page(browser, options.url), options.folder / "page-start.webp")
        browser.close()


def result_page(browser: Browser, url: str, photo: Path) -> Page:
    """The page of the finished photo, with the line between before and after in the middle."""
    page = browser.new_context(base_url=url, **DESK).new_page()
    page.goto("/")
    page.locator("#on-conflict").evaluate("select => { select.value = 'replace'; }")
    page.locator("#image").set_input_files(photo)
    page.locator("[data-page=result]").wait_for(timeout=120_000)
    page.wait_for_load_state("networkidle")
    return page


def start_page(browser: Browser, url: str) -> Page:
    page = browser.new_context(base_url=url, **PHONE).new_page()
    page.goto("/")
    page.wait_for_load_state("networkidle")
    return page


def save(page: Page, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(io.BytesIO(page.screenshot())) as image:
        image.convert("RGB").save(target, quality=QUALITY, method=6)


if __name__ == "__main__":
    main()
