"""Which Host and Origin are ours, and whose budget a request is of."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridbot.paper.api.callers import Caller, CallerLimits, Site
from gridbot.paper.settings import RateLimitConfig

OURS = "127.0.0.1:8484"


@pytest.mark.parametrize(
    "host", [OURS, "localhost:8484", "[::1]:8484", "LOCALHOST", "127.0.0.1", "[::1]", "127.8.8.8:1"]
)
def test_clients_that_were_given_a_loopback_address_are_answered(host: str) -> None:
    assert Site("127.0.0.1").refuses({"HOST": host}) == ""
    assert Site("127.0.0.1").refuses({"HOST": host, "ORIGIN": f"http://{host}"}) == "", "as pybit's sockets send it"
    assert Site("127.0.0.1").refuses({}) == "", "a browser always names its Host"


@pytest.mark.parametrize(
    "host",
    [
        *(
            "evil.example",
            "evil.example:8484",
            "localhost.evil.example",
            "127.0.0.1.evil.example:8484",
            "10.0.0.7:8484",
        ),
        *(
            "user@127.0.0.1",
            "127.0.0.1:80:80",
            "[::1",
            "[::1]x",
            "[]",
            "127.0.0.1:x",
            "::1",
            "0.0.0.0",
            "127.1",
            "x" * 9000,
        ),
        *("127.0.0.1:²", "\x00", ":8484", "localhost, evil.example"),
    ],
)
def test_a_foreign_host_is_refused(host: str) -> None:
    assert "Host" in Site("127.0.0.1").refuses({"HOST": host})


def test_a_host_that_is_configured_is_ours_and_an_address_where_all_are() -> None:
    assert Site("exchange.lan").is_called("Exchange.LAN:8484")
    assert Site("10.0.0.7").is_called("10.0.0.7:8484")
    assert not Site("10.0.0.7").is_called("10.0.0.8:8484")
    assert Site("0.0.0.0").is_called("10.0.0.8:8484"), "no name leads to an address, so no page can make one ours"
    assert not Site("0.0.0.0").is_called("evil.example")
    assert not Site("").is_called("")


@pytest.mark.parametrize(
    "more",
    [
        *({"ORIGIN": "https://evil.example"}, {"ORIGIN": "null"}, {"ORIGIN": ""}, {"ORIGIN": "http://localhost:3000"}),
        *({"ORIGIN": "http://127.0.0.1:8485"}, {"ORIGIN": f"http://{OURS}, https://evil.example"}),
        *({"SEC-FETCH-SITE": "cross-site"}, {"SEC-FETCH-SITE": "same-site"}, {"SEC-FETCH-SITE": ""}),
    ],
)
def test_a_page_of_another_site_is_refused_whatever_host_it_names(more: dict[str, str]) -> None:
    assert "web pages" in Site("127.0.0.1").refuses({"HOST": OURS, **more})


@given(st.text(max_size=60))
def test_any_text_is_judged_without_an_error(text: str) -> None:
    site = Site("127.0.0.1")
    assert isinstance(site.refuses({"HOST": text, "ORIGIN": text}), str)


def test_a_stranger_uses_up_its_own_budget_only() -> None:
    limits = CallerLimits(RateLimitConfig(ip_requests=2, ip_ban_s=60))
    stranger, other, ours = Caller("::1"), Caller("::1"), Caller("::1")
    limits.signed(ours, 0.0)
    assert [limits.allows(stranger, 0.0) for _ in range(4)] == [True, True, False, False]
    assert not limits.allows(stranger, 59.9)
    assert limits.allows(stranger, 60.0)
    assert limits.allows(other, 0.1)
    assert limits.allows(ours, 0.1)


def test_signed_requests_of_all_connections_count_for_the_address_and_ban_everybody_there() -> None:
    limits = CallerLimits(RateLimitConfig(ip_requests=2, ip_ban_s=60))
    first, second, stranger = Caller("::1"), Caller("::1"), Caller("::1")
    limits.signed(first, 0.0)
    limits.signed(second, 0.0)
    limits.signed(second, 0.0)
    assert not limits.allows(first, 0.1)
    assert not limits.allows(second, 0.1)
    assert not limits.allows(stranger, 0.1)
    assert limits.allows(Caller("10.0.0.1"), 0.1)


def test_a_ban_on_command_is_for_all_and_no_limit_is_no_limit() -> None:
    limits = CallerLimits(RateLimitConfig(ip_requests=0))
    caller = Caller("::1")
    assert all(limits.allows(caller, 0.0) for _ in range(2000))
    limits.ban("::1", 9.0)
    assert not limits.allows(caller, 8.0)
    assert limits.allows(caller, 9.0)
