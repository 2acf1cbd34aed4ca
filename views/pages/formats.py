"""Numbers, sizes, times and moments as people of a language write them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from babel.dates import format_datetime
from babel.numbers import format_decimal

from views.pages.texts import texts_of

MINUTE, HOUR, DAY = 60, 3600, 86400  # s


class HasSize(Protocol):
    """Anything with a size in pixels."""

    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...


@dataclass(frozen=True)
class Formats:
    """The ways of writing of one language."""

    language: str

    def number(self, value: float, digits: int = 1) -> str:
        return format_decimal(round(value, digits), format="#,##0.###", locale=self.language)

    def bytes(self, value: int) -> str:
        """Such as "17.2 KiB"."""
        t = texts_of(self.language)
        for unit in ("gib", "mib", "kib"):
            size = {"gib": 1024**3, "mib": 1024**2, "kib": 1024}[unit]
            if value >= size:
                return t(f"units.{unit}", number=self.number(value / size))
        return t("units.bytes", count=value, number=self.number(value))

    def size(self, image: HasSize) -> str:
        """Such as "256 × 256"."""
        return f"{image.width} × {image.height}"

    def megapixels(self, pixels: int) -> str:
        return texts_of(self.language)("units.megapixels", number=self.number(pixels / 1_000_000))

    def percent(self, fraction: float) -> str:
        return texts_of(self.language)("units.percent", number=self.number(math.floor(fraction * 100)))

    def moment(self, moment: datetime) -> str:
        """In UTC: only a script knows where the visitor is (see moments.js)."""
        return f"{format_datetime(moment.astimezone(UTC), 'd MMM y, HH:mm', locale=self.language)} UTC"

    def duration(self, seconds: float) -> str:
        """Of something that is over, such as "2.4 s", "3 min" or "5 days"."""
        t = texts_of(self.language)
        if seconds < MINUTE:
            return t("units.seconds", number=self.number(seconds))
        if seconds < HOUR:
            return t("units.minutes", number=round(seconds / MINUTE))
        if seconds < 2 * DAY:
            return t("units.hours", count=round(seconds / HOUR))
        return t("units.days", count=round(seconds / DAY))

    def time_left(self, seconds: float) -> str:
        """Roughly, as nobody knows better: in steps of five seconds, then in minutes."""
        if seconds < MINUTE:
            return texts_of(self.language)("units.seconds", number=max(5, 5 * round(seconds / 5)))
        return self.duration(seconds)
