"""A batch's results as one ZIP file, made while it is sent: with constant memory, whatever there is in it.

Pictures are compressed already, so they are stored as they are. That makes the archive's length known beforehand,
and a download that breaks off is noticed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import chain, count
from pathlib import Path
from typing import Any

from bson import ObjectId
from flask import Response
from zipstream import ZipStream

from mongo.batches import REFUSED, Batch, BatchFile
from mongo.images import ImageStore
from mongo.jobs import Job, error_document
from mongo.task_document import rfc3339
from views.processed import absence, download_name
from views.streaming import BLOCK_BYTES

MANIFEST = "manifest.json"  # no picture is called so: their names end otherwise


class Archive:
    """The archive of a batch whose tasks have all ended.

    Args:
        jobs: its tasks, each once.
        results: where their files are.
    """

    def __init__(self, batch: Batch, jobs: Sequence[Job], results: ImageStore) -> None:
        self._batch = batch
        self._jobs = {job.id: job for job in jobs}
        self._results = results
        self._names = _unique_names(jobs)

    def response(self) -> Response:
        """The archive, to be sent as it is made; the manifest comes first."""
        archive = ZipStream(sized=True)
        archive.add(json.dumps(self.manifest(), ensure_ascii=False, indent=2), MANIFEST)
        for task_id, name in self._names.items():
            result = self._jobs[task_id].result
            if result and result.file_id:
                archive.add(self._blocks(result.file_id), name, size=result.bytes)
        response = Response(iter(archive), mimetype="application/zip", direct_passthrough=True)
        response.content_length = len(archive)
        response.headers["Content-Disposition"] = f'attachment; filename="batch-{self._batch.id}.zip"'
        response.headers["Cache-Control"] = "no-store"
        return response

    def manifest(self) -> dict[str, Any]:
        """What became of each file that was sent, in their order."""
        return {
            "batch_id": self._batch.id,
            "created_at": rfc3339(self._batch.created_at),
            "files": [self._entry(file) for file in self._batch.files],
        }

    def _entry(self, file: BatchFile) -> dict[str, Any]:
        """A file as it was sent, its task, and where its result is in the archive, or the error in its place."""
        entry: dict[str, Any] = {"name": file.name, "task_id": file.task_id, "file": None, "error": None}
        if file.task_id is None:
            return entry | {"status": REFUSED, "error": file.error}
        job = self._jobs[file.task_id]
        entry |= {"status": job.status, **file.remarks}
        if job.id in self._names and job.result:
            return entry | {"file": self._names[job.id], "bytes": job.result.bytes, "sha256": job.result.sha256}
        return entry | {"error": job.error or error_document(absence(job))}

    def _blocks(self, file_id: ObjectId) -> Iterator[bytes]:
        """A result's bytes. It was there when the archive was begun, and stays for a while after it was let go."""
        file = self._results.open(file_id)
        if file is None:
            raise FileNotFoundError(f"no file {file_id} in the store")
        with file:
            while block := file.read(BLOCK_BYTES):
                yield block


def _unique_names(jobs: Sequence[Job]) -> dict[str, str]:
    """A name in the archive for the result of each job, by its id: no two alike, in upper or lower case."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for job in jobs:
        if job.result is None or job.result.file_id is None:
            continue
        name = _free_name(download_name(job.name, job.result.format), taken)
        taken.add(name.casefold())
        names[job.id] = name
    return names


def _free_name(name: str, taken: set[str]) -> str:
    path = Path(name)
    numbered = (f"{path.stem} ({number}){path.suffix}" for number in count(2))
    return next(candidate for candidate in chain([name], numbered) if candidate.casefold() not in taken)
