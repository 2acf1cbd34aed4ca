"""What a caller may ask for beside the picture itself: the form fields of `POST /upscale`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from utils.errors import InvalidParameter


class UpscaleRequest(BaseModel):
    """The wishes for one picture. Every field is optional.

    `scale` and `width`/`height` exclude each other; without either, the model's own scale is used.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str | None = Field(None, max_length=100)
    scale: float | None = Field(None, ge=1, le=8, allow_inf_nan=False)
    width: int | None = Field(None, ge=1, le=100_000)
    height: int | None = Field(None, ge=1, le=100_000)
    format: Literal["same", "png", "jpeg", "webp"] = "same"
    quality: int | None = Field(None, ge=1, le=100)
    denoise: float | None = Field(None, ge=0, le=1, allow_inf_nan=False)
    metadata: Literal["keep", "no-gps", "strip"] = "keep"

    @classmethod
    def from_form(cls, form: Mapping[str, str]) -> UpscaleRequest:
        """Read the fields of a form; an empty one counts as absent.

        Raises:
            InvalidParameter: naming the first field that is not valid, its value, and what is.
        """
        try:
            wishes = cls.model_validate({key: value for key, value in form.items() if value != ""})
        except ValidationError as error:
            problem = error.errors()[0]
            field = str(problem["loc"][0])
            raise InvalidParameter(_explain(field, problem), field=field) from None
        if wishes.scale is not None and (wishes.width or wishes.height):
            raise InvalidParameter("Give either scale, or width and height, not both.", field="scale")
        return wishes

    def output_format(self, source_format: str) -> Literal["png", "jpeg", "webp"]:
        """The result's format, where `source_format` is the upload's: PNG or JPEG."""
        if self.format != "same":
            return self.format
        return "jpeg" if source_format == "JPEG" else "png"


def _explain(field: str, problem: Any) -> str:
    if problem["type"] == "extra_forbidden":
        known = ", ".join(["image", *UpscaleRequest.model_fields, "on_conflict", "callback_url"])
        return f"There is no field {field!r}. The fields are: {known}."
    return f"{field}={problem['input']!r} is not valid: {problem['msg']}."
