"""What became of the jobs, as MongoDB's own log of writes (the oplog) tells it: every change of every job, in order.

The service's present state alone could not show a result that was published twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from chaos.history import FINAL
from mongo import Store
from mongo.client import Document


@dataclass(frozen=True)
class Change:
    """One write to a job."""

    at: float  # s since 1970, by MongoDB's clock
    state: str | None = None  # that was set
    attempt: int | None = None  # that was begun
    publishes: bool = False  # a result was set


@dataclass(frozen=True)
class Trace:
    """A job's whole life."""

    task_id: str
    name: str
    source: str  # SHA-256
    changes: list[Change] = field(default_factory=list)
    code: str | None = None  # of its failure
    sha256: str | None = None  # of its result

    @property
    def states(self) -> list[str]:
        """All that were set, in order."""
        return [change.state for change in self.changes if change.state]

    @property
    def began(self) -> float:
        return self.changes[0].at

    @property
    def ended(self) -> float | None:
        """When it first had a final state."""
        return next((change.at for change in self.changes if change.state in FINAL), None)

    @property
    def attempts(self) -> int:
        return sum(change.attempt is not None for change in self.changes)


def read_traces(store: Store) -> dict[str, Trace]:
    """Of every job in the store, by task id."""
    traces = {document["_id"]: _trace(document) for document in store.database["jobs"].find()}
    for task_id, change in _changes(store):
        if task_id in traces:
            traces[task_id].changes.append(change)
    return traces


def _trace(document: Document) -> Trace:
    error, result = document["error"] or {}, document["result"] or {}
    return Trace(
        document["_id"],
        document["name"],
        document["source"]["sha256"],
        code=error.get("code"),
        sha256=result.get("sha256"),
    )


def _changes(store: Store) -> Iterator[tuple[str, Change]]:
    oplog = store.client["local"]["oplog.rs"]
    jobs = f"{store.database.name}.jobs"
    for entry in oplog.find({"ns": jobs, "op": {"$in": ["i", "u"]}}).sort("$natural", 1):
        task_id = entry["o"]["_id"] if entry["op"] == "i" else entry["o2"]["_id"]
        written = _written(entry["o"])
        change = Change(
            entry["wall"].timestamp(),
            state=written.get("status"),
            attempt=written.get("attempt") if entry["op"] == "u" else None,
            publishes=(written.get("result") or {}).get("file_id") is not None,
        )
        yield task_id, change


def _written(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """The fields that an oplog entry sets: of an insert or a replacement all, of an update those that it names."""
    if "$v" not in entry:
        return entry
    return _changed(entry["diff"])


def _changed(diff: Mapping[str, Any]) -> dict[str, Any]:
    """The fields in a diff of MongoDB's: `u` has new values of old fields, `i` new fields, `s…` diffs within one."""
    written = {**diff.get("u", {}), **diff.get("i", {})}
    for key, inner in diff.items():
        if key.startswith("s"):
            written[key.removeprefix("s")] = _changed(inner)
    return written
