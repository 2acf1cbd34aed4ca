"""nginx with the configuration of deploy/nginx, run on this machine as the container's entry point runs it."""

from __future__ import annotations

import re
import shutil
import socket
from contextlib import ExitStack
from pathlib import Path

import psutil

from utils.local_services import free_port
from utils.processes import ChildProcess, ProgramError

CONFIGURATION = Path(__file__).parents[1] / "deploy" / "nginx"
START_TIMEOUT = 30.0  # s

AS_IN_COMPOSE = {
    "NGINX_LOCAL_RESOLVERS": "127.0.0.1",
    "TRUSTED_PROXY": "127.0.0.1/32",
    "MAX_UPLOAD_BYTES": "50MiB",
    "NGINX_MAX_BODY_BYTES": str(51 * 1024**2),
    "CONNECTIONS_PER_ADDRESS": "200",
    "UPLOADS_PER_ADDRESS": "10",
    "LOG_FORMAT": "text",
}


class ShippedNginx:
    """A running nginx, in front of the web server at an address.

    Args:
        web_url: that address.
        folder: for its configuration, its log and what is on its way.
        running: stops it.
        environment: what is to differ from docker-compose.yml.

    Raises:
        ProgramError: there is none on the PATH, or it does not start.
    """

    def __init__(self, web_url: str, folder: Path, running: ExitStack, **environment: str) -> None:
        program = shutil.which("nginx")
        if not program:
            raise ProgramError("There is no nginx on the PATH. Install it: apt install nginx")
        port = free_port()
        configuration = configure(folder, port, WEB_URL=web_url, **environment)
        # By default root's nginx would have its workers run as a user who cannot write to the folder.
        command = [program, "-c", configuration, "-g", "daemon off; user root;"]
        self.url = f"http://127.0.0.1:{port}"
        self.log = folder / "nginx.log"
        self._process = running.enter_context(ChildProcess("nginx", command, log=self.log))
        self._process.wait_until(lambda: _accepts(port), START_TIMEOUT)

    def memory(self) -> int:
        """Bytes that its processes hold."""
        return sum(process.memory_info().rss for process in self._processes())

    def open_files(self) -> int:
        """Those of its processes; every connection is one."""
        return sum(process.num_fds() for process in self._processes())

    def _processes(self) -> list[psutil.Process]:
        main = psutil.Process(self._process.process.pid)
        return [main, *main.children(recursive=True)]


def configure(folder: Path, port: int, **environment: str) -> Path:
    """Write the configuration, with everything in `folder`, listening on `port` of loopback. Its main file."""
    values = AS_IN_COMPOSE | environment
    template = (CONFIGURATION / "site.conf.template").read_text(encoding="utf-8")
    site = re.sub(r"\$\{([A-Z_]+)\}", lambda match: values[match[1]], template)
    (folder / "site.conf").write_text(site.replace("listen 8080", f"listen 127.0.0.1:{port}"), encoding="utf-8")
    main = (CONFIGURATION / "nginx.conf").read_text(encoding="utf-8").replace("/tmp", str(folder))
    path = folder / "nginx.conf"
    path.write_text(main, encoding="utf-8")
    return path


def _accepts(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
