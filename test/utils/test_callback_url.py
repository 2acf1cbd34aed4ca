"""Which URLs a callback may go to, and which addresses are on the internet."""

from __future__ import annotations

import pytest

from utils.callback_url import MOST_CHARACTERS, callback_url, is_public
from utils.errors import InvalidParameter

NOT_A_URL = [
    "example.com/hook",
    "/hook",
    "ftp://example.com/hook",
    "file:///etc/passwd",
    "gopher://example.com/_x",
    "javascript:alert(1)",
    "http://",
    "http://example.com:99999/",
    "http://example.com:0/",
    "http://user:word@example.com/",
    "http://example.com@127.0.0.1/",
    "http://[::1/",
    "http://exa mple.com/",
    "https://example.com/" + "a" * MOST_CHARACTERS,
]

PRIVATE = [
    "http://localhost/",
    "http://LOCALHOST./",
    "http://redis.localhost/",
    "http://127.0.0.1/",
    "http://127.1/",
    "http://2130706433/",
    "http://0x7f.1/",
    "http://0177.0.0.1/",
    "http://%31%32%37.0.0.1/",
    "http://１２７.0.0.1/",
    "http:\\\\127.0.0.1\\",
    "http://0/",
    "http://10.0.0.1/",
    "http://172.16.0.1/",
    "http://192.168.1.1:8080/hook",
    "http://169.254.169.254/latest/meta-data/",
    "http://100.64.0.1/",
    "http://224.0.0.1/",
    "http://255.255.255.255/",
    "http://[::1]/",
    "http://[::]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::127.0.0.1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[2002:7f00:1::]/",
    "http://[fe80::1]/",
    "http://[fd00::1]/",
    "http://[ff02::1]/",
]

PUBLIC_ADDRESSES = ["8.8.8.8", "1.1.1.1", "172.32.0.1", "2001:4860:4860::8888", "2a00:1450:4001:81b::200e"]

OTHER_ADDRESSES = [
    *("0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1", "169.254.1.1", "172.31.255.255", "192.0.0.8", "192.0.2.1"),
    *("192.88.99.1", "192.168.0.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "240.0.0.1"),
    *("::", "::1", "::8.8.8.8", "::ffff:8.8.8.8", "64:ff9b::808:808", "100::1", "2001::1", "2001:db8::1"),
    *("2002:808:808::", "3fff::1", "5f00::1", "fc00::1", "fe80::1%eth0", "fec0::1", "ff02::1", "ff0e::1"),
]


@pytest.mark.parametrize("text", NOT_A_URL)
@pytest.mark.parametrize("allow_private", [False, True])
def test_what_is_no_url_of_the_web_is_refused(text: str, allow_private: bool) -> None:
    with pytest.raises(InvalidParameter) as refused:
        callback_url(text, allow_private)
    assert refused.value.field == "callback_url"


@pytest.mark.parametrize("text", PRIVATE)
def test_private_addresses_are_seen_through_every_disguise(text: str) -> None:
    with pytest.raises(InvalidParameter):
        callback_url(text, allow_private=False)
    assert callback_url(text, allow_private=True).startswith("http://")


def test_a_good_url_stays_and_has_one_spelling() -> None:
    url = "https://example.com:8443/hook?key=1"
    assert callback_url(url, allow_private=False) == url
    assert callback_url("HTTPS://Ex\u00e4mple.COM:443/a b", allow_private=False) == "https://xn--exmple-cua.com/a%20b"


@pytest.mark.parametrize("address", PUBLIC_ADDRESSES)
def test_addresses_on_the_internet(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("address", OTHER_ADDRESSES)
def test_addresses_that_are_not(address: str) -> None:
    assert not is_public(address)
