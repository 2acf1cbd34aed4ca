"""Whether this machine has what a web server or a worker needs of it."""

from __future__ import annotations

import hashlib
import shutil
import tempfile

from celery_app.examination.finding import Check, Ill, Patient, size
from upscaler.catalog import find_model, list_models


def _temp_writable(patient: Patient) -> str:
    try:
        with tempfile.TemporaryFile() as file:
            file.write(b"\0")
        free = shutil.disk_usage(tempfile.gettempdir()).free
    except OSError as error:
        raise Ill(f"They cannot be written: {error}", "Mend that, or set TMPDIR to another folder.") from None
    if free < patient.settings.max_upload_bytes:
        raise Ill(
            f"There is room for {size(free)}: less than an upload.", "Make room, or set TMPDIR to another folder."
        )
    return f"{tempfile.gettempdir()}, {size(free)} free"


def _models_readable(patient: Patient) -> str:
    folder = patient.settings.models_folder
    find_model(patient.settings.default_model, folder)
    present = [model for model in list_models(folder) if model.path(folder).is_file()]
    for model in present:
        try:
            with model.path(folder).open("rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise Ill(f"{model.file} cannot be read: {error.strerror}.", "Let the service's user read it.") from None
        if model.sha256 and sha256 != model.sha256:
            raise Ill(f"{model.file} is damaged.", "Delete it: it is downloaded again when it is needed.")
    return ", ".join(model.name for model in present)


MACHINE: list[Check] = [
    ("Temporary files can be written here", _temp_writable),
    ("The models that are here can be read", _models_readable),
]
