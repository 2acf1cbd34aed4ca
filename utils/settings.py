"""Every setting of the service: read once from the environment and `.env`, typed, checked, then passed in.

`env_example` documents each of them; a test holds the two together.
"""

from __future__ import annotations

import base64
import binascii
import os
import sys
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import quote, urlsplit, urlunsplit

from pydantic import ByteSize, Field, SecretStr, StringConstraints, ValidationError, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

PLACEHOLDER_PASSWORD = "change-me"  # noqa: S105 - the one in env_example, refused everywhere

Seconds = Annotated[int, Field(ge=1, le=10 * 365 * 86400)]


class SettingsError(Exception):
    """A setting has a value that is not allowed. The message names the key, the value and what is."""


class Settings(BaseSettings):
    """The service's settings. The description of each says what it is for and what is allowed."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", frozen=True, validate_default=True)

    # Where it listens and keeps its things
    host: str = Field("127.0.0.1", description="Address the web server listens on.")
    port: int = Field(5000, ge=1, le=65535, description="Port of the web server: 1 to 65535.")
    data_dir: Path = Field(Path("data"), description="Folder of `make run` for MongoDB, Redis and models.")
    models_dir: Path | None = Field(
        None, description="Folder of downloaded and own models. Default: `models` in DATA_DIR."
    )

    # Servers
    mongo_url: str | None = Field(
        None,
        pattern=r"^mongodb(\+srv)?://",
        description="A MongoDB replica set: mongodb://… or mongodb+srv://…. Unset: `make run` starts one.",
    )
    mongo_database: str = Field(
        "upscaler", pattern=r"^[A-Za-z0-9_-]{1,38}$", description="Database: letters, digits, _ and -."
    )
    mongo_user: str | None = Field(None, description="MongoDB user, if the server wants one.")
    mongo_password: SecretStr | None = Field(None, description="MongoDB password. Not `change-me`.")
    redis_url: str | None = Field(
        None,
        pattern=r"^(rediss?://|redis\+sentinel://[^/]+/[^/]+)",
        description="A Redis server: redis://…, rediss://… or redis+sentinel://host,host/name. "
        "Unset: `make run` starts one.",
    )
    redis_password: SecretStr | None = Field(None, description="Redis password. Not `change-me`.")
    broker_url: str | None = Field(
        None,
        pattern=r"^amqps?://",
        description="A RabbitMQ that carries the tasks: amqp://… or amqps://…. Unset: Redis carries them.",
    )

    # The engine
    device: Annotated[str, StringConstraints(pattern=r"^(auto|cpu|cuda(:\d+)?)$")] = Field(
        "auto", description="Where networks run: auto, cpu, cuda or cuda:N."
    )
    precision: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="Arithmetic of the networks: auto, float32, bfloat16 or float16."
    )
    default_model: str = Field("fast", description="Model used when a request names none.")

    # Limits
    max_upload_bytes: ByteSize = Field(
        ByteSize(50 * 1024**2), ge=1, description="Largest upload: bytes, or with a unit such as 50MiB."
    )
    max_input_pixels: int = Field(25_000_000, ge=1, description="Most pixels of an uploaded picture.")
    max_output_pixels: int = Field(200_000_000, ge=1, description="Most pixels of a result.")
    max_queue: int = Field(1000, ge=1, description="Most tasks that wait; more uploads are answered 429.")
    store_quota_bytes: ByteSize | None = Field(
        None,
        ge=1,
        description="Most bytes kept in MongoDB, such as 100GiB; more uploads are answered 507. Unset: no limit.",
    )
    rate_limit: str | None = Field(
        None,
        pattern=r"^[1-9]\d{0,8}/(second|minute|hour|day)$",
        description="Most requests of an owner, such as 600/minute (or second, hour, day). Unset: no limit.",
    )

    # A job's life
    result_ttl: Seconds = Field(86400, description="Seconds a finished picture is kept.")
    keep_sources: bool = Field(False, description="Whether uploads are kept as long as their results: 0 or 1.")
    task_ttl: Seconds = Field(30 * 86400, description="Seconds an ended task can still be asked for.")
    grace_seconds: int = Field(
        3600,
        ge=30,
        le=30 * 86400,
        description="Seconds before bytes that no task owns are removed, more than a download takes: 30 to 2592000.",
    )
    lease_seconds: int = Field(
        15, ge=3, le=3600, description="Seconds after which a silent worker's task is handed on: 3 to 3600."
    )
    sweep_seconds: int = Field(10, ge=1, le=3600, description="Seconds between two sweeps: 1 to 3600.")
    stop_seconds: int = Field(
        5, ge=0, le=3600, description="Seconds a worker told to stop goes on, before it hands its task back: 0 to 3600."
    )
    max_attempts: int = Field(3, ge=1, le=100, description="Tries before a task fails as worker_lost.")

    # Callbacks
    webhook_secret: SecretStr | None = Field(
        None, description="Signs callbacks: `whsec_` and 24 to 64 bytes in Base64. Unset: `callback_url` is refused."
    )
    webhook_allow_private: bool = Field(
        False, description="Whether callbacks may go to addresses that are not on the internet: 0 or 1."
    )

    # Processes and logs
    web_workers: int = Field(2, ge=1, le=64, description="Web server processes: 1 to 64.")
    web_threads: int = Field(
        16, ge=1, le=1024, description="Requests at once in each web process, uploads among them: 1 to 1024."
    )
    web_streams: int = Field(
        1000, ge=1, le=10_000, description="Event streams and waiting requests of each web process: 1 to 10000."
    )
    behind_proxy: bool = Field(
        False, description="Whether a proxy's X-Forwarded-For, -Proto and -Host are believed: 0 or 1."
    )
    worker_concurrency: int = Field(
        1, ge=1, le=64, description="Tasks at once in a worker; each has its own model in memory: 1 to 64."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least important log line shown: debug, info, warning or error."
    )
    log_format: Literal["text", "json"] = Field("text", description="Log lines to read, or json.")

    # The tests
    test_default_timeout_waiting: int = Field(60, ge=1, description="Seconds that the tests wait for a task to end.")

    @field_validator("log_level", "log_format", "precision", "device", mode="before")
    @classmethod
    def _lower_case(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("mongo_password", "redis_password")
    @classmethod
    def _not_the_placeholder(cls, value: SecretStr | None) -> SecretStr | None:
        if value and value.get_secret_value() == PLACEHOLDER_PASSWORD:
            raise ValueError("this is the placeholder of env_example; choose a password of your own")
        return value

    @field_validator("webhook_secret")
    @classmethod
    def _standard_webhooks_secret(cls, value: SecretStr | None) -> SecretStr | None:
        if value and not _is_webhook_secret(value.get_secret_value()):
            raise ValueError("make one with: echo whsec_$(openssl rand -base64 32)")
        return value

    @property
    def models_folder(self) -> Path:
        return self.models_dir or self.data_dir / "models"

    @property
    def mongo_address(self) -> str:
        """MONGO_URL, or a server on this machine's usual port."""
        return self.mongo_url or "mongodb://127.0.0.1:27017/?directConnection=true"

    @property
    def redis_address(self) -> str:
        """REDIS_URL, or a server on this machine's usual port, with REDIS_PASSWORD in it."""
        parts = urlsplit(self.redis_url or "redis://127.0.0.1:6379/0")
        if self.redis_password and not parts.password:
            password = quote(self.redis_password.get_secret_value(), safe="")
            parts = parts._replace(netloc=f":{password}@{parts.netloc.rpartition('@')[2]}")
        return urlunsplit(parts)


