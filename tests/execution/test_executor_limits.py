"""Executor: how much leaves at a time, and what a failure holds back."""

from __future__ import annotations

import pytest

from gridbot.exchange.bans import ban_of
from gridbot.exchange.failures import ErrorKind
from gridbot.exchange.requests import RateLimit
from tests.execution.support import START_S, Bench, failure, names

# ---------------------------------------------------------------------- budget


async def test_a_batch_holds_ten_and_the_rest_waits_for_the_next_second() -> None:
    bench = Bench()
    links = names("o", 23)
    bench.place(*links)
    await bench.pump()
    assert bench.gateway.sent == [("order/create-batch", links[:10])]
    assert bench.clock.timers == [pytest.approx(1.05, abs=1e-3)]
    await bench.clock.advance(3)
    assert bench.gateway.sent == [("order/create-batch", links[at : at + 10]) for at in (0, 10, 20)]
    at_s = [request.at_s - START_S for request in bench.gateway.requests]
    assert at_s == [0.0, pytest.approx(1.05, abs=1e-3), pytest.approx(2.1, abs=1e-3)]
    assert bench.executor.idle


async def test_cancels_and_creates_have_budgets_of_their_own() -> None:
    bench = Bench()
    bench.place(*names("o", 12))
    await bench.pump()
    bench.cancel(*names("c", 5))
    await bench.pump()
    assert bench.gateway.sent[1:] == [("order/cancel-batch", names("c", 5))]


async def test_what_the_batch_budget_allows_goes_to_the_batch_endpoint_even_if_it_is_one() -> None:
    """Its order would otherwise count there and be sent to the other endpoint, whose own budget knows nothing of it."""
    bench = Bench()
    bench.place(*names("o", 9))
    await bench.pump()
    bench.place("x", "y")
    await bench.pump()
    assert bench.gateway.sent[1:] == [("order/create-batch", ["x"]), ("order/create", ["y"])]


async def test_the_quota_that_an_answer_states_is_used() -> None:
    bench = Bench()
    bench.gateway.limits["order/create-batch"] = RateLimit(limit=20, remaining=10, reset_ms=0)
    bench.place(*names("o", 10))
    await bench.pump()
    bench.place(*names("p", 12))
    await bench.pump()
    assert [len(links) for _, links in bench.gateway.sent] == [10, 10]


async def test_no_more_requests_are_under_way_than_allowed() -> None:
    bench = Bench(max_in_flight=2)
    bench.gateway.is_silent = True
    for link in "abc":
        bench.place(link)
        await bench.pump()
    assert [links for _, links in bench.gateway.sent] == [["a"], ["b"]]
    assert not bench.executor.idle
    bench.gateway.is_silent = False
    await bench.clock.advance(0)
    assert [links for _, links in bench.gateway.sent] == [["a"], ["b"], ["c"]]
    assert bench.executor.idle


# ---------------------------------------------------------------------- what a failure holds back


async def test_after_10006_the_endpoint_rests_for_a_second_and_the_others_go_on() -> None:
    """incident L44: the exchange's own word about the limit counts."""
    bench = Bench()
    bench.gateway.failures = [failure(ErrorKind.RATE_LIMIT)]
    bench.place("a")
    await bench.pump()
    bench.place("b")
    bench.cancel("old")
    await bench.pump()
    assert bench.gateway.sent == [("order/create", ["a"]), ("order/cancel", ["old"])]
    await bench.clock.advance(0.99)
    bench.executor.pump()
    assert len(bench.gateway.sent) == 2
    await bench.clock.advance(0.02)
    assert bench.gateway.sent[2:] == [("order/create", ["b"])], "the timer sends it, nobody has to pump"


async def test_one_order_of_a_batch_that_was_too_many_holds_the_next_batch_back() -> None:
    bench = Bench()
    bench.gateway.limits["order/create-batch"] = RateLimit(limit=100, remaining=0, reset_ms=0)
    bench.gateway.answers["b"] = failure(ErrorKind.RATE_LIMIT)
    bench.place("a", "b")
    await bench.pump()
    bench.place("c", "d")
    await bench.pump()
    await bench.clock.advance(0.99)
    assert len(bench.gateway.sent) == 1
    await bench.clock.advance(0.02)
    assert bench.gateway.sent[1:] == [("order/create-batch", ["c", "d"])]


async def test_while_the_address_is_banned_nothing_leaves() -> None:
    bench = Bench()
    bench.gateway.failures = [failure(ErrorKind.IP_BAN)]
    bench.place("a")
    await bench.pump()
    assert bench.executor.ban is not None
    assert bench.executor.ban.until_s == START_S + 600
    bench.place("b")
    bench.cancel("old")
    await bench.pump()
    assert bench.clock.timers == [pytest.approx(600, abs=0.01)]
    await bench.clock.advance(599.9)
    bench.executor.pump()
    assert bench.gateway.sent == [("order/create", ["a"])]
    await bench.clock.advance(0.2)
    assert bench.gateway.sent[1:] == [("order/cancel", ["old"]), ("order/create", ["b"])]


async def test_over_the_socket_all_goes_on_during_a_ban() -> None:
    bench = Bench()
    bench.gateway.by_http = False
    bench.executor.banned(ban_of(START_S + 600, START_S, None, 403))
    bench.place("a")
    bench.cancel("old")
    await bench.pump()
    assert bench.gateway.sent == [("order/cancel", ["old"]), ("order/create", ["a"])]


async def test_nothing_opens_during_a_ban_while_news_may_be_missing() -> None:
    """What happened while the private stream was away can be read after the ban only; closes and cancels are safe."""
    bench = Bench()
    bench.gateway.by_http = False
    sees_all = False
    bench.executor.tell_sight(lambda: sees_all)
    bench.place("before")
    await bench.pump()
    bench.executor.banned(ban_of(START_S + 600, START_S, None, 403))
    bench.place("open", "far", distance=1)
    bench.place("close", close=True)
    bench.cancel("old")
    await bench.pump()
    assert bench.gateway.sent == [
        ("order/create", ["before"]),
        ("order/cancel", ["old"]),
        ("order/create", ["close"]),
    ]
    sees_all = True
    await bench.pump()
    assert bench.gateway.sent[3:] == [("order/create-batch", ["open", "far"])]


async def test_what_would_open_leaves_when_the_ban_is_over() -> None:
    bench = Bench()
    bench.gateway.by_http = False
    bench.executor.tell_sight(lambda: False)
    bench.executor.banned(ban_of(START_S + 600, START_S, None, 403))
    bench.place("open")
    await bench.clock.advance(599)
    assert bench.gateway.sent == []
    await bench.clock.advance(2)
    assert bench.gateway.sent == [("order/create", ["open"])]


@pytest.mark.parametrize("kind", sorted(set(ErrorKind) - {ErrorKind.RATE_LIMIT, ErrorKind.IP_BAN}))
async def test_other_failures_hold_nothing_back(kind: ErrorKind) -> None:
    bench = Bench()
    bench.gateway.failures = [failure(kind)]
    bench.place("a")
    await bench.pump()
    bench.place("b")
    await bench.pump()
    assert bench.gateway.sent == [("order/create", ["a"]), ("order/create", ["b"])]
    assert bench.clock.timers == []
