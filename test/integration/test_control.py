"""Choosing what a taken name does, cancelling, deleting and listing, over HTTP."""

from __future__ import annotations

import io
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from live_service import FINAL, Service, wait_until
from PIL import Image
from sample_uploads import new_name, noise


@pytest.fixture
def name() -> str:
    return new_name()


def finish(service: Service, name: str, picture: bytes, **form: str) -> dict:
    task = service.wait_for(service.upload_bytes(picture, name, **form).json()["task_id"])
    assert task["status"] == "SUCCESS", task["error"]
    return task


def attempts(service: Service, task_id: str) -> int:
    """How often a worker began with the task."""
    database = service.store.client[service.stack.settings.mongo_database]
    return database["jobs"].find_one({"_id": task_id})["attempt"]


# --- on_conflict ---------------------------------------------------------------------------------


def test_reject_refuses_a_taken_name(service: Service, name: str) -> None:
    first = finish(service, name, noise(20))
    answer = service.upload_bytes(noise(20), name, on_conflict="reject")
    assert answer.status_code == 409
    assert answer.json()["code"] == "name_taken"
    assert answer.json()["task_id"] == first["task_id"]


def test_rename_takes_the_first_free_name(service: Service, name: str) -> None:
    stem = name.removesuffix(".jpg")
    names = [service.upload_bytes(noise(20), name, on_conflict="rename").json()["name"] for _ in range(3)]
    assert names == [name, f"{stem} (2).jpg", f"{stem} (3).jpg"]


def test_replace_takes_the_name_over_from_a_finished_task(service: Service, name: str) -> None:
    first = finish(service, name, noise(20))
    second = finish(service, name, noise(30), on_conflict="replace")
    assert second["task_id"] != first["task_id"]
    assert second["result"]["width"] == 120
    with Image.open(io.BytesIO(service.get(f"/processed/{name}").content)) as image:
        assert image.width == 120
    assert "result" not in service.get(f"/tasks/{first['task_id']}").json()["links"]


def test_replace_cancels_the_running_task(service: Service, name: str) -> None:
    first = service.upload_bytes(noise(3000), name).json()
    second = finish(service, name, noise(30), on_conflict="replace")
    assert service.get(f"/tasks/{first['task_id']}").json()["status"] == "REVOKED"
    assert second["result"]["width"] == 120


def test_another_word_is_refused(service: Service, name: str) -> None:
    answer = service.upload_bytes(noise(20), name, on_conflict="overwrite")
    assert answer.status_code == 422
    assert answer.json()["field"] == "on_conflict"


# --- Reuse ---------------------------------------------------------------------------------------


def test_the_same_bytes_and_wishes_under_another_name_run_no_model(service: Service, name: str) -> None:
    picture = noise(40)
    first = finish(service, name, picture, scale="2")
    answer = service.upload_bytes(picture, f"again-{name}", scale="2")
    assert answer.status_code == 200
    again = answer.json()
    assert again["status"] == "SUCCESS"
    assert again["task_id"] != first["task_id"]
    assert again["result"]["sha256"] == first["result"]["sha256"]
    assert attempts(service, first["task_id"]) == 1
    assert attempts(service, again["task_id"]) == 0
    assert service.get(again["links"]["result"]).content == service.get(first["links"]["result"]).content


def test_other_wishes_run_the_model_again(service: Service, name: str) -> None:
    picture = noise(40)
    finish(service, name, picture, scale="2")
    other = finish(service, f"again-{name}", picture, scale="3")
    assert attempts(service, other["task_id"]) == 1
    assert other["result"]["width"] == 120


def test_a_shared_result_outlives_the_name_it_was_made_for(service: Service, name: str) -> None:
    picture = noise(40)
    finish(service, name, picture)
    service.upload_bytes(picture, f"again-{name}")
    assert service.delete(f"/processed/{name}").status_code == 204
    assert service.get(f"/processed/again-{name}").status_code == 200


# --- Idempotency-Key -----------------------------------------------------------------------------


def upload_with_key(service: Service, key: str, picture: bytes, name: str) -> requests.Response:
    files = {"image": (name, picture)}
    return requests.post(f"{service.url}/upscale", files=files, headers={"Idempotency-Key": key}, timeout=60)


def test_the_same_key_and_content_get_the_first_answer(service: Service, name: str) -> None:
    picture, key = noise(20), uuid.uuid4().hex
    first = upload_with_key(service, key, picture, name)
    service.wait_for(first.json()["task_id"])
    again = upload_with_key(service, key, picture, name)
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    assert again.headers["Location"] == first.headers["Location"]
    assert again.headers["Idempotency-Replayed"] == "true"


def test_a_key_stands_for_one_content(service: Service, name: str) -> None:
    key = uuid.uuid4().hex
    upload_with_key(service, key, noise(20), name)
    answer = upload_with_key(service, key, noise(20), name)
    assert answer.status_code == 422
    assert answer.json()["code"] == "idempotency_key_reused"


