"""One job, from its claim to its end: open, decode, upscale, encode, describe, store, finish."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import BinaryIO

import structlog
from bson import ObjectId

from celery_app import BrokerUnavailable, send_upscale
from celery_app.heartbeat import Heartbeat
from celery_app.measures import ATTEMPTS, FAILURES, INPUT_MEGAPIXELS, OUTPUT_MEGAPIXELS, STAGE_SECONDS
from celery_app.patience import patiently
from celery_app.stages import Stages
from celery_app.stopping import Stopping
from celery_app.thumbnails import make_thumbnails
from celery_app.worker import Worker
from mongo.images import StoredFile
from mongo.jobs import Job, StaleAttempt, StoredImage
from mongo.particulars import Descriptions
from upscaler.catalog import find_model
from upscaler.sizes import output_size
from utils.decoder import DecoderLost
from utils.errors import DiskFull, OutOfMemory, ServiceError, StoreUnavailable, Undecodable
from utils.image_files import DEFAULT_QUALITY, OutputFormat, Picture, open_writer, read_metadata
from utils.image_formats.description import describe
from utils.image_formats.metadata import Metadata
from utils.image_formats.strip_writer import Layout, Pixels

log = structlog.get_logger()

UNFORESEEN = "Something went wrong in the worker, however often it was tried. It is logged there under this task's id."


class Untrustworthy(Exception):  # noqa: N818 - said of the process
    """After an error that nobody foresaw, this process is not to have another job.

    It may be the process that is at fault: oneDNN, once it got no memory for its code, fails with every picture.
    """


def run_job(worker: Worker, job: Job) -> None:
    """Make the picture of a claimed job and end the job, well or with an honest failure.

    If it was cancelled meanwhile, or another worker holds it by now, it is left alone.

    Raises:
        StoreUnavailable: for a minute. The job stays as it is; its lease runs out, and the sweep hands it on.
        Untrustworthy: this process is to end. The job is another's, or was tried often enough.
    """
    log.info("task started", name=job.name, size=f"{job.source.width}x{job.source.height}", model=job.request.model)
    stages = Stages()
    try:
        _make_and_end(worker, job, stages)
    except StaleAttempt:
        worker.counts.add(ATTEMPTS, "stale", _model(job))
        log.warning("task given up: it was cancelled or handed on meanwhile", **stages.milliseconds)
    finally:
        for stage, seconds in stages.seconds.items():
            worker.counts.observe(STAGE_SECONDS, stage, _model(job), value=seconds)
        worker.counts.hand_over()


def _make_and_end(worker: Worker, job: Job, stages: Stages) -> None:
    try:
        with Heartbeat(worker.store.jobs, job) as beat:
            result = _make(worker, job, beat, stages)
    except (StaleAttempt, StoreUnavailable):
        raise
    except Stopping:
        _hand_back(worker, job)
    except DecoderLost as lost:
        _try_again(worker, job, lost.error, stages)
    except Exception as error:
        if told := _foreseen(error):
            _fail(worker, job, told, stages)
            return
        log.exception("unforeseen error in a task", exc_info=error)
        _try_again(worker, job, ServiceError(UNFORESEEN), stages)
        raise Untrustworthy from None
    else:
        _succeed(worker, job, result, stages)


def _foreseen(error: Exception) -> ServiceError | None:
    """What to tell of `error`; None for one that should not be.

    None may leave the task: a MemoryError would end the worker's main process.
    """
    if isinstance(error, ServiceError):
        return error
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return OutOfMemory("There was not enough memory for this picture. Send a smaller one.")
    if DiskFull.explains(error):
        return DiskFull("The worker's disk has no room for the result. Send a smaller picture, or try again later.")
    return None


def _make(worker: Worker, job: Job, beat: Heartbeat, stages: Stages) -> StoredImage:
    picture = _decode(worker, job, beat, stages)
    # A temporary file without a name: it goes with this process, even if that is killed.
    image_format = job.request.output_format(job.source.format)
    with tempfile.TemporaryFile() as made:
        with stages("encode"):
            pixels = _upscale(worker, job, picture, made, beat, stages)
        with stages("describe"):
            carried = read_metadata(made, image_format)
            descriptions = _describe(job, picture, carried)
            thumbnails = make_thumbnails(pixels, carried.icc_profile, opaque=image_format == "jpeg")
        with stages("store"):
            stored = patiently(lambda: _store(worker, job, made, descriptions, thumbnails), beat.check)
    layout = Layout.of(pixels)
    return StoredImage(
        file_id=stored.file_id,
        format=image_format.upper(),
        mode=_mode(layout, image_format),
        width=layout.width,
        height=layout.height,
        bytes=stored.bytes,
        sha256=stored.sha256,
    )


def _decode(worker: Worker, job: Job, beat: Heartbeat, stages: Stages) -> Picture:
    file_id = job.source.file_id
    if file_id is None:
        raise StaleAttempt(job.id)
    with tempfile.TemporaryFile() as source:
        with stages("fetch"):
            patiently(lambda: _fetch(worker, file_id, source), beat.check)
        with stages("decode"):
            return worker.decoder.decode(source)


def _fetch(worker: Worker, file_id: ObjectId, target: BinaryIO) -> None:
    """Write the upload to `target`, from its start."""
    target.seek(0)
    target.truncate()
    try:
        worker.store.uploads.copy_to(file_id, target)
    except FileNotFoundError:
        raise Undecodable("The uploaded bytes are gone from the store. Send the picture again.") from None
    target.flush()


def _upscale(worker: Worker, job: Job, picture: Picture, stream: BinaryIO, beat: Heartbeat, stages: Stages) -> Pixels:
    """Write the enlarged picture to `stream`, encoding its rows while later ones are still being computed.

    Returns:
        Its pixels, of the picture's own depth and channels.
    """
    wishes = job.request
    model = find_model(wishes.model or worker.settings.default_model, worker.settings.models_folder)
    width, height = picture.layout.width, picture.layout.height
    size = output_size(width, height, model.scale, wishes.scale, wishes.width, wishes.height)
    layout = replace(picture.layout, width=size[0], height=size[1])
    quality = wishes.quality or DEFAULT_QUALITY
    with open_writer(
        stream,
        layout,
        picture.metadata,
        job.request.output_format(job.source.format),
        quality=quality,
        policy=wishes.metadata,
    ) as writer:

        def encode(_: int, rows: Pixels) -> None:
            with stages("encode"):
                writer.write_rows(rows)

        with stages("upscale"):
            engine = worker.engines.get(model, wishes.denoise)
            return engine.upscale(picture.pixels, size=size, on_progress=beat.progress, on_rows=encode)


def _store(
    worker: Worker, job: Job, made: BinaryIO, descriptions: Descriptions, thumbnails: Mapping[int, bytes]
) -> StoredFile:
    """Keep the result, as a file that nobody owns yet."""
    made.seek(0)
    stored = worker.store.results.save(made, job.name)
    worker.store.particulars.save(stored.file_id, descriptions, thumbnails)
    return stored


def _describe(job: Job, picture: Picture, carried: Metadata) -> Descriptions:
    """What source and result carry. Where a place is not to be passed on, it is not kept here either."""
    keeps_place = job.request.metadata == "keep"
    return Descriptions(describe(picture.source_metadata, with_gps=keeps_place), describe(carried))


def _mode(layout: Layout, image_format: OutputFormat) -> str:
    """The result's mode in the words of `ImageHeader.mode`. JPEG has no alpha, WebP no grey, both 8 bits alone."""
    colour = "L" if layout.channels <= 2 and image_format != "webp" else "RGB"
    alpha = "A" if layout.has_alpha and image_format != "jpeg" else ""
    depth = ";16" if layout.bits == 16 and image_format == "png" else ""
    return f"{colour}{alpha}{depth}"


