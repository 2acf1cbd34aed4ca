"""Where a callback may go: which URLs are taken, and which addresses are anybody's on the internet."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_address
from urllib.parse import urlsplit

from pydantic import HttpUrl, TypeAdapter, ValidationError

from utils.errors import InvalidParameter

MOST_CHARACTERS = 2000

IPV6_ON_THE_INTERNET = IPv6Network("2000::/3")  # outside of it are ::1, fe80::, fc00::, mapped and translated IPv4
NEVER_PUBLIC = (  # what `is_global` lets through
    IPv4Network("192.0.0.0/24"),  # protocol assignments
    IPv4Network("192.88.99.0/24"),  # relays to IPv6
    IPv6Network("2002::/16"),  # 6to4: an IPv4 address in disguise, 2002:7f00:1:: being 127.0.0.1
    IPv6Network("3fff::/20"),  # documentation
)

_http_url = TypeAdapter(HttpUrl)


def callback_url(text: str, allow_private: bool) -> str:
    """`text` as the one spelling of its URL, so that 127.0.0.1 is that in all its disguises.

    Names are not looked up here: that is done, and its answer checked, whenever a callback is sent.

    Raises:
        InvalidParameter: it is no URL that a callback can go to.
    """
    if len(text) > MOST_CHARACTERS:
        raise _invalid(f"It has {len(text)} characters, and may have {MOST_CHARACTERS}.")
    try:
        url = str(_http_url.validate_python(text))
    except ValidationError as error:
        raise _invalid(f"{error.errors()[0]['msg']}. One that can be: https://example.com/upscaled") from None
    parts = urlsplit(url)
    if "@" in parts.netloc:
        raise _invalid("A user or password has no place in it; callbacks are signed instead.")
    if parts.port == 0:
        raise _invalid("Nothing listens on port 0.")
    if not allow_private and _is_plainly_private(parts.hostname or ""):
        raise _invalid(f"{parts.hostname} is not an address on the internet, and others are not called.")
    return url


def is_public(address: str) -> bool:
    """Whether `address`, IPv4 or IPv6, is one on the internet.

    Private, loopback, link-local, multicast, reserved and documentation addresses are not, nor are IPv6
    addresses that stand for an IPv4 one.
    """
    ip = ip_address(address)
    if not ip.is_global or ip.is_multicast or ip.is_reserved:
        return False
    if ip.version == 6 and ip not in IPV6_ON_THE_INTERNET:
        return False
    return not any(ip in network for network in NEVER_PUBLIC)


def _is_plainly_private(host: str) -> bool:
    name = host.rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return not is_public(name)
    except ValueError:  # a name
        return False


def _invalid(reason: str) -> InvalidParameter:
    return InvalidParameter(f"This URL cannot be called back. {reason}", field="callback_url")
