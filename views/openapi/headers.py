"""The headers of answers that mean something to a caller, each described once."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Header:
    """A header of an answer."""

    name: str
    meaning: str
    example: str | int
    required: bool = True

    @property
    def schema(self) -> dict[str, str]:
        return {"type": "integer" if isinstance(self.example, int) else "string"}


def sometimes(header: Header) -> Header:
    """`header` where it need not be there."""
    return Header(header.name, header.meaning, header.example, required=False)


LOCATION = Header("Location", "The address of the task or the batch.", "/tasks/a095f067-e8b9-45c0-bfe6-e97f03aa7949")
RETRY_AFTER = Header("Retry-After", "Seconds after which asking again makes sense.", 2)
PREFERENCE_APPLIED = Header("Preference-Applied", "`Prefer: wait` was heeded (RFC 7240).", "wait=30", required=False)
REPLAYED = Header(
    "Idempotency-Replayed", "This answer was given before, to the same `Idempotency-Key`.", "true", required=False
)
CACHE_CONTROL = Header("Cache-Control", "How long the answer may be kept (RFC 9111).", "no-store")
ETAG = Header("ETag", "The strong validator of the answer; a picture's is its SHA-256.", '"de04f1f99c42"')
LAST_MODIFIED = Header("Last-Modified", "When the picture was made.", "Fri, 20 Nov 2026 20:12:13 GMT")
ACCEPT_RANGES = Header("Accept-Ranges", "Parts of the picture may be asked for.", "bytes")
CONTENT_RANGE = Header("Content-Range", "Which part this is, and of how many bytes.", "bytes 0-1023/190603")
CONTENT_LENGTH = Header("Content-Length", "How many bytes follow.", 190603)
CONTENT_DISPOSITION = Header(
    "Content-Disposition",
    "The name to save it under (RFC 6266).",
    "attachment; filename=\"photo.jpg\"; filename*=UTF-8''photo.jpg",
)
REPR_DIGEST = Header(
    "Repr-Digest", "SHA-256 of the whole picture (RFC 9530).", "sha-256=:3gTx+ZxCpGn0N0lZ0xR3m0UZTmvTsXJb3Dl0l9C5R2s=:"
)
NOSNIFF = Header("X-Content-Type-Options", "The type is what it says.", "nosniff")
ALLOW = Header("Allow", "The methods that are possible here.", "GET, HEAD, OPTIONS")
UPGRADE = Header("Upgrade", "What to change to (RFC 9110, 7.8).", "websocket")

# Only there if RATE_LIMIT is set.
RATE_LIMIT = Header("RateLimit", "What is left of the limit, and for how many seconds.", '"owner";r=59;t=41', False)
RATE_LIMIT_POLICY = Header(
    "RateLimit-Policy", "The limit: so many requests in so many seconds.", '"owner";q=60;w=60', False
)
