"""Duplicates go by file name: what a name answers while it is new, in process, finished and failed."""

from __future__ import annotations

import threading
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from live_service import Service
from sample_uploads import new_name, noise

RACERS = 40


def test_a_name_in_process_returns_the_running_task(service: Service) -> None:
    name, picture = new_name(), noise(3000)
    first = service.upload_bytes(picture, name)
    again = service.upload_bytes(picture, name)
    assert again.status_code == 202
    answer = again.json()
    assert answer["task_id"] == first.json()["task_id"]
    assert answer["duplicate"] is True
    assert "ait" in answer["detail"]
    assert again.headers["Location"] == first.headers["Location"]
    assert service.wait_for(answer["task_id"])["status"] == "SUCCESS"


def test_a_duplicate_says_whether_picture_and_request_are_the_same(service: Service) -> None:
    name, picture = new_name(), noise(20)
    service.wait_for(service.upload_bytes(picture, name).json()["task_id"])
    other = service.upload_bytes(noise(20), name, scale="2").json()
    assert other["duplicate"] is True
    assert other["same_image"] is False
    assert other["same_request"] is False
    assert service.upload_bytes(picture, name).json()["same_image"] is True


def test_one_name_written_in_two_unicode_forms_is_one_name(service: Service) -> None:
    stem = uuid.uuid4().hex[:8]
    first = service.upload_bytes(noise(20), f"{stem}-caf\u00e9.jpg").json()
    again = service.upload_bytes(noise(20), f"{stem}-cafe\u0301.jpg").json()
    assert again["task_id"] == first["task_id"]
    service.wait_for(first["task_id"])
    assert service.get(f"/processed/{stem}-cafe\u0301.jpg").status_code == 200


def test_forty_racing_uploads_of_one_name_make_one_task(service: Service) -> None:
    name, pictures = new_name(), [noise(30) for _ in range(RACERS)]
    start = threading.Barrier(RACERS)

    def upload(picture: bytes):
        start.wait()
        return service.upload_bytes(picture, name)

    with ThreadPoolExecutor(RACERS) as threads:
        answers = list(threads.map(upload, pictures))

    assert {answer.status_code for answer in answers} <= {200, 202}
    documents = [answer.json() for answer in answers]
    assert len({document["task_id"] for document in documents}) == 1
    assert Counter("duplicate" in document for document in documents) == {True: RACERS - 1, False: 1}
    service.wait_for(documents[0]["task_id"])
    database = service.store.client[service.stack.settings.mongo_database]
    assert database["jobs"].count_documents({"name": name}) == 1
    assert database["uploads.files"].count_documents({"filename": name}) == 0
