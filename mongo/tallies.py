"""Sums that only grow, kept for all processes of the service together: whoever counts something adds to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pymongo import UpdateOne
from pymongo.database import Database

from mongo.client import Document, brief


@dataclass(frozen=True)
class Key:
    """Which sum: of what, and the values of its labels."""

    name: str
    labels: tuple[str, ...] = ()


@dataclass
class Tally:
    """What was counted under one key: a number, and for a histogram how many observations fell where."""

    value: float = 0.0
    buckets: dict[int, int] = field(default_factory=dict)  # observations in each bucket, by the bucket's place

    def add(self, other: Tally) -> None:
        """Take in what `other` counted."""
        self.value += other.value
        for place, count in other.buckets.items():
            self.buckets[place] = self.buckets.get(place, 0) + count


@dataclass(frozen=True)
class Recorded:
    """A sum as it stands."""

    key: Key
    tally: Tally
    changed_at: datetime


class TallyStore:
    """One document a key. Adding is MongoDB's own `$inc`, so any number of processes may do it at once."""

    def __init__(self, database: Database[Document]) -> None:
        self._tallies = database["tallies"]

    @brief
    def add(self, counted: Mapping[Key, Tally]) -> None:
        """Add what was counted to the sums."""
        if counted:
            self._tallies.bulk_write([_addition(key, tally) for key, tally in counted.items()], ordered=False)

    @brief
    def all(self) -> Sequence[Recorded]:
        """Every sum: some dozens, as many as there are combinations of labels."""
        return [_recorded(document) for document in self._tallies.find()]


def _addition(key: Key, tally: Tally) -> UpdateOne:
    increments: Document = {"value": tally.value}
    increments |= {f"buckets.{place}": count for place, count in tally.buckets.items()}
    identity = {"name": key.name, "labels": list(key.labels)}
    return UpdateOne({"_id": identity}, {"$inc": increments, "$currentDate": {"changed_at": True}}, upsert=True)


def _recorded(document: Document) -> Recorded:
    key = Key(document["_id"]["name"], tuple(document["_id"]["labels"]))
    buckets = {int(place): count for place, count in document.get("buckets", {}).items()}
    return Recorded(key, Tally(document["value"], buckets), document["changed_at"])
