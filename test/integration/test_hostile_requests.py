"""Requests that no honest client makes: whatever is sent, no answer says that the service made a mistake.

Each is sent over a plain socket, for libraries would put it right. The service may hang up on what is no HTTP.
"""

from __future__ import annotations

import io
import socket
import uuid
from contextlib import suppress
from urllib.parse import quote

import pytest
import requests
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from live_service import Service
from PIL import Image

PATIENCE = 60.0  # s
FUZZED = settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def jpeg() -> bytes:
    file = io.BytesIO()
    Image.effect_noise((16, 16), 80).convert("RGB").save(file, "JPEG")
    return file.getvalue()


PICTURE = jpeg()


def statuses(service: Service, sent: bytes) -> list[int]:
    """The statuses of all answers to the bytes `sent` over one connection, until that is closed."""
    received = b""
    with socket.create_connection(("127.0.0.1", service.stack.settings.port), timeout=PATIENCE) as connection:
        with suppress(ConnectionError):
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
        with suppress(ConnectionError):
            while block := connection.recv(65536):
                received += block
    return [int(line.split(b" ")[1]) for line in received.split(b"\r\n") if line.startswith(b"HTTP/1.")]


def assert_no_mistake(service: Service, sent: bytes) -> None:
    answered = statuses(service, sent)
    assert all(status < 500 for status in answered), (answered, sent[:300])


def request(line: str, *headers: str, body: bytes = b"") -> bytes:
    return "\r\n".join([line, "Host: localhost", "Connection: close", *headers, "", ""]).encode("latin-1") + body


def multipart(*parts: bytes, boundary: bytes = b"b", end: bytes = b"--b--\r\n") -> bytes:
    return b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts) + end


def file_part(name: bytes = b"photo.jpg", field: bytes = b"image", data: bytes = PICTURE) -> bytes:
    return b'Content-Disposition: form-data; name="%s"; filename="%s"\r\n\r\n%s' % (field, name, data)


def field_part(name: bytes, value: bytes) -> bytes:
    return b'Content-Disposition: form-data; name="%s"\r\n\r\n%s' % (name, value)


def upload(body: bytes, *headers: str, content_type: str = "multipart/form-data; boundary=b") -> bytes:
    lengths = [] if any(header.startswith(("Content-Length", "Transfer")) for header in headers) else [len(body)]
    return request(
        "POST /upscale HTTP/1.1",
        f"Content-Type: {content_type}",
        *headers,
        *(f"Content-Length: {length}" for length in lengths),
        body=body,
    )


WHOLE = multipart(file_part())

BAD_UPLOADS = {
    "no boundary": upload(WHOLE, content_type="multipart/form-data"),
    "an empty boundary": upload(WHOLE, content_type="multipart/form-data; boundary="),
    "another boundary": upload(WHOLE, content_type="multipart/form-data; boundary=other"),
    "a boundary of 10,000 characters": upload(WHOLE, content_type=f"multipart/form-data; boundary={'b' * 10_000}"),
    "a boundary with a NUL": upload(WHOLE, content_type="multipart/form-data; boundary=b\0b"),
    "no end": upload(multipart(file_part(), end=b"")),
    "only an end": upload(b"--b--\r\n"),
    "nothing": upload(b""),
    "a part without headers": upload(multipart(b"\r\n" + PICTURE)),
    "a part of half a header": upload(multipart(b"Content-Disposition: form-da")),
    "a part whose headers are large": upload(multipart(b"X: " + b"y" * 100_000 + b"\r\n\r\n")),
    "two thousand parts": upload(multipart(*[field_part(b"a%d" % number, b"1") for number in range(2000)])),
    "the same field twice": upload(multipart(file_part(), field_part(b"scale", b"2"), field_part(b"scale", b"3"))),
    "a field that is not UTF-8": upload(multipart(file_part(), field_part(b"model", b"\xff\xfe\x00"))),
    "a field's name that is not UTF-8": upload(multipart(file_part(), field_part(b"\xff\xfe", b"1"))),
    "a file where text belongs": upload(multipart(file_part(), file_part(field=b"scale"))),
    "text where a file belongs": upload(multipart(field_part(b"image", PICTURE))),
    "a form that is no multipart": upload(b"image=1", content_type="application/x-www-form-urlencoded"),
    "JSON": upload(b'{"image": 1}', content_type="application/json"),
    "a type that is no type": upload(WHOLE, content_type="\xff/;;=;"),
    "an unknown charset": upload(WHOLE, content_type="multipart/form-data; boundary=b; charset=utf-99"),
    "more than its length": upload(WHOLE, "Content-Length: 10"),
    "less than its length": upload(WHOLE, f"Content-Length: {len(WHOLE) + 1000}"),
    "a negative length": upload(WHOLE, "Content-Length: -1"),
    "a length that is no number": upload(WHOLE, "Content-Length: many"),
    "an endless length": upload(WHOLE, "Content-Length: 99999999999999999999"),
    "two lengths": upload(WHOLE, f"Content-Length: {len(WHOLE)}", "Content-Length: 5"),
    "a length and chunks": upload(b"0\r\n\r\n", "Content-Length: 5", "Transfer-Encoding: chunked"),
    "chunks": upload(b"%x\r\n%s\r\n0\r\n\r\n" % (len(WHOLE), WHOLE), "Transfer-Encoding: chunked"),
    "chunks of bad sizes": upload(b"zz\r\n" + WHOLE, "Transfer-Encoding: chunked"),
    "chunks without an end": upload(b"%x\r\n%s" % (len(WHOLE), WHOLE), "Transfer-Encoding: chunked"),
    "an unknown transfer encoding": upload(WHOLE, "Transfer-Encoding: gzip, sideways"),
    "a compressed body that is none": upload(WHOLE, "Content-Encoding: gzip"),
    "an expectation": upload(WHOLE, "Expect: 200-maybe"),
}

