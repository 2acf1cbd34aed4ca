"""Every error that a caller can meet, with its stable code, in one place.

A ServiceError says what went wrong and what to do. At the edge it becomes an RFC 9457 problem
(`views/errors.py`); in a worker it becomes the `error` of a failed task. Codes never change once released.
"""

from __future__ import annotations

import errno
from typing import Any, ClassVar


class ServiceError(Exception):
    """Base of all errors that are answered with a code.

    Args:
        detail: a sentence for the caller, naming the bad value and the fix.
        field: the form field or parameter at fault, if there is one.
        retry_after: seconds after which trying again makes sense.
        members: further members of the problem document, such as `task_id`.
    """

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500
    title: ClassVar[str] = "The service made a mistake"

    def __init__(
        self, detail: str, *, field: str | None = None, retry_after: int | None = None, **members: Any
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.field = field
        self.retry_after = retry_after
        self.members = members

    def __reduce__(self) -> tuple[Any, ...]:
        # Keyword-only arguments are lost by Exception's own pickling.
        return _rebuild, (type(self), self.detail, self.field, self.retry_after, self.members)


def _rebuild(
    kind: type[ServiceError],
    detail: str,
    field: str | None,
    retry_after: int | None,
    members: dict[str, Any],
) -> ServiceError:
    return kind(detail, field=field, retry_after=retry_after, **members)


# --- The request --------------------------------------------------------------------------------


class BadRequest(ServiceError):
    """The request cannot be understood."""

    code, status, title = "bad_request", 400, "The request is malformed"


class MissingImage(ServiceError):
    """No file in the field `image`."""

    code, status, title = "missing_image", 400, "No image was sent"


class EmptyImage(ServiceError):
    """A file of no bytes."""

    code, status, title = "empty_image", 400, "The file is empty"


class InvalidName(ServiceError):
    """A file name that cannot be the name of a picture here."""

    code, status, title = "invalid_name", 422, "The file name cannot be used"


class InvalidParameter(ServiceError):
    """A form field or query parameter outside what is allowed."""

    code, status, title = "invalid_parameter", 422, "A parameter is not valid"


class UnknownModel(ServiceError):
    """No model of that name."""

    code, status, title = "unknown_model", 422, "There is no such model"


class TooManyBytes(ServiceError):
    """The upload is larger than MAX_UPLOAD_BYTES."""

    code, status, title = "too_many_bytes", 413, "The upload is too large"


class TooManyPixels(ServiceError):
    """The picture, or what it would become, has more pixels than allowed."""

    code, status, title = "too_many_pixels", 413, "The picture is too large"


class KeyReused(ServiceError):
    """An Idempotency-Key that stood for another request."""

    code, status, title = "idempotency_key_reused", 422, "The Idempotency-Key was used before"


class KeyInFlight(ServiceError):
    """An Idempotency-Key whose first request is not answered yet."""

    code, status, title = "idempotency_key_in_flight", 409, "The first request is under way"


class BatchRefused(ServiceError):
    """Not one of several pictures could be taken; `files` tells of each."""

    code, status, title = "batch_refused", 422, "None of the pictures can be taken"


class QueueFull(ServiceError):
    """MAX_QUEUE tasks are waiting."""

    code, status, title = "queue_full", 429, "Too many tasks are waiting"


class TooManyRequests(ServiceError):
    """RATE_LIMIT is reached."""

    code, status, title = "too_many_requests", 429, "Too many requests"


class TooManyConnections(ServiceError):
    """One address has as many requests under way as CONNECTIONS_PER_ADDRESS allows. nginx says so."""

    code, status, title = "too_many_connections", 429, "Too many requests at a time"


class RouteNotFound(ServiceError):
    """No such address."""

    code, status, title = "route_not_found", 404, "There is nothing here"


class MethodNotAllowed(ServiceError):
    """The address exists, but not for this method."""

    code, status, title = "method_not_allowed", 405, "This method is not allowed here"


class UpgradeRequired(ServiceError):
    """The address speaks WebSocket alone, and the request does not ask for one."""

    code, status, title = "upgrade_required", 426, "A WebSocket is needed here"


class ForeignOrigin(ServiceError):
    """A page of another site tried to open a WebSocket here."""

    code, status, title = "foreign_origin", 403, "Pages of other sites may not do this"


# --- Images -------------------------------------------------------------------------------------


class UnsupportedFormat(ServiceError):
    """Neither PNG nor JPEG, by content or by extension."""

    code, status, title = "unsupported_format", 415, "Only PNG and JPEG pictures are accepted"


class AnimatedImage(ServiceError):
    """More than one frame: refused, never the first frame in silence."""

    code, status, title = "animated_image", 415, "Animated pictures are not accepted"


class Undecodable(ServiceError):
    """It says it is a picture, and cannot be decoded."""

    code, status, title = "undecodable", 422, "The picture cannot be decoded"


class OutputTooLarge(ServiceError):
    """The wished output format cannot hold a picture of that size."""

    code, status, title = "output_too_large", 422, "The result does not fit its format"


# --- Tasks and results --------------------------------------------------------------------------


class UnknownTask(ServiceError):
    """A task id that was never given out, or was forgotten long after its end."""

    code, status, title = "unknown_task", 404, "There is no such task"


class UnknownBatch(ServiceError):
    """A batch id that was never given out, or whose tasks were forgotten long after their end."""

    code, status, title = "unknown_batch", 404, "There is no such batch"


class UnknownName(ServiceError):
    """No picture of that name was ever uploaded, or it was forgotten."""

    code, status, title = "unknown_name", 404, "There is no picture of that name"


class NameConflict(ServiceError):
    """The name has a current task, and `on_conflict=reject` was asked for."""

    code, status, title = "name_taken", 409, "The name is taken"


class AlreadyEnded(ServiceError):
    """A task that is over cannot be cancelled."""

    code, status, title = "already_ended", 409, "The task is over"


class NotReady(ServiceError):
    """The picture is still being made."""

    code, status, title = "not_ready", 409, "The picture is not ready yet"


class ProcessingFailed(ServiceError):
    """The last task of that name failed or was cancelled, so there is no picture."""

    code, status, title = "processing_failed", 409, "The picture could not be made"


class Expired(ServiceError):
    """The picture was made and has been deleted since."""

    code, status, title = "expired", 410, "The picture has expired"


class RangeNotSatisfiable(ServiceError):
    """A Range that begins behind the picture's last byte."""

    code, status, title = "range_not_satisfiable", 416, "The picture has no such part"


# --- The engine (a task's `error`) --------------------------------------------------------------


class WeightsUnavailable(ServiceError):
    """A model's weights are not on disk and could not be downloaded."""

    code, status, title = "weights_unavailable", 503, "The model's weights cannot be had"


class WeightsCorrupt(ServiceError):
    """A weights file whose hash or content is wrong."""

    code, status, title = "weights_corrupt", 500, "The model's weights are damaged"


class DiskFull(ServiceError):
    """No space left where a file had to be written."""

    code, status, title = "disk_full", 507, "The disk is full"

    @staticmethod
    def explains(error: BaseException) -> bool:
        """Whether `error` is of a system call that failed for want of room on a disk."""
        return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class OutOfMemory(ServiceError):
    """Not even the smallest tile fits."""

    code, status, title = "out_of_memory", 500, "There is not enough memory for this picture"


class WorkerLost(ServiceError):
    """The worker vanished under the task, as often as it was tried."""

    code, status, title = "worker_lost", 500, "The worker was lost"


# --- What the service stands on -----------------------------------------------------------------


class TooManyStreams(ServiceError):
    """As many event streams are open as WEB_STREAMS allows."""

    code, status, title = "too_many_streams", 503, "Too many event streams are open"


class TooManyUploads(ServiceError):
    """As many uploads are being taken in as WEB_THREADS allows."""

    code, status, title = "too_many_uploads", 503, "Too many uploads at a time"


class ServiceUnavailable(ServiceError):
    """The web server itself does not answer: it is starting, or has too much to do. nginx says so."""

    code, status, title = "service_unavailable", 503, "The service does not answer"


class StoreUnavailable(ServiceError):
    """MongoDB does not answer."""

    code, status, title = "store_unavailable", 503, "The store does not answer"


class StoreFull(ServiceError):
    """The store has no room for another picture."""

    code, status, title = "store_full", 507, "The store is full"


KINDS: tuple[type[ServiceError], ...] = (ServiceError, *ServiceError.__subclasses__())
"""Every kind of error there is."""

TASK_ERRORS: tuple[type[ServiceError], ...] = (
    Undecodable,
    OutputTooLarge,
    InvalidParameter,
    UnknownModel,
    WeightsUnavailable,
    WeightsCorrupt,
    DiskFull,
    OutOfMemory,
    WorkerLost,
    ServiceError,
)
"""Those that a failed task may carry."""
