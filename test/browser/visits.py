"""What visitors do on the pages, and the pictures that they bring."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page

Visit = Callable[..., Page]

DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}
PATIENCE = 90_000.0  # ms; the machine may be slow, and shared

TASK_PAGE = re.compile(r"/t/[0-9a-f-]{36}")
BATCH_PAGE = re.compile(r"/b/[0-9a-f-]{36}$")


def draw(path: Path, size: tuple[int, int]) -> Path:
    """Draw a picture of `size` (width, height) that differs from all others, so that no earlier result is reused."""
    with Image.effect_noise(size, 40) as noise:
        colour = Image.new("RGB", size, tuple(secrets.token_bytes(3)))
        Image.blend(noise.convert("RGB"), colour, 0.7).save(path)
    return path


def choose(page: Page, *pictures: Path) -> None:
    """Choose files by the button."""
    page.locator("#image").set_input_files(list(pictures))


def send(page: Page, picture: Path) -> None:
    """Send one picture from the start page, and wait for its result."""
    page.goto("/")
    choose(page, picture)
    page.wait_for_url(TASK_PAGE)
    page.locator("[data-page=result]").wait_for()
