"""What the clients do all the time: send pictures, follow their tasks, fetch results, and come back to old ones.

They do as careful users do: after no answer, or one that tells of a passing trouble, they try again.
"""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from chaos.client import Client
from chaos.history import FINAL, Call, Recorder
from chaos.pictures import Pictures, Source

RETRIED = (409, 429, 500, 502, 503, 504, 507)
RETRY_PAUSE = 0.25  # s
LOOK_EVERY = (0.15, 1.0)  # s between two looks at a task: at first, and at last
PATIENCE = 240.0  # s for a task's end; what is wrong with it then is for the checker to say

RESET_SHARE = 0.02  # of pictures whose first upload is broken off
RESET_AT = (0.01, 0.5, 0.99)
CANCEL_SHARE = 0.02
KEY_SHARE = 0.2  # of uploads that carry an Idempotency-Key
LOOK_BACK_SHARE = 0.3  # of tasks after whose end an older result is fetched once more


class User(threading.Thread):
    """One of several users at once, who goes on until `is_over`.

    Args:
        number: sets what this one does; the same for the same number and seed.
        sources: folder for whatever is sent, by SHA-256, for the checker to compare with.
    """

    def __init__(
        self, number: int, seed: int, url: str, sources: Path, recorder: Recorder, is_over: threading.Event
    ) -> None:
        super().__init__(name=f"user-{number}")
        self._random = random.Random(f"user {number} of {seed}")
        self._pictures = Pictures(number, seed)
        self._client = Client(url, recorder)
        self._sources = sources
        self._is_over = is_over
        self._finished: list[tuple[Source, str]] = []
        self.failure: Exception | None = None  # this program's own, never the service's

    def run(self) -> None:
        try:
            while not self._is_over.is_set():
                self._send_one()
        except Exception as error:
            self.failure = error

    def _send_one(self) -> None:
        source = self._pictures.next()
        (self._sources / source.sha256).write_bytes(source.data)
        if self._happens(RESET_SHARE):
            self._client.reset(source, self._random.choice(RESET_AT))
        task_id = self._upload(source)
        if task_id is None:
            return
        if self._happens(CANCEL_SHARE):
            self._client.cancel(source, task_id)
        if self._follow(source, task_id) == "SUCCESS":
            self._client.fetch(source, task_id)
            self._finished.append((source, task_id))
        if self._finished and self._happens(LOOK_BACK_SHARE):
            self._client.fetch(*self._random.choice(self._finished))

    def _upload(self, source: Source) -> str | None:
        """The task's id; None for a picture that is refused."""
        key = str(uuid.UUID(int=self._random.getrandbits(128))) if self._happens(KEY_SHARE) else None
        answer = _persistently(lambda: self._client.upload(source, key))
        return answer.task_id

    def _follow(self, source: Source, task_id: str) -> str | None:
        """The task's last state; None if it does not end."""
        deadline, pause = time.monotonic() + PATIENCE, LOOK_EVERY[0]
        while time.monotonic() < deadline:
            state = self._client.follow(source, task_id).state
            if state in FINAL:
                return state
            time.sleep(pause)
            pause = min(1.5 * pause, LOOK_EVERY[1])
        return None

    def _happens(self, share: float) -> bool:
        return self._random.random() < share


def _persistently(call: Callable[[], Call]) -> Call:
    """The first answer that trying again would not change, or the last one when patience is over."""
    deadline = time.monotonic() + PATIENCE
    while True:
        answer = call()
        passing = answer.status is None or answer.status in RETRIED
        if not passing or time.monotonic() > deadline:
            return answer
        time.sleep(RETRY_PAUSE)


@contextmanager
def users(count: int, seed: int, url: str, sources: Path, recorder: Recorder) -> Iterator[list[User]]:
    """So many users at work. Leaving the block, each ends what it is at.

    Raises:
        Exception: what went wrong in a user itself.
    """
    is_over = threading.Event()
    crowd = [User(number, seed, url, sources, recorder, is_over) for number in range(1, count + 1)]
    for user in crowd:
        user.start()
    try:
        yield crowd
    finally:
        is_over.set()
        for user in crowd:
            user.join()
    for user in crowd:
        if user.failure:
            raise user.failure
