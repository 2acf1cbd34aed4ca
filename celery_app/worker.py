"""What a worker process holds from one task to the next: its connection to the store, networks and decoder."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import structlog
from celery.signals import beat_embedded_init, worker_init, worker_process_init

from celery_app.announcements import Announcer
from celery_app.courier import Courier
from celery_app.measures import Counts
from mongo import Store, open_store
from upscaler.catalog import find_model
from upscaler.engine_cache import EngineCache
from utils.decoder import Decoder
from utils.errors import ServiceError
from utils.processes import end_with_parent
from utils.settings import Settings, load_settings
from utils.temp_folder import remove_abandoned, use_own_folder

log = structlog.get_logger()


@dataclass(frozen=True)
class Worker:
    """One worker process."""

    settings: Settings
    store: Store
    engines: EngineCache
    decoder: Decoder
    counts: Counts


@cache
def the_worker() -> Worker:
    """This process's own. Made on first use, which is after the fork: neither PyMongo nor CUDA survives one."""
    settings = load_settings()
    engines = EngineCache(settings.models_folder, settings.device, settings.precision)
    store = open_store(settings, Announcer(settings))
    return Worker(settings, store, engines, Decoder.of_settings(settings), Counts(store.tallies))


@worker_init.connect
def _use_own_temp_folder(**_: Any) -> None:
    """Before it forks, so that all its processes have the folder in common; and remove what killed ones left."""
    use_own_folder()
    remove_abandoned()


@worker_process_init.connect
def _deliver_callbacks(**_: Any) -> None:
    worker = the_worker()
    if secret := worker.settings.webhook_secret:
        Courier(worker.store, secret, worker.settings.webhook_allow_private, worker.counts).start()


@worker_process_init.connect
def _start_decoder(**_: Any) -> None:
    """So that it makes itself ready while the model is loaded."""
    the_worker().decoder.start()


@worker_process_init.connect
def _load_default_model(**_: Any) -> None:
    """So that the first task need not wait for it. What is wrong with it, the first task will tell."""
    worker = the_worker()
    try:
        model = find_model(worker.settings.default_model, worker.settings.models_folder)
        if model.is_on_disk(worker.settings.models_folder):
            worker.engines.get(model)
    except ServiceError as error:
        log.warning("default model not loaded", code=error.code, reason=error.detail)


@beat_embedded_init.connect
def _end_with_worker(**_: Any) -> None:
    """Of a worker that is killed, `--beat` would go on for ever. (A child with a job ends it, and then itself.)"""
    end_with_parent()
