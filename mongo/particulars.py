"""What is kept of a result beside its bytes: a description of source and result, and thumbnails.

One document a result, under the id of the result's file, which is stored first and goes first. So jobs that
share a result share these too, and reading how a task stands does not drag them along.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bson import ObjectId
from pymongo.database import Database

from mongo.client import Document, brief, translated


@dataclass(frozen=True)
class Descriptions:
    """What source and result carry: members ready for JSON."""

    source: Mapping[str, Any]
    result: Mapping[str, Any]


class ParticularsStore:
    """The particulars of all results: at most some hundred kilobytes each."""

    def __init__(self, database: Database[Document]) -> None:
        self._particulars = database["particulars"]

    @translated
    def save(self, file_id: ObjectId, descriptions: Descriptions, thumbnails: Mapping[int, bytes]) -> None:
        """Keep the particulars of the result with that file.

        Args:
            thumbnails: encoded, by their longest side.
        """
        self._particulars.insert_one(
            {
                "_id": file_id,
                "source": descriptions.source,
                "result": descriptions.result,
                "thumbnails": {str(side): thumbnail for side, thumbnail in thumbnails.items()},
            }
        )

    @brief
    def descriptions(self, file_id: ObjectId) -> Descriptions | None:
        """Of the result with that file; None if they are gone."""
        found = self._particulars.find_one({"_id": file_id}, {"source": 1, "result": 1})
        return Descriptions(found["source"], found["result"]) if found else None

    @brief
    def thumbnail(self, file_id: ObjectId, side: int) -> bytes | None:
        """The one that was kept for that side; None if it is gone."""
        found = self._particulars.find_one({"_id": file_id}, {f"thumbnails.{side}": 1})
        return bytes(found["thumbnails"][str(side)]) if found else None

    @translated
    def remove_left_over(self) -> int:
        """Remove the particulars of results whose file is gone. How many."""
        left_over = self._particulars.aggregate(
            [
                {"$project": {"_id": 1}},
                {"$lookup": {"from": "results.files", "localField": "_id", "foreignField": "_id", "as": "file"}},
                {"$match": {"file": []}},
            ]
        )
        ids = [found["_id"] for found in left_over]
        return self._particulars.delete_many({"_id": {"$in": ids}}).deleted_count
