"""Several pictures in one request: each by itself, all together, and their results in one archive."""

from __future__ import annotations

import hashlib
import io
import json
import uuid
import zipfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from live_service import FINAL, Service, running_service, wait_until
from sample_uploads import noise

from mongo.batches import Batch, BatchFile
from mongo.jobs import DEFAULT_OWNER, Job, StoredImage
from utils.upscale_request import UpscaleRequest

LARGE = 300 * 1024**2  # bytes
SPARE = 60 * 1024**2  # bytes that the web process may grow by, however large the archive


@pytest.fixture
def prefix() -> str:
    """The beginning of file names that no other test uses."""
    return uuid.uuid4().hex[:10]


def upload(service: Service, files: list[tuple[str, bytes]], **options: Any) -> requests.Response:
    return requests.post(f"{service.url}/upscale", files=[("image", file) for file in files], timeout=60, **options)


def ended(service: Service, batch: dict[str, Any]) -> dict[str, Any]:
    """The batch once all its tasks have ended."""

    def look() -> dict[str, Any] | None:
        present: dict[str, Any] = service.get(batch["links"]["self"]).json()
        return present if all(task["status"] in (*FINAL, 415, 422) for task in present["tasks"]) else None

    return wait_until(look, service.stack.settings.test_default_timeout_waiting)


