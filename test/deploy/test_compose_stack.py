"""The whole stack of docker-compose.yml, built and started for real, used through nginx as by curl.

Runs with `make test-docker` where a Docker engine answers. CI leaves it out: it has neither an engine nor
base images, and building takes minutes.
"""

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image
from simple_websocket import Client

from utils.local_services import free_port

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1800)]

LASTING = {"nginx", "web", "worker", "beat", "mongo", "redis"}
FINAL = ("SUCCESS", "FAILURE", "REVOKED")
PATIENCE = 300  # seconds for anything that is waited for


def _compose() -> list[str]:
    """The command that this machine has for compose; skips where no engine answers."""
    if not shutil.which("docker") or subprocess.run(["docker", "info"], capture_output=True, check=False).returncode:
        pytest.skip("no Docker engine answers here")
    has_plugin = not subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode
    return ["docker", "compose"] if has_plugin else ["docker-compose"]


@dataclass(frozen=True)
class ComposeStack:
    """A running copy of the repository's stack, with a project name and a port of its own."""

    folder: Path
    command: list[str]
    url: str

    def compose(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*self.command, *arguments], cwd=self.folder, capture_output=True, text=True, check=check)

    def inspect(self, service: str) -> dict[str, Any]:
        """What Docker says of a service's first container."""
        container = self.compose("ps", "-q", service).stdout.split()[0]
        return json.loads(subprocess.check_output(["docker", "inspect", container]))[0]

    def wait_until_healthy(self) -> None:
        _wait(lambda: all(self.inspect(name)["State"]["Health"]["Status"] == "healthy" for name in LASTING))

    def upload(self, picture: bytes, name: str) -> requests.Response:
        return requests.post(f"{self.url}/upscale", files={"image": (name, picture)}, timeout=60)

    def wait_for_task(self, task_id: str) -> dict[str, Any]:
        return _wait(lambda: (task := self._task(task_id)) and task["status"] in FINAL and task)

    def wait_until_started(self, task_id: str) -> None:
        _wait(lambda: (task := self._task(task_id)) and task["status"] != "PENDING")

    def _task(self, task_id: str) -> dict[str, Any] | None:
        """None while a part of the stack is away."""
        try:
            answer = requests.get(f"{self.url}/tasks/{task_id}", timeout=60)
        except requests.ConnectionError:
            return None
        return answer.json() if answer.ok else None


def _wait(condition: Any) -> Any:
    """What `condition` gives as soon as that is true."""
    deadline = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(1)
    return value


def _copy_of_the_repository(root: Path, folder: Path, *, password: str, port: int) -> None:
    """Everything that git knows, with a `.env` made from env_example."""
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    for name in subprocess.check_output(listing, cwd=root, text=True).split("\0"):
        if name and (root / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, folder / name)
    example = (root / "env_example").read_text(encoding="utf-8")
    settings = example.replace("=change-me", f"={password}").replace("PORT=5000", f"PORT={port}")
    (folder / ".env").write_text(settings, encoding="utf-8")


@pytest.fixture(scope="module")
def stack(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComposeStack]:
    command = _compose()
    port = free_port()
    folder = tmp_path_factory.mktemp(f"upscaler-{port}", numbered=False)  # its name is the project's
    _copy_of_the_repository(root, folder, password="'a b\"c$d@e:/%'", port=port)
    stack = ComposeStack(folder, command, f"http://127.0.0.1:{port}")
    try:
        stack.compose("up", "--build", "--detach")
        stack.wait_until_healthy()
        yield stack
    finally:
        stack.compose("down", "--volumes", "--timeout", "10", check=False)


def _picture(file_format: str, width: int = 96, height: int = 64) -> bytes:
    """A picture whose every row and column differs."""
    horizontal = Image.linear_gradient("L").resize((width, height)).rotate(90).resize((width, height))
    vertical = Image.linear_gradient("L").resize((width, height))
    buffer = BytesIO()
    Image.merge("RGB", (horizontal, vertical, vertical)).save(buffer, file_format)
    return buffer.getvalue()


def _assert_problem(answer: requests.Response, status: int, code: str) -> None:
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == code


@pytest.mark.parametrize(("file_format", "suffix"), [("JPEG", "jpg"), ("PNG", "png")])
def test_a_picture_comes_back_four_times_larger_through_nginx(stack, file_format, suffix):
    name = f"first.{suffix}"
    answer = stack.upload(_picture(file_format), name)
    assert answer.status_code == 202
    assert answer.headers["Location"].endswith(answer.json()["task_id"])
    assert stack.wait_for_task(answer.json()["task_id"])["status"] == "SUCCESS"
    result = Image.open(BytesIO(requests.get(f"{stack.url}/processed/{name}", timeout=60).content))
    assert (result.format, result.size) == (file_format, (384, 256))


def test_events_pass_nginx_one_by_one(stack):
    answer = stack.upload(_picture("PNG", 1200, 800), "watched.png")
    events = requests.get(f"{stack.url}{answer.headers['Location']}/events", stream=True, timeout=PATIENCE)
    assert events.headers["Content-Type"].startswith("text/event-stream")
    kinds = [line.removeprefix(b"event: ") for line in events.iter_lines() if line.startswith(b"event: ")]
    assert (kinds[0], kinds[-1]) == (b"state", b"end")


