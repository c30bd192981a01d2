"""Rate budget: a limit per endpoint, corrected and paused by what the exchange says, and silence during a ban."""

from __future__ import annotations

import pytest

from gridbot.exchange.failures import ErrorKind
from gridbot.exchange.requests import RateLimit
from gridbot.execution.rate_budget import ORDERS_PER_S, PAUSE_S, WINDOW_S, RateBudget
from tests.execution.support import failure


def budget() -> RateBudget:
    return RateBudget(["order/create", "order/cancel"])


def test_each_endpoint_has_its_own_limit() -> None:
    tested = budget()
    assert tested.take("order/create", 50, 0.0) == ORDERS_PER_S
    assert tested.take("order/create", 1, WINDOW_S / 2) == 0
    assert tested.take("order/cancel", 3, WINDOW_S / 2) == 3
    assert tested.wait_s("order/create", 0.0) == pytest.approx(WINDOW_S, abs=1e-5)
    assert tested.take("order/create", 1, WINDOW_S) == 1


def test_the_stated_quota_replaces_ours() -> None:
    tested = budget()
    tested.learn("order/create", None)
    tested.learn("order/create", RateLimit(limit=0, remaining=0, reset_ms=0))
    assert tested.take("order/create", 50, 0.0) == ORDERS_PER_S
    tested.learn("order/create", RateLimit(limit=ORDERS_PER_S + 5, remaining=5, reset_ms=0))
    assert tested.take("order/create", 50, 0.1) == 5


def test_too_many_pauses_its_endpoint() -> None:
    tested = budget()
    tested.failed("order/create", failure(ErrorKind.RATE_LIMIT), 10.0)
    assert tested.take("order/create", 1, 10.0 + PAUSE_S - 0.01) == 0
    assert tested.take("order/cancel", 1, 10.0) == 1
    assert tested.wait_s("order/create", 10.0) == PAUSE_S
    assert tested.take("order/create", 1, 10.0 + PAUSE_S) == 1


def test_a_ban_silences_every_endpoint_of_http() -> None:
    tested = budget()
    assert tested.ban is None
    tested.failed("order/create", failure(ErrorKind.IP_BAN), 10.0)
    assert tested.ban is not None
    assert tested.ban.until_s == 10.0 + 600.0
    for endpoint in ("order/create", "order/cancel"):
        assert tested.take(endpoint, 1, 10.0) == 0
        assert tested.wait_s(endpoint, 10.0) == 600.0
        assert tested.wait_s(endpoint, 10.0, by_http=False) == 0.0
        assert tested.take(endpoint, 1, 10.0, by_http=False) == 1
        assert tested.take(endpoint, 1, 10.0 + 600.0) == 1


def test_other_failures_change_nothing() -> None:
    tested = budget()
    tested.failed("order/create", failure(ErrorKind.BALANCE), 10.0)
    assert tested.take("order/create", 1, 10.0) == 1
    assert tested.ban is None
