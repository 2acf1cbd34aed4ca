"""What the running service tells of itself at /metrics and /health/ready, read as Prometheus reads it."""

from __future__ import annotations

import io
import json
import re
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import psutil
import pytest
import requests
import yaml
from breakage import stopped_worker
from live_service import Service, running_service, wait_until
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families
from simple_websocket import Client, ConnectionClosed

REPOSITORY = Path(__file__).resolve().parent.parent.parent
NAME = re.compile(r"\bupscaler_[a-z_]+\b")
SCRAPE_TIMEOUT = 10.0  # s; what Prometheus gives a scrape unless told otherwise
QUOTA = "100GiB"


class Scrape:
    """The numbers of one scrape, by their names and labels."""

    def __init__(self, text: str) -> None:
        self._samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]

    @property
    def names(self) -> set[str]:
        return {sample.name for sample in self._samples}

    def values(self, label: str) -> set[str]:
        """Of that label, whatever has it."""
        return {sample.labels[label] for sample in self._samples if label in sample.labels}

    def sum(self, name: str, **labels: str) -> float:
        """Of all numbers of that name with these labels, whatever others they have."""
        return sum(
            sample.value for sample in self._samples if sample.name == name and labels.items() <= sample.labels.items()
        )


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that nobody else counts in, of two web processes and two workers' children."""
    data_dir = tmp_path_factory.mktemp("watched")
    with running_service(data_dir, WEB_WORKERS="2", WORKER_CONCURRENCY="2", STORE_QUOTA_BYTES=QUOTA) as running:
        make_pictures(running, 1)
        fail_at_a_picture(running)
        yield running
    shutil.rmtree(data_dir)


def scrape(service: Service) -> Scrape:
    answer = requests.get(f"{service.url}/metrics", timeout=SCRAPE_TIMEOUT)
    assert answer.status_code == 200
    return Scrape(answer.text)


def scrape_until(service: Service, wanted: Callable[[Scrape], bool]) -> Scrape:
    """The first scrape that is as wanted: what is read from the store may be some seconds old."""

    def look() -> Scrape | None:
        found = scrape(service)
        return found if wanted(found) else None

    return wait_until(look, interval=0.5)


def picture(side: int) -> bytes:
    file = io.BytesIO()
    Image.effect_noise((side, side), 80).convert("RGB").save(file, "JPEG")
    return file.getvalue()


def make_pictures(service: Service, number: int, side: int = 100) -> None:
    answers = [service.upload_bytes(picture(side), f"{uuid.uuid4().hex}.jpg") for _ in range(number)]
    for answer in answers:
        assert service.wait_for(answer.json()["task_id"])["status"] == "SUCCESS"


def fail_at_a_picture(service: Service) -> None:
    file = io.BytesIO()
    Image.effect_noise((64, 64), 50).save(file, "PNG")
    broken = bytearray(file.getvalue())
    start = broken.index(b"IDAT") + 200
    broken[start : start + 50] = bytes(50)
    task = service.upload_bytes(bytes(broken), f"{uuid.uuid4().hex}.png").json()
    assert service.wait_for(task["task_id"])["error"]["code"] == "undecodable"


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    process = psutil.Process(pid)
    process.suspend()
    try:
        yield
    finally:
        process.resume()


def test_what_all_workers_did_is_told_at_one_place(watched: Service) -> None:
    before = scrape(watched)
    make_pictures(watched, 6)

    def succeeded(now: Scrape) -> float:
        return now.sum("upscaler_attempts_total", outcome="success", model="fast") - before.sum(
            "upscaler_attempts_total", outcome="success", model="fast"
        )

    after = scrape_until(watched, lambda now: succeeded(now) >= 6)
    assert succeeded(after) == 6
    for name, megapixels in (("upscaler_input_megapixels_total", 0.06), ("upscaler_output_megapixels_total", 0.96)):
        assert after.sum(name) - before.sum(name) == pytest.approx(megapixels)
    for stage in ("fetch", "decode", "upscale", "encode", "describe", "store"):
        for suffix in ("count", "bucket"):
            labels = {"stage": stage, "model": "fast"} | ({"le": "+Inf"} if suffix == "bucket" else {})
            name = f"upscaler_stage_seconds_{suffix}"
            assert after.sum(name, **labels) - before.sum(name, **labels) == 6
        assert after.sum("upscaler_stage_seconds_sum", stage=stage) > 0
    assert after.sum("upscaler_tasks", status="SUCCESS", model="fast") >= 6
    assert after.sum("upscaler_store_bytes", bucket="results") > 0
    assert after.sum("upscaler_queue_length") == 0
    assert after.sum("upscaler_queue_head_age_seconds") == 0


