"""The headers of answers that mean something to a caller, each described once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from apispec import APISpec


@dataclass(frozen=True)
class Header:
    """A header of an answer."""

    name: str
    meaning: str
    example: str | int
    required: bool = True
    variant: str = ""  # where one name means several things

    @property
    def schema(self) -> dict[str, str]:
        return {"type": "integer" if isinstance(self.example, int) else "string"}


def sometimes(header: Header) -> Header:
    """`header` where it need not be there."""
    return replace(header, required=False)


def references(spec: APISpec, described: Iterable[Header]) -> dict[str, Any]:
    """References to the headers, by their names; each is a component of `spec` from then on."""
    return {header.name: {"$ref": f"#/components/headers/{_component(spec, header)}"} for header in described}


def _component(spec: APISpec, header: Header) -> str:
    name = ".".join(filter(None, [header.name, header.variant, "" if header.required else "optional"]))
    if name not in spec.components.headers:
        component = {"description": header.meaning, "schema": header.schema, "example": header.example}
        spec.components.header(name, component | ({"required": True} if header.required else {}))
    return name


LOCATION = Header("Location", "The address of the task or the batch.", "/tasks/b1012213-1347-496c-aa6b-cfa0e7c7b973")
RETRY_AFTER = Header("Retry-After", "Seconds after which asking again makes sense.", 2)
PREFERENCE_APPLIED = Header("Preference-Applied", "`Prefer: wait` was heeded (RFC 7240).", "wait=30", required=False)
REPLAYED = Header(
    "Idempotency-Replayed", "This answer was given before, to the same `Idempotency-Key`.", "true", required=False
)
CACHE_CONTROL = Header("Cache-Control", "The answer is not to be kept (RFC 9111).", "no-store")
REVALIDATED = Header(
    "Cache-Control", "The answer may be kept, and is to be asked for anew.", "private, no-cache", variant="revalidated"
)
ETAG = Header(
    "ETag",
    "The strong validator of the answer; a picture's is its SHA-256.",
    '"d998c14bd3206888555042cdb9f8978b72e8a6671a82c7ed1e9cbca94d3314a9"',
)
LAST_MODIFIED = Header("Last-Modified", "When the picture was made.", "Fri, 20 Nov 2026 22:07:15 GMT")
ACCEPT_RANGES = Header("Accept-Ranges", "Parts of the picture may be asked for.", "bytes")
CONTENT_RANGE = Header("Content-Range", "Which part this is, and of how many bytes.", "bytes 0-1023/92338")
CONTENT_LENGTH = Header("Content-Length", "How many bytes follow.", 92338)
CONTENT_DISPOSITION = Header(
    "Content-Disposition",
    "The name to save it under (RFC 6266).",
    "attachment; filename=\"photo.jpg\"; filename*=UTF-8''photo.jpg",
)
REPR_DIGEST = Header(
    "Repr-Digest", "SHA-256 of the whole picture (RFC 9530).", "sha-256=:2ZjBS9MgaIhVUELNufiXi3LopmcagsftHpy8qU0zFKk=:"
)
NOSNIFF = Header("X-Content-Type-Options", "The type is what it says.", "nosniff")
ALLOW = Header("Allow", "The methods that are possible here.", "GET, HEAD, OPTIONS")
UPGRADE = Header("Upgrade", "What to change to (RFC 9110, 7.8).", "websocket")
REQUEST_ID = Header(
    "X-Request-ID",
    "The request's id: the one that it came with, if that has 8 to 128 letters, digits and `._-`, or one made here.",
    "4f1c2b7d9be94c0e8d2f6a5b3c1e7f90",
)

# Only there if RATE_LIMIT is set.
RATE_LIMIT = Header("RateLimit", "What is left of the limit, and for how many seconds.", '"owner";r=59;t=41', False)
RATE_LIMIT_POLICY = Header(
    "RateLimit-Policy", "The limit: so many requests in so many seconds.", '"owner";q=60;w=60', False
)
