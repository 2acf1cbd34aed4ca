"""What the service answers, for the API's description: documents of a picture that was really made."""

from __future__ import annotations

from typing import Any

from mongo.jobs import Status
from mongo.task_document import CallbackDocument, ImageDocument, TaskDocument

TASK_ID = "b1012213-1347-496c-aa6b-cfa0e7c7b973"
BATCH_ID = "0d3c1b52-9d0e-4d2c-8a49-6f7c3a1f1f0e"

SOURCE: ImageDocument = {
    "width": 256,
    "height": 256,
    "mode": "RGB",
    "format": "JPEG",
    "bytes": 8112,
    "sha256": "10662b9b1cadad9a94268e752151382525c2f91f58edd98f2408a77f6df9f68f",
}

RESULT: ImageDocument = {
    **SOURCE,
    "width": 1024,
    "height": 1024,
    "bytes": 92338,
    "sha256": "d998c14bd3206888555042cdb9f8978b72e8a6671a82c7ed1e9cbca94d3314a9",
}

TASK: TaskDocument = {
    "task_id": TASK_ID,
    "name": "photo.jpg",
    "status": Status.SUCCESS,
    "progress": 1.0,
    "position": None,
    "eta": None,
    "created_at": "2026-11-20T22:07:15.385Z",
    "started_at": "2026-11-20T22:07:15.394Z",
    "finished_at": "2026-11-20T22:07:15.609Z",
    "expires_at": "2026-11-21T22:07:15.609Z",
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
    "result": RESULT,
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
    "eta": "2026-11-20T22:07:15.885Z",
    "started_at": None,
    "finished_at": None,
    "expires_at": None,
    "result": None,
    "links": {"self": f"/tasks/{TASK_ID}", "events": f"/tasks/{TASK_ID}/events"},
}

CALLBACK: CallbackDocument = {"type": "task.succeeded", "timestamp": "2026-11-20T22:07:15.609Z", "data": TASK}

BATCH = {
    "batch_id": BATCH_ID,
    "status": Status.SUCCESS,
    "progress": 1.0,
    "counts": {"PENDING": 0, "STARTED": 0, "SUCCESS": 1, "FAILURE": 0, "REVOKED": 0, "REFUSED": 1},
    "created_at": "2026-11-20T22:07:15.385Z",
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
    "result": {**RESULT, **NOTHING_SPECIAL},
}

MODELS = {
    "models": [
        {
            "name": "fast",
            "default": True,
            "description": "The default: photographs with noise or compression damage, in little time on any "
            "processor.",
            "scale": 4,
            "denoise": False,
            "licence": "MIT",
            "bytes": 180552,
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