def test_a_failed_task_is_counted_by_its_code(watched: Service) -> None:
    before = scrape(watched).sum("upscaler_task_failures_total", code="undecodable")
    fail_at_a_picture(watched)
    scrape_until(watched, lambda now: now.sum("upscaler_task_failures_total", code="undecodable") == before + 1)


def test_a_task_that_waits_is_seen_with_its_age(watched: Service) -> None:
    with stopped_worker(watched):
        accepted = watched.upload_bytes(picture(50), "waits.jpg").json()
        scrape_until(
            watched,
            lambda now: now.sum("upscaler_queue_length") == 1 and now.sum("upscaler_queue_head_age_seconds") > 1,
        )
    assert watched.wait_for(accepted["task_id"])["status"] == "SUCCESS"


def test_sweeps_are_counted(watched: Service) -> None:
    before = scrape(watched)
    after = scrape_until(
        watched, lambda now: now.sum("upscaler_sweeps_total") > before.sum("upscaler_sweeps_total") + 1
    )
    assert after.sum("upscaler_last_sweep_timestamp_seconds", kind="sweep") > 1e9
    assert {"handed_on", "expired", "sent_again", "uploads"} <= after.values("action")


def test_every_web_process_tells_of_all_requests(watched: Service) -> None:
    name, labels = "upscaler_http_requests_total", {"route": "/tasks/<task_id>", "method": "GET", "status": "404"}
    before = scrape(watched).sum(name, **labels)
    for _ in range(40):
        watched.get(f"/tasks/{uuid.uuid4()}")  # a connection each, so that both processes get some
    assert {scrape(watched).sum(name, **labels) for _ in range(10)} == {before + 40}
    seconds = scrape(watched).sum("upscaler_http_request_seconds_count", route="/tasks/<task_id>", method="GET")
    assert seconds >= before + 40


def test_what_a_client_makes_up_is_no_label(watched: Service) -> None:
    secret = uuid.uuid4().hex
    watched.get(f"/{secret}")
    watched.get(f"/tasks/{secret}?{secret}={secret}")
    requests.request(secret[:10], f"{watched.url}/upscale", timeout=60)
    text = watched.get("/metrics").text
    assert secret[:10] not in text
    assert Scrape(text).sum("upscaler_http_requests_total", route="none", status="404") >= 1
    assert Scrape(text).sum("upscaler_http_requests_total", method="other", status="405") == 1


def test_time_that_was_asked_to_be_waited_is_not_slowness(watched: Service) -> None:
    with stopped_worker(watched):
        waiting = watched.upload_bytes(picture(50), "patience.jpg").json()
        labels = {"route": "/tasks/<task_id>", "method": "GET", "le": "2.5"}
        name = "upscaler_http_request_seconds_bucket"
        before = scrape(watched).sum(name, **labels)
        assert watched.get(f"/tasks/{waiting['task_id']}?wait=4").json()["status"] == "PENDING"
        assert scrape(watched).sum(name, **labels) == before + 1
    watched.wait_for(waiting["task_id"])


