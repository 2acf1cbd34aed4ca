"""README's table of settings is the settings' own."""

from __future__ import annotations

from tools.settings_table import README, with_table


def test_the_readme_lists_every_setting_as_it_is() -> None:
    text = README.read_text()
    assert with_table(text) == text, "run: python -m tools.settings_table"
