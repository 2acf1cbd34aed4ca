"""The service on a MongoDB of three nodes whose primary is killed: what was accepted ends, and more is accepted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path

import pytest
from live_service import running_service, wait_until
from PIL import Image
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from utils.local_services import free_port, mongod_program
from utils.processes import ChildProcess

NAME = "three"
START_TIMEOUT = 120.0  # s


class ReplicaSet:
    """Three mongods of one set."""

    def __init__(self, folder: Path, running: ExitStack) -> None:
        self._nodes = {free_port(): folder / f"node-{number}" for number in range(3)}
        self._processes = {port: self._start(port, folder, running) for port, folder in self._nodes.items()}
        hosts = [f"127.0.0.1:{port}" for port in self._nodes]
        self.url = f"mongodb://{','.join(hosts)}/?replicaSet={NAME}"
        members = [{"_id": number, "host": host} for number, host in enumerate(hosts)]
        settings = {"electionTimeoutMillis": 2000}
        with MongoClient(hosts[0], directConnection=True) as client:
            client.admin.command("replSetInitiate", {"_id": NAME, "members": members, "settings": settings})
        wait_until(self._primary, START_TIMEOUT)

    def kill_primary(self) -> None:
        port = wait_until(self._primary)
        self._processes[port].process.kill()
        wait_until(lambda: self._primary() not in (None, port))

    def _primary(self) -> int | None:
        """The port of the node that takes writes."""
        try:
            with MongoClient(self.url, serverSelectionTimeoutMS=1000) as client:
                client.admin.command("ping")
                return client.primary[1] if client.primary else None
        except PyMongoError:
            return None

    def _start(self, port: int, folder: Path, running: ExitStack) -> ChildProcess:
        folder.mkdir()
        command = [
            *(mongod_program(), "--dbpath", folder, "--port", port, "--bind_ip", "127.0.0.1", "--replSet", NAME),
            *("--unixSocketPrefix", folder, "--wiredTigerCacheSizeGB", "0.25", "--oplogSize", "50", "--quiet"),
        ]
        child = running.enter_context(ChildProcess("mongod", command, log=folder / "log"))
        with MongoClient(port=port, directConnection=True, serverSelectionTimeoutMS=1000) as client:
            child.wait_until(lambda: _answers(client), START_TIMEOUT)
        return child


def _answers(client: MongoClient) -> bool:
    try:
        client.admin.command("ping")
    except PyMongoError:
        return False
    return True


@pytest.fixture
def replica_set(tmp_path: Path) -> Iterator[ReplicaSet]:
    with ExitStack() as running:
        yield ReplicaSet(tmp_path, running)


def _picture(side: int) -> bytes:
    buffer = BytesIO()
    Image.effect_noise((side, side), 80).convert("RGB").save(buffer, "PNG")
    return buffer.getvalue()


def test_a_new_primary_carries_on(replica_set, tmp_path):
    with running_service(tmp_path / "data", MONGO_URL=replica_set.url) as service:
        lasting = service.upload_bytes(_picture(1500), "lasting.png").json()["task_id"]
        wait_until(lambda: service.get(f"/tasks/{lasting}").json()["status"] == "STARTED")
        replica_set.kill_primary()
        wait_until(lambda: service.get("/health/ready").ok)
        later = service.upload_bytes(_picture(48), "later.png").json()["task_id"]
        for task_id in (lasting, later):
            ended = wait_until(lambda task_id=task_id: _ended(service.get(f"/tasks/{task_id}")), 120)
            assert ended["status"] == "SUCCESS", ended["error"]


def _ended(answer):
    """The task, once it has ended; None as well where MongoDB is away for the moment."""
    return answer.json() if answer.ok and answer.json()["finished_at"] else None
