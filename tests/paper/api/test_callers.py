"""Whose budget a request is of."""

from __future__ import annotations

from gridbot.paper.api.callers import Caller, CallerLimits
from gridbot.paper.settings import RateLimitConfig


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
