"""The id of a request, from its header to the last log line and the callback of its task."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from callback_receiver import SECRET, running_receiver
from live_service import FINAL, Service, wait_until
from PIL import Image
from redis import Redis

from utils.local_services import free_port

REPOSITORY = Path(__file__).resolve().parent.parent.parent
MADE_HERE = re.compile("[0-9a-f]{32}")


def picture() -> bytes:
    file = io.BytesIO()
    Image.effect_noise((40, 40), 80).convert("RGB").save(file, "JPEG")
    return file.getvalue()


def upload(url: str, request_id: str, **form: str) -> requests.Response:
    files = {"image": (f"{uuid.uuid4().hex}.jpg", picture())}
    return requests.post(f"{url}/upscale", files=files, data=form, headers={"X-Request-ID": request_id}, timeout=60)


# --- The header ---------------------------------------------------------------------------------


def test_a_request_keeps_the_id_that_it_came_with(service: Service) -> None:
    answer = service.get("/health/live", headers={"X-Request-ID": "from-the.proxy_1"})
    assert answer.headers["X-Request-ID"] == "from-the.proxy_1"


def test_a_request_without_an_id_gets_one_of_its_own(service: Service) -> None:
    ids = [service.get("/health/live").headers["X-Request-ID"] for _ in range(5)]
    assert all(MADE_HERE.fullmatch(request_id) for request_id in ids)
    assert len(set(ids)) == 5


@pytest.mark.parametrize("named", ["short", "a" * 129, "with space", '"quoted-0001"', "ümlaut-ümlaut", "{$ne:12345}"])
def test_an_id_that_is_not_well_formed_is_replaced(service: Service, named: str) -> None:
    answer = service.get("/health/live", headers={"X-Request-ID": named.encode("utf-8")})
    assert MADE_HERE.fullmatch(answer.headers["X-Request-ID"])


def test_a_problem_names_its_request(service: Service) -> None:
    answer = service.get("/tasks/unknown", headers={"X-Request-ID": "problem-4711"})
    assert answer.json()["request_id"] == answer.headers["X-Request-ID"] == "problem-4711"


# --- The log ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LoggingService:
    """A whole service that logs into a file, in JSON."""

    url: str
    log: Path
    supervisor: psutil.Process

    def lines(self, **wanted: str) -> list[dict[str, Any]]:
        """The log lines with these members. A line that is written just now is left out."""
        whole = [line for line in self.log.read_text().splitlines(keepends=True) if line.endswith("\n")]
        lines = [json.loads(line) for line in whole if line.startswith("{")]
        return [line for line in lines if wanted.items() <= line.items()]

    def processes(self, program: str) -> list[psutil.Process]:
        children = self.supervisor.children(recursive=True)
        return [process for process in children if program in " ".join(process.cmdline())]


@pytest.fixture(scope="module")
def logging_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoggingService]:
    folder = tmp_path_factory.mktemp("logging")
    port = str(free_port())
    settings = {"DATA_DIR": str(folder / "data"), "PORT": port, "LOG_FORMAT": "json", "ENV_FILE": os.devnull}
    settings |= {"SWEEP_SECONDS": "1", "WEBHOOK_SECRET": SECRET, "WEBHOOK_ALLOW_PRIVATE": "1"}
    log = folder / "log"
    with (
        log.open("wb") as file,
        subprocess.Popen([sys.executable, "main.py"], cwd=REPOSITORY, env=os.environ | settings, stderr=file) as run,
    ):
        try:
            wait_until(lambda: "Ctrl-C stops everything" in log.read_text(), timeout=180)
            yield LoggingService(f"http://127.0.0.1:{port}", log, psutil.Process(run.pid))
        finally:
            run.terminate()
    shutil.rmtree(folder)


def wait_for_end(service: LoggingService, task_id: str) -> None:
    def look() -> bool:
        return requests.get(f"{service.url}/tasks/{task_id}", timeout=60).json()["status"] in FINAL

    wait_until(look)


def test_one_id_leads_from_the_upload_through_the_worker_to_the_callback(logging_service: LoggingService) -> None:
    with running_receiver() as receiver:
        answer = upload(logging_service.url, "journey-0001", callback_url=receiver.url())
        task_id = answer.json()["task_id"]
        [callback] = wait_until(lambda: receiver.of_task(task_id))
    assert callback.headers["X-Request-ID"] == "journey-0001"
    wait_until(lambda: logging_service.lines(request_id="journey-0001", event="callback delivered"))
    lines = logging_service.lines(request_id="journey-0001")
    assert {"POST /upscale", "task started", "task succeeded"} <= {line["event"] for line in lines}
    assert {line["task_id"] for line in lines} == {task_id}


def test_the_id_outlives_a_redis_that_forgot_everything(logging_service: LoggingService) -> None:
    worker = logging_service.processes("celery")
    [server] = logging_service.processes("redis-server")
    port = int(re.search(r":(\d+)", " ".join(server.cmdline())).group(1))  # type: ignore[union-attr]
    for process in worker:
        process.suspend()
    try:
        task_id = upload(logging_service.url, "forgotten-0001").json()["task_id"]
        with Redis(port=port) as redis:
            redis.flushall()
    finally:
        for process in worker:
            process.resume()
    wait_for_end(logging_service, task_id)
    [line] = wait_until(lambda: logging_service.lines(event="task succeeded", request_id="forgotten-0001"))
    assert line["task_id"] == task_id


def test_a_line_of_the_log_has_what_a_collector_wants(logging_service: LoggingService) -> None:
    requests.get(f"{logging_service.url}/tasks/nobody", headers={"X-Request-ID": "collector-1"}, timeout=60)
    [line] = wait_until(lambda: logging_service.lines(request_id="collector-1"))
    assert line.pop("ms") >= 0
    assert line.pop("bytes") > 0
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", line.pop("timestamp"))
    assert line == {
        "event": "GET /tasks/nobody",
        "level": "info",
        "client": "127.0.0.1",
        "status": 404,
        "task_id": "nobody",
        "request_id": "collector-1",
    }


def test_what_one_task_logs_is_not_in_the_lines_of_the_next(logging_service: LoggingService) -> None:
    for number in range(3):
        wait_for_end(logging_service, upload(logging_service.url, f"apart-000{number}").json()["task_id"])
    for number in range(3):
        tasks = {line.get("task_id") for line in logging_service.lines(request_id=f"apart-000{number}")}
        assert len(tasks - {None}) == 1
    assert all("task_id" not in line for line in logging_service.lines(event="swept"))
