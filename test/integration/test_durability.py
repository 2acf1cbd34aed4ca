"""Jobs are kept: whatever is killed, emptied or frozen, each accepted job ends in one result or one honest failure.

The tests kill parts of a service of their own, in the middle of a job. After each one all its parts run again.
"""

from __future__ import annotations

import hashlib
import io
import os
import resource
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from breakage import frozen, is_ready, killed, mongod, redis_server
from bson import ObjectId
from live_service import FINAL, Service, running_service, wait_until
from PIL import Image
from redis import Redis
from redis.exceptions import RedisError

from celery_app import make_celery
from mongo.images import CHUNK_BYTES
from utils.errors import StoreUnavailable

ANSWER_TIMEOUT = 20.0  # s; more than any answer may take, and less than a hang
PATIENCE = 120.0  # s


@pytest.fixture(scope="module")
def temp_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the processes of `victim` put their temporary files."""
    return tmp_path_factory.mktemp("temp")


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory, temp_dir: Path) -> Iterator[Service]:
    """A service to be maltreated. It works at two jobs at once, so that a sweep can run beside a job."""
    data_dir = tmp_path_factory.mktemp("victim")
    with running_service(
        data_dir, WORKER_CONCURRENCY="2", GRACE_SECONDS="30", STOP_SECONDS="0", TMPDIR=str(temp_dir)
    ) as running:
        yield running
    shutil.rmtree(data_dir)


LARGE = 3500  # px a side; some seconds of work, so that there is a middle to do something in
SMALL = 40  # px


def photo(side: int, *, progressive: bool = False) -> bytes:
    """A square JPEG that nobody has seen before: what has been made once is not made again."""
    file = io.BytesIO()
    noise = Image.effect_noise((side // 10, side // 10), 80).convert("RGB")
    noise.resize((side, side)).save(file, "JPEG", progressive=progressive)
    return file.getvalue()


def upload(service: Service, side: int) -> str:
    """The id of a new task."""
    answer = service.upload_bytes(photo(side), f"{uuid.uuid4().hex[:12]}.jpg")
    assert answer.status_code == 202, answer.text
    task_id: str = answer.json()["task_id"]
    return task_id


def task(service: Service, task_id: str) -> dict[str, Any]:
    found: dict[str, Any] = service.get(f"/tasks/{task_id}").json()
    return found


def start_long_task(service: Service) -> str:
    """The id of a task that has made some of its tiles."""
    task_id = upload(service, LARGE)

    def is_in_the_middle() -> bool:
        now = task(service, task_id)
        assert now["status"] not in FINAL, "the picture is too small for this test"
        return bool(now["progress"] > 0)

    wait_until(is_in_the_middle, PATIENCE, interval=0.05)
    return task_id


def ended(service: Service, task_id: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        now = task(service, task_id)
        return now if now["status"] in FINAL else None

    return wait_until(look, PATIENCE)


def assert_succeeds_once(service: Service, task_id: str) -> None:
    """The task ends in SUCCESS, its picture is whole, and there is no second one."""
    end = ended(service, task_id)
    assert end["status"] == "SUCCESS", end["error"]
    picture = service.get(end["links"]["result"]).content
    assert hashlib.sha256(picture).hexdigest() == end["result"]["sha256"]
    assert end["result"]["width"] == 4 * end["source"]["width"]


def attempts(service: Service, task_id: str) -> int:
    job = service.store.jobs.get("everyone", task_id)
    assert job is not None
    return job.attempt


def child_at(service: Service, task_id: str) -> psutil.Process:
    """The worker's child that holds the task."""

    def find() -> psutil.Process | None:
        try:
            replies = make_celery(service.stack.settings).control.inspect(timeout=1.0).active() or {}
        except RedisError:
            return None  # a connection to the Redis that a test before this one killed
        running = [request for requests in replies.values() for request in requests]
        pids = [request["worker_pid"] for request in running if request["args"] == [task_id]]
        return psutil.Process(pids[0]) if pids else None

    return wait_until(find)


def pool(service: Service) -> list[psutil.Process]:
    """The worker's children, beat among them."""
    return psutil.Process(service.stack.worker.process.pid).children()


# --- Workers ------------------------------------------------------------------------------------


