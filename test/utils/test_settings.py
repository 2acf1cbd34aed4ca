"""Settings are read once, typed and checked: a wrong one ends each program with a sentence, not a traceback."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from pathlib import Path

import pytest

from utils.settings import Settings, SettingsError, load_settings

REPOSITORY = Path(__file__).resolve().parent.parent.parent

# What a person may get wrong: key, value, and a part of what the sentence says is allowed.
WRONG = [
    ("PORT", "eighty", "1 to 65535"),
    ("PORT", "0", "1 to 65535"),
    ("PORT", "70000", "1 to 65535"),
    ("MONGO_URL", "localhost:27017", "mongodb://"),
    ("MONGO_DATABASE", "a.b", "letters, digits"),
    ("REDIS_URL", "localhost:6379", "redis://"),
    ("REDIS_URL", "redis+sentinel://without-a-name:26379", "redis+sentinel://host,host/name"),
    ("BROKER_URL", "redis://host", "amqp://"),
    ("DEVICE", "gpu", "auto, cpu, cuda"),
    ("PRECISION", "float8", "bfloat16"),
    ("MAX_UPLOAD_BYTES", "50 apples", "50MiB"),
    ("MAX_UPLOAD_BYTES", "0", "50MiB"),
    ("MAX_INPUT_PIXELS", "-1", "pixels"),
    ("MAX_OUTPUT_PIXELS", "many", "pixels"),
    ("RESULT_TTL", "0", "Seconds"),
    ("TASK_TTL", "1.5", "Seconds"),
    ("GRACE_SECONDS", "29", "30 to 2592000"),
    ("LEASE_SECONDS", "2", "3 to 3600"),
    ("SWEEP_SECONDS", "0", "1 to 3600"),
    ("MAX_ATTEMPTS", "0", "worker_lost"),
    ("WEB_WORKERS", "65", "1 to 64"),
    ("WEB_THREADS", "none", "1 to 1024"),
    ("WORKER_CONCURRENCY", "0", "1 to 64"),
    ("LOG_LEVEL", "loud", "debug, info, warning or error"),
    ("LOG_FORMAT", "xml", "json"),
    ("TEST_DEFAULT_TIMEOUT_WAITING", "0", "Seconds"),
]

PROGRAMS = {
    "flask": ["flask", "--app", "main", "run", "--port", "0"],
    "celery worker": ["celery", "-A", "main.celery_app", "worker"],
    "celery beat": ["celery", "-A", "main.celery_app", "beat"],
    "python main.py": ["main.py"],
    "gunicorn": ["gunicorn", "-c", "deploy/gunicorn.conf.py", "main:create_app()"],
}


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for field in Settings.model_fields:
        monkeypatch.delenv(field.upper(), raising=False)


@pytest.mark.parametrize(("key", "value", "allowed"), WRONG)
def test_a_wrong_value_is_told_with_its_key_and_what_is_allowed(
    monkeypatch: pytest.MonkeyPatch, key: str, value: str, allowed: str
) -> None:
    monkeypatch.setenv(key, value)
    with pytest.raises(SettingsError) as told:
        load_settings()
    shown = "(hidden)" if key.endswith("_URL") else f"'{value}'"  # an address may have a password in it
    assert f"{key}={shown} is not allowed" in str(told.value)
    assert allowed in str(told.value)


def test_all_wrong_values_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "eighty")
    monkeypatch.setenv("DEVICE", "gpu")
    with pytest.raises(SettingsError, match=r"(?s)PORT=.*\nDEVICE="):
        load_settings()


@pytest.mark.parametrize(("key", "value"), [("MONGO_PASSWORD", "change-me"), ("MONGO_URL", "http://me:secret@host")])
def test_a_password_is_never_told(monkeypatch: pytest.MonkeyPatch, key: str, value: str) -> None:
    monkeypatch.setenv(key, value)
    with pytest.raises(SettingsError) as told:
        load_settings()
    assert f"{key}=(hidden)" in str(told.value)
    assert "secret" not in str(told.value)


def test_a_secret_for_callbacks_is_taken_as_standard_webhooks_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for length in (24, 32, 64):
        secret = "whsec_" + base64.b64encode(bytes(length)).decode()
        monkeypatch.setenv("WEBHOOK_SECRET", secret)
        settings = load_settings()
        assert settings.webhook_secret is not None
        assert settings.webhook_secret.get_secret_value() == secret


@pytest.mark.parametrize("key", ["c2VjcmV0", "whsec_c2VjcmV0", "whsec_" + "!" * 40, "whsec_" + "A" * 92, "A" * 44])
def test_any_other_secret_is_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("WEBHOOK_SECRET", key)
    with pytest.raises(SettingsError, match="WEBHOOK_SECRET") as refused:
        load_settings()
    assert key not in str(refused.value)
    assert "openssl rand" in str(refused.value)


def test_an_empty_value_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "")
    monkeypatch.setenv("MODELS_DIR", "")
    assert load_settings() == Settings(_env_file=None)


def test_words_may_be_written_in_capitals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOG_LEVEL", "WARNING")
    monkeypatch.setenv("DEVICE", "CPU")
    settings = load_settings()
    assert (settings.log_level, settings.device) == ("warning", "cpu")


def test_the_environment_goes_before_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "settings").write_text("PORT=6000\nWEB_THREADS=3\nNOT_A_SETTING=1\n")
    monkeypatch.setenv("ENV_FILE", str(tmp_path / "settings"))
    monkeypatch.setenv("PORT", "7000")
    settings = load_settings()
    assert (settings.port, settings.web_threads) == (7000, 3)


@pytest.mark.parametrize(
    ("url", "password", "address"),
    [
        (None, None, "redis://127.0.0.1:6379/0"),
        ("redis://host:1/2", "p/s:w@", "redis://:p%2Fs%3Aw%40@host:1/2"),
        ("redis://:its-own@host:1/2", "another", "redis://:its-own@host:1/2"),
        ("rediss://host/0", "pw", "rediss://:pw@host/0"),
        ("redis+sentinel://a:1,b/name/2", "pw", "redis+sentinel://:pw@a:1,b/name/2"),
    ],
)
def test_the_password_of_redis_gets_into_its_address(url: str | None, password: str | None, address: str) -> None:
    assert Settings(_env_file=None, redis_url=url, redis_password=password).redis_address == address


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_ends_with_the_sentence_and_without_a_traceback(program: str) -> None:
    name, *arguments = PROGRAMS[program]
    command = [name] if name.endswith(".py") else ["-m", name]
    ended = subprocess.run(
        [sys.executable, *command, *arguments],
        cwd=REPOSITORY,
        env=os.environ | {"ENV_FILE": os.devnull, "LEASE_SECONDS": "soon"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode != 0
    assert "LEASE_SECONDS='soon' is not allowed" in ended.stderr
    assert "3 to 3600" in ended.stderr
    assert "Traceback" not in ended.stderr + ended.stdout
