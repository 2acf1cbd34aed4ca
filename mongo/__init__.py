"""MongoDB, the one owner of the truth: jobs as documents, pictures in GridFS."""

from mongo.client import Store, open_store

__all__ = ["Store", "open_store"]