def test_a_job_whose_process_is_killed_is_done_by_another(victim: Service) -> None:
    task_id = start_long_task(victim)
    child_at(victim, task_id).kill()
    assert_succeeds_once(victim, task_id)
    assert attempts(victim, task_id) == 2


def test_a_job_whose_worker_is_killed_with_all_its_processes_is_done_after_its_restart(victim: Service) -> None:
    task_id, waiting = start_long_task(victim), upload(victim, SMALL)
    processes = [psutil.Process(victim.stack.worker.process.pid), *pool(victim)]
    for process in processes:
        process.kill()
    victim.stack.worker.process.wait()
    victim.stack.worker.start()
    assert_succeeds_once(victim, task_id)
    assert_succeeds_once(victim, waiting)


def test_of_a_killed_worker_no_process_stays_and_its_job_is_done(victim: Service) -> None:
    task_id = start_long_task(victim)
    orphans = pool(victim)
    victim.stack.worker.process.kill()
    victim.stack.worker.process.wait()
    assert psutil.wait_procs(orphans, timeout=PATIENCE)[1] == []
    victim.stack.worker.start()
    assert_succeeds_once(victim, task_id)


def test_a_job_whose_process_freezes_is_done_by_another_and_the_late_one_does_no_harm(victim: Service) -> None:
    task_id = start_long_task(victim)
    with frozen(child_at(victim, task_id)):
        assert_succeeds_once(victim, task_id)
        end = task(victim, task_id)
    assert attempts(victim, task_id) == 2
    # The late one has to give up before this one gets its turn, for there are two processes and three jobs.
    others = [upload(victim, SMALL) for _ in range(3)]
    for other in others:
        assert_succeeds_once(victim, other)
    wait_until(lambda: not is_held(victim, task_id))
    assert task(victim, task_id) == end
    job = victim.store.jobs.get("everyone", task_id)
    assert job is not None
    files = victim.store.results._files.find({"filename": job.name})
    assert [file["_id"] for file in files] == [job.result and job.result.file_id]


def is_held(service: Service, task_id: str) -> bool:
    """Whether a process still works at the task."""
    replies = make_celery(service.stack.settings).control.inspect(timeout=1.0).active()
    return not replies or any(request["args"] == [task_id] for requests in replies.values() for request in requests)


def test_a_picture_that_kills_its_worker_three_times_fails_as_worker_lost_and_frees_its_name(victim: Service) -> None:
    task_id = upload(victim, LARGE)
    for attempt in (1, 2, 3):
        wait_until(lambda attempt=attempt: attempts(victim, task_id) == attempt, PATIENCE)  # type: ignore[misc]
        child_at(victim, task_id).kill()
    end = ended(victim, task_id)
    assert end["status"] == "FAILURE"
    assert end["error"]["code"] == "worker_lost"
    again = victim.upload_bytes(photo(SMALL), end["name"])
    assert again.status_code == 202
    assert_succeeds_once(victim, again.json()["task_id"])


def test_a_picture_that_kills_three_decoders_fails_as_undecodable_and_the_worker_goes_on(
    victim: Service, temp_dir: Path
) -> None:
    before = networks(victim)
    slow = photo(5000, progressive=True)
    answer = victim.upload_bytes(slow, f"{uuid.uuid4().hex[:12]}.jpg", scale="1")
    task_id = answer.json()["task_id"]
    for attempt in (1, 2, 3):
        wait_until(lambda attempt=attempt: attempts(victim, task_id) == attempt, PATIENCE)  # type: ignore[misc]
        wait_until(lambda: busy_decoder(victim, temp_dir), PATIENCE, interval=0.01).kill()
    end = ended(victim, task_id)
    assert end["status"] == "FAILURE"
    assert end["error"]["code"] == "undecodable"
    assert_succeeds_once(victim, upload(victim, SMALL))
    assert networks(victim) == before


def busy_decoder(service: Service, temp_dir: Path) -> psutil.Process | None:
    """The decoder that has a picture's temporary file."""
    for process in psutil.Process(service.stack.worker.process.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess, FileNotFoundError):
            if "utils.decoder_process" in process.cmdline():
                files = [os.readlink(path) for path in Path(f"/proc/{process.pid}/fd").iterdir()]
                if any(file.startswith(str(temp_dir)) for file in files):
                    return process
    return None


