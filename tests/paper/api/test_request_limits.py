"""Request limits to the millisecond: what is granted, what is left, when there is room again."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridbot.paper.api.request_limits import AddressLimiter, EndpointLimiter, KeyedLimit, Quota
from gridbot.paper.settings import RateLimitConfig


def test_a_second_is_a_rolling_one_for_each_account_and_endpoint() -> None:
    limiter = EndpointLimiter()
    assert limiter.take("a", "/create", 3, 1, 10_000) == Quota(1, 3, 2, 10_000)
    assert limiter.take("a", "/create", 3, 1, 10_400) == Quota(1, 3, 1, 10_400)
    assert limiter.take("b", "/create", 3, 3, 10_500) == Quota(3, 3, 0, 10_500)
    assert limiter.take("a", "/cancel", 3, 1, 10_500) == Quota(1, 3, 2, 10_500)
    assert limiter.take("a", "/create", 3, 1, 10_999) == Quota(1, 3, 0, 10_999)
    assert limiter.take("a", "/create", 3, 1, 10_999) == Quota(0, 3, 0, 11_001)
    assert limiter.take("a", "/create", 3, 1, 11_000) == Quota(1, 3, 0, 11_000)


def test_a_batch_may_be_granted_in_part_and_the_headers_say_when_there_is_room() -> None:
    limiter = EndpointLimiter()
    quota = limiter.take("a", "/create-batch", 10, 12, 5_000)
    assert quota == Quota(10, 10, 0, 6_001)
    assert quota.headers() == {
        "X-Bapi-Limit": "10",
        "X-Bapi-Limit-Status": "0",
        "X-Bapi-Limit-Reset-Timestamp": "6001",
    }


def test_a_limit_of_zero_grants_everything() -> None:
    assert EndpointLimiter().take("a", "/create", 0, 500, 7) == Quota(500, 1000, 999, 7)
    assert all(KeyedLimit(0, 1.0).allows("x", 1.0) for _ in range(100))


@given(st.lists(st.tuples(st.integers(0, 700), st.integers(1, 5)), max_size=40))
def test_grants_are_those_of_a_plain_list_of_times(steps: list[tuple[int, int]]) -> None:
    limiter, times, now_ms = EndpointLimiter(), deque[int](), 1_700_000_000_000
    for wait, units in steps:
        now_ms += wait
        while times and times[0] <= now_ms - 1000:
            times.popleft()
        granted = min(units, 4 - len(times))
        times.extend([now_ms] * granted)
        reset_ms = now_ms if granted == units else times[0] + 1001
        assert limiter.take("a", "/create", 4, units, now_ms) == Quota(granted, 4, 4 - len(times), reset_ms)


def test_keys_are_counted_apart() -> None:
    limit = KeyedLimit(2, 5.0)
    assert [limit.allows("x", at) for at in (0.0, 1.0, 4.9)] == [True, True, False]
    assert limit.allows("y", 4.9)
    assert limit.allows("x", 5.0)


def test_an_address_beyond_its_limit_is_banned_for_a_while() -> None:
    limiter = AddressLimiter(RateLimitConfig(ip_requests=2, ip_ban_s=60))
    assert [limiter.allows("1.2.3.4", at) for at in (0.0, 0.1, 0.2)] == [True, True, False]
    assert not limiter.allows("1.2.3.4", 60.1)
    assert limiter.allows("1.2.3.4", 60.2)
    assert limiter.allows("5.6.7.8", 0.2)


def test_the_addresses_heard_of_last_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gridbot.paper.api.request_limits.KEYS_KEPT", 2)
    limit = KeyedLimit(1, 5.0)
    assert [limit.allows(key, 0.0) for key in ("a", "b", "a", "c")] == [True, True, False, True]
    assert [limit.allows(key, 0.0) for key in ("a", "c", "b")] == [False, False, True]
    addresses = AddressLimiter(RateLimitConfig(ip_requests=1, ip_ban_s=60))
    for address in ("a", "b", "c"):
        addresses.ban(address, 9.0)
    assert [addresses.allows(address, 1.0) for address in ("a", "b", "c")] == [True, False, False]
