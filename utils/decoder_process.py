"""The process that decodes pictures for a worker: `python -m utils.decoder_process SOCKET MEMORY`.

Strangers' pictures are decoded by C libraries. One that makes them crash, hang or devour memory ends this process, and
not the worker. Nothing here loads torch, so it is small and soon there again.

Each request over the socket is an open file. The answer is one line of JSON, with the pixels as another open file
or with an error; see `utils/decoder.py` for the other end.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any, BinaryIO

import cv2

from utils.errors import ServiceError
from utils.image_files import decode_pixels
from utils.processes import end_with_parent

READY = b"ready\n"


def serve(parent: socket.socket) -> None:
    """Decode what comes, until the other end is closed."""
    parent.sendall(READY)
    while True:
        request, descriptors, _, _ = socket.recv_fds(parent, 1, 1)
        if not request:
            return
        # Opened anew, for it shares its position with the other end.
        with open(descriptors[0], "rb"), open(f"/dev/fd/{descriptors[0]}", "rb") as source:
            _answer(parent, source)


def _answer(parent: socket.socket, source: BinaryIO) -> None:
    try:
        pixels = decode_pixels(source)
    except ServiceError as error:
        _send(parent, {"code": error.code, "detail": error.detail}, [])
        return
    with _shared_file() as shared:
        shared.write(pixels.data)
        shared.flush()
        _send(parent, {"shape": pixels.shape, "type": pixels.dtype.name}, [shared.fileno()])


def _send(parent: socket.socket, answer: dict[str, Any], descriptors: list[int]) -> None:
    socket.send_fds(parent, [json.dumps(answer).encode() + b"\n"], descriptors)


def _shared_file() -> BinaryIO:
    """A file without a name, in memory where the system has such."""
    if sys.platform == "linux":
        return open(os.memfd_create("pixels", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING), "wb")
    return tempfile.TemporaryFile()


def limit_memory(more: int) -> None:
    """Let this process have no more than `more` bytes beside what it has now. Does nothing but on Linux."""
    if sys.platform == "linux":
        present = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (present + more, present + more))


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C stops the worker, which may want a last picture first
    end_with_parent()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    cv2.setNumThreads(1)  # each further one would take address space
    limit_memory(int(sys.argv[2]))
    with socket.socket(fileno=int(sys.argv[1])) as parent_socket:
        serve(parent_socket)