def test_a_worker_that_is_told_to_stop_hands_its_job_back_at_once(victim: Service) -> None:
    task_id = start_long_task(victim)
    victim.stack.worker.process.terminate()
    victim.stack.worker.process.wait(PATIENCE)
    handed_back = task(victim, task_id)
    victim.stack.worker.start()
    assert (handed_back["status"], handed_back["progress"]) == ("PENDING", 0.0)
    assert_succeeds_once(victim, task_id)
    assert attempts(victim, task_id) == 2


@pytest.mark.parametrize(
    ("limit", "amount", "code"),
    [
        (resource.RLIMIT_AS, lambda child: child.memory_info().vms + 32_000_000, "out_of_memory"),
        (resource.RLIMIT_FSIZE, lambda child: 10_000, "disk_full"),
    ],
    ids=["memory", "disk"],
)
def test_what_a_job_cannot_have_makes_it_fail_honestly_and_its_worker_lives_on(
    victim: Service, limit: int, amount: Callable[[psutil.Process], int], code: str
) -> None:
    before = networks(victim)
    with limited(before, limit, amount):
        end = ended(victim, upload(victim, LARGE))
    assert end["status"] == "FAILURE"
    assert end["error"]["code"] == code
    assert_succeeds_once(victim, upload(victim, SMALL))
    assert networks(victim) == before


def test_an_error_that_nobody_foresaw_costs_its_process_and_not_the_job(victim: Service) -> None:
    before = networks(victim)
    with limited(before, resource.RLIMIT_NOFILE, lambda child: child.num_fds()):
        task_id = upload(victim, SMALL)
        assert_succeeds_once(victim, task_id)
    assert attempts(victim, task_id) > 1
    wait_until(lambda: networks(victim) != before)


def networks(service: Service) -> set[psutil.Process]:
    """The worker's children that work at jobs."""
    replies = wait_until(lambda: make_celery(service.stack.settings).control.inspect(timeout=1.0).stats())
    return {psutil.Process(pid) for stats in replies.values() for pid in stats["pool"]["processes"]}


@contextmanager
def limited(processes: set[psutil.Process], limit: int, amount: Callable[[psutil.Process], int]) -> Iterator[None]:
    """Let each of the processes have no more of `limit`, a resource of setrlimit(2), than `amount`."""
    unlimited = {process: process.rlimit(limit) for process in processes}
    for process, (_, hard) in unlimited.items():
        process.rlimit(limit, (amount(process), hard))
    try:
        yield
    finally:
        for process, limits in unlimited.items():
            with suppress(psutil.NoSuchProcess):
                process.rlimit(limit, limits)


# --- Redis --------------------------------------------------------------------------------------


def test_waiting_jobs_are_done_though_redis_is_emptied(victim: Service) -> None:
    running = [start_long_task(victim), start_long_task(victim)]
    waiting = [upload(victim, SMALL) for _ in range(3)]
    with Redis.from_url(redis_server(victim).url) as client:
        client.flushall()
    for task_id in running + waiting:
        assert_succeeds_once(victim, task_id)
    assert_succeeds_once(victim, upload(victim, SMALL))


def test_uploads_are_accepted_while_redis_is_away_and_done_when_it_is_back(victim: Service) -> None:
    running = start_long_task(victim)
    with killed(victim, redis_server(victim)):
        accepted = [upload_within(ANSWER_TIMEOUT, victim) for _ in range(2)]
        health = victim.get("/health/ready")
        assert health.status_code == 200
        assert health.json()["checks"]["redis"]["status"] != "ok"
    for task_id in [running, *accepted]:
        assert_succeeds_once(victim, task_id)


def test_uploads_are_accepted_while_redis_is_frozen(victim: Service) -> None:
    with frozen(psutil.Process(redis_server(victim).process.process.pid)):
        accepted = upload_within(ANSWER_TIMEOUT, victim)
    assert_succeeds_once(victim, accepted)


def upload_within(timeout: float, service: Service) -> str:
    files = {"image": (f"{uuid.uuid4().hex[:12]}.jpg", photo(SMALL))}
    answer = requests.post(f"{service.url}/upscale", files=files, timeout=timeout)
    assert answer.status_code == 202
    task_id: str = answer.json()["task_id"]
    return task_id


