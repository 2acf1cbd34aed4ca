"""The web server killed and started again: the next one is not kept waiting by what the last one left."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator

import psutil
import pytest
from live_service import Service, running_service

from utils.processes import ChildProcess


@pytest.fixture
def victim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    data_dir = tmp_path_factory.mktemp("victim")
    with running_service(data_dir) as running:
        yield running
    shutil.rmtree(data_dir)


def test_the_next_web_server_gets_the_address_though_the_killed_one_had_an_upload_under_way(victim: Service) -> None:
    web = victim.stack.web
    head = b"POST /upscale HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=x\r\n"
    with socket.create_connection(("127.0.0.1", victim.stack.settings.port)) as upload:
        upload.sendall(head + b"Content-Length: 1000\r\nExpect: 100-continue\r\n\r\n")
        assert upload.recv(100).startswith(b"HTTP/1.1 100 Continue")
        web.process.kill()
        web.process.wait()
        web.start()
        web.wait_until(lambda: listens(web), timeout=120)


def listens(web: ChildProcess) -> bool:
    connections = psutil.Process(web.process.pid).net_connections()
    return any(connection.status == psutil.CONN_LISTEN for connection in connections)
