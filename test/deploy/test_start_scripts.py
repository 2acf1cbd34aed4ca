"""The scripts that containers start with: passwords are asked for, and nginx's limit fits the application's."""

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ByteSize, TypeAdapter

MIB = 1024**2


def _run(command: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        env={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def upload_limit(root):
    """The bytes that nginx lets through for a MAX_UPLOAD_BYTES."""
    script = root / "deploy" / "nginx" / "upload-limit.envsh"
    return lambda size: _run(["sh", "-c", f'set -e; . "{script}"; echo "$NGINX_MAX_BODY_BYTES"'], MAX_UPLOAD_BYTES=size)


@pytest.mark.parametrize(
    ("passwords", "complaints"),
    [
        ({}, ["MONGO_PASSWORD in .env is empty", "REDIS_PASSWORD in .env is empty"]),
        ({"MONGO_PASSWORD": "change-me", "REDIS_PASSWORD": "a"}, ["MONGO_PASSWORD in .env is change-me"]),
        ({"MONGO_PASSWORD": "a", "REDIS_PASSWORD": ""}, ["REDIS_PASSWORD in .env is empty"]),
        ({"MONGO_PASSWORD": "a", "REDIS_PASSWORD": "b c$d"}, []),
    ],
)
def test_placeholder_and_missing_passwords_are_refused_by_name(root, passwords, complaints):
    answer = _run([str(root / "deploy" / "check-passwords.sh")], **passwords)
    assert [line.partition(":")[0] for line in answer.stderr.splitlines()] == complaints
    assert answer.returncode == (1 if complaints else 0)


@settings(deadline=None)
@given(
    number=st.integers(1, 10**6) | st.sampled_from(["1.5", "0.25", "12.75"]),
    space=st.sampled_from(["", " "]),
    unit=st.sampled_from(["", "b", "B", "kB", "KB", "MB", "GB", "k", "m", "G", "KiB", "MiB", "GiB"]),
)
def test_nginx_lets_through_what_the_application_allows_and_a_mebibyte(upload_limit, number, space, unit):
    size = f"{number}{space}{unit}"
    allowed = TypeAdapter(ByteSize).validate_python(size)
    assert int(upload_limit(size).stdout) == allowed + MIB


@pytest.mark.parametrize("size", ["", "many", "MiB", "12q", "-5", "50MiB; evil"])
def test_a_size_that_is_none_ends_the_start_with_a_sentence(upload_limit, size):
    answer = upload_limit(size)
    assert answer.returncode == 1
    assert f"MAX_UPLOAD_BYTES='{size}' is not allowed" in answer.stderr