def test_websockets_pass_nginx(stack):
    connection = Client(stack.url.replace("http", "ws") + "/ws/notifications")
    stack.upload(_picture("PNG"), "announced.png")
    message = connection.receive(timeout=PATIENCE)
    assert json.loads(message)["data"]["name"] == "announced.png"
    connection.close()


def test_what_is_too_large_is_refused_by_nginx_and_by_the_application_alike(stack):
    for megabytes in (60, 52.6):  # beyond nginx's limit, and between that and the application's
        answer = stack.upload(bytes(int(megabytes * 10**6)), "large.png")
        _assert_problem(answer, 413, "too_many_bytes")


def test_errors_of_nginx_itself_are_problems(stack):
    _assert_problem(requests.request("TRACE", stack.url, timeout=60), 405, "method_not_allowed")
    _assert_problem(requests.get(f"{stack.url}/{'a' * 40_000}", timeout=60), 400, "bad_request")


def test_a_wrong_method_is_a_problem(stack):
    _assert_problem(requests.delete(f"{stack.url}/upscale", timeout=60), 405, "method_not_allowed")


@pytest.mark.parametrize("service", sorted(LASTING))
def test_containers_run_without_root_capabilities_or_a_writable_root(stack, service):
    status = stack.compose("exec", "-T", service, "cat", "/proc/1/status").stdout
    fields = dict(line.split(":\t", 1) for line in status.splitlines())
    assert "0" not in fields["Uid"].split()
    assert int(fields["CapBnd"], 16) == 0
    assert stack.compose("exec", "-T", service, "touch", "/written", check=False).returncode != 0


@pytest.mark.parametrize("service", sorted(LASTING))
def test_a_job_survives_the_restart_of_any_container(stack, service):
    large_enough_to_take_seconds = _picture("PNG", 2400, 1600)
    task_id = stack.upload(large_enough_to_take_seconds, f"while {service} restarts.png").json()["task_id"]
    stack.wait_until_started(task_id)
    stack.compose("restart", "--timeout", "1", service)
    assert stack.wait_for_task(task_id)["status"] == "SUCCESS"


def test_a_task_whose_worker_is_killed_is_handed_on(stack):
    task_id = stack.upload(_picture("PNG", 2400, 1600), "while the worker is killed.png").json()["task_id"]
    stack.wait_until_started(task_id)
    before = stack.inspect("worker")["RestartCount"]
    stack.compose("exec", "-T", "worker", "sh", "-c", "kill -9 -1", check=False)
    assert stack.wait_for_task(task_id)["status"] == "SUCCESS"
    assert stack.inspect("worker")["RestartCount"] == before + 1


@pytest.mark.parametrize("service", sorted(LASTING))
def test_memory_and_threads_of_containers_are_bounded(stack, service):
    limits = stack.inspect(service)["HostConfig"]
    assert limits["Memory"] > 0
    assert limits["PidsLimit"] > 0


def test_web_mongo_and_redis_have_no_way_out(stack):
    for service in ("web", "mongo", "redis"):
        networks = stack.inspect(service)["NetworkSettings"]["Networks"].values()
        names = [network["NetworkID"] for network in networks]
        facts = json.loads(subprocess.check_output(["docker", "network", "inspect", *names]))
        assert all(fact["Internal"] for fact in facts)


def test_pictures_survive_down_and_up(stack):
    task_id = stack.upload(_picture("PNG"), "kept.png").json()["task_id"]
    stack.wait_for_task(task_id)
    before = requests.get(f"{stack.url}/processed/kept.png", timeout=60).content
    stack.compose("down")
    stack.compose("up", "--detach")
    stack.wait_until_healthy()
    assert requests.get(f"{stack.url}/processed/kept.png", timeout=60).content == before


def test_workers_can_be_added(stack):
    stack.compose("up", "--detach", "--no-recreate", "--scale", "worker=3", "worker")
    assert len(stack.compose("ps", "-q", "worker").stdout.split()) == 3
    tasks = [stack.upload(_picture("PNG"), f"shared {number}.png").json()["task_id"] for number in range(6)]
    assert {stack.wait_for_task(task_id)["status"] for task_id in tasks} == {"SUCCESS"}


@pytest.mark.parametrize("file", ["docker-compose.yml", "docker-compose-mongo-redis.yml"])
def test_nothing_starts_while_passwords_are_the_placeholder(root, tmp_path, file):
    _copy_of_the_repository(root, tmp_path, password="change-me", port=free_port())
    stack = ComposeStack(tmp_path, _compose(), "")
    try:
        refusal = stack.compose("-f", file, "up", "--detach", check=False)
        assert refusal.returncode != 0
        assert "passwords-changed-in-env" in refusal.stderr
        sentences = stack.compose("-f", file, "logs", "passwords-changed-in-env").stdout
        assert "MONGO_PASSWORD in .env is change-me" in sentences
    finally:
        stack.compose("-f", file, "down", "--volumes", check=False)
