"""A picture's page: waiting, being made, cancelled, and its result."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from breakage import stopped_worker
from live_service import Service
from PIL import Image
from playwright.sync_api import Page, expect
from visits import TASK_PAGE, Visit, choose, send

Draw = Callable[..., Path]


# --- Waiting ------------------------------------------------------------------------------------


def test_a_waiting_picture_shows_its_place_and_then_its_result_by_itself(
    visit: Visit, page: Page, service: Service, picture: Draw
) -> None:
    page.goto("/")
    with stopped_worker(service):
        choose(page, picture("task-waiting.jpg"))
        page.wait_for_url(TASK_PAGE)
        expect(page.locator(".waiting-words")).to_contain_text("in the queue")
        expect(page.locator("#emerging")).to_be_visible()
        expect(page).to_have_title("Waiting · task-waiting.jpg · Image upscaler")
        other = visit()
        other.goto(page.url)
        expect(other.locator("#emerging")).to_be_visible()
    expect(page.locator("[data-page=result]")).to_be_visible()


def test_progress_is_told_in_the_bar_the_words_the_title_and_the_picture(
    page: Page, service: Service, picture: Draw
) -> None:
    page.goto("/")
    page.get_by_role("radio", name="Faithful").check()
    page.get_by_label("Enlargement").select_option("8")
    choose(page, picture("task-progress.png", (1400, 1400)))
    page.wait_for_url(TASK_PAGE)
    expect(page.locator("progress[value]")).to_be_attached()
    task = page.locator("[data-task]").get_attribute("data-task")
    page.wait_for_function(
        """() => {
            const bar = document.querySelector("progress[value]");
            const shown = bar && `${Math.floor(bar.value * 100)} %`;
            return shown && bar.value > 0 && document.title.startsWith(shown)
                && document.querySelector(".waiting-words").textContent.includes(shown)
                && Number(document.getElementById("emerging").style.getPropertyValue("--done")) === bar.value;
        }"""
    )
    service.delete(f"/tasks/{task}")


def test_a_waiting_picture_can_be_cancelled(page: Page, service: Service, picture: Draw) -> None:
    page.goto("/")
    with stopped_worker(service):
        choose(page, picture("task-cancelled.jpg"))
        page.wait_for_url(TASK_PAGE)
        page.get_by_role("button", name="Cancel").click()
        expect(page.get_by_text("The task was cancelled.")).to_be_visible()


def test_without_event_streams_the_page_asks_every_few_seconds(page: Page, service: Service, picture: Draw) -> None:
    page.route("**/events", lambda route: route.abort())
    page.goto("/")
    with stopped_worker(service):
        choose(page, picture("task-polled.jpg"))
        page.wait_for_url(TASK_PAGE)
        expect(page.locator("[data-page=waiting]")).to_be_visible()
    expect(page.locator("[data-page=result]")).to_be_visible()


def test_a_notification_is_offered_and_sent_while_nobody_looks(visit: Visit, service: Service, picture: Draw) -> None:
    page = visit()
    page.add_init_script(
        """
        window.Notification = class {
            static permission = "default";
            static async requestPermission() { return (Notification.permission = "granted"); }
            constructor(title) { sessionStorage.setItem("told", title); }
            addEventListener() {}
        };
        """
    )
    page.goto("/")
    with stopped_worker(service):
        choose(page, picture("task-told.jpg"))
        page.wait_for_url(TASK_PAGE)
        page.get_by_role("button", name="Tell me when it is done").click()
        page.evaluate("Object.defineProperty(document, 'hidden', { value: true })")
    expect(page.locator("[data-page=result]")).to_be_visible()
    assert page.evaluate("sessionStorage.getItem('told')") == "task-told.jpg is done"


# --- The result ---------------------------------------------------------------------------------


def test_before_and_after_are_shown_and_the_line_moves_by_keyboard_and_mouse(page: Page, picture: Draw) -> None:
    send(page, picture("task-line.jpg"))
    before, line = page.get_by_alt_text("task-line.jpg, as it was"), page.get_by_role("slider")
    expect(before).to_be_visible()
    clip = "image => getComputedStyle(image).clipPath"
    middle = before.evaluate(clip)
    line.press("ArrowLeft")
    expect(line).to_have_attribute("aria-valuetext", "50 % before")
    line.press("Home")
    expect(line).to_have_attribute("aria-valuetext", "0 % before")
    assert before.evaluate(clip) != middle
    box = page.locator(".stage").bounding_box()
    assert box
    page.mouse.move(box["x"] + 1, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + box["height"] / 2, steps=5)
    page.mouse.up()
    assert abs(float(line.input_value()) - 75) < 5


def test_zoom_shows_a_pixel_of_the_result_a_pixel_of_the_screen_and_can_be_panned(page: Page, picture: Draw) -> None:
    send(page, picture("task-zoom.jpg", (500, 400)))
    after, viewport = page.get_by_alt_text("task-zoom.jpg, made larger"), page.locator(".viewport")
    page.get_by_role("button", name="100 %").click()
    expect(after).to_have_js_property("naturalWidth", 2000)
    assert after.evaluate("image => image.clientWidth") == 2000
    viewport.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("left => document.querySelector('.viewport').scrollLeft > left", arg=500)
    page.get_by_role("button", name="Whole").click()
    assert after.evaluate("image => image.clientWidth") < 2000


def test_a_large_result_is_shown_reduced_and_its_pixels_when_asked_for(page: Page, picture: Draw) -> None:
    send(page, picture("task-large.jpg", (1100, 1100)))
    after = page.get_by_alt_text("task-large.jpg, made larger")
    expect(after).to_have_js_property("naturalWidth", 1024)
    page.get_by_role("button", name="100 %").click()
    canvas = page.locator("canvas.in-sight")
    expect(canvas).to_be_visible()
    viewport = page.locator(".viewport")
    viewport.evaluate("viewport => viewport.scrollTo(3000, 3000)")
    drawn = """canvas => [...canvas.getContext("2d").getImageData(5, 5, 90, 90).data].some((value) => value > 0)"""
    assert canvas.evaluate(drawn)
    page.get_by_role("button", name="Whole").click()
    expect(canvas).to_be_hidden()


def test_the_result_can_be_downloaded(page: Page, picture: Draw) -> None:
    send(page, picture("task-download.jpg"))
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "task-download.jpg"
    with Image.open(download.value.path()) as image:
        assert image.size == (256, 192)


def test_what_was_kept_is_told(page: Page, service: Service, tmp_path: Path) -> None:
    tags = Image.Exif()
    tags[0x010F] = "Maker"
    Image.new("RGB", (20, 20), "teal").save(tmp_path / "task-kept.jpg", exif=tags, dpi=(300, 300))
    send(page, tmp_path / "task-kept.jpg")
    expect(page.locator(".kept")).to_contain_text("Resolution kept, 300 dpi")
    expect(page.locator(".kept")).to_contain_text("camera tag")


def test_a_picture_can_be_made_again_with_another_model(page: Page, picture: Draw) -> None:
    send(page, picture("task-again.jpg"))
    page.get_by_role("radio", name="Faithful").check()
    page.get_by_role("button", name="Make again").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("task-again (2).jpg")
    expect(page.get_by_text("Made with “Faithful”")).to_be_visible()
    expect(page.get_by_alt_text("task-again (2).jpg, as it was")).to_be_visible()


def test_the_address_is_the_task_also_for_others(page: Page, visit: Visit, picture: Draw) -> None:
    send(page, picture("task-address.jpg"))
    other = visit()
    other.goto(page.url)
    expect(other.get_by_alt_text("task-address.jpg, made larger")).to_be_visible()
    expect(other.get_by_text("This browser does not have the picture as it was")).to_be_visible()
    expect(other.get_by_role("slider")).to_be_hidden()


def test_the_link_can_be_copied(page: Page, picture: Draw) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    send(page, picture("task-copied.jpg"))
    page.get_by_role("button", name="Copy link").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == page.url


def test_a_deleted_result_is_gone(page: Page, picture: Draw) -> None:
    send(page, picture("task-deleted.jpg"))
    address = page.url
    page.get_by_role("button", name="Delete").click()
    page.wait_for_url("**/mine")
    page.goto(address)
    expect(page.get_by_role("heading", level=1)).to_have_text("The picture is gone")


def test_a_failed_task_says_why(page: Page, service: Service, picture: Draw) -> None:
    data = bytearray(picture("task-broken.png", (200, 200)).read_bytes())
    pixels = slice(data.index(b"IDAT") + 1000, data.index(b"IDAT") + 2000)
    data[pixels] = bytes(1000)  # the chunks' lengths stay right: only a decoder notices
    task = service.upload_bytes(bytes(data), "task-broken.png").json()
    service.wait_for(task["task_id"])
    page.goto(f"/t/{task['task_id']}")
    expect(page.get_by_text("The picture could not be made.")).to_be_visible()
    expect(page.get_by_text("The picture cannot be decoded.")).to_be_visible()