BAD_REQUESTS = {
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20,
    "no version": b"GET /\r\n\r\n",
    "a version of the future": b"GET / HTTP/9.9\r\nHost: a\r\n\r\n",
    "an old one": b"GET /tasks HTTP/1.0\r\n\r\n",
    "no host": b"GET /tasks HTTP/1.1\r\nConnection: close\r\n\r\n",
    "a host that is none": b'GET / HTTP/1.1\r\nHost: \xff@"<>\r\nConnection: close\r\n\r\n',
    "a header of 100,000 bytes": request("GET /tasks HTTP/1.1", f"X-Large: {'x' * 100_000}"),
    "a thousand headers": request("GET /tasks HTTP/1.1", *(f"X-{number}: 1" for number in range(1000))),
    "a header of half a line": b"GET /tasks HTTP/1.1\r\nHost",
    "a header with a NUL": request("GET /tasks HTTP/1.1", "X-Nul: a\0b"),
    "a folded header": request("GET /tasks HTTP/1.1", "X-Folded: a\r\n b"),
    "an address of 10,000 characters": request(f"GET /tasks/{'x' * 10_000} HTTP/1.1"),
    "an address outside": request("GET /processed/../../etc/passwd HTTP/1.1"),
    "an encoded address outside": request("GET /processed/..%2f..%2f..%2fetc%2fpasswd HTTP/1.1"),
    "one that is encoded twice": request("GET /processed/%252e%252e%252fetc%252fpasswd HTTP/1.1"),
    "a static file outside": request("GET /static/../../main.py HTTP/1.1"),
    "an encoded static file outside": request("GET /static/%2e%2e/%2e%2e/main.py HTTP/1.1"),
    "another host's address": request("GET http://169.254.169.254/latest HTTP/1.1"),
    "a tunnel": request("CONNECT example.org:443 HTTP/1.1"),
    "an address that is not UTF-8": request("GET /tasks/%ff%fe%00 HTTP/1.1"),
    "half an encoded address": request("GET /tasks/%f HTTP/1.1"),
    "half a WebSocket": request("GET /ws/notifications HTTP/1.1", "Upgrade: websocket", "Connection: Upgrade"),
    "several requests at once": request("GET /tasks HTTP/1.1").replace(b"close", b"keep-alive") * 50,
}


@pytest.mark.parametrize("sent", BAD_UPLOADS.values(), ids=BAD_UPLOADS)
def test_a_bad_upload_is_no_mistake_of_the_service(service: Service, sent: bytes) -> None:
    assert_no_mistake(service, sent)


@pytest.mark.parametrize("sent", BAD_REQUESTS.values(), ids=BAD_REQUESTS)
def test_a_bad_request_is_no_mistake_of_the_service(service: Service, sent: bytes) -> None:
    assert_no_mistake(service, sent)


@pytest.fixture(scope="module")
def result(service: Service) -> str:
    """The path of a picture that there is."""
    task = service.wait_for(service.upload_bytes(PICTURE, f"{uuid.uuid4().hex}.jpg").json()["task_id"])
    return str(task["links"]["result"])


FUZZED_HEADERS = [
    *("If-None-Match", "If-Match", "If-Range", "If-Modified-Since", "Accept", "Accept-Language", "Prefer", "Cookie"),
    *("Idempotency-Key", "X-Request-ID", "X-Forwarded-For", "X-Forwarded-Proto", "Origin", "Last-Event-ID"),
]
HEADER_VALUES = st.text(st.characters(codec="latin-1", exclude_characters="\r\n"), max_size=200)


