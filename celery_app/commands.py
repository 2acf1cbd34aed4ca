"""Commands for operators, of `flask --app main`: `sweep` does the upkeep once."""

from __future__ import annotations

from contextlib import closing

import click

from celery_app import upkeep
from mongo import open_store
from utils.errors import ServiceError
from utils.settings import load_settings


@click.command("sweep")
def sweep() -> None:
    """Do once, now, what beat has the workers do every few seconds and minutes; print what there was to do."""
    settings = load_settings()
    with closing(open_store(settings)) as store:
        try:
            counts = upkeep.sweep(store, settings) | upkeep.clean_up(store, settings)
        except ServiceError as error:
            raise click.ClickException(error.detail) from error
    for what, count in counts.items():
        click.echo(f"{what:<13} {count}")
