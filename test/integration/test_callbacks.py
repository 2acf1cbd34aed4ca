"""Callbacks of the whole running service, however a task ends."""

from __future__ import annotations

import io
import os
import shutil
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from callback_receiver import SECRET, Callback, Receiver, mute_listener, running_receiver
from live_service import Service, running_service, wait_until
from PIL import Image
from sample_uploads import new_name, noise


@pytest.fixture(scope="module")
def calling_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that makes callbacks, to loopback as well."""
    data_dir = tmp_path_factory.mktemp("calling-service")
    with running_service(data_dir, WEBHOOK_SECRET=SECRET, WEBHOOK_ALLOW_PRIVATE="1") as running:
        yield running
    shutil.rmtree(data_dir)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with running_receiver() as running:
        yield running


@pytest.fixture
def name() -> str:
    return new_name()


def callback_of(receiver: Receiver, task: dict[str, Any]) -> Callback:
    (callback,) = wait_until(lambda: receiver.of_task(task["task_id"]))
    return callback


def test_a_picture_that_is_made_is_told_of(calling_service: Service, receiver: Receiver, name: str) -> None:
    task = calling_service.upload_bytes(noise(20), name, callback_url=receiver.url()).json()
    document = callback_of(receiver, task).verified()
    assert document["type"] == "task.succeeded"
    assert document["data"] == calling_service.get(f"/tasks/{task['task_id']}").json()


def test_a_picture_that_cannot_be_made_is_told_of(calling_service: Service, receiver: Receiver, name: str) -> None:
    file = io.BytesIO()
    Image.effect_noise((64, 64), 80).save(file, "PNG")
    damaged = file.getvalue()[:500] + bytes(200) + file.getvalue()[700:]
    task = calling_service.upload_bytes(damaged, f"{name}.png", callback_url=receiver.url()).json()
    document = callback_of(receiver, task).verified()
    assert document["type"] == "task.failed"
    assert document["data"]["error"]["code"] == "undecodable"


def test_a_task_that_is_cancelled_is_told_of(calling_service: Service, receiver: Receiver, name: str) -> None:
    task = calling_service.upload_bytes(noise(1500), name, callback_url=receiver.url()).json()
    assert calling_service.delete(f"/tasks/{task['task_id']}").status_code == 200
    assert callback_of(receiver, task).verified()["type"] == "task.revoked"


def test_a_task_whose_worker_is_lost_is_told_of(calling_service: Service, receiver: Receiver, name: str) -> None:
    task = calling_service.upload_bytes(noise(1500), name, callback_url=receiver.url()).json()
    jobs = calling_service.store.client[calling_service.stack.settings.mongo_database]["jobs"]
    wait_until(lambda: jobs.find_one({"_id": task["task_id"], "status": "STARTED"}))
    # As if its worker had vanished for the last time.
    gone = {"attempt": 1000, "lease_until": datetime.now(UTC) - timedelta(seconds=1)}
    jobs.update_one({"_id": task["task_id"]}, {"$set": gone})
    document = callback_of(receiver, task).verified()
    assert document["type"] == "task.failed"
    assert document["data"]["error"]["code"] == "worker_lost"


def test_a_receiver_that_was_away_is_called_again(calling_service: Service, receiver: Receiver, name: str) -> None:
    receiver.answers = [503]
    task = calling_service.upload_bytes(noise(20), name, callback_url=receiver.url()).json()
    first, second = wait_until(lambda: found if len(found := receiver.of_task(task["task_id"])) == 2 else None)
    assert first.headers["webhook-id"] == second.headers["webhook-id"]


def test_a_reused_result_is_told_of_too(calling_service: Service, receiver: Receiver, name: str) -> None:
    picture = noise(20)
    calling_service.wait_for(calling_service.upload_bytes(picture, name).json()["task_id"])
    answer = calling_service.upload_bytes(picture, f"again-{name}", callback_url=receiver.url())
    assert answer.status_code == 200
    assert callback_of(receiver, answer.json()).verified()["type"] == "task.succeeded"


def test_each_picture_of_a_batch_is_told_of(calling_service: Service, receiver: Receiver, name: str) -> None:
    files = [("image", (f"{number}-{name}", noise(20))) for number in range(3)]
    form = {"callback_url": receiver.url()}
    batch = requests.post(f"{calling_service.url}/upscale", files=files, data=form, timeout=60).json()
    tasks = {file["task_id"] for file in batch["tasks"]}
    wait_until(lambda: len(receiver.received) == 3)
    assert {callback.verified()["data"]["task_id"] for callback in receiver.received} == tasks


def test_receivers_that_hang_keep_no_picture_waiting(calling_service: Service, receiver: Receiver, name: str) -> None:
    with mute_listener() as port:
        for number in range(3):
            mute = f"http://127.0.0.1:{port}/"
            task = calling_service.upload_bytes(noise(10), f"{number}-{name}", callback_url=mute).json()
            assert calling_service.wait_for(task["task_id"])["status"] == "SUCCESS"
        task = calling_service.upload_bytes(noise(20), name, callback_url=receiver.url()).json()
        assert callback_of(receiver, task).verified()["type"] == "task.succeeded"


def test_callbacks_outlive_their_worker_process(calling_service: Service, receiver: Receiver, name: str) -> None:
    with mute_listener() as port:
        mute = f"http://127.0.0.1:{port}/"
        task = calling_service.upload_bytes(noise(20), name, callback_url=mute).json()
        jobs = calling_service.store.client[calling_service.stack.settings.mongo_database]["jobs"]
        wait_until(lambda: jobs.find_one({"_id": task["task_id"], "delivery.tries": 1}))
        processes = children(calling_service.stack.worker.process.pid)
        assert processes
        for process in processes:
            os.kill(process, signal.SIGKILL)
    # It was at the callback when it died. A minute later that is due again; here at once, and to a better place.
    due = {"delivery.due_at": datetime.now(UTC), "callback_url": receiver.url()}
    jobs.update_one({"_id": task["task_id"]}, {"$set": due})
    assert callback_of(receiver, task).verified()["type"] == "task.succeeded"


def children(pid: int) -> list[int]:
    """The processes that `pid` started."""
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(child) for child in file.read().split()]


def test_the_address_is_no_part_of_the_request(calling_service: Service, receiver: Receiver, name: str) -> None:
    picture = noise(20)
    task = calling_service.upload_bytes(picture, name, callback_url=receiver.url()).json()
    again = calling_service.upload_bytes(picture, name, callback_url=receiver.url("/other")).json()
    assert again["task_id"] == task["task_id"]
    assert again["same_request"] is True
    assert "callback_url" not in again["request"]


@pytest.mark.parametrize("url", ["ftp://example.com/", "example.com/hook", "http://user:word@example.com/"])
def test_a_url_that_cannot_be_called_is_refused(calling_service: Service, name: str, url: str) -> None:
    answer = calling_service.upload_bytes(noise(20), name, callback_url=url)
    assert answer.status_code == 422
    assert (answer.json()["code"], answer.json()["field"]) == ("invalid_parameter", "callback_url")
