"""env_example and the settings hold each other: every setting is there, explained, with its default."""

import re
from itertools import pairwise
from pathlib import Path

import pytest

from utils.settings import PLACEHOLDER_PASSWORD, Settings, SettingsError, load_settings

ENV_EXAMPLE = Path(__file__).parents[2] / "env_example"

ONLY_FOR_COMPOSE = {
    *("TORCH_VARIANT", "TORCH_INDEX", "WORKER_MEMORY", "WEB_MEMORY"),
    *("TRUSTED_PROXY", "CONNECTIONS_PER_ADDRESS", "UPLOADS_PER_ADDRESS"),
}
NOT_THE_DEFAULT = {  # they fit docker-compose-mongo-redis.yml instead, which asks for passwords
    "MONGO_URL": "mongodb://127.0.0.1:27017/?directConnection=true",
    "REDIS_URL": "redis://127.0.0.1:6379/0",
    "MONGO_USER": "upscaler",
    "MONGO_PASSWORD": PLACEHOLDER_PASSWORD,
    "REDIS_PASSWORD": PLACEHOLDER_PASSWORD,
}


def _documented() -> dict[str, tuple[str, str]]:
    """Each key of env_example with its value and the line above it."""
    lines = ENV_EXAMPLE.read_text(encoding="utf-8").splitlines()
    return {
        match["key"]: (match["value"], above)
        for above, line in pairwise(lines)
        if (match := re.fullmatch(r"(?P<key>[A-Z_]+)=(?P<value>.*)", line))
    }


@pytest.fixture
def no_settings(monkeypatch, tmp_path):
    """Neither an environment nor a `.env` that says anything."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ENV_FILE", raising=False)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def test_env_example_has_every_setting_and_no_other_key():
    settings = {name.upper() for name in Settings.model_fields}
    assert set(_documented()) == settings | ONLY_FOR_COMPOSE


def test_every_key_of_env_example_is_explained_on_the_line_above():
    unexplained = [key for key, (_, above) in _documented().items() if not re.match(r"# [^-]", above)]
    assert unexplained == []


@pytest.mark.usefixtures("no_settings")
def test_env_example_gives_the_defaults(tmp_path):
    values = {key: value for key, (value, _) in _documented().items()}
    assert {key: values[key] for key in NOT_THE_DEFAULT} == NOT_THE_DEFAULT
    (tmp_path / ".env").write_text(
        "\n".join(f"{key}={value}" for key, value in values.items() if key not in NOT_THE_DEFAULT)
    )
    from_example = load_settings()
    (tmp_path / ".env").unlink()
    assert from_example == load_settings()


@pytest.mark.usefixtures("no_settings")
def test_env_example_is_refused_until_both_passwords_are_changed(tmp_path):
    (tmp_path / ".env").write_bytes(ENV_EXAMPLE.read_bytes())
    with pytest.raises(SettingsError) as refusal:
        load_settings()
    assert [line.partition("=")[0] for line in str(refusal.value).splitlines()] == [
        "MONGO_PASSWORD",
        "REDIS_PASSWORD",
    ]


@pytest.mark.usefixtures("no_settings")
def test_env_example_with_passwords_of_ones_own_is_accepted(tmp_path):
    text = ENV_EXAMPLE.read_text(encoding="utf-8").replace(f"PASSWORD={PLACEHOLDER_PASSWORD}", "PASSWORD=s3cret")
    (tmp_path / ".env").write_text(text, encoding="utf-8")
    assert load_settings().mongo_password.get_secret_value() == "s3cret"
