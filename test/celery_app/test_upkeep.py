"""The upkeep as operators and beat run it: on real stores, and without the networks."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

from bson import ObjectId
from live_service import Service, wait_until

from mongo import Store
from mongo.jobs import Job, StoredImage
from utils.local_services import free_port
from utils.upscale_request import UpscaleRequest

REPOSITORY = Path(__file__).resolve().parents[2]
PATIENCE = 60.0  # s


def environment(**settings: str) -> dict[str, str]:
    return os.environ | {"ENV_FILE": os.devnull} | settings


def flask_sweep(**settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "flask", "--app", "main", "sweep"],
        cwd=REPOSITORY,
        env=environment(**settings),
        capture_output=True,
        text=True,
        check=False,
    )


def counts(printed: str) -> dict[str, int]:
    return {name: int(count) for name, count in (line.split() for line in printed.splitlines())}


def test_the_sweep_by_hand_prints_what_there_was_to_do(
    store: Store, mongo_url: str, service: Service, tmp_path: Path
) -> None:
    assert service.stack.redis is not None
    source = StoredImage(ObjectId(), "PNG", "RGB", width=30, height=20, bytes=600, sha256="ab" * 32)
    job = store.jobs.claim(store.jobs.create(Job.new("ann", "photo.png", UpscaleRequest(), source)).id)
    assert job is not None
    store.jobs.succeed(job, source, keep=timedelta())
    store.results.save(io.BytesIO(b"nobody's"), "photo.png")

    servers = {"MONGO_URL": mongo_url, "MONGO_DATABASE": store.database.name, "REDIS_URL": service.stack.redis.url}
    settings = servers | {"TMPDIR": str(tmp_path)}  # what others on this machine leave behind is not counted
    first = flask_sweep(**settings)
    assert first.returncode == 0, first.stderr
    assert counts(first.stdout)["expired"] == 1
    second = flask_sweep(**settings)
    assert set(counts(second.stdout).values()) == {0}


def test_a_sweep_without_a_store_says_so(tmp_path: Path) -> None:
    nobody = f"mongodb://127.0.0.1:{free_port()}/?directConnection=true"
    ended = flask_sweep(MONGO_URL=nobody)
    assert ended.returncode == 1
    assert "MongoDB does not answer" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_beat_runs_without_the_networks(service: Service, tmp_path: Path) -> None:
    assert service.stack.redis is not None
    command = [sys.executable, "-m", "celery", "-A", "main.celery_app", "beat", "-s", str(tmp_path / "schedule")]
    settings = environment(REDIS_URL=service.stack.redis.url, SWEEP_SECONDS="1", LOG_LEVEL="error")
    with subprocess.Popen([*command, "--pidfile="], cwd=REPOSITORY, env=settings) as beat:
        try:
            wait_until(lambda: list(tmp_path.glob("schedule*")), PATIENCE)
            mapped = Path(f"/proc/{beat.pid}/maps").read_text()
        finally:
            beat.terminate()
    assert "torch" not in mapped
    assert "cv2" not in mapped
