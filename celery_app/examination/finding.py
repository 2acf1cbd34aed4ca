"""What an examination finds, and what the checks that it is made of look like."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from pydantic import ByteSize

from mongo import Store
from utils.settings import Settings


@dataclass(frozen=True)
class Finding:
    """What one check found."""

    check: str
    status: Literal["ok", "not ok", "not looked at"]
    detail: str = ""
    remedy: str = ""


class Ill(Exception):  # noqa: N818 - what a check finds
    """Something is not as it has to be.

    Args:
        detail: what is wrong, in a sentence.
        remedy: what to do about it.
    """

    def __init__(self, detail: str, remedy: str) -> None:
        super().__init__(detail)
        self.detail = detail
        self.remedy = remedy


@dataclass(frozen=True)
class Patient:
    """What is examined."""

    settings: Settings
    store: Store


Check = tuple[str, Callable[[Patient], str]]
"""What should be so, and what sees whether it is: it returns what it saw, or raises Ill."""


def size(count: int) -> str:
    """Bytes, to read."""
    return ByteSize(count).human_readable()
