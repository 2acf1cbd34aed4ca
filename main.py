"""The way in: `flask --app main run`, `celery -A main.celery_app worker`, and `python main.py` for everything."""

from __future__ import annotations

import sys

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from celery_app import app as celery_app
from celery_app import make_celery
from celery_app.announcements import Announcer
from celery_app.commands import doctor, sweep
from mongo import open_store
from utils.local_run import run_everything
from utils.logging import configure_logging
from utils.settings import Settings, load_settings, settings_or_exit
from views import register
from views.context import provide

__all__ = ["celery_app", "create_app", "worker_answers"]

FORM_FIELDS_BYTES = 64 * 1024  # what the fields beside the picture may take


def create_app() -> Flask:
    """The web application, with its own connection to MongoDB.

    Raises:
        SettingsError: a setting has a value that is not allowed.
    """
    settings = load_settings()
    configure_logging(settings)
    app = Flask(__name__, template_folder="views/templates", static_folder="views/static")
    app.config["MAX_CONTENT_LENGTH"] = settings.max_upload_bytes + FORM_FIELDS_BYTES
    app.json.sort_keys = app.json.ensure_ascii = False  # type: ignore[attr-defined]
    if settings.behind_proxy:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1, x_host=1)  # type: ignore[method-assign]
    provide(app, settings, open_store(settings, Announcer(settings)))
    register(app)
    app.cli.add_command(sweep)
    app.cli.add_command(doctor)
    return app


def worker_answers(settings: Settings) -> bool:
    """Whether a Celery worker answers on the broker of `settings`."""
    return bool(make_celery(settings).control.ping(timeout=1.0))


if __name__ == "__main__":
    sys.exit(run_everything(settings_or_exit(), worker_answers))
