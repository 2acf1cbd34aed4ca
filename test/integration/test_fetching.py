"""Fetching a result: validators, ranges, digests, names to save under, and memory that stays where it is."""

from __future__ import annotations

import base64
import hashlib
import io
import uuid
from datetime import timedelta
from typing import BinaryIO, cast

import psutil
import pytest
import requests
from live_service import Service
from PIL import Image

from mongo.jobs import DEFAULT_OWNER, Job, StoredImage
from utils.upscale_request import UpscaleRequest

LARGE = 300 * 1024**2  # bytes; a PNG of 200 megapixels has about that
SPARE = 60 * 1024**2  # bytes that the web process may grow by, however large the picture


@pytest.fixture(scope="module")
def path(service: Service) -> str:
    """Where a finished picture is fetched."""
    file = io.BytesIO()
    Image.effect_noise((40, 30), 80).convert("RGB").save(file, "JPEG")
    answer = service.upload_bytes(file.getvalue(), f"{uuid.uuid4().hex[:8]} Bäume.jpg", scale="2")
    task = service.wait_for(answer.json()["task_id"])
    assert task["status"] == "SUCCESS", task["error"]
    return str(task["links"]["result"])


@pytest.fixture(scope="module")
def whole(service: Service, path: str) -> requests.Response:
    return service.get(path)


def test_the_whole_picture_comes_with_all_that_is_known_of_it(whole: requests.Response, path: str) -> None:
    sha256 = hashlib.sha256(whole.content)
    headers = whole.headers
    assert whole.status_code == 200
    assert headers["ETag"] == f'"{sha256.hexdigest()}"'
    assert headers["Repr-Digest"] == f"sha-256=:{base64.b64encode(sha256.digest()).decode()}:"
    assert int(headers["Content-Length"]) == len(whole.content)
    assert headers["Accept-Ranges"] == "bytes"
    assert headers["Content-Type"] == "image/jpeg"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "private, no-cache"
    assert headers["Content-Disposition"].endswith(f"filename*=UTF-8''{path.removeprefix('/processed/')}")
    assert "Last-Modified" in headers


def test_head_tells_the_same_without_the_bytes(service: Service, whole: requests.Response, path: str) -> None:
    head = requests.head(service.url + path, headers={"Range": "bytes=0-9"}, timeout=60)
    assert head.status_code == 200
    assert head.content == b""
    for name in ("ETag", "Repr-Digest", "Content-Length", "Content-Type", "Accept-Ranges", "Content-Disposition"):
        assert head.headers[name] == whole.headers[name]


@pytest.mark.parametrize("tag", ["{etag}", "W/{etag}", '"another", {etag}', "*"])
def test_a_picture_that_the_caller_has_is_not_sent_again(
    service: Service, whole: requests.Response, path: str, tag: str
) -> None:
    answer = service.get(path, headers={"If-None-Match": tag.format(etag=whole.headers["ETag"])})
    assert answer.status_code == 304
    assert answer.content == b""
    assert answer.headers["ETag"] == whole.headers["ETag"]


def test_another_tag_gets_the_picture(service: Service, whole: requests.Response, path: str) -> None:
    answer = service.get(path, headers={"If-None-Match": '"another"'})
    assert (answer.status_code, answer.content) == (200, whole.content)


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [("bytes=0-9", 0, 10), ("bytes=10-10", 10, 11), ("bytes=100-", 100, None), ("bytes=-7", -7, None)],
)
def test_a_part_is_sent_as_asked(
    service: Service, whole: requests.Response, path: str, asked: str, start: int, stop: int | None
) -> None:
    part = service.get(path, headers={"Range": asked})
    expected = whole.content[start:stop]
    size = len(whole.content)
    first = start % size
    assert part.status_code == 206
    assert part.content == expected
    assert part.headers["Content-Range"] == f"bytes {first}-{first + len(expected) - 1}/{size}"
    assert part.headers["Repr-Digest"] == whole.headers["Repr-Digest"]
    assert part.headers["ETag"] == whole.headers["ETag"]


def test_a_part_that_reaches_beyond_the_end_is_cut(service: Service, whole: requests.Response, path: str) -> None:
    part = service.get(path, headers={"Range": "bytes=5-99999999"})
    assert (part.status_code, part.content) == (206, whole.content[5:])


