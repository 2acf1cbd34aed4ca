"""Restarting while in use: no request fails, none that is under way is cut off, and what was accepted is done."""

from __future__ import annotations

import io
import signal
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psutil
import requests
from live_service import Service, wait_until
from PIL import Image

CLIENTS = 4
RESTARTS = 3
PATIENCE = 120.0  # s


def picture(side: int = 40) -> bytes:
    file = io.BytesIO()
    Image.effect_noise((side, side), 80).save(file, "PNG")
    return file.getvalue()


def web_workers(service: Service) -> set[psutil.Process]:
    return set(psutil.Process(service.stack.web.process.pid).children())


def restart_web(service: Service) -> None:
    """Have gunicorn replace its workers, and wait until the old ones are gone."""
    before = web_workers(service)
    service.stack.web.process.send_signal(signal.SIGHUP)
    wait_until(lambda: len(web_workers(service)) == len(before) and not web_workers(service) & before, PATIENCE)


@contextmanager
def uploading(service: Service) -> Iterator[list[requests.Response]]:
    """Clients that upload one picture after the other inside the block; afterwards, all their answers."""
    answers: list[requests.Response] = []
    is_over = threading.Event()

    def upload() -> None:
        while not is_over.is_set():
            answers.append(service.upload_bytes(picture(), f"{uuid.uuid4().hex}.png"))

    with ThreadPoolExecutor(CLIENTS) as clients:
        running = [clients.submit(upload) for _ in range(CLIENTS)]
        try:
            yield answers
        finally:
            is_over.set()
        for each in running:
            each.result()


def test_no_upload_fails_while_the_web_server_is_restarted(service: Service) -> None:
    with uploading(service) as answers:
        for _ in range(RESTARTS):
            restart_web(service)
    assert {answer.status_code for answer in answers} == {202}
    for answer in answers:
        assert service.wait_for(answer.json()["task_id"])["status"] == "SUCCESS"


def test_a_download_under_way_is_finished_by_a_web_server_that_stops(service: Service) -> None:
    task = service.upload_bytes(picture(900), f"{uuid.uuid4().hex}.png").json()
    end = service.wait_for(task["task_id"])
    with service.get(end["links"]["result"], stream=True) as answer:
        body = answer.iter_content(64 * 1024)
        begun = next(body)
        before = web_workers(service)
        service.stack.web.process.send_signal(signal.SIGHUP)
        wait_until(lambda: web_workers(service) - before, PATIENCE)
        assert len(begun + b"".join(body)) == end["result"]["bytes"]
    wait_until(lambda: not web_workers(service) & before, PATIENCE)
