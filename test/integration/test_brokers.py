"""The service on other brokers than a single Redis: one that Sentinels watch over, and RabbitMQ."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path

import pytest
from amqp.exceptions import PreconditionFailed
from kombu import Connection, Queue
from live_service import running_service, wait_until
from PIL import Image
from redis import Redis
from redis.exceptions import RedisError

from utils.local_services import free_port, redis_program
from utils.processes import ChildProcess

RABBITMQ = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")  # Debian's; what is on its PATH changes the user first
START_TIMEOUT = 120.0  # s


class WatchedRedis:
    """A master, its replica and a Sentinel that makes the replica the master when the first one is gone."""

    def __init__(self, folder: Path, running: ExitStack) -> None:
        self.master_port, self.replica_port, self.sentinel_port = (free_port() for _ in range(3))
        self.url = f"redis+sentinel://127.0.0.1:{self.sentinel_port}/main/0"
        self.master = _redis(self.master_port, folder / "master", running)
        _redis(self.replica_port, folder / "replica", running, "--replicaof", "127.0.0.1", self.master_port)
        configuration = folder / "sentinel.conf"
        configuration.write_text(
            f"port {self.sentinel_port}\ndir {folder}\nsentinel monitor main 127.0.0.1 {self.master_port} 1\n"
            "sentinel down-after-milliseconds main 1000\nsentinel failover-timeout main 5000\n"
        )
        sentinel = ChildProcess("sentinel", [redis_program(), configuration, "--sentinel"], log=folder / "sentinel.log")
        running.enter_context(sentinel).wait_until(lambda: self._knows_replica(), START_TIMEOUT)

    def _knows_replica(self) -> bool:
        try:
            with Redis(port=self.sentinel_port) as sentinel:
                return any(one["port"] == self.replica_port for one in sentinel.sentinel_slaves("main"))
        except RedisError:
            return False

    def replica_is_master(self) -> bool:
        with Redis(port=self.replica_port) as replica:
            return replica.info("replication")["role"] == "master"


def _redis(port: int, folder: Path, running: ExitStack, *options: object) -> ChildProcess:
    folder.mkdir()
    command = [redis_program(), "--port", port, "--bind", "127.0.0.1", "--dir", folder, *options]
    server = running.enter_context(ChildProcess("redis-server", command, log=folder / "log"))
    server.wait_until(lambda: _accepts(port), START_TIMEOUT)
    return server


def _accepts(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def watched_redis(tmp_path: Path) -> Iterator[WatchedRedis]:
    with ExitStack() as running:
        yield WatchedRedis(tmp_path, running)


@pytest.fixture
def rabbitmq(tmp_path: Path) -> Iterator[str]:
    """The address of a RabbitMQ of its own."""
    if not RABBITMQ.exists():
        pytest.skip("there is no RabbitMQ on this machine")
    port, distribution_port, name_port = (free_port() for _ in range(3))
    (tmp_path / "rabbitmq.conf").write_text(f"listeners.tcp.1 = 127.0.0.1:{port}\n")
    environment = {
        "RABBITMQ_NODENAME": f"test-{port}@localhost",
        "ERL_EPMD_PORT": str(name_port),
        "RABBITMQ_DIST_PORT": str(distribution_port),
        "RABBITMQ_CONFIG_FILE": str(tmp_path / "rabbitmq.conf"),
        "RABBITMQ_MNESIA_BASE": str(tmp_path),
        "RABBITMQ_LOG_BASE": str(tmp_path),
        "RABBITMQ_ENABLED_PLUGINS_FILE": os.devnull,
        "HOME": str(tmp_path),
    }
    url = f"amqp://guest:guest@127.0.0.1:{port}//"
    with ChildProcess("RabbitMQ", [RABBITMQ], environment=environment, log=tmp_path / "log", patience=30) as server:
        server.wait_until(lambda: _speaks_amqp(url), START_TIMEOUT)
        yield url
    subprocess.run(["epmd", "-port", str(name_port), "-kill"], check=True, capture_output=True)  # outlives it otherwise


def _speaks_amqp(url: str) -> bool:
    try:
        with Connection(url, connect_timeout=2) as connection:
            connection.connect()
    except OSError:
        return False
    return True


def _picture() -> bytes:
    """Like no other, so that it has to be made."""
    buffer = BytesIO()
    Image.effect_noise((48, 32), 80).save(buffer, "PNG")
    return buffer.getvalue()


def test_a_new_master_of_redis_carries_on(watched_redis, tmp_path):
    with running_service(tmp_path / "data", REDIS_URL=watched_redis.url, RATE_LIMIT="1000/minute") as service:
        before = service.upload_bytes(_picture(), "before.png")
        assert "RateLimit" in before.headers
        assert service.wait_for(before.json()["task_id"])["status"] == "SUCCESS"
        watched_redis.master.process.kill()
        wait_until(watched_redis.replica_is_master)
        after = service.upload_bytes(_picture(), "after.png")
        assert service.wait_for(after.json()["task_id"])["status"] == "SUCCESS"


def test_rabbitmq_carries_the_tasks_in_place_of_redis(rabbitmq, tmp_path):
    with running_service(tmp_path / "data", BROKER_URL=rabbitmq) as service:
        tasks = [service.upload_bytes(_picture(), f"{number}.png").json() for number in range(3)]
        assert {service.wait_for(task["task_id"])["status"] for task in tasks} == {"SUCCESS"}
        with Redis.from_url(service.stack.settings.redis_address) as redis:
            assert not list(redis.scan_iter("*kombu*"))
        with Connection(rabbitmq) as connection, pytest.raises(PreconditionFailed, match="quorum"):
            Queue("upscale", queue_arguments={"x-queue-type": "classic"})(connection.default_channel).declare()
