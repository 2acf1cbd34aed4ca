"""Decoding in a process that may die: the worker's end of `utils/decoder_process.py`.

It costs two milliseconds of processor time a megapixel (10 ms became 12 for a JPEG, 20 became 22 for a PNG, one core of
2024), and 50 MB of memory for each worker process. The pixels come over shared memory.
"""

from __future__ import annotations

import errno
import fcntl
import json
import mmap
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np

from utils.errors import AnimatedImage, OutOfMemory, ServiceError, Undecodable, UnsupportedFormat
from utils.image_files import Picture, picture_of
from utils.image_formats.strip_writer import Pixels
from utils.settings import Settings

REPOSITORY = Path(__file__).resolve().parent.parent
START_TIMEOUT = 60.0  # s; the first import of OpenCV on a slow disk takes its time
TIME_LIMIT = 30.0  # s; the largest picture that is allowed takes two on one core of 2024
BYTES_A_PIXEL = 40  # at most, measured: a progressive JPEG is decoded three times over
READY = b"ready\n"
LARGEST_ANSWER = 64 * 1024  # bytes

ERRORS = {kind.code: kind for kind in (AnimatedImage, OutOfMemory, Undecodable, UnsupportedFormat)}


class DecoderLost(Exception):  # noqa: N818 - what happened to it
    """The decoder's process ended over a picture, or had to be ended.

    Args:
        error: what to tell of it when nobody is to try again.
    """

    def __init__(self, error: ServiceError) -> None:
        super().__init__(error.detail)
        self.error = error


class Decoder:
    """Has pictures decoded, one at a time, by a process that is kept from one to the next. A context manager.

    Args:
        memory: bytes that the process may take for a picture.
        time_limit: seconds that it may take.
    """

    def __init__(self, memory: int, time_limit: float = TIME_LIMIT) -> None:
        self._memory = memory
        self._time_limit = time_limit
        self._process: subprocess.Popen[bytes] | None = None
        self._is_ready = False

    @classmethod
    def of_settings(cls, settings: Settings) -> Self:
        """One that has memory for the largest picture that is allowed."""
        encoded, decoded = settings.max_upload_bytes, BYTES_A_PIXEL * settings.max_input_pixels
        return cls(256 * 1024**2 + 2 * encoded + decoded)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start the process unless it runs. It makes itself ready meanwhile."""
        if self._process and self._process.poll() is None:
            return
        self.stop()
        self._socket, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-m", "utils.decoder_process", str(theirs.fileno()), str(self._memory)]
            self._process = subprocess.Popen(  # noqa: S603 - the command is ours
                command,
                cwd=REPOSITORY,
                env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},  # each thread would take address space
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )

    def stop(self) -> None:
        """End the process, whatever it is doing."""
        if self._process:
            self._socket.close()
            self._process.kill()
            self._process.wait()
            self._process = None
            self._is_ready = False

    def decode(self, source: BinaryIO) -> Picture:
        """As `image_files.decode`, of an open file.

        Raises:
            UnsupportedFormat, AnimatedImage, Undecodable, OutOfMemory: as there.
            DecoderLost: the process died of the picture, or took too long and was killed. The next one has another.
        """
        self._make_ready()
        try:
            socket.send_fds(self._socket, [b"\0"], [source.fileno()])
            self._socket.settimeout(self._time_limit)
            answer, descriptors, _, _ = socket.recv_fds(self._socket, LARGEST_ANSWER, 1)
        except OSError as error:  # TimeoutError is one, too
            raise self._lost(error) from error
        if not answer:
            raise self._lost()
        return picture_of(source, _pixels(json.loads(answer), descriptors))

    def _make_ready(self) -> None:
        self.start()
        if not self._is_ready:
            self._socket.settimeout(START_TIMEOUT)
            if self._socket.recv(len(READY)) != READY:
                self.stop()
                raise DecoderLost(ServiceError("The decoder cannot be started. The worker's log says why."))
            self._is_ready = True

    def _lost(self, error: OSError | None = None) -> DecoderLost:
        """End the process, if it has not ended by itself."""
        self.stop()
        what = f"takes more than {self._time_limit:.0f} s" if isinstance(error, TimeoutError) else "crashes"
        return DecoderLost(Undecodable(f"The decoder {what} over this picture. Save it anew in another program."))


def _pixels(answer: dict[str, Any], descriptors: Sequence[int]) -> Pixels:
    """The pixels that the process handed over, or the error that it met."""
    if "code" in answer:
        raise ERRORS[answer["code"]](answer["detail"])
    if not descriptors:
        raise OSError(errno.EMFILE, "too many files are open to take the pixels")
    with open(descriptors[0], "r+b") as shared:
        if sys.platform == "linux":
            # Else the other end could make the file smaller under us, and reading it would end this process.
            fcntl.fcntl(shared, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
        memory = mmap.mmap(shared.fileno(), 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE)
    return np.frombuffer(memory, np.dtype(answer["type"])).reshape(answer["shape"])
