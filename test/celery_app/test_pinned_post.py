"""POSTs to addresses that a stranger chose, to real servers on loopback; only the resolver is the test's own."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from callback_receiver import mute_listener, running_receiver

from celery_app.pinned_post import Endpoint, NotSent, post


class Resolver:
    """Gives one answer after the other, as a name server in the hands of a stranger may."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, host: str, port: int) -> list[Endpoint]:
        self.asked.append(host)
        addresses = self.answers.pop(0)
        return [
            (socket.AF_INET6 if ":" in each else socket.AF_INET, socket.SOCK_STREAM, 0, "", (each, port))
            for each in addresses
        ]


def test_a_post_arrives_with_its_headers_and_tells_the_status() -> None:
    with running_receiver() as receiver:
        receiver.answers = [418]
        status = post(receiver.url("/a?b=c"), b"body", {"X-Header": "value"}, allow_private=True)
    (callback,) = receiver.received
    assert status == 418
    assert (callback.path, callback.body) == ("/a?b=c", b"body")
    assert callback.headers["X-Header"] == "value"
    assert callback.headers["Host"] == f"127.0.0.1:{receiver.port}"


@pytest.mark.parametrize(
    "addresses", [["127.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["::ffff:127.0.0.1"], ["169.254.169.254"]]
)
def test_a_name_that_stands_for_a_private_address_is_not_called(addresses: list[str]) -> None:
    with running_receiver() as receiver:
        with pytest.raises(NotSent, match="not an address on the internet"):
            post(receiver.url(host="example.com"), b"", {}, allow_private=False, look_up=Resolver(addresses))
        assert receiver.received == []


def test_the_name_is_looked_up_once_and_connected_to_as_it_was_checked() -> None:
    rebinding = Resolver(["127.0.0.1"], ["127.0.0.2"])
    with running_receiver() as receiver:
        assert post(receiver.url(host="example.com"), b"", {}, allow_private=True, look_up=rebinding) == 204
    assert rebinding.asked == ["example.com"]
    assert receiver.received[0].headers["Host"] == f"example.com:{receiver.port}"


def test_the_next_address_is_tried_where_one_does_not_answer() -> None:
    with running_receiver() as receiver:
        two = Resolver(["127.0.0.2", "127.0.0.1"])
        assert post(receiver.url(host="example.com"), b"", {}, allow_private=True, look_up=two) == 204


def test_a_redirect_is_an_answer_like_others() -> None:
    with running_receiver() as receiver, running_receiver() as elsewhere:
        receiver.answers, receiver.location = [307], elsewhere.url()
        assert post(receiver.url(), b"", {}, allow_private=True) == 307
    assert elsewhere.received == []


def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with running_receiver() as receiver, running_receiver() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url())
        assert post(receiver.url(), b"", {}, allow_private=True) == 204
    assert proxy.received == []


@pytest.mark.parametrize("drip", [b"", b"HTTP/1.1 100 Continue\r\n\r\n", b"x"], ids=["silence", "continue", "trickle"])
def test_one_who_never_ends_the_answer_is_hung_up_on(drip: bytes) -> None:
    with mute_listener(drip) as port, pytest.raises(NotSent, match="no answer within"):
        post(f"http://127.0.0.1:{port}/", b"", {}, allow_private=True, answer_time=1.0)


def test_one_who_is_silent_at_the_handshake_is_hung_up_on() -> None:
    with mute_listener() as port, pytest.raises(NotSent, match="no answer within"):
        post(f"https://127.0.0.1:{port}/", b"", {}, allow_private=True, answer_time=1.0)


def test_nobody_there_is_told_as_such() -> None:
    with running_receiver() as receiver:
        pass
    with pytest.raises(NotSent, match="refused"):
        post(receiver.url(), b"", {}, allow_private=True)
    for host in ("no-such-host.invalid", "a" * 64 + ".example"):
        with pytest.raises(NotSent):
            post(f"http://{host}/", b"", {}, allow_private=True)


# --- https ---------------------------------------------------------------------------------------


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for hooks.example and its key, in one file."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl to make a certificate with")
    file = tmp_path / "certificate.pem"
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", file]
    name = ["-subj", "/CN=hooks.example", "-addext", "subjectAltName=DNS:hooks.example"]
    subprocess.run(
        ["openssl", "req", "-x509", "-days", "2", *key, *name, "-out", tmp_path / "part.pem"],
        check=True,
        capture_output=True,
    )
    file.write_text(file.read_text() + (tmp_path / "part.pem").read_text())
    return file


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def test_https_asks_for_the_name_although_it_connects_to_the_address(
    certificate: Path, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    asked_for: list[str | None] = []
    tls.sni_callback = lambda _, name, __: asked_for.append(name)
    with running_receiver(tls) as receiver:
        url = receiver.url(host="hooks.example", scheme="https")
        assert post(url, b"body", {}, allow_private=True, look_up=Resolver(["127.0.0.1"])) == 204
    assert asked_for == ["hooks.example"]
    assert receiver.received[0].body == b"body"


def test_a_certificate_for_another_name_or_of_nobody_is_not_trusted(
    certificate: Path, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_receiver(tls) as receiver:
        resolve = Resolver(["127.0.0.1"], ["127.0.0.1"])
        with pytest.raises(NotSent, match="CERTIFICATE_VERIFY_FAILED"):
            post(receiver.url(host="hooks.example", scheme="https"), b"", {}, allow_private=True, look_up=resolve)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        with pytest.raises(NotSent, match="CERTIFICATE_VERIFY_FAILED"):
            post(receiver.url(host="other.example", scheme="https"), b"", {}, allow_private=True, look_up=resolve)
    assert receiver.received == []