# --- MongoDB ------------------------------------------------------------------------------------


def assert_says_the_store_is_away(service: Service) -> None:
    """Every route says so, and none hangs."""
    files = {"image": ("photo.jpg", photo(SMALL))}
    for answer in (
        requests.get(f"{service.url}/tasks/{uuid.uuid4()}", timeout=ANSWER_TIMEOUT),
        requests.get(f"{service.url}/processed/photo.jpg", timeout=ANSWER_TIMEOUT),
        requests.post(f"{service.url}/upscale", files=files, timeout=ANSWER_TIMEOUT),
    ):
        assert answer.status_code == 503
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json()["code"] == "store_unavailable"
        assert int(answer.headers["Retry-After"]) >= 1
    assert requests.get(f"{service.url}/health/live", timeout=ANSWER_TIMEOUT).status_code == 200
    assert requests.get(f"{service.url}/health/ready", timeout=ANSWER_TIMEOUT).status_code == 503


def test_a_job_is_done_though_mongodb_is_killed_in_its_middle(victim: Service) -> None:
    running, waiting = start_long_task(victim), upload(victim, LARGE)
    with killed(victim, mongod(victim)):
        assert_says_the_store_is_away(victim)
    for task_id in (running, waiting):
        assert_succeeds_once(victim, task_id)


def test_a_frozen_mongodb_hangs_nobody_and_loses_nothing(victim: Service) -> None:
    running = start_long_task(victim)
    with frozen(psutil.Process(mongod(victim).process.process.pid)):
        assert_says_the_store_is_away(victim)
    wait_until(lambda: is_ready(victim), PATIENCE)
    assert_succeeds_once(victim, running)


def test_an_upload_during_which_mongodb_dies_leaves_nothing_after_the_sweep(victim: Service) -> None:
    server = mongod(victim)

    class DeadlyStream(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() == 60 * CHUNK_BYTES:
                server.process.process.kill()
                server.process.process.wait()
            return super().read(size)

    before = stored_uploads(victim)
    uploads = victim.store.uploads
    try:
        with pytest.raises(StoreUnavailable):
            uploads.save(DeadlyStream(os.urandom(62 * CHUNK_BYTES)), "photo.png")
    finally:
        server.process.start()
        wait_until(lambda: is_ready(victim), PATIENCE)
    assert stored_uploads(victim) > before
    wait_until(lambda: stored_uploads(victim) <= before, PATIENCE)


def stored_uploads(service: Service) -> set[ObjectId]:
    """The ids of all uploads that there is anything of."""
    uploads = service.store.uploads
    return {*uploads._chunks.distinct("files_id"), *uploads._files.distinct("_id")}


# --- What stays ---------------------------------------------------------------------------------


def test_a_result_that_has_expired_is_gone_and_its_name_is_free(victim: Service) -> None:
    task_id = upload(victim, SMALL)
    assert_succeeds_once(victim, task_id)
    name = task(victim, task_id)["name"]
    victim.store.jobs._jobs.update_one({"_id": task_id}, {"$set": {"expires_at": datetime.now(UTC)}})
    wait_until(lambda: victim.get(f"/processed/{name}").status_code == 410)
    assert victim.get(f"/processed/{name}").json()["code"] == "expired"
    assert task(victim, task_id)["status"] == "SUCCESS"
    again = victim.upload_bytes(photo(SMALL), name)
    assert again.status_code == 202
    assert again.json()["task_id"] != task_id
    assert_succeeds_once(victim, again.json()["task_id"])


def test_no_temporary_file_stays_whatever_became_of_the_jobs(victim: Service, temp_dir: Path) -> None:
    assert_succeeds_once(victim, upload(victim, SMALL))
    running = start_long_task(victim)
    holder = child_at(victim, running)
    open_files = {os.readlink(path) for path in Path(f"/proc/{holder.pid}/fd").iterdir()}
    assert any(path.startswith(str(temp_dir)) for path in open_files), "the test looks at the wrong folder"
    holder.kill()
    assert_succeeds_once(victim, running)
    # A killed worker leaves an empty folder of billiard's, and nothing in it.
    assert [path for path in temp_dir.rglob("*") if not path.is_dir()] == []