def test_a_refused_request_leaves_its_key_free(service: Service, name: str) -> None:
    key, picture = uuid.uuid4().hex, noise(20)
    assert upload_with_key(service, key, b"no picture", name).status_code == 415
    assert upload_with_key(service, key, picture, name).status_code == 202


def test_racing_requests_with_one_key_are_carried_out_once(service: Service, name: str) -> None:
    key, picture = uuid.uuid4().hex, noise(20)
    with ThreadPoolExecutor(10) as threads:
        answers = list(threads.map(lambda _: upload_with_key(service, key, picture, name), range(10)))
    codes = {answer.status_code for answer in answers}
    assert 202 in codes
    assert codes <= {202, 409}
    tasks = {answer.json()["task_id"] for answer in answers if answer.status_code == 202}
    assert len(tasks) == 1
    assert all(answer.json()["code"] == "idempotency_key_in_flight" for answer in answers if answer.status_code == 409)


# --- Cancelling and deleting ---------------------------------------------------------------------


def test_a_running_task_is_cancelled_and_its_name_is_free(service: Service, name: str) -> None:
    task_id = service.upload_bytes(noise(3000), name).json()["task_id"]
    answer = service.delete(f"/tasks/{task_id}")
    assert answer.status_code == 200
    assert answer.json()["status"] == "REVOKED"
    assert service.get(f"/processed/{name}").json()["code"] == "processing_failed"
    finish(service, name, noise(20))
    assert service.get(f"/tasks/{task_id}").json()["status"] == "REVOKED"


def test_a_task_that_is_over_cannot_be_cancelled(service: Service, name: str) -> None:
    task = finish(service, name, noise(20))
    answer = service.delete(f"/tasks/{task['task_id']}")
    assert answer.status_code == 409
    assert answer.json()["code"] == "already_ended"
    assert service.delete("/tasks/never").json()["code"] == "unknown_task"


def test_a_deleted_picture_is_gone_and_its_name_is_free(service: Service, name: str) -> None:
    task = finish(service, name, noise(20))
    assert service.delete(f"/processed/{name}").status_code == 204
    assert service.get(f"/processed/{name}").status_code == 410
    assert service.delete(f"/processed/{name}").status_code == 410
    assert "result" not in service.get(f"/tasks/{task['task_id']}").json()["links"]
    assert service.upload_bytes(noise(20), name).status_code == 202


def test_a_picture_in_the_making_cannot_be_deleted(service: Service, name: str) -> None:
    task_id = service.upload_bytes(noise(3000), name).json()["task_id"]
    answer = service.delete(f"/processed/{name}")
    service.delete(f"/tasks/{task_id}")
    assert answer.status_code == 409
    assert answer.json()["code"] == "not_ready"


# --- Listing -------------------------------------------------------------------------------------


def test_the_list_is_paged_newest_first_without_gaps(service: Service, name: str) -> None:
    sent = [service.upload_bytes(noise(8), f"{number}-{name}").json()["task_id"] for number in range(5)]
    listed: list[str] = []
    page = "/tasks?limit=2"
    while page and len(listed) < 6:
        document = service.get(page).json()
        assert len(document["tasks"]) <= 2
        listed += [task["task_id"] for task in document["tasks"]]
        page = document["next"]
    assert listed[:5] == sent[::-1]


def test_the_list_can_be_narrowed_to_a_name_or_a_status(service: Service, name: str) -> None:
    task = finish(service, name, noise(8))
    by_name = service.get(f"/tasks?name={name}").json()
    assert [found["task_id"] for found in by_name["tasks"]] == [task["task_id"]]
    assert by_name["next"] is None

    def idle() -> bool:
        return all(found["status"] in FINAL for found in service.get("/tasks?limit=20").json()["tasks"])

    wait_until(idle)
    assert service.get(f"/tasks?name={name}&status=FAILURE").json()["tasks"] == []


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "limit=501", "status=DONE", "cursor=%21"])
def test_a_list_that_cannot_be_is_refused(service: Service, query: str) -> None:
    answer = service.get(f"/tasks?{query}")
    assert answer.status_code == 422
    assert answer.json()["field"] == query.partition("=")[0]


# --- The queue -----------------------------------------------------------------------------------


def test_a_waiting_task_knows_its_place_and_when_it_will_be_done(service: Service, name: str) -> None:
    sent = [service.upload_bytes(noise(1200), f"{number}-{name}") for number in range(4)]
    last = service.get(sent[-1].headers["Location"])
    task = last.json()
    assert task["position"] is None or task["position"] >= 1
    assert task["eta"] > task["created_at"]
    assert 1 <= int(last.headers["Retry-After"]) <= 60
    for answer in sent:
        ended = service.wait_for(answer.json()["task_id"])
        assert ended["position"] is ended["eta"] is None
