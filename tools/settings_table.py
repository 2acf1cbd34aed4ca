"""Write the table of settings in README.md from the settings themselves: `python -m tools.settings_table`."""

from __future__ import annotations

from pathlib import Path

from pydantic import ByteSize

from utils.settings import Settings

README = Path(__file__).resolve().parent.parent / "README.md"
BEGIN, END = "<!-- settings:begin -->\n", "<!-- settings:end -->"


def settings_table() -> str:
    """The settings as a Markdown table: key, default, what it is for and what is allowed."""
    rows = [
        f"| `{name.upper()}` | {_shown(field.default)} | {field.description} |"
        for name, field in Settings.model_fields.items()
    ]
    return "\n".join(["| key | default | for what, and what is allowed |", "|---|---|---|", *rows]) + "\n"


def _shown(default: object) -> str:
    if default is None:
        return ""
    return f"`{default.human_readable() if isinstance(default, ByteSize) else default}`"


def with_table(text: str) -> str:
    """`text` with what stands between the two marks replaced by the table."""
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    return before + BEGIN + settings_table() + END + after


if __name__ == "__main__":
    README.write_text(with_table(README.read_text()))
