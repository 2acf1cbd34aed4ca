"""REDIS_URL is read for Sentinels as for a single server."""

import pytest

from utils.redis_server import SentinelAddress


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (
            "redis+sentinel://a:1,b:2,c/main/3",
            SentinelAddress((("a", 1), ("b", 2), ("c", 26379)), "main", 3, None),
        ),
        ("redis+sentinel://:p%2Fw@a/main", SentinelAddress((("a", 26379),), "main", 0, "p/w")),
    ],
)
def test_the_address_of_sentinels_names_them_and_what_they_watch(address, expected):
    assert SentinelAddress.of(address) == expected


@pytest.mark.parametrize("address", ["redis://127.0.0.1:6379/0", "rediss://:pw@host/0"])
def test_the_address_of_a_single_server_is_none_of_sentinels(address):
    assert SentinelAddress.of(address) is None
