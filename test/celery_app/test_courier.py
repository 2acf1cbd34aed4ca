"""Callbacks from a real store to a real receiver: tried again for a day, and never lost with a worker."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from bson import ObjectId
from callback_receiver import SECRET, Receiver, mute_listener, running_receiver
from pydantic import SecretStr
from werkzeug.serving import make_server

from celery_app.courier import PAUSES, Courier
from celery_app.measures import Counts
from mongo import Store
from mongo.jobs import Job, StoredImage
from mongo.task_document import task_document
from utils.errors import Undecodable
from utils.upscale_request import UpscaleRequest

DOCS = Path(__file__).resolve().parents[2] / "docs" / "webhooks.md"
PICTURE = StoredImage(ObjectId(), "PNG", "RGB", width=30, height=20, bytes=600, sha256="ab" * 32)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with running_receiver() as running:
        yield running


def courier(store: Store, allow_private: bool = True) -> Courier:
    return Courier(store, SecretStr(SECRET), allow_private, Counts(store.tallies))


def running_job(store: Store, url: str | None, name: str = "photo.png") -> Job:
    job = Job.new("somebody", name, UpscaleRequest(), PICTURE, url)
    store.jobs.create(job)
    claimed = store.jobs.claim(job.id)
    assert claimed is not None
    return claimed


def ended_job(store: Store, url: str | None, name: str = "photo.png") -> Job:
    job = running_job(store, url, name)
    store.jobs.succeed(job, replace(PICTURE, width=120, height=80), keep=timedelta(days=1))
    return job


def delivery(store: Store, job: Job) -> dict[str, Any]:
    found = store.jobs._jobs.find_one({"_id": job.id})
    assert found is not None
    return found["delivery"]


def pause_until_due(store: Store, job: Job) -> float:
    """The seconds until the next try, and that time gone by at once."""
    pause = delivery(store, job)["due_at"] - datetime.now(UTC)
    store.jobs._jobs.update_one({"_id": job.id}, {"$set": {"delivery.due_at": datetime.now(UTC)}})
    return pause.total_seconds()


def test_the_end_of_a_job_is_told_once_signed_and_as_its_task_says(store: Store, receiver: Receiver) -> None:
    job = ended_job(store, receiver.url("/hook?for=me"))
    assert courier(store).deliver_next()
    assert not courier(store).deliver_next()
    (callback,) = receiver.received
    document = callback.verified()
    ended = store.jobs.get(job.owner, job.id)
    assert ended is not None
    assert document["type"] == "task.succeeded"
    assert document["data"] == task_document(ended)
    assert document["timestamp"] == document["data"]["finished_at"]
    assert callback.path == "/hook?for=me"
    assert callback.headers["Content-Type"] == "application/json"


def test_failures_and_cancellations_have_their_own_types(store: Store, receiver: Receiver) -> None:
    store.jobs.fail(running_job(store, receiver.url(), "1.png"), Undecodable("It is no picture."))
    for name in ("2.png", "3.png"):
        running = running_job(store, receiver.url(), name)
        store.jobs.cancel(running.owner, running.id)
    while courier(store).deliver_next():
        pass
    documents = sorted((callback.verified() for callback in receiver.received), key=lambda each: each["data"]["name"])
    assert [each["type"] for each in documents] == ["task.failed", "task.revoked", "task.revoked"]
    assert documents[0]["data"]["error"]["code"] == "undecodable"


def test_nothing_is_told_before_the_end_or_without_a_url(store: Store, receiver: Receiver) -> None:
    running_job(store, receiver.url(), "running.png")
    ended_job(store, None, "not-asked-for.png")
    assert not courier(store).deliver_next()


def test_a_result_that_was_reused_is_told_of_to_its_own_url(store: Store, receiver: Receiver) -> None:
    first = ended_job(store, receiver.url("/first"))
    done = store.jobs.get(first.owner, first.id)
    assert done is not None
    for copy in (done.copy_for("copy.png", receiver.url("/copy")), done.copy_for("silent.png")):
        store.jobs.create_finished(copy, keep=timedelta(days=1))
    while courier(store).deliver_next():
        pass
    assert sorted(callback.path for callback in receiver.received) == ["/copy", "/first"]


def test_a_callback_is_tried_for_a_day_with_growing_pauses_under_one_id(store: Store, receiver: Receiver) -> None:
    job = ended_job(store, receiver.url())
    receiver.answers = [500] * (len(PAUSES) + 1)
    pauses = []
    for _ in PAUSES:
        assert courier(store).deliver_next()
        assert not courier(store).deliver_next()
        pauses.append(round(pause_until_due(store, job)))
    assert courier(store).deliver_next()

    assert "due_at" not in delivery(store, job)
    assert pauses == sorted(pauses)
    assert timedelta(hours=20) < timedelta(seconds=sum(pauses)) < timedelta(hours=26)
    assert len(receiver.received) == len(PAUSES) + 1
    assert {callback.headers["webhook-id"] for callback in receiver.received} == {f"task_{job.id}"}
    for callback in receiver.received:
        callback.verified()


@pytest.mark.parametrize("answer", [301, 307, 400, 404, 429, 503])
def test_any_other_answer_than_2xx_is_tried_again(store: Store, receiver: Receiver, answer: int) -> None:
    job = ended_job(store, receiver.url())
    receiver.answers, receiver.location = [answer], receiver.url("/elsewhere")
    assert courier(store).deliver_next()
    assert pause_until_due(store, job) > 0
    assert courier(store).deliver_next()
    assert [callback.path for callback in receiver.received] == ["/hook", "/hook"]
    assert "due_at" not in delivery(store, job)


def test_one_who_says_gone_is_left_alone(store: Store, receiver: Receiver) -> None:
    job = ended_job(store, receiver.url())
    receiver.answers = [410]
    assert courier(store).deliver_next()
    assert "due_at" not in delivery(store, job)


def test_a_try_that_dies_with_its_worker_is_made_again(store: Store, receiver: Receiver) -> None:
    job = ended_job(store, receiver.url())
    lost = store.callbacks.claim()
    assert lost is not None
    assert not courier(store).deliver_next()
    assert 0 < pause_until_due(store, job) <= 60
    assert courier(store).deliver_next()
    assert len(receiver.received) == 1


def test_of_racing_workers_each_callback_gets_one(store: Store, receiver: Receiver) -> None:
    jobs = {ended_job(store, receiver.url(), f"{number}.png").id for number in range(5)}
    with ThreadPoolExecutor(20) as pool:
        claimed = [found.job_id for found in pool.map(lambda _: store.callbacks.claim(), range(20)) if found]
    assert sorted(claimed) == sorted(jobs)


def test_a_try_that_was_taken_over_changes_nothing_any_more(store: Store, receiver: Receiver) -> None:
    job = ended_job(store, receiver.url())
    late = store.callbacks.claim()
    assert late is not None
    pause_until_due(store, job)
    present = store.callbacks.claim()
    assert present is not None
    before = delivery(store, job)
    store.callbacks.close(late)
    store.callbacks.try_again(late, after=timedelta())
    assert delivery(store, job) == before
    store.callbacks.close(present)
    assert "due_at" not in delivery(store, job)


def test_a_receiver_that_hangs_is_tried_again_later(store: Store) -> None:
    with mute_listener() as port:
        job = ended_job(store, f"http://127.0.0.1:{port}/")
        assert courier(store).deliver_next()
    assert pause_until_due(store, job) > 0


def test_a_name_that_stands_for_a_private_address_is_never_called(store: Store, receiver: Receiver) -> None:
    # "localhost" would be refused at the upload; a name of the caller's own that leads there cannot be.
    job = ended_job(store, receiver.url(host="localhost"))
    assert courier(store, allow_private=False).deliver_next()
    assert receiver.received == []
    assert pause_until_due(store, job) > 0


def test_the_one_that_waits_for_longest_comes_first_by_an_index(store: Store, receiver: Receiver) -> None:
    jobs = [ended_job(store, receiver.url(f"/{number}"), f"{number}.png") for number in range(3)]
    pause_until_due(store, jobs[0])
    for _ in jobs:
        courier(store).deliver_next()
    assert [callback.path for callback in receiver.received] == ["/1", "/2", "/0"]
    query = {"status": {"$in": ["FAILURE", "SUCCESS"]}, "delivery.due_at": {"$lte": datetime.now(UTC)}}
    plan = store.jobs._jobs.find(query).sort("delivery.due_at").explain()["queryPlanner"]["winningPlan"]
    assert "'deliveries'" in str(plan)
    assert "COLLSCAN" not in str(plan)


def test_the_receiver_of_the_docs_takes_ours_once_and_no_forged_one(
    store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WEBHOOK_SECRET", SECRET)
    (example,) = re.findall(r"^```python\n(.*?)^```", DOCS.read_text(), re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {"__name__": "receiver"}
    exec(compile(example, str(DOCS), "exec"), names)
    server = make_server("127.0.0.1", 0, names["app"])
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{server.port}/upscaled"

    job = ended_job(store, url)
    assert courier(store).deliver_next()
    assert "due_at" not in delivery(store, job)
    store.jobs._jobs.update_one(
        {"_id": job.id}, {"$set": {"delivery.due_at": datetime.now(UTC)}}
    )  # its answer got lost
    assert courier(store).deliver_next()
    forged = {"webhook-id": "task_1", "webhook-timestamp": "1", "webhook-signature": "v1,Zm9yZ2Vk"}
    assert requests.post(url, json={"type": "task.succeeded"}, headers=forged, timeout=60).status_code == 400

    server.shutdown()
    thread.join()
    server.server_close()
    assert capsys.readouterr().out.count("task.succeeded photo.png /processed/photo.png") == 1
