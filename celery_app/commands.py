"""Commands for operators, of `flask --app main`: `sweep` does the upkeep once, `doctor` says what is wrong."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from contextlib import closing
from dataclasses import asdict

import click

from celery_app import upkeep
from celery_app.examination import Finding, Patient, examine
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


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@click.option("--read-all", is_flag=True, help="Read every result too, and compare it with its digest.")
def doctor(*, as_json: bool, read_all: bool) -> None:
    """Examine what the service stands on and what it keeps. The status is 1 if something is wrong."""
    settings = load_settings()
    with closing(open_store(settings)) as store:
        findings = examine(Patient(settings, store), read_all=read_all)
        is_well = _print_json(findings) if as_json else _print(findings)
    if not is_well:
        sys.exit(1)


def _print(findings: Iterable[Finding]) -> bool:
    """A line for each finding, as it is made, and one for what to do. Whether all is well."""
    wrong = 0
    for finding in findings:
        wrong += finding.status == "not ok"
        click.echo(f"{finding.status:<14} {finding.check}{': ' if finding.detail else ''}{finding.detail}")
        if finding.remedy:
            click.echo(f"{'':<14} → {finding.remedy}")
    click.echo("All is well." if not wrong else f"{wrong} not as it has to be.")
    return not wrong


def _print_json(findings: Iterable[Finding]) -> bool:
    found = [asdict(finding) for finding in findings]
    click.echo(json.dumps(found, ensure_ascii=False, indent=2))
    return all(finding["status"] != "not ok" for finding in found)