def test_a_part_behind_the_end_cannot_be_had(service: Service, whole: requests.Response, path: str) -> None:
    answer = service.get(path, headers={"Range": f"bytes={len(whole.content)}-"})
    assert answer.status_code == 416
    assert answer.json()["code"] == "range_not_satisfiable"
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["Content-Range"] == f"bytes */{len(whole.content)}"


@pytest.mark.parametrize("asked", ["bytes=0-1,4-5", "lines=1-2", "bytes=9-2", "nonsense"])
def test_a_range_that_is_not_one_of_bytes_is_ignored(
    service: Service, whole: requests.Response, path: str, asked: str
) -> None:
    answer = service.get(path, headers={"Range": asked})
    assert (answer.status_code, answer.content) == (200, whole.content)


def test_a_download_goes_on_only_where_the_picture_is_still_the_same(
    service: Service, whole: requests.Response, path: str
) -> None:
    def resumed(validator: str) -> requests.Response:
        return service.get(path, headers={"Range": "bytes=50-", "If-Range": validator})

    for validator in (whole.headers["ETag"], whole.headers["Last-Modified"]):
        part = resumed(validator)
        assert (part.status_code, part.content) == (206, whole.content[50:])
    for validator in ('"another"', "Thu, 01 Jan 2004 00:00:00 GMT"):
        again = resumed(validator)
        assert (again.status_code, again.content) == (200, whole.content)


# --- Memory --------------------------------------------------------------------------------------


class Zeros(io.RawIOBase):
    """A stream of that many bytes, which never stand in memory together."""

    def __init__(self, size: int) -> None:
        self._left = size

    def read(self, size: int = -1) -> bytes:
        taken = min(size, self._left)
        self._left -= taken
        return bytes(taken)


@pytest.fixture
def large(service: Service) -> str:
    """Where the file of a very large result is fetched: as a worker would have left it."""
    store = service.store
    name = f"{uuid.uuid4().hex[:8]}.png"
    stored = store.results.save(cast(BinaryIO, Zeros(LARGE)), name)
    source = StoredImage(None, "PNG", "RGB", width=5000, height=2500, bytes=1, sha256="00" * 32)
    job = Job.new(DEFAULT_OWNER, name, UpscaleRequest(model="fast"), source)
    store.jobs.create(job)
    claimed = store.jobs.claim(job.id)
    assert claimed is not None
    result = StoredImage(stored.file_id, "PNG", "RGB", 20_000, 10_000, stored.bytes, stored.sha256)
    store.jobs.succeed(claimed, result, keep=timedelta(hours=1))
    return f"/processed/{name}"


def web_memory(service: Service) -> int:
    """Bytes that the web server's processes have resident."""
    web = psutil.Process(service.stack.web.process.pid)
    return sum(process.memory_info().rss for process in [web, *web.children(recursive=True)])


def test_a_result_of_200_megapixels_is_sent_with_constant_memory(service: Service, large: str) -> None:
    service.get(large, headers={"Range": "bytes=0-9"})
    before = peak = web_memory(service)
    received = 0
    with service.get(large, stream=True) as answer:
        for block in answer.iter_content(1024**2):
            received += len(block)
            if received % (20 * 1024**2) < len(block):
                peak = max(peak, web_memory(service))
    assert received == LARGE
    assert peak - before < SPARE


def test_the_end_of_a_large_result_is_sought_and_not_read_up_to(service: Service, large: str) -> None:
    def sent_by_mongodb() -> int:
        return int(service.store.client.admin.command("serverStatus")["network"]["bytesOut"])

    before = sent_by_mongodb()
    part = service.get(large, headers={"Range": "bytes=-1000"})
    assert (part.status_code, len(part.content)) == (206, 1000)
    assert sent_by_mongodb() - before < LARGE / 10


def test_bytes_that_cannot_be_read_are_told_of_before_the_answer_has_begun(service: Service) -> None:
    file = io.BytesIO()
    Image.effect_noise((30, 20), 80).convert("RGB").save(file, "JPEG")
    task = service.wait_for(service.upload_bytes(file.getvalue(), f"{uuid.uuid4().hex}.jpg").json()["task_id"])
    job = service.store.jobs.get(DEFAULT_OWNER, task["task_id"])
    assert job is not None
    assert job.result is not None
    service.store.database["results.chunks"].delete_many({"files_id": job.result.file_id})
    answer = service.get(task["links"]["result"])
    assert answer.status_code == 503
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == "store_unavailable"
