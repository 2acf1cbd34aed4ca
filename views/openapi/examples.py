"""Documents as the service has really answered them, for the API's description."""

from __future__ import annotations

from typing import Any

from mongo.jobs import Status
from mongo.task_document import CallbackDocument, ImageDocument, TaskDocument

TASK_ID = "a095f067-e8b9-45c0-bfe6-e97f03aa7949"
BATCH_ID = "0d3c1b52-9d0e-4d2c-8a49-6f7c3a1f1f0e"

SOURCE: ImageDocument = {
    "width": 256,
    "height": 256,
    "mode": "RGB",
    "format": "JPEG",
    "bytes": 10286,
    "sha256": "ebf8662783a1c1f5a5f8b5d5d1c4b2b2f4ef7c8d0a4ed0a9f0e3b1c2d3e4f506",
}

TASK: TaskDocument = {
    "task_id": TASK_ID,
    "name": "photo.jpg",
    "status": Status.SUCCESS,
    "progress": 1.0,
    "position": None,
    "eta": None,
    "created_at": "2026-11-20T20:12:13.577Z",
    "started_at": "2026-11-20T20:12:13.670Z",
    "finished_at": "2026-11-20T20:12:13.965Z",
    "expires_at": "2026-11-27T20:12:13.965Z",
    "request": {
        "model": "fast",
        "scale": None,
        "width": None,
        "height": None,
        "format": "same",
        "quality": None,
        "denoise": None,
        "metadata": "keep",
    },
    "source": SOURCE,
    "result": {
        **SOURCE,
        "width": 1024,
        "height": 1024,
        "bytes": 190603,
        "sha256": "de04f1f99c42a4697437495967417b9b4514653 9af4ec5c96f70e5d25f427646".replace(" ", ""),
    },
    "error": None,
    "links": {
        "self": f"/tasks/{TASK_ID}",
        "events": f"/tasks/{TASK_ID}/events",
        "result": "/processed/photo.jpg",
        "metadata": "/processed/photo.jpg/metadata",
        "thumbnail": "/processed/photo.jpg/thumbnail",
    },
}

WAITING: TaskDocument = {
    **TASK,
    "status": Status.PENDING,
    "progress": 0.0,
    "position": 1,
    "eta": "2026-11-20T20:12:14.077Z",
    "started_at": None,
    "finished_at": None,
    "expires_at": None,
    "result": None,
    "links": {"self": f"/tasks/{TASK_ID}", "events": f"/tasks/{TASK_ID}/events"},
}

CALLBACK: CallbackDocument = {"type": "task.succeeded", "timestamp": "2026-11-20T20:12:13.965Z", "data": TASK}

BATCH = {
    "batch_id": BATCH_ID,
    "status": Status.SUCCESS,
    "progress": 1.0,
    "counts": {"PENDING": 0, "STARTED": 0, "SUCCESS": 1, "FAILURE": 0, "REVOKED": 0, "REFUSED": 1},
    "created_at": "2026-11-20T20:12:13.577Z",
    "links": {
        "self": f"/batches/{BATCH_ID}",
        "events": f"/batches/{BATCH_ID}/events",
        "zip": f"/batches/{BATCH_ID}.zip",
    },
    "tasks": [
        TASK,
        {
            "name": "notes.txt",
            "type": "/docs/errors#unsupported_format",
            "title": "Only PNG and JPEG pictures are accepted",
            "status": 415,
            "detail": "The file's content is neither a PNG nor a JPEG. Convert it to one of these.",
            "code": "unsupported_format",
            "instance": "/upscale",
            "field": "image",
        },
    ],
}

NOTHING_SPECIAL: dict[str, Any] = {"icc_profile": None, "exif": {}, "omitted": [], "has_gps": False, "dpi": None}

METADATA = {
    "name": "photo.jpg",
    "task_id": TASK_ID,
    "source": {**SOURCE, **NOTHING_SPECIAL},
    "result": {**SOURCE, "width": 1024, "height": 1024, "bytes": 190603, **NOTHING_SPECIAL},
}

MODELS = {
    "models": [
        {
            "name": "fast",
            "default": True,
            "description": "The default: photographs with noise or compression damage, in little time.",
            "scale": 4,
            "denoise": False,
            "licence": "MIT",
            "bytes": 390_000,
            "source": "bundled",
            "url": None,
            "on_disk": True,
        }
    ]
}

TASK_STREAM = f"""retry: 2000

event: state
id: 1-SUCCESS-1.000
data: {{"task_id": "{TASK_ID}", "name": "photo.jpg", "status": "SUCCESS", …}}

event: end
id: 1-SUCCESS-1.000
data: {{"task_id": "{TASK_ID}", "name": "photo.jpg", "status": "SUCCESS", …}}
"""

BATCH_STREAM = f"""retry: 2000

event: progress
id: 0.500
data: {{"batch_id": "{BATCH_ID}", "progress": 0.5, "task": {{"task_id": "{TASK_ID}", …}}, …}}
"""
