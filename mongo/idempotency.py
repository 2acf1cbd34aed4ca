"""Answers kept under a caller's Idempotency-Key, so that a request sent twice is carried out once.

Follows draft-ietf-httpapi-idempotency-key-header: the same key and content return the first answer, other
content under the same key is an error, and so is a second request while the first one is under way.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import timedelta

import pymongo
from pymongo import ReturnDocument
from pymongo.database import Database

from mongo.client import FAREWELL, Document, brief, translated
from mongo.server_time import NOW, ago, not_after
from utils.errors import KeyInFlight, KeyReused

KEPT = timedelta(hours=24)
ABANDONED = timedelta(minutes=1)  # a request that takes longer was killed with its process


@dataclass(frozen=True)
class StoredAnswer:
    """What was answered the first time."""

    status: int
    headers: dict[str, str]
    body: bytes


class IdempotencyStore:
    """One document a key of an owner: being worked on while it has no answer yet."""

    def __init__(self, database: Database[Document]) -> None:
        self._keys = database["idempotency_keys"]
        self._indexed = False

    def begin(self, owner: str, key: str, content: str) -> StoredAnswer | None:
        """Reserve the key for the present request; the first answer instead if there is one.

        Args:
            content: a digest of everything that the request asks for.

        Raises:
            KeyReused: the key was used with other content.
            KeyInFlight: the first request is under way.
        """
        self._ensure_index()
        return self._reserve(owner, key, content)

    @brief
    def _reserve(self, owner: str, key: str, content: str) -> StoredAnswer | None:
        new = {"content": content, "begun_at": NOW, "answer": None}
        first = self._keys.find_one_and_update(
            {"_id": _id(owner, key)},
            [{"$replaceWith": {"$mergeObjects": [new, "$$ROOT"]}}],  # one that is there stays as it is
            upsert=True,
            return_document=ReturnDocument.BEFORE,
        )
        return self._first_answer(owner, key, content) if first else None

    @brief
    def finish(self, owner: str, key: str, answer: StoredAnswer) -> None:
        """Keep the answer for those who ask again."""
        self._keys.update_one({"_id": _id(owner, key)}, {"$set": {"answer": asdict(answer)}})

    @translated
    def abandon(self, owner: str, key: str) -> None:
        """Free the key: nothing was done under it, so the same request may be tried again."""
        with pymongo.timeout(FAREWELL):
            self._keys.delete_one({"_id": _id(owner, key), "answer": None})

    def _first_answer(self, owner: str, key: str, content: str) -> StoredAnswer | None:
        abandoned = {"content": content, "answer": None, "$expr": not_after("begun_at", ago(ABANDONED))}
        taken_over = self._keys.find_one_and_update(
            {"_id": _id(owner, key), **abandoned}, [{"$set": {"begun_at": NOW}}]
        )
        if taken_over:
            return None
        first = self._keys.find_one({"_id": _id(owner, key)})
        if first is None or (first["content"] == content and first["answer"] is None):
            raise KeyInFlight("A request with this Idempotency-Key is under way. Ask again in a moment.", retry_after=1)
        if first["content"] != content:
            raise KeyReused("This Idempotency-Key was used for another request. Use a new key.")
        return StoredAnswer(**first["answer"])

    @translated
    def _ensure_index(self) -> None:
        if not self._indexed:
            self._keys.create_index("begun_at", expireAfterSeconds=int(KEPT.total_seconds()), name="kept")
            self._indexed = True


def _id(owner: str, key: str) -> Document:
    return {"owner": owner, "key": key}
