"""Callbacks on their way: a few threads in each worker process, beside its tasks.

Not Celery tasks: with one process a worker those would wait behind a picture, and a slow receiver would keep
the next picture waiting. Nor do threads need Redis, so callbacks go out while it is away.
"""

from __future__ import annotations

import json
import random
import threading
import time
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

import structlog
from pydantic import SecretStr
from standardwebhooks import Webhook

from celery_app.measures import CALLBACKS, Counts
from celery_app.pinned_post import NotSent, post
from mongo import Store
from mongo.callbacks import Delivery
from mongo.jobs import Job, Status
from mongo.task_document import rfc3339, task_document
from utils.errors import StoreUnavailable

log = structlog.get_logger()

AT_ONCE = 4  # callbacks in each worker process
LOOK_EVERY = 2.0  # s in which each thread looks for something due

PAUSES = [timedelta(seconds=each) for each in (5, 30, 120, 600, 1800, 3600, 7200, 14_400, 28_800, 28_800)]
"""Before each further try; a day altogether."""

EVENTS = {Status.SUCCESS: "task.succeeded", Status.FAILURE: "task.failed", Status.REVOKED: "task.revoked"}


class Courier:
    """Delivers what is due, signed as Standard Webhooks wants it, at least once each."""

    def __init__(self, store: Store, secret: SecretStr, allow_private: bool, counts: Counts) -> None:
        self._store = store
        self._counts = counts
        self._webhook = Webhook(secret.get_secret_value())
        self._allow_private = allow_private

    def start(self) -> None:
        """Deliver from now until the process ends. A try that is cut off by that is made again."""
        for number in range(AT_ONCE):
            threading.Thread(target=self._run, name=f"courier-{number}", daemon=True).start()

    def deliver_next(self) -> bool:
        """Make one try at the callback that has been due for longest. False if none is due.

        Raises:
            StoreUnavailable: what was claimed is due again in a minute.
        """
        delivery = self._store.callbacks.claim()
        if delivery is None:
            return False
        job = self._store.jobs.get(delivery.owner, delivery.job_id)
        if job is not None:
            with structlog.contextvars.bound_contextvars(task_id=job.id, request_id=job.request_id):
                self._try(delivery, job)
        self._counts.hand_over()
        return True

    def _run(self) -> None:
        while True:
            try:
                if self.deliver_next():
                    continue
            except StoreUnavailable as error:
                log.warning("callbacks wait", reason=error.detail)
            except Exception:  # a thread that ended would be missed by nobody
                log.exception("unforeseen error at a callback")
            time.sleep(LOOK_EVERY * random.uniform(0.5, 1.5))  # noqa: S311 - so that they do not look all at once

    def _try(self, delivery: Delivery, job: Job) -> None:
        try:
            status = self._post(delivery.url, job)
        except NotSent as error:
            self._put_off(delivery, str(error))
            return
        if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            self._close(delivery, "delivered")
            log.info("callback delivered", tries=delivery.tries)
        elif status == HTTPStatus.GONE:
            self._close(delivery, "unwanted")
            log.info("callback not wanted any more", tries=delivery.tries)
        else:
            self._put_off(delivery, f"it was answered with {status}")

    def _post(self, url: str, job: Job) -> int:
        body = json.dumps(callback_document(job), ensure_ascii=False)
        # One task ends once, so its id makes the message's, whenever and by whomever it is sent.
        message_id, now = f"task_{job.id}", datetime.now(UTC)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "image-upscaler",
            "webhook-id": message_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._webhook.sign(message_id, now, body),
        }
        if job.request_id:
            headers["X-Request-ID"] = job.request_id
        return post(url, body.encode(), headers, allow_private=self._allow_private)

    def _close(self, delivery: Delivery, outcome: str) -> None:
        self._store.callbacks.close(delivery)
        self._counts.add(CALLBACKS, outcome)

    def _put_off(self, delivery: Delivery, reason: str) -> None:
        if delivery.tries > len(PAUSES):
            self._close(delivery, "given_up")
            log.error("callback given up", tries=delivery.tries, reason=reason)
            return
        pause = PAUSES[delivery.tries - 1]
        self._store.callbacks.try_again(delivery, after=pause)
        self._counts.add(CALLBACKS, "put_off")
        log.warning(
            "callback not delivered", tries=delivery.tries, reason=reason, again_in=f"{pause.total_seconds():.0f} s"
        )


def callback_document(job: Job) -> dict[str, object]:
    """What is told of a job that has ended."""
    return {"type": EVENTS[job.status], "timestamp": rfc3339(job.finished_at), "data": task_document(job)}
