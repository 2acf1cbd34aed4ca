"""The start page: ways in, what is told before uploading, names that exist, trouble on the way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest
from breakage import stopped_worker
from live_service import Service
from PIL import Image
from playwright.sync_api import Page, expect
from visits import BATCH_PAGE, TASK_PAGE, choose, draw, send

Draw = Callable[..., Path]


# --- Ways in ------------------------------------------------------------------------------------


def test_one_chosen_picture_goes_off_at_once_and_ends_as_a_result(page: Page, picture: Draw) -> None:
    send(page, picture("start-chosen.jpg"))
    expect(page.get_by_role("heading", level=1)).to_have_text("start-chosen.jpg")
    expect(page.get_by_role("table")).to_contain_text("256 × 192")


@pytest.mark.parametrize("way", ["drop", "paste"])
def test_a_picture_can_be_dropped_and_pasted(page: Page, picture: Draw, way: str) -> None:
    page.goto("/")
    page.evaluate(
        """([way, name, bytes]) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(bytes)], name, { type: "image/png" }));
            const Kind = way === "drop" ? DragEvent : ClipboardEvent;
            document.body.dispatchEvent(new Kind(way, {
                bubbles: true, cancelable: true, dataTransfer: transfer, clipboardData: transfer,
            }));
        }""",
        [way, f"start-{way}.png", list(picture(f"start-{way}.png").read_bytes())],
    )
    page.wait_for_url(TASK_PAGE)
    expect(page.get_by_role("heading", level=1)).to_have_text(f"start-{way}.png")


def test_several_pictures_go_off_as_a_batch(page: Page, picture: Draw) -> None:
    page.goto("/")
    choose(page, picture("start-one.jpg"), picture("start-two.jpg"))
    page.wait_for_url(BATCH_PAGE)
    expect(page.get_by_role("heading", level=1)).to_have_text("2 pictures")


def test_without_start_at_once_pictures_are_gathered_and_can_be_removed(page: Page, picture: Draw) -> None:
    page.goto("/")
    page.get_by_label("Start at once").uncheck()
    choose(page, picture("start-first.jpg"))
    choose(page, picture("start-second.jpg"))
    expect(page.get_by_role("button", name="Make 2 pictures larger")).to_be_enabled()
    page.get_by_role("button", name="Remove start-first.jpg").click()
    page.get_by_role("button", name="Make larger").click()
    page.wait_for_url(TASK_PAGE)
    expect(page.get_by_role("heading", level=1)).to_have_text("start-second.jpg")


def test_whether_to_start_at_once_is_remembered(page: Page) -> None:
    page.goto("/")
    page.get_by_label("Start at once").uncheck()
    page.reload()
    expect(page.get_by_label("Start at once")).not_to_be_checked()


# --- What is told before ------------------------------------------------------------------------


def test_the_preview_tells_what_a_picture_will_become(page: Page, picture: Draw) -> None:
    page.goto("/")
    page.get_by_label("Start at once").uncheck()
    choose(page, picture("start-preview.png", (50, 40)))
    expect(page.locator(".chosen-picture")).to_contain_text("50 × 40 → 200 × 160")
    expect(page.locator(".chosen-picture img")).to_have_js_property("naturalWidth", 50)
    page.get_by_label("Enlargement").select_option("2")
    expect(page.locator(".chosen-picture")).to_contain_text("50 × 40 → 100 × 80")


def test_the_limits_are_told_before_anything_is_sent(page: Page) -> None:
    page.goto("/")
    expect(page.locator("#limits")).to_have_text(
        "PNG or JPEG, up to 50 MiB and 25 megapixels; results up to 200 megapixels"
    )


def test_what_cannot_be_sent_is_said_and_stays_here(page: Page, service: Service, tmp_path: Path) -> None:
    page.goto("/")
    posts: list[str] = []
    page.on("request", lambda request: posts.append(request.url) if request.method == "POST" else None)
    with (tmp_path / "start-large.png").open("wb") as file:
        file.truncate(service.stack.settings.max_upload_bytes + 1)
    choose(page, tmp_path / "start-large.png")
    expect(page.locator(".chosen-picture")).to_contain_text("It is too large: 50 MiB, and 50 MiB are possible.")
    page.get_by_role("button", name="Remove start-large.png").click()
    (tmp_path / "start-notes.png").write_text("These are notes.")
    choose(page, tmp_path / "start-notes.png")
    expect(page.locator(".chosen-picture")).to_contain_text("It is neither a PNG nor a JPEG.")
    expect(page.get_by_role("button", name="Make larger")).to_be_disabled()
    assert posts == []


def test_a_result_that_would_be_too_large_is_said_until_a_smaller_one_is_chosen(page: Page, picture: Draw) -> None:
    page.goto("/")
    page.get_by_label("Enlargement").select_option("8")
    choose(page, picture("start-huge.jpg", (2000, 1600)))
    expect(page.locator(".chosen-picture")).to_contain_text("The result would be too large: 204.8 million pixels")
    page.get_by_label("Start at once").uncheck()
    page.get_by_label("Enlargement").select_option("2")
    expect(page.get_by_role("button", name="Make larger")).to_be_enabled()


def test_a_name_that_cannot_be_kept_is_mended(page: Page, picture: Draw) -> None:
    misnamed = picture("start-misnamed.jpg")
    misnamed = misnamed.rename(misnamed.with_name("start:misnamed.png"))
    page.goto("/")
    page.get_by_label("Start at once").uncheck()
    choose(page, misnamed)
    expect(page.locator(".chosen-picture")).to_contain_text("It will be called start_misnamed.jpg.")
    page.get_by_role("button", name="Make larger").click()
    page.wait_for_url(TASK_PAGE)
    expect(page.get_by_role("heading", level=1)).to_have_text("start_misnamed.jpg")


def test_options_go_with_the_picture(page: Page, picture: Draw) -> None:
    page.goto("/")
    page.get_by_role("radio", name="Faithful").check()
    page.get_by_label("Enlargement").select_option("2")
    page.get_by_text("More options").click()
    page.get_by_label("File format").select_option("webp")
    choose(page, picture("start-options.jpg"))
    page.wait_for_url(TASK_PAGE)
    expect(page.get_by_role("table")).to_contain_text("128 × 96")
    expect(page.get_by_role("table")).to_contain_text("WEBP")
    expect(page.get_by_text("Made with “Faithful”")).to_be_visible()


# --- A name that exists -------------------------------------------------------------------------


@pytest.fixture
def taken_name(page: Page, picture: Draw) -> Path:
    """A picture whose name another one has, chosen on the start page."""
    first = picture(f"start-taken-{uuid4()}.jpg")
    send(page, first)
    page.goto("/")
    choose(page, draw(first, (32, 32)))
    expect(page.get_by_role("heading", name="The name exists already")).to_be_focused()
    return first


def test_both_pictures_of_a_name_are_shown(page: Page, taken_name: Path) -> None:
    expect(page.locator(".conflict-pair img.earlier")).to_have_js_property("naturalWidth", 256)
    expect(page.locator(".conflict-pair img.now")).to_have_js_property("naturalWidth", 32)


def test_a_picture_that_is_not_made_yet_is_shown_as_it_was_sent(page: Page, service: Service, picture: Draw) -> None:
    first = picture("start-unfinished.jpg")
    with stopped_worker(service):
        service.upload(first)
        page.goto("/")
        choose(page, draw(first, (32, 32)))
        expect(page.locator(".conflict-pair img.earlier")).to_have_js_property("naturalWidth", 64)
        page.get_by_role("button", name="Show the earlier one").click()
        page.wait_for_url(TASK_PAGE)


def test_both_can_be_kept(page: Page, taken_name: Path) -> None:
    page.get_by_role("button", name="Keep both").click()
    page.wait_for_url(TASK_PAGE)
    expect(page.get_by_role("heading", level=1)).to_have_text(f"{taken_name.stem} (2).jpg")


def test_the_earlier_one_can_be_replaced(page: Page, taken_name: Path) -> None:
    page.get_by_role("button", name="Replace the earlier one").click()
    page.wait_for_url(TASK_PAGE)
    expect(page.get_by_role("heading", level=1)).to_have_text(taken_name.name)
    expect(page.get_by_role("table")).to_contain_text("128 × 128")


def test_the_earlier_one_can_be_shown(page: Page, taken_name: Path) -> None:
    page.get_by_role("button", name="Show the earlier one").click()
    page.wait_for_url(TASK_PAGE)
    expect(page.get_by_role("table")).to_contain_text("256 × 192")


def test_nothing_need_be_done(page: Page, taken_name: Path) -> None:
    page.get_by_role("button", name="Do nothing").click()
    expect(page.get_by_role("heading", name="The name exists already")).to_be_hidden()
    expect(page.get_by_role("button", name="Make larger")).to_be_enabled()


def test_the_same_picture_again_shows_its_result_without_a_question(page: Page, picture: Draw) -> None:
    same = picture("start-same.jpg")
    send(page, same)
    send(page, same)
    expect(page.get_by_text("This picture had been made before.")).to_be_visible()


# --- Trouble ------------------------------------------------------------------------------------


def test_the_page_goes_on_trying_while_the_service_is_away(page: Page, picture: Draw) -> None:
    page.goto("/")
    page.context.set_offline(True)
    choose(page, picture("start-offline.jpg"))
    expect(page.get_by_role("alert")).to_contain_text("The service does not answer.")
    page.context.set_offline(False)
    page.wait_for_url(TASK_PAGE)


def test_an_upload_can_be_stopped(page: Page, picture: Draw) -> None:
    page.goto("/")
    page.context.set_offline(True)
    choose(page, picture("start-stopped.jpg"))
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.get_by_role("button", name="Make larger")).to_be_enabled()
    expect(page.locator("#sending")).to_be_hidden()


def test_what_the_service_refuses_is_said_in_its_words(page: Page, tmp_path: Path) -> None:
    page.goto("/")
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "start-animated.png", save_all=True, append_images=frames[1:])
    choose(page, tmp_path / "start-animated.png")
    expect(page.get_by_role("alert")).to_contain_text("Animated pictures are not accepted.")
