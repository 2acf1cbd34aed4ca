"""The main job, as a client sees it: upload, follow, fetch. The first five tests are the user's own."""

from __future__ import annotations

import io
import uuid
from pathlib import Path

import pytest
from live_service import FINAL, Service, wait_until
from PIL import Image, ImageChops, ImageStat


@pytest.fixture
def name() -> str:
    """A file name that no other test uses."""
    return f"{uuid.uuid4().hex[:12]}.jpg"


def test_not_found_task(service: Service) -> None:
    answer = service.get(f"/tasks/{uuid.uuid4()}")
    assert answer.status_code == 404
    assert answer.json()["code"] == "unknown_task"


def test_task_without_file(service: Service) -> None:
    answer = service.upload_bytes(b"", "")
    assert answer.status_code == 400
    assert answer.json()["code"] == "missing_image"


def test_task_with_bad_file(service: Service) -> None:
    answer = service.upload_bytes(b"This is no picture.", "notes.txt")
    assert answer.status_code == 415
    assert answer.json()["code"] == "unsupported_format"


def test_with_new_file(service: Service, shared: Path, name: str) -> None:
    answer = service.upload(shared / "images" / "0014.jpg", name)
    assert answer.status_code == 202
    task = answer.json()
    assert answer.headers["Location"] == f"/tasks/{task['task_id']}"
    assert int(answer.headers["Retry-After"]) >= 1
    assert task["status"] == "PENDING"

    ended = service.wait_for(task["task_id"])
    assert ended["status"] == "SUCCESS", ended["error"]
    assert ended["progress"] == 1

    picture = service.get(ended["links"]["result"])
    assert picture.status_code == 200
    assert picture.headers["Content-Type"] == "image/jpeg"
    with Image.open(io.BytesIO(picture.content)) as image:
        assert (image.format, image.size) == ("JPEG", (4 * 179, 4 * 179))


def test_with_file_in_db(service: Service, shared: Path, name: str) -> None:
    first = service.upload(shared / "images" / "0014.jpg", name).json()
    service.wait_for(first["task_id"])

    again = service.upload(shared / "images" / "0014.jpg", name)
    assert again.status_code == 200
    answer = again.json()
    assert answer["status"] == "SUCCESS"
    assert answer["duplicate"] is True
    assert answer["task_id"] == first["task_id"]
    assert answer["same_image"] is True
    assert answer["same_request"] is True
    assert service.get(answer["links"]["result"]).status_code == 200


def test_a_task_is_seen_to_start_and_to_progress(service: Service, shared: Path, name: str) -> None:
    large = io.BytesIO()
    with Image.open(shared / "images" / "0014.jpg") as image:
        image.resize((3500, 3500)).save(large, "JPEG")
    task_id = service.upload_bytes(large.getvalue(), name).json()["task_id"]
    seen: list[tuple[str, float]] = []

    def look() -> bool:
        task = service.get(f"/tasks/{task_id}").json()
        seen.append((task["status"], task["progress"]))
        return task["status"] in FINAL

    wait_until(look, timeout=300, interval=0.05)
    statuses = list(dict.fromkeys(status for status, _ in seen))
    assert statuses[-2:] == ["STARTED", "SUCCESS"]
    progress = [share for _, share in seen]
    assert progress == sorted(progress)
    assert any(0 < share < 1 for share in progress)


@pytest.mark.parametrize(
    ("file", "mode", "size"),
    [
        ("00017_gray.png", "L", (2000, 1404)),
        ("children-alpha.png", "RGBA", (2264, 1400)),
        ("tree_alpha_16bit.png", "RGBA;16", None),
    ],
)
def test_a_png_stays_a_png_with_its_grey_alpha_and_depth(
    service: Service, shared: Path, file: str, mode: str, size: tuple[int, int] | None
) -> None:
    answer = service.upload(shared / "images" / file, f"{uuid.uuid4().hex[:8]}-{file}").json()
    ended = service.wait_for(answer["task_id"])
    assert ended["status"] == "SUCCESS", ended["error"]
    assert ended["result"]["mode"] == mode
    picture = service.get(ended["links"]["result"])
    assert picture.headers["Content-Type"] == "image/png"
    with Image.open(io.BytesIO(picture.content)) as image:
        assert image.format == "PNG"
        assert image.size == (4 * ended["source"]["width"], 4 * ended["source"]["height"])
        if size:
            assert image.size == size
            assert image.mode == mode


def test_the_result_is_the_picture_itself_only_sharper(service: Service, shared: Path, name: str) -> None:
    path = shared / "images" / "ADE_val_00000114.jpg"
    task = service.wait_for(service.upload(path, name).json()["task_id"])
    with Image.open(io.BytesIO(service.get(task["links"]["result"]).content)) as result, Image.open(path) as source:
        shrunk = result.convert("RGB").resize(source.size, Image.Resampling.BOX)
        difference = ImageStat.Stat(ImageChops.difference(shrunk, source.convert("RGB")))
    assert max(difference.mean) < 8


def test_the_form_decides_size_and_format(service: Service, shared: Path, name: str) -> None:
    wishes = {"scale": "2.5", "format": "webp", "quality": "80"}
    answer = service.upload(shared / "images" / "0014.jpg", name, **wishes).json()
    task = service.wait_for(answer["task_id"])
    assert task["status"] == "SUCCESS", task["error"]
    assert (task["result"]["width"], task["result"]["format"]) == (448, "WEBP")
    picture = service.get(task["links"]["result"])
    assert picture.headers["Content-Type"] == "image/webp"
    assert f'filename="{name.removesuffix(".jpg")}.webp"' in picture.headers["Content-Disposition"]