def _succeed(worker: Worker, job: Job, result: StoredImage, stages: Stages) -> None:
    keep = timedelta(seconds=worker.settings.result_ttl)
    try:
        patiently(lambda: worker.store.jobs.succeed(job, result, keep))
    except StaleAttempt:
        if result.file_id is not None:
            worker.store.results.delete(result.file_id)
        raise
    counts, model = worker.counts, _model(job)
    counts.add(ATTEMPTS, "success", model)
    counts.add(INPUT_MEGAPIXELS, model, amount=_megapixels(job.source))
    counts.add(OUTPUT_MEGAPIXELS, model, amount=_megapixels(result))
    log.info(
        "task succeeded",
        size=f"{result.width}x{result.height}",
        bytes=result.bytes,
        seconds=round(sum(stages.seconds.values()), 2),
        **stages.milliseconds,
    )
    if not worker.settings.keep_sources:
        _delete_source(worker, job)


def _fail(worker: Worker, job: Job, error: ServiceError, stages: Stages) -> None:
    patiently(lambda: worker.store.jobs.fail(job, error))
    _has_failed(worker, job, error, stages)


def _has_failed(worker: Worker, job: Job, error: ServiceError, stages: Stages) -> None:
    worker.counts.add(ATTEMPTS, "failure", _model(job))
    worker.counts.add(FAILURES, error.code)
    log.warning("task failed", code=error.code, reason=error.detail, **stages.milliseconds)
    _delete_source(worker, job)


def _hand_back(worker: Worker, job: Job) -> None:
    """This worker has to stop: let another have the job."""
    worker.store.jobs.hand_back(job)
    worker.counts.add(ATTEMPTS, "handed_back", _model(job))
    log.info("task handed back: the worker stops")
    _send(worker, job)


def _try_again(worker: Worker, job: Job, error: ServiceError, stages: Stages) -> None:
    """Let somebody try again what perhaps was not the picture's fault: processes are also killed for want of memory."""
    if worker.store.jobs.try_again(job, error):
        worker.counts.add(ATTEMPTS, "retried", _model(job))
        log.warning("task to be tried again", reason=error.detail)
        _send(worker, job)
    else:
        _has_failed(worker, job, error, stages)


def _send(worker: Worker, job: Job) -> None:
    """Without this, the sweep would: seconds later."""
    with suppress(BrokerUnavailable):
        send_upscale(job.id, job.request_id)
        worker.store.jobs.mark_sent(job.id)


def _delete_source(worker: Worker, job: Job) -> None:
    """Nobody can be reading it. What this cannot do, the clean-up does."""
    if job.source.file_id is not None:
        worker.store.uploads.delete(job.source.file_id)


def _model(job: Job) -> str:
    return job.request.model or ""


def _megapixels(image: StoredImage) -> float:
    return image.width * image.height / 1e6
