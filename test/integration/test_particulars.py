"""What is told of a picture and how it looks in small, over HTTP."""

from __future__ import annotations

import base64
import io
import uuid
from typing import Any

import pytest
import requests
from live_service import Service
from PIL import ExifTags, Image, ImageCms

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
COMMENT = b"ASCII\0\0\0taken from the bridge"


def photograph(width: int = 300, height: int = 200) -> bytes:
    """A JPEG with all that a camera writes, lying on its side."""
    tags = Image.Exif()
    tags[ExifTags.Base.Make] = "Maker"
    tags[ExifTags.Base.Orientation] = 6
    tags[ExifTags.IFD.Exif] = {
        ExifTags.Base.ExposureTime: 0.004,
        ExifTags.Base.UserComment: COMMENT,
        ExifTags.Base.MakerNote: b"\x00\xffprivate",
    }
    tags[ExifTags.IFD.GPSInfo] = {ExifTags.GPS.GPSLatitudeRef: "N", ExifTags.GPS.GPSLatitude: (48.0, 6.0, 30.5)}
    file = io.BytesIO()
    image = Image.linear_gradient("L").resize((width, height)).convert("RGB")
    image.save(file, "JPEG", exif=tags, icc_profile=PROFILE, dpi=(300, 300))
    return file.getvalue()


def made(service: Service, picture: bytes, extension: str = "jpg", **form: str) -> dict[str, Any]:
    """The finished task of the picture under a new name."""
    answer = service.upload_bytes(picture, f"{uuid.uuid4().hex[:10]} ö.{extension}", **form)
    task = service.wait_for(answer.json()["task_id"])
    assert task["status"] == "SUCCESS", task["error"]
    return task


def told(service: Service, task: dict[str, Any]) -> dict[str, Any]:
    answer = service.get(task["links"]["metadata"])
    assert answer.status_code == 200, answer.text
    return answer.json()


def small(service: Service, task: dict[str, Any], query: str = "") -> Image.Image:
    answer = service.get(task["links"]["thumbnail"] + query)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "image/webp"
    assert int(answer.headers["Content-Length"]) == len(answer.content)
    return Image.open(io.BytesIO(answer.content))


# --- Metadata ------------------------------------------------------------------------------------


def test_all_that_a_photograph_carries_is_told(service: Service) -> None:
    task = made(service, photograph(), scale="2")
    document = told(service, task)
    assert (document["name"], document["task_id"]) == (task["name"], task["task_id"])
    source, result = document["source"], document["result"]
    assert {key: source[key] for key in task["source"]} == task["source"]
    assert {key: result[key] for key in task["result"]} == task["result"]
    for image in (source, result):
        assert "sRGB" in image["icc_profile"]
        assert image["dpi"] == [300, 300]
        assert image["has_gps"] is True
        assert image["omitted"] == []
        assert image["exif"]["Make"] == "Maker"
        assert image["exif"]["ExposureTime"] == pytest.approx(0.004)
        assert image["exif"]["GPSLatitude"] == pytest.approx([48, 6, 30.5])
        assert base64.b64decode(image["exif"]["UserComment"]["base64"]) == COMMENT
    assert base64.b64decode(source["exif"]["MakerNote"]["base64"]) == b"\x00\xffprivate"
    assert "MakerNote" not in result["exif"]
    assert (source["exif"]["Orientation"], result["exif"]["Orientation"]) == (6, 1)
    assert (source["width"], source["height"], result["width"], result["height"]) == (200, 300, 400, 600)


@pytest.mark.parametrize("image_format", ["png", "jpeg", "webp"])
def test_what_was_to_be_left_out_is_not_told_of_the_result(service: Service, image_format: str) -> None:
    document = told(service, made(service, photograph(), scale="1", format=image_format, metadata="no-gps"))
    assert document["result"]["exif"]["Make"] == "Maker"
    assert document["result"]["has_gps"] is False
    assert document["source"]["has_gps"] is True
    assert not [name for image in (document["source"], document["result"]) for name in image["exif"] if "GPS" in name]

    document = told(service, made(service, photograph(), scale="1", format=image_format, metadata="strip"))
    assert document["result"]["exif"] == {}
    assert document["result"]["dpi"] is None
    assert "sRGB" in document["result"]["icc_profile"]
    assert document["source"]["exif"]["Make"] == "Maker"


def test_a_picture_that_carries_nothing_is_told_to_carry_nothing(service: Service) -> None:
    file = io.BytesIO()
    Image.new("I;16", (20, 20), 30_000).save(file, "PNG")
    document = told(service, made(service, file.getvalue(), "png"))
    nothing = {"icc_profile": None, "exif": {}, "omitted": [], "has_gps": False, "dpi": None}
    assert document["source"] == document["source"] | nothing | {"mode": "L;16", "format": "PNG"}
    assert document["result"] == document["result"] | nothing | {"mode": "L;16", "format": "PNG"}


