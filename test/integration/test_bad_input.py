"""Whatever is thrown at the upload gets a problem document or an honest task, and nothing stays behind."""

from __future__ import annotations

import io
import json
import re
import socket
import tempfile
import zlib
from collections import Counter
from pathlib import Path

import pytest
import requests
from live_service import FINAL, Service, wait_until
from PIL import Image
from sample_uploads import new_name, noise


def jpeg(width: int = 16, height: int = 16) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height), "teal").save(file, "JPEG")
    return file.getvalue()


def animated_png() -> bytes:
    file = io.BytesIO()
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    frames[0].save(file, "PNG", save_all=True, append_images=frames[1:])
    return file.getvalue()


def one_colour_png(width: int, height: int) -> bytes:
    """A grey PNG of any size in a few kilobytes."""
    file = io.BytesIO()
    Image.new("L", (width, height)).save(file, "PNG")
    return file.getvalue()


TOO_MANY_BYTES = 60_000_000

BAD_UPLOADS = {
    "an empty file": (b"", "photo.png", 400, "empty_image"),
    "text named .png": (b"hello", "notes.png", 415, "unsupported_format"),
    "a JPEG named .gif": (jpeg(), "photo.gif", 415, "unsupported_format"),
    "a JPEG named .png": (jpeg(), "photo.png", 415, "unsupported_format"),
    "a JPEG without an extension": (jpeg(), "photo", 415, "unsupported_format"),
    "a truncated picture": (jpeg(200, 200)[:700], "photo.jpg", 422, "undecodable"),
    "an animated PNG": (animated_png(), "photo.png", 415, "animated_image"),
    "60 MB": (bytes(TOO_MANY_BYTES), "photo.jpg", 413, "too_many_bytes"),
    "a bomb of 50 megapixels": (one_colour_png(10_000, 5_000), "photo.png", 413, "too_many_pixels"),
    "a result of too many pixels": (one_colour_png(4_000, 4_000), "photo.png", 413, "too_many_pixels"),
    "a name with a slash": (jpeg(), "holiday/photo.jpg", 422, "invalid_name"),
    "a name with a backslash": (jpeg(), "C:\\photo.jpg", 422, "invalid_name"),
    "a name of 300 characters": (jpeg(), "a" * 296 + ".jpg", 422, "invalid_name"),
    "a name with an emoji": (jpeg(), "\N{GRINNING FACE}.jpg", 422, "invalid_name"),
    "a name with a control character": (jpeg(), "pho\x7fto.jpg", 422, "invalid_name"),
}

NAUGHTY_NAMES = [
    "../../etc/passwd.jpg",
    "..\\..\\windows\\system32\\config.jpg",
    "....//....//secret.jpg",
    "/etc/passwd.jpg",
    "file:///etc/passwd.jpg",
    "%2e%2e%2f%2e%2e%2fetc%2fpasswd.jpg",
    "photo.jpg%00.png.jpg",
    "photo\x00.jpg",
    "photo%0d%0aSet-Cookie:%20a=b.jpg",
    'photo";filename="other.jpg',
    "CON.jpg",
    "aux.png.jpg",
    "COM1.jpg",
    "photo.jpg:stream.jpg",
    "photo.jpg ",
    " photo.jpg",
    ".jpg",
    "..jpg",
    "~.jpg",
    "-rf.jpg",
    "--help.jpg",
    "$(reboot).jpg",
    "`reboot`.jpg",
    "photo;rm -rf.jpg",
    "|reboot.jpg",
    "<script>alert(1)</script>.jpg",
    "javascript:alert(1).jpg",
    "{{7*7}}.jpg",
    "${7*7}.jpg",
    "%s%s%n.jpg",
    "' OR 1=1 --.jpg",
    '{"$ne": null}.jpg',
    "\u202egpj.exe.jpg",
    "\u200bphoto\ufeff.jpg",
    "\u0665\u0660.jpg",
    "cafe\u0301.jpg",
    "\u4e2d\u6587\u540d.jpg",
    "\U0001f600.jpg",
    "z\u0335\u0321\u035d\u0321a\u0334l\u0338g\u0337o\u0336.jpg",
    "\ud83d.jpg".encode("utf-8", "replace").decode(),
    "a" * 251 + ".jpg",
    "\u00e4" * 126 + ".jpg",
    "PHOTO.JPG",
    "photo.jpg.jpg.jpg",
]

