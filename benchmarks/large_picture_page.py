"""How smooth the page of a very large result is: the longest time without a new frame, for each thing to do there.

python -m benchmarks.large_picture_page photo.jpg --url http://127.0.0.1:5000

The photo is stretched to 2,560 pixels a side before it is sent, so that the result has 105 megapixels.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

SIDE = 2560  # px
PATIENCE = 300_000  # ms

WATCH_FRAMES = """() => {
    window.pauses = [];
    let last = performance.now();
    const note = (now) => { pauses.push(now - last); last = now; requestAnimationFrame(note); };
    requestAnimationFrame(note);
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo", type=Path)
    parser.add_argument("--url", default="http://127.0.0.1:5000", help="the running service (default: %(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        large = stretched(options.photo, Path(folder) / "large.jpg")
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--headless", "--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(base_url=options.url, viewport={"width": 1280, "height": 800})
        page.set_default_timeout(PATIENCE)
        open_result(page, large)
        measure(page)
        browser.close()


def stretched(photo: Path, target: Path) -> Path:
    with Image.open(photo) as image:
        image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(target, quality=92)
    return target


def open_result(page: Page, picture: Path) -> None:
    page.goto("/")
    page.locator("#format").evaluate("select => { select.value = 'png'; }")
    page.locator("#on-conflict").evaluate("select => { select.value = 'replace'; }")
    page.locator("#image").set_input_files(picture)
    page.locator("[data-page=result]").wait_for()
    page.reload()
    page.evaluate(WATCH_FRAMES)


def measure(page: Page) -> None:
    page.wait_for_timeout(2000)
    report(page, "shown reduced")
    move_line(page)
    report(page, "the line moved")
    page.get_by_role("button", name="100 %").click()
    page.locator("canvas.in-sight").wait_for()
    page.wait_for_timeout(1000)
    report(page, "fetched, decoded, shown at 100 %")
    for step in range(20):
        page.locator(".viewport").evaluate("(viewport, to) => viewport.scrollTo(to, to)", step * 400)
        page.wait_for_timeout(100)
    report(page, "panned")
    move_line(page)
    report(page, "the line moved, at 100 %")
    page.get_by_role("button", name="200 %").click()
    page.wait_for_timeout(1000)
    report(page, "shown at 200 %")


def move_line(page: Page) -> None:
    for _ in range(20):
        page.get_by_role("slider").press("ArrowLeft")


def report(page: Page, what: str) -> None:
    """Print what was measured since the last report."""
    frames, longest = page.evaluate("() => { const all = pauses.splice(0); return [all.length, Math.max(...all)]; }")
    print(f"{what:34} {frames:4} frames, at most {longest:4.0f} ms between two")


if __name__ == "__main__":
    main()