def unzipped(answer: requests.Response) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The manifest and the pictures of an archive."""
    assert answer.status_code == 200, answer.text
    assert int(answer.headers["Content-Length"]) == len(answer.content)
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        members = {name: archive.read(name) for name in archive.namelist()}
    return json.loads(members.pop("manifest.json")), members


# --- Sending -------------------------------------------------------------------------------------


def test_several_pictures_become_a_batch_of_tasks(service: Service, prefix: str) -> None:
    names = [f"{prefix}-{number}.jpg" for number in range(3)]
    answer = upload(service, [(name, noise()) for name in names], data={"scale": "2"})
    assert answer.status_code == 202
    batch = answer.json()
    assert answer.headers["Location"] == batch["links"]["self"] == f"/batches/{batch['batch_id']}"
    assert int(answer.headers["Retry-After"]) >= 1
    assert [task["name"] for task in batch["tasks"]] == names
    assert all(task["request"]["scale"] == 2 for task in batch["tasks"])
    assert sum(batch["counts"].values()) == 3

    batch = ended(service, batch)
    assert (batch["status"], batch["progress"]) == ("SUCCESS", 1)
    assert batch["counts"]["SUCCESS"] == 3
    for task in batch["tasks"]:
        assert service.get(task["links"]["self"]).json() == task
        assert service.get(task["links"]["result"]).status_code == 200


def test_one_picture_is_answered_with_a_task(service: Service, prefix: str) -> None:
    answer = upload(service, [(f"{prefix}.jpg", noise())])
    assert answer.json()["task_id"]
    assert "batch_id" not in answer.json()


def test_a_bad_file_is_told_in_its_place_and_the_others_go_on(service: Service, prefix: str) -> None:
    files = [
        (f"{prefix}-1.jpg", noise()),
        (f"{prefix}.gif", noise()),
        (f"{prefix}-cut.jpg", noise(100)[:500]),
        (f"{prefix}-empty.jpg", b""),
        (f"{prefix}-2.png", noise(image_format="PNG")),
    ]
    answer = upload(service, files)
    assert answer.status_code == 202
    tasks = answer.json()["tasks"]
    assert [task["name"] for task in tasks] == [name for name, _ in files]
    assert [task.get("code") for task in tasks] == [None, "unsupported_format", "undecodable", "empty_image", None]
    assert tasks[1] | {"title": ..., "detail": ...} == {
        "name": f"{prefix}.gif",
        "type": "/docs/errors#unsupported_format",
        "title": ...,
        "status": 415,
        "detail": ...,
        "code": "unsupported_format",
        "instance": "/upscale",
        "field": "image",
    }
    assert answer.json()["counts"]["REFUSED"] == 3
    for task in (tasks[0], tasks[4]):
        assert service.wait_for(task["task_id"])["status"] == "SUCCESS"
    assert service.get(answer.json()["links"]["self"]).json()["status"] == "FAILURE"


def test_a_batch_of_nothing_good_is_refused(service: Service, prefix: str) -> None:
    answer = upload(service, [(f"{prefix}-1.jpg", b"no picture"), (f"{prefix}-2.jpg", b"")])
    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == "batch_refused"
    assert [file["code"] for file in answer.json()["files"]] == ["unsupported_format", "empty_image"]


def test_a_full_store_is_told_of_the_files_that_it_cannot_take(tmp_path: Path, prefix: str) -> None:
    with running_service(tmp_path, STORE_QUOTA_BYTES="300KiB") as small:
        files = [(f"{prefix}-small.jpg", noise()), (f"{prefix}-large.png", noise(600, 600, "PNG"))]
        tasks = upload(small, files).json()["tasks"]
        assert (tasks[0]["status"], tasks[1]["code"]) == ("PENDING", "store_full")
        nothing = upload(small, [files[1], (f"{prefix}-too.png", files[1][1])])
        assert (nothing.status_code, nothing.json()["code"]) == (507, "store_full")


@pytest.mark.parametrize("form", [{"scale": "9"}, {"model": "dall-e"}, {"denoise": "0.5"}, {"colour": "red"}])
def test_a_bad_field_refuses_the_whole_request(service: Service, prefix: str, form: dict[str, str]) -> None:
    answer = upload(service, [(f"{prefix}-1.jpg", noise()), (f"{prefix}-2.jpg", noise())], data=form)
    assert answer.status_code == 422
    assert answer.json()["field"] == next(iter(form))
    assert service.get(f"/tasks?name={prefix}-1.jpg").json()["tasks"] == []


def test_too_many_files_are_refused(service: Service, prefix: str) -> None:
    answer = upload(service, [(f"{prefix}-{number}.jpg", b"x") for number in range(1001)])
    assert answer.status_code == 413
    assert "1000 parts" in answer.json()["detail"]


def test_two_files_of_one_name_share_a_task(service: Service, prefix: str) -> None:
    picture = noise()
    first, same, other = upload(service, [(f"{prefix}.jpg", data) for data in (picture, picture, noise())]).json()[
        "tasks"
    ]
    assert first["task_id"] == same["task_id"] == other["task_id"]
    assert "duplicate" not in first
    assert (same["duplicate"], same["same_image"], same["same_request"]) == (True, True, True)
    assert (other["duplicate"], other["same_image"]) == (True, False)


def test_the_word_on_conflicts_holds_between_the_files(service: Service, prefix: str) -> None:
    files = [(f"{prefix}.jpg", noise()), (f"{prefix}.jpg", noise())]
    renamed = upload(service, files, data={"on_conflict": "rename"}).json()["tasks"]
    assert [task["name"] for task in renamed] == [f"{prefix}.jpg", f"{prefix} (2).jpg"]
    files = [(f"{prefix}-r.jpg", noise()), (f"{prefix}-r.jpg", noise())]
    rejected = upload(service, files, data={"on_conflict": "reject"}).json()["tasks"]
    assert rejected[1]["code"] == "name_taken"
    assert rejected[1]["task_id"] == rejected[0]["task_id"]


def test_a_batch_is_sent_once_under_a_key(service: Service, prefix: str) -> None:
    files = [(f"{prefix}-1.jpg", noise()), (f"{prefix}-2.jpg", b"no picture")]
    headers = {"Idempotency-Key": prefix}
    first, again = (upload(service, files, headers=headers) for _ in range(2))
    assert again.json() == first.json()
    assert again.headers["Idempotency-Replayed"] == "true"
    other = upload(service, [files[0], (f"{prefix}-2.jpg", b"another")], headers=headers)
    assert other.json()["code"] == "idempotency_key_reused"


def test_an_answer_waits_for_the_whole_batch(service: Service, prefix: str) -> None:
    files = [(f"{prefix}-{number}.jpg", noise()) for number in range(2)]
    answer = upload(service, files, headers={"Prefer": "wait=60"})
    assert answer.status_code == 200
    assert answer.headers["Preference-Applied"] == "wait=60"
    assert answer.json()["status"] == "SUCCESS"

    batch = upload(service, [(f"{prefix}-{number}.jpg", noise()) for number in (3, 4)]).json()
    assert service.get(f"{batch['links']['self']}?wait=60").json()["status"] == "SUCCESS"


# --- Following -----------------------------------------------------------------------------------


def test_progress_weighs_tasks_by_their_pixels(service: Service, prefix: str) -> None:
    files = [(f"{prefix}-small.jpg", noise(20)), (f"{prefix}-large.jpg", noise(1400))]
    batch = upload(service, files).json()
    small, large = (task["task_id"] for task in batch["tasks"])
    service.wait_for(small)
    present = service.get(batch["links"]["self"]).json()
    service.delete(f"/tasks/{large}")
    assert present["status"] == "STARTED"
    assert present["progress"] < 1

    over = ended(service, batch)
    assert (over["status"], over["progress"]) == ("FAILURE", 1)
    assert (over["counts"]["SUCCESS"], over["counts"]["REVOKED"]) == (1, 1)


@pytest.mark.parametrize("path", ["/batches/never", "/batches/never.zip", "/batches/never/events"])
def test_a_batch_that_never_was_is_not_known(service: Service, path: str) -> None:
    answer = service.get(path)
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_batch")


def events(answer: requests.Response) -> list[tuple[str, str, dict[str, Any]]]:
    """Kind, id and data of each event, up to the end of the stream."""
    found = []
    for block in answer.text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
        if "data" in fields:
            found.append((fields["event"], fields["id"], json.loads(fields["data"])))
    return found


def test_a_batch_is_followed_to_the_end_of_its_last_task(service: Service, prefix: str) -> None:
    files = [(f"{prefix}-{number}.jpg", noise(40)) for number in range(3)]
    batch = upload(service, [*files, (f"{prefix}.gif", b"no picture"), files[0]]).json()
    answer = service.get(batch["links"]["events"])  # is over when the stream is
    answer.encoding = "utf-8"
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    told = events(answer)
    kinds = [kind for kind, _, _ in told]
    assert (kinds[0], kinds[-1]) == ("state", "end")
    assert set(kinds[1:-1]) == {"progress"}
    assert [task["name"] for task in told[0][2]["tasks"]] == [task["name"] for task in batch["tasks"]]
    shares = [document["progress"] for _, _, document in told]
    assert shares == sorted(shares)
    changed = {document["task"]["task_id"] for kind, _, document in told if kind == "progress"}
    assert changed <= {task["task_id"] for task in batch["tasks"] if "task_id" in task}
    assert told[-1][2] == service.get(batch["links"]["self"]).json()
    assert told[-1][2]["progress"] == 1


def test_a_batch_that_is_over_tells_so_once(service: Service, prefix: str) -> None:
    batch = ended(service, upload(service, [(f"{prefix}-{number}.jpg", noise()) for number in (1, 2)]).json())
    told = events(service.get(batch["links"]["events"]))
    assert [(kind, document) for kind, _, document in told] == [("state", batch), ("end", batch)]
    again = service.get(batch["links"]["events"], headers={"Last-Event-ID": told[-1][1]})
    assert again.status_code == 204


# --- The archive ---------------------------------------------------------------------------------


def test_the_archive_holds_every_result_and_a_manifest(service: Service, prefix: str) -> None:
    files = [
        (f"{prefix} ö.jpg", noise()),
        (f"{prefix} ö.png", noise(image_format="PNG")),
        (f"{prefix}.gif", noise()),
        (f"{prefix} ö.jpg", noise()),
    ]
    batch = ended(service, upload(service, files, data={"format": "jpeg"}).json())
    answer = service.get(batch["links"]["zip"])
    assert answer.headers["Content-Type"] == "application/zip"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="batch-{batch["batch_id"]}.zip"'
    manifest, pictures = unzipped(answer)
    assert manifest["batch_id"] == batch["batch_id"]
    entries = manifest["files"]
    assert [entry["name"] for entry in entries] == [name for name, _ in files]
    # The PNG's result is a JPEG too, and two names in one archive have to differ.
    assert set(pictures) == {f"{prefix} ö.jpg", f"{prefix} ö (2).jpg"}
    assert entries[0]["file"] == entries[3]["file"] == f"{prefix} ö.jpg"
    assert (entries[3]["duplicate"], entries[3]["same_image"]) == (True, False)
    assert (entries[2]["status"], entries[2]["file"]) == ("REFUSED", None)
    assert entries[2]["error"]["code"] == "unsupported_format"
    for entry in (entries[0], entries[1]):
        data = pictures[entry["file"]]
        assert hashlib.sha256(data).hexdigest() == entry["sha256"]
        assert len(data) == entry["bytes"]
        assert data == service.get(f"/processed/{entry['name']}").content
        assert entry["error"] is None


def test_pictures_are_stored_in_the_archive_as_they_are(service: Service, prefix: str) -> None:
    batch = ended(service, upload(service, [(f"{prefix}-{number}.jpg", noise()) for number in (1, 2)]).json())
    with zipfile.ZipFile(io.BytesIO(service.get(batch["links"]["zip"]).content)) as archive:
        assert {member.compress_type for member in archive.infolist()} == {zipfile.ZIP_STORED}
        assert archive.namelist()[0] == "manifest.json"


def test_what_failed_was_cancelled_or_is_gone_is_told_in_the_manifest(service: Service, prefix: str) -> None:
    files = [(f"{prefix}-{word}.jpg", noise()) for word in ("good", "deleted")]
    files.append((f"{prefix}-cancelled.jpg", noise(1500)))
    batch = upload(service, files).json()
    service.delete(f"/tasks/{batch['tasks'][2]['task_id']}")
    ended(service, batch)
    service.delete(f"/processed/{prefix}-deleted.jpg")
    manifest, pictures = unzipped(service.get(batch["links"]["zip"]))
    assert list(pictures) == [f"{prefix}-good.jpg"]
    assert [entry["error"] and entry["error"]["code"] for entry in manifest["files"]] == [
        *(None, "expired", "processing_failed")
    ]


def test_there_is_no_archive_before_all_tasks_have_ended(service: Service, prefix: str) -> None:
    batch = upload(service, [(f"{prefix}-1.jpg", noise(1500)), (f"{prefix}-2.jpg", noise())]).json()
    answer = service.get(batch["links"]["zip"])
    service.delete(f"/tasks/{batch['tasks'][0]['task_id']}")
    assert answer.status_code == 409
    assert answer.json()["code"] == "not_ready"
    assert answer.json()["progress"] < 1
    assert int(answer.headers["Retry-After"]) >= 1


class Zeros(io.RawIOBase):
    """A stream of that many bytes, which never stand in memory together."""

    def __init__(self, size: int) -> None:
        self._left = size

    def read(self, size: int = -1) -> bytes:
        taken = min(size, self._left)
        self._left -= taken
        return bytes(taken)


def test_a_large_archive_is_sent_with_constant_memory(service: Service, prefix: str) -> None:
    store = service.store
    stored = store.results.save(Zeros(LARGE), "large.png")  # type: ignore[arg-type]
    job = Job.new(DEFAULT_OWNER, f"{prefix}.png", UpscaleRequest(), StoredImage(None, "PNG", "RGB", 9, 9, 9, "00" * 32))
    store.jobs.create(job)
    claimed = store.jobs.claim(job.id)
    assert claimed is not None
    result = StoredImage(stored.file_id, "PNG", "RGB", 20_000, 10_000, stored.bytes, stored.sha256)
    store.jobs.succeed(claimed, result, keep=timedelta(hours=1))
    batch = Batch.new(DEFAULT_OWNER, [BatchFile(job.name, job.id)])
    store.batches.create(batch)

    web = psutil.Process(service.stack.web.process.pid)
    processes = [web, *web.children(recursive=True)]
    before = peak = sum(process.memory_info().rss for process in processes)
    received = 0
    with service.get(f"/batches/{batch.id}.zip", stream=True) as answer:
        for block in answer.iter_content(1024**2):
            received += len(block)
            peak = max(peak, sum(process.memory_info().rss for process in processes))
    assert received == int(answer.headers["Content-Length"]) > LARGE
    assert peak - before < SPARE