BAD_FIELDS = {
    "a scale of 9": ({"scale": "9"}, "invalid_parameter", "scale"),
    "a scale that is no number": ({"scale": "nan"}, "invalid_parameter", "scale"),
    "a format of no program": ({"format": "bmp"}, "invalid_parameter", "format"),
    "a quality of 101": ({"quality": "101"}, "invalid_parameter", "quality"),
    "a width that shrinks": ({"width": "5"}, "invalid_parameter", "width"),
    "a scale and a width": ({"scale": "2", "width": "40"}, "invalid_parameter", "scale"),
    "denoise for a model without": ({"denoise": "0.5"}, "invalid_parameter", "denoise"),
    "a callback without a secret to sign it": ({"callback_url": "https://a.b"}, "invalid_parameter", "callback_url"),
    "an unknown field": ({"colour": "red"}, "invalid_parameter", "colour"),
    "an unknown model": ({"model": "dall-e"}, "unknown_model", "model"),
}


def problem(answer: requests.Response, status: int, code: str) -> dict[str, object]:
    """The answer's problem document, after a look at all that every problem has."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    document = answer.json()
    assert document["code"] == code
    assert document["status"] == status
    assert document["type"] == f"/docs/errors#{code}"
    assert document["title"]
    assert len(str(document["detail"])) > 20
    return document


def kept(service: Service) -> Counter[str]:
    """How much there is in the store, and in the folder for temporary files."""
    database = service.store.client[service.stack.settings.mongo_database]
    names = ("jobs", "uploads.files", "uploads.chunks", "results.files", "results.chunks")
    counts = Counter({name: database[name].count_documents({}) for name in names})
    counts["temporary files"] = len(list(Path(tempfile.gettempdir()).glob("upscale-*")))
    return counts


@pytest.fixture
def nothing_stays(service: Service):
    before = kept(service)
    yield
    assert kept(service) == before


@pytest.mark.parametrize(("data", "name", "status", "code"), BAD_UPLOADS.values(), ids=BAD_UPLOADS)
@pytest.mark.usefixtures("nothing_stays")
def test_a_bad_upload_is_refused(service: Service, data: bytes, name: str, status: int, code: str) -> None:
    document = problem(service.upload_bytes(data, name), status, code)
    assert document["instance"] == "/upscale"


@pytest.mark.parametrize("name", NAUGHTY_NAMES, ids=ascii)
def test_a_naughty_name_is_refused_or_is_a_name_and_nothing_else(service: Service, name: str) -> None:
    answer = service.upload_bytes(jpeg(), name)
    if answer.status_code >= 400:
        assert answer.status_code in (400, 415, 422)
        assert answer.json()["code"] in ("invalid_name", "unsupported_format", "missing_image")
        return
    task = service.wait_for(answer.json()["task_id"])
    assert "/" not in task["name"]
    result = service.get(task["links"]["result"])
    assert result.status_code == 200
    assert Image.open(io.BytesIO(result.content)).format == "JPEG"
    disposition = result.headers["Content-Disposition"]
    plain = disposition.removeprefix('attachment; filename="').partition('"')[0]
    assert re.fullmatch(r"[ -~]+", plain)
    assert not set(plain) & set('/\\"')
    assert result.headers.keys() & {"Set-Cookie"} == set()


@pytest.mark.parametrize(("form", "code", "field"), BAD_FIELDS.values(), ids=BAD_FIELDS)
@pytest.mark.usefixtures("nothing_stays")
def test_a_bad_field_is_named(service: Service, form: dict[str, str], code: str, field: str) -> None:
    document = problem(service.upload_bytes(jpeg(), "photo.jpg", **form), 422, code)
    assert document["field"] == field


@pytest.mark.usefixtures("nothing_stays")
def test_a_file_in_another_field_is_named(service: Service) -> None:
    files = {"image": ("photo.jpg", jpeg()), "picture": ("photo.jpg", jpeg())}
    answer = requests.post(f"{service.url}/upscale", files=files, timeout=60)
    assert problem(answer, 422, "invalid_parameter")["field"] == "picture"


@pytest.mark.usefixtures("nothing_stays")
def test_text_in_place_of_the_file_is_explained(service: Service) -> None:
    answer = requests.post(f"{service.url}/upscale", data={"image": "@photo.jpg"}, timeout=60)
    assert "mind the @" in str(problem(answer, 400, "missing_image")["detail"])


@pytest.mark.usefixtures("nothing_stays")
def test_too_many_bytes_are_refused_without_a_declared_length_too(service: Service) -> None:
    boundary = "b0undary"
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="image"; filename="photo.jpg"\r\n\r\n'.encode()

    def body():
        yield head
        for _ in range(TOO_MANY_BYTES // 1_000_000):
            yield bytes(1_000_000)
        yield f"\r\n--{boundary}--\r\n".encode()

    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    try:
        answer = requests.post(f"{service.url}/upscale", data=body(), headers=headers, timeout=60)
    except requests.ConnectionError:
        return  # refused in the middle of the upload, which is an answer too; nothing_stays looks at the rest
    problem(answer, 413, "too_many_bytes")


@pytest.mark.parametrize("path", [f"/tasks?name={'a' * 9000}", "/tasks?name=a b"])
def test_a_request_that_the_web_server_cannot_read_is_a_problem_too(service: Service, path: str) -> None:
    host, _, port = service.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=60) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        head, _, body = b"".join(iter(lambda: client.recv(65536), b"")).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"Content-Type: application/problem+json" in head
    assert json.loads(body)["code"] == "bad_request"


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/tasks/never-given-out", 404, "unknown_task"),
        ("GET", "/processed/never-uploaded.jpg", 404, "unknown_name"),
        ("GET", "/processed/a/b.jpg", 404, "route_not_found"),
        ("GET", f"/processed/{'a' * 300}.jpg", 404, "unknown_name"),
        ("GET", "/processed/%F0%9F%98%80.jpg", 404, "unknown_name"),
        ("GET", "/nowhere", 404, "route_not_found"),
        ("PUT", "/upscale", 405, "method_not_allowed"),
        ("GET", "/upscale", 405, "method_not_allowed"),
        ("POST", "/tasks/x", 405, "method_not_allowed"),
    ],
)
@pytest.mark.usefixtures("nothing_stays")
def test_a_bad_address_is_answered(service: Service, method: str, path: str, status: int, code: str) -> None:
    answer = requests.request(method, service.url + path, timeout=60)
    problem(answer, status, code)
    assert (status == 405) == ("Allow" in answer.headers)


def test_a_browser_gets_a_page(service: Service) -> None:
    answer = service.get("/nowhere", headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert answer.status_code == 404
    assert answer.headers["Content-Type"].startswith("text/html")


def test_pixels_that_end_early_fail_the_task(service: Service) -> None:
    whole = io.BytesIO()
    Image.effect_noise((64, 64), 50).save(whole, "PNG")
    data = whole.getvalue()
    start = data.index(b"IDAT") - 4
    length = int.from_bytes(data[start : start + 4], "big")
    half = zlib.compress(zlib.decompress(data[start + 8 : start + 8 + length])[: 64 * 32])
    body = b"IDAT" + half
    chunk = len(half).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")
    broken = data[:start] + chunk + data[start + 12 + length :]

    answer = service.upload_bytes(broken, "ends-early.png")
    assert answer.status_code == 202
    task = service.wait_for(answer.json()["task_id"])
    assert task["status"] == "FAILURE"
    assert task["error"]["code"] == "undecodable"
    problem(service.get("/processed/ends-early.png"), 409, "processing_failed")

    good = service.upload_bytes(noise(16), new_name()).json()
    assert service.wait_for(good["task_id"])["status"] == "SUCCESS"


@pytest.mark.timeout(1200)
def test_every_bad_picture_ends_well_or_honestly(service: Service, shared: Path) -> None:
    files = sorted(path for path in (shared / "bad-images").rglob("*") if path.suffix in (".png", ".jpg", ".jpeg"))
    assert len(files) > 400
    waiting: dict[str, Path] = {}
    for path in files:
        answer = service.upload(path, f"bad-{path.parent.name}-{path.name}")
        if answer.status_code == 202:
            waiting[answer.json()["task_id"]] = path
        else:
            assert 400 <= answer.status_code < 500, (path, answer.text)
            assert answer.json()["code"]
    assert waiting

    ends: Counter[str] = Counter()
    for task_id, path in waiting.items():

        def ended(task_id: str = task_id):
            task = service.get(f"/tasks/{task_id}").json()
            return task if task["status"] in FINAL else None

        task = wait_until(ended, timeout=900, interval=0.5)
        ends[task["status"]] += 1
        if task["status"] != "SUCCESS":
            assert task["status"] == "FAILURE"
            assert task["error"]["code"] == "undecodable", (path, task["error"])
    assert ends["SUCCESS"] > 100
    assert service.get("/health/ready").status_code == 200
    assert not service.stack.worker.has_ended()