def test_streams_of_a_process_that_died_are_not_open(watched: Service) -> None:
    url = watched.url.replace("http", "ws") + "/ws/notifications"
    streams = [Client(url) for _ in range(5)]
    scrape_until(watched, lambda now: now.sum("upscaler_open_streams") == 5)
    for process in psutil.Process(watched.stack.web.process.pid).children():
        process.kill()
    for stream in streams:
        with suppress(ConnectionClosed):
            stream.close()

    def look() -> Scrape | None:
        try:
            return scrape(watched)
        except requests.ConnectionError:
            return None  # the processes that come after them are not there yet

    wait_until(look)
    after = scrape_until(watched, lambda now: now.sum("upscaler_open_streams") == 0)
    assert after.sum("upscaler_http_requests_total") > 0  # what they counted stays
    with closing(Client(url)):
        scrape_until(watched, lambda now: now.sum("upscaler_open_streams") == 1)
    scrape_until(watched, lambda now: now.sum("upscaler_open_streams") == 0)


@pytest.mark.parametrize(
    ("dependency", "gone", "still_there"),
    [
        ("mongod", {"upscaler_queue_length", "upscaler_tasks", "upscaler_attempts_total"}, {"upscaler_queue_messages"}),
        ("redis", {"upscaler_queue_messages"}, {"upscaler_queue_length", "upscaler_attempts_total"}),
    ],
)
def test_a_dependency_that_hangs_takes_only_its_own_numbers_away(
    watched: Service, dependency: str, gone: set[str], still_there: set[str]
) -> None:
    server = getattr(watched.stack, dependency)
    label = dependency.removesuffix("d")
    with frozen(server.process.process.pid):
        away = scrape_until(watched, lambda now: now.sum("upscaler_dependency_up", dependency=label) == 0)
        assert not gone & away.names
        assert still_there <= away.names
        assert "upscaler_http_requests_total" in away.names
    scrape_until(watched, lambda now: gone <= now.names and now.sum("upscaler_dependency_up") == 2)


def test_readiness_names_each_dependency_with_its_time(watched: Service) -> None:
    def all_answer() -> dict[str, dict[str, object]] | None:
        checks: dict[str, dict[str, object]] = watched.get("/health/ready").json()["checks"]
        return checks if all(check["status"] == "ok" for check in checks.values()) else None

    checks = wait_until(all_answer)
    assert set(checks) == {"mongo", "redis", "worker"}
    assert all(isinstance(check["ms"], float) for check in checks.values())


def test_without_a_worker_the_service_is_ready_and_says_so(watched: Service) -> None:
    with stopped_worker(watched):
        answer = watched.get("/health/ready")
    assert answer.status_code == 200
    check = answer.json()["checks"]["worker"]
    assert check["status"] == "unavailable"
    assert "No worker answers" in check["detail"]


def test_openmetrics_is_spoken_to_those_who_ask_for_it(watched: Service) -> None:
    answer = watched.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


# --- What is read from the numbers --------------------------------------------------------------


def names_in(text: str) -> set[str]:
    return set(NAME.findall(text))


def dashboard_expressions() -> list[str]:
    dashboard = json.loads((REPOSITORY / "deploy/grafana/image-upscaler.json").read_text())
    return [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]


def alert_expressions() -> list[str]:
    groups = yaml.safe_load((REPOSITORY / "deploy/prometheus/alerts.yml").read_text())["groups"]
    return [rule["expr"] for group in groups for rule in group["rules"]]


@pytest.fixture(scope="module")
def exposed(watched: Service) -> set[str]:
    """The names of all numbers that a service tells once it has made a picture and failed at another."""

    def is_whole(now: Scrape) -> bool:
        return now.sum("upscaler_dependency_up") == 2 and now.sum("upscaler_task_failures_total") > 0

    return scrape_until(watched, is_whole).names


@pytest.mark.parametrize("expression", dashboard_expressions() + alert_expressions())
def test_dashboard_and_alerts_look_at_numbers_that_there_are(exposed: set[str], expression: str) -> None:
    used = names_in(expression)
    assert used <= exposed
    assert used or expression.startswith("up{")


def test_every_number_is_explained(exposed: set[str]) -> None:
    explained = names_in((REPOSITORY / "docs" / "operations.md").read_text())
    told = {re.sub("_(bucket|count|sum)$", "", name) for name in exposed}
    assert told - explained == set()
    assert {name for name in explained if name in exposed or name in told} == told