@pytest.mark.parametrize(("image_format", "mode"), [("png", "RGBA"), ("jpeg", "RGB"), ("webp", "RGBA")])
def test_the_mode_is_that_of_the_file(service: Service, image_format: str, mode: str) -> None:
    file = io.BytesIO()
    Image.new("RGBA", (20, 20), (10, 200, 30, 100)).save(file, "PNG")
    task = made(service, file.getvalue(), "png", format=image_format)
    assert task["result"]["mode"] == mode
    with Image.open(io.BytesIO(service.get(task["links"]["result"]).content)) as image:
        assert image.mode == mode


# --- Thumbnails ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("query", "size"), [("", (256, 171)), ("?size=1024", (800, 533)), ("?size=16", (16, 11))])
def test_a_thumbnail_fits_into_the_size_and_is_never_enlarged(
    service: Service, query: str, size: tuple[int, int]
) -> None:
    task = made(service, photograph(267, 400), scale="2")  # turned: 800 wide, 534 high
    image = small(service, task, query)
    assert image.size == pytest.approx(size, abs=1)


def test_a_thumbnail_looks_like_the_result(service: Service, shared: Any) -> None:
    task = made(service, (shared / "images" / "0014.jpg").read_bytes(), scale="2")
    with Image.open(io.BytesIO(service.get(task["links"]["result"]).content)) as result:
        expected = result.convert("RGB").resize((100, 100), Image.Resampling.BOX)
    image = small(service, task, "?size=100").convert("RGB")
    difference = sum(abs(a - b) for a, b in zip(expected.tobytes(), image.tobytes(), strict=True)) / 30_000
    assert difference < 6


def test_a_thumbnail_keeps_alpha(service: Service) -> None:
    file = io.BytesIO()
    Image.new("RGBA", (64, 64), (10, 200, 30, 100)).save(file, "PNG")
    assert small(service, made(service, file.getvalue(), "png")).getpixel((9, 9))[3] == pytest.approx(100, abs=3)  # type: ignore[index]
    opaque = made(service, file.getvalue(), "png", format="jpeg")
    assert small(service, opaque).mode == "RGB"


@pytest.mark.parametrize("size", ["15", "1025", "x", "-20", "", "²", "1" * 3000])
def test_a_size_out_of_bounds_is_refused(service: Service, size: str) -> None:
    answer = service.get(f"/processed/none.jpg/thumbnail?size={size}")
    assert answer.status_code == 422
    assert (answer.json()["code"], answer.json()["field"]) == ("invalid_parameter", "size")


# --- Both ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("link", ["metadata", "thumbnail"])
def test_what_the_caller_has_is_not_sent_again(service: Service, link: str) -> None:
    path = made(service, photograph(30, 20))["links"][link]
    first = service.get(path)
    assert first.headers["Cache-Control"] == "private, no-cache"
    again = service.get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    head = requests.head(service.url + path, timeout=60)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["ETag"] == first.headers["ETag"]


def test_a_picture_that_shares_a_result_shares_what_is_told_of_it(service: Service) -> None:
    picture = photograph(40, 30)
    first, second = made(service, picture), made(service, picture)
    assert first["task_id"] != second["task_id"]
    assert told(service, second)["source"] == told(service, first)["source"]
    assert service.delete(first["links"]["result"]).status_code == 204
    assert told(service, second)["result"]["exif"]["Make"] == "Maker"
    assert max(small(service, second).size) == 160


@pytest.mark.parametrize("resource", ["metadata", "thumbnail"])
def test_what_is_not_there_is_explained_as_for_the_picture_itself(service: Service, resource: str) -> None:
    assert service.get(f"/processed/never-uploaded.jpg/{resource}").json()["code"] == "unknown_name"
    task = made(service, photograph(20, 20))
    service.delete(task["links"]["result"])
    gone = service.get(task["links"][resource])
    assert (gone.status_code, gone.json()["code"]) == (410, "expired")
    assert resource not in service.get(task["links"]["self"]).json()["links"]


def test_the_particulars_go_when_the_results_file_has_gone(service: Service) -> None:
    task = made(service, photograph(20, 20), scale="1.5")
    job = service.store.jobs.get("everyone", task["task_id"])
    assert job is not None
    assert job.result is not None
    assert job.result.file_id is not None
    particulars = service.store.particulars
    particulars.remove_left_over()
    assert particulars.descriptions(job.result.file_id) is not None
    service.store.results.delete(job.result.file_id)
    assert particulars.remove_left_over() >= 1
    assert particulars.descriptions(job.result.file_id) is None
    assert service.get(task["links"]["metadata"]).json()["code"] == "expired"
