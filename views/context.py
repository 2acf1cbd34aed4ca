"""What every request needs: the store, the settings, and on whose behalf it runs."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Flask, current_app

from celery_app.announcements import Listener
from mongo import Store
from mongo.jobs import DEFAULT_OWNER
from utils.settings import Settings
from views.estimates import Estimator
from views.figures import Figures
from views.lookout import Lookout
from views.upload_places import UploadPlaces

_KEY = "image-upscaler"


@dataclass(frozen=True)
class Context:
    """The parts that `create_app` put together."""

    settings: Settings
    store: Store
    estimator: Estimator
    lookout: Lookout
    figures: Figures
    upload_places: UploadPlaces


def provide(app: Flask, settings: Settings, store: Store) -> None:
    app.extensions[_KEY] = Context(
        settings,
        store,
        Estimator(store.jobs),
        Lookout(store.jobs, Listener(settings), settings.web_streams),
        Figures(store, settings),
        UploadPlaces(settings.web_threads),
    )


def context() -> Context:
    """The parts of the application that the present request came to."""
    return context_of(current_app)


def context_of(app: Flask) -> Context:
    """The parts of `app`."""
    found: Context = app.extensions[_KEY]
    return found


def owner() -> str:
    """Whose pictures and tasks the present request may see."""
    return DEFAULT_OWNER
