"""Answers that wait: `?wait=N` on reading a task, `Prefer: wait=N` on making one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from bson import ObjectId
from live_service import Service
from sample_uploads import new_name, noise

from mongo.jobs import Job, StoredImage
from utils.upscale_request import UpscaleRequest


@pytest.fixture
def name() -> str:
    return new_name()


@pytest.fixture
def held(service: Service, name: str) -> Job:
    """A task that goes on for as long as a test likes: the test itself is its worker."""
    source = StoredImage(ObjectId(), "JPEG", "RGB", width=30, height=20, bytes=600, sha256="ab" * 32)
    job = Job.new("everyone", name, UpscaleRequest(model="fast"), source)
    service.store.jobs.create(job)
    claimed = service.store.jobs.claim(job.id)
    assert claimed is not None
    return claimed


def prefer(service: Service, picture: bytes, name: str, preference: str) -> requests.Response:
    headers = {"Prefer": preference}
    return requests.post(f"{service.url}/upscale", files={"image": (name, picture)}, headers=headers, timeout=120)


def test_reading_a_task_waits_for_its_end(service: Service, name: str) -> None:
    task = service.upload_bytes(noise(200), name).json()
    ended = service.get(f"/tasks/{task['task_id']}?wait=60").json()
    assert ended["status"] == "SUCCESS"
    assert service.get(f"/tasks/{task['task_id']}?wait=60").json() == ended


def test_a_task_that_goes_on_is_told_as_it_stands(service: Service, held: Job) -> None:
    answer = service.get(f"/tasks/{held.id}?wait=1")
    assert answer.status_code == 200
    assert answer.json()["status"] == "STARTED"
    assert "Retry-After" in answer.headers
    service.delete(f"/tasks/{held.id}")


def test_cancelling_ends_the_waiting(service: Service, held: Job) -> None:
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(service.get, f"/tasks/{held.id}?wait=60")
        assert service.delete(f"/tasks/{held.id}").status_code == 200
        assert waiting.result().json()["status"] == "REVOKED"


@pytest.mark.parametrize("value", ["61", "-1", "1.5", "soon", "", "²", "9" * 1000])
def test_another_wait_is_refused(service: Service, held: Job, value: str) -> None:
    answer = service.get(f"/tasks/{held.id}", params={"wait": value})
    assert answer.status_code == 422
    assert (answer.json()["code"], answer.json()["field"]) == ("invalid_parameter", "wait")
    service.delete(f"/tasks/{held.id}")


def test_an_unknown_task_is_not_waited_for(service: Service) -> None:
    assert service.get("/tasks/never-given-out?wait=60").status_code == 404


def test_an_upload_that_prefers_to_wait_gets_the_finished_task(service: Service, name: str) -> None:
    answer = prefer(service, noise(64), name, "respond-async, Wait=60")
    assert answer.status_code == 200
    assert answer.headers["Preference-Applied"] == "wait=60"
    assert answer.headers["Location"] == f"/tasks/{answer.json()['task_id']}"
    assert answer.json()["status"] == "SUCCESS"
    assert service.get(answer.json()["links"]["result"]).status_code == 200


def test_an_upload_that_takes_longer_than_preferred_is_accepted_as_usual(service: Service, name: str) -> None:
    answer = prefer(service, noise(2500), name, "wait=1")
    assert answer.status_code == 202
    assert "Preference-Applied" not in answer.headers
    assert "Retry-After" in answer.headers
    service.delete(answer.headers["Location"])


@pytest.mark.parametrize("preference", ["wait", "wait=soon", "wait=-5", "wait=" + "9" * 5000, "return=minimal"])
def test_a_preference_that_makes_no_sense_is_ignored(service: Service, name: str, preference: str) -> None:
    answer = prefer(service, noise(2500), name, preference)
    assert answer.status_code == 202
    service.delete(answer.headers["Location"])


def test_a_duplicate_waits_for_the_task_that_runs(service: Service, name: str) -> None:
    picture = noise(600)
    first = service.upload_bytes(picture, name).json()
    again = prefer(service, picture, name, "wait=60")
    assert again.status_code == 200
    assert again.json()["task_id"] == first["task_id"]
    assert again.json()["duplicate"] is True
    assert again.json()["status"] == "SUCCESS"