@FUZZED
@given(value=HEADER_VALUES | st.from_regex(r"bytes=[-0-9, ]{0,40}", fullmatch=True))
@example("bytes=0-,0-," + "0-," * 1000)
@example("bytes=99999999999999999999999-")
@example("bytes=--5")
def test_any_range_is_answered(service: Service, result: str, value: str) -> None:
    assert_no_mistake(service, request(f"GET {result} HTTP/1.1", f"Range: {value}"))


@FUZZED
@given(
    name=st.sampled_from(FUZZED_HEADERS),
    value=HEADER_VALUES,
)
@example("If-Modified-Since", "Fri, 99 Foo 99999 99:99:99 GMT")
@example("Prefer", "wait=" + "9" * 5000)
@example("Accept", "text/html;q=NaN, */*;q=-1")
def test_any_header_is_answered(service: Service, result: str, name: str, value: str) -> None:
    assert_no_mistake(service, request(f"GET {result} HTTP/1.1", f"{name}: {value}"))
    if name != "Prefer":
        assert_no_mistake(service, request("GET /tasks?limit=1 HTTP/1.1", f"{name}: {value}"))


TEXT = st.text(max_size=60)


@FUZZED
@given(field=st.sampled_from(["cursor", "limit", "status", "name", "wait", "size", "scale"]), value=TEXT)
@example("cursor", "MjAyNi0xMS0yMFQyMDoxMjoxMy41NzcwMDArMDA6MDAg")
@example("cursor", "OTk5OS0xMi0zMVQyMzo1OTo1OS45OTk5OTktMjM6NTkgYQ")  # a time that is none in UTC
@example("cursor", "MDAwMS0wMS0wMVQwMDowMDowMCsyMzo1OSBh")
@example("cursor", "MjAyNi0xMS0yMFQyMDoxMjoxMyBh")  # a time without a zone
@example("limit", "٣")
@example("wait", "²")
@example("size", "9" * 5000)
@example("name", "\0")
@example("status", "$ne")
def test_any_parameter_is_answered(service: Service, result: str, field: str, value: str) -> None:
    query = f"{field}={quote(value, safe='')}"
    paths = ["/tasks", f"{result}/thumbnail"] if field != "wait" else [f"/tasks/{uuid.uuid4()}"]
    for path in paths:
        assert_no_mistake(service, request(f"GET {path}?{query} HTTP/1.1"))


@FUZZED
@given(name=TEXT)
@example("\0")
@example("a" * 5000)
@example("$where")
@example("con.png")
@example("..")
def test_any_id_and_name_is_answered(service: Service, name: str) -> None:
    encoded = quote(name, safe="")
    for path in (f"/tasks/{encoded}", f"/batches/{encoded}", f"/processed/{encoded}", f"/processed/{encoded}/metadata"):
        for method in ("GET", "DELETE", "HEAD"):
            assert_no_mistake(service, request(f"{method} {path} HTTP/1.1"))


@FUZZED
@given(
    fields=st.dictionaries(
        st.sampled_from(["model", "scale", "width", "height", "format", "quality", "denoise", "metadata"])
        | st.sampled_from(["on_conflict", "callback_url", "colour"]),
        TEXT | st.integers().map(str) | st.floats().map(str),
        max_size=3,
    )
)
@example({"scale": "1e400"})
@example({"scale": "0x10"})
@example({"quality": "٩٩"})
@example({"width": "9" * 5000})
@example({"callback_url": "http://[::1"})
@example({"model": "../../etc/passwd"})
def test_any_form_is_answered(service: Service, fields: dict[str, str]) -> None:
    parts = [field_part(name.encode(), value.encode("utf-8", "replace")) for name, value in fields.items()]
    assert_no_mistake(service, upload(multipart(*parts, file_part(data=b"no picture"))))


@FUZZED
@given(data=st.binary(max_size=300), head=st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", PICTURE[:200]]))
def test_any_bytes_are_answered(service: Service, data: bytes, head: bytes) -> None:
    body = multipart(file_part(name=uuid.uuid4().hex.encode() + b".jpg", data=head + data))
    assert_no_mistake(service, upload(body))


def test_after_all_that_the_service_works(service: Service, result: str) -> None:
    assert service.get(result).status_code == 200
    assert service.get("/health/ready").status_code == 200
    answer = requests.post(
        f"{service.url}/upscale", files={"image": (f"{uuid.uuid4().hex}.jpg", PICTURE)}, timeout=PATIENCE
    )
    assert service.wait_for(answer.json()["task_id"])["status"] == "SUCCESS"