def _is_webhook_secret(text: str) -> bool:
    """Whether `text` is a secret as Standard Webhooks has it: 24 to 64 bytes in Base64 after a prefix."""
    try:
        key = base64.b64decode(text.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        return False
    return text.startswith("whsec_") and 24 <= len(key) <= 64


def load_settings() -> Settings:
    """The settings from the environment and `.env`, or the file that ENV_FILE names.

    Raises:
        SettingsError: naming every key whose value is not allowed, the value, and what is allowed.
    """
    try:
        return Settings(_env_file=os.environ.get("ENV_FILE", ".env"))
    except ValidationError as error:
        raise SettingsError("\n".join(_explain(problem) for problem in error.errors())) from None


def settings_or_exit() -> Settings:
    """The settings, for the start of a program: a wrong one ends it with a sentence, not a traceback."""
    try:
        return load_settings()
    except SettingsError as error:
        sys.exit(str(error))


def _explain(problem: ErrorDetails) -> str:
    field = str(problem["loc"][0])
    holds_secret = field.endswith(("_password", "_secret", "_url"))  # addresses may have passwords in them
    value = "(hidden)" if holds_secret else repr(problem["input"])
    reason = problem["msg"].removeprefix("Value error, ")
    return f"{field.upper()}={value} is not allowed: {reason}. {Settings.model_fields[field].description}"
