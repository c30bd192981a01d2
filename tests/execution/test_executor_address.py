"""Executor: orders on an address that many accounts share."""

from __future__ import annotations

from gridbot.exchange.bans import ban_of
from tests.execution.support import START_S, Bench, names


def lend(bench: Bench, lent: int) -> None:
    assert bench.address is not None
    bench.address.lease({"type": "lease", "lent": lent, "keep": None, "floor": 0, "ahead": 0})


def wanted(bench: Bench) -> tuple[int, ...]:
    return tuple(bench.said[-1]["wants"])


async def test_orders_wait_for_room_the_most_urgent_first_and_leave_as_soon_as_there_is_some() -> None:
    bench = Bench(shared=True)
    bench.place("open", distance=1)
    bench.place("close", close=True)
    bench.cancel("cancel")
    await bench.pump()
    await bench.clock.advance(0.1)
    assert bench.gateway.sent == []
    assert wanted(bench) == (1, 1, 0, 0, 0, 0), "both creates go in one request, which is as urgent as its close"
    lend(bench, 1)
    await bench.clock.advance(0.1)
    assert bench.gateway.sent == [("order/cancel", ["cancel"])]
    lend(bench, 2)
    await bench.clock.advance(0.1)
    assert bench.gateway.sent[1:] == [("order/create-batch", ["close", "open"])]
    assert wanted(bench) == (0, 0, 0, 0, 0, 0)
    assert bench.executor.idle
    assert bench.faults == []


async def test_waiting_for_room_costs_nothing_of_the_accounts_own_quota() -> None:
    bench = Bench(shared=True)
    bench.place(*names("o", 10))
    await bench.pump()
    lend(bench, 1)
    await bench.clock.advance(0.01)
    assert [len(links) for _, links in bench.gateway.sent] == [10]


async def test_what_is_withdrawn_while_it_waits_wants_no_room() -> None:
    bench = Bench(shared=True)
    bench.place("a")
    await bench.pump()
    bench.executor.close()
    await bench.clock.advance(1)
    lend(bench, 5)
    await bench.clock.advance(1)
    assert bench.gateway.sent == []
    assert wanted(bench) == (0, 0, 0, 0, 0, 0)


async def test_orders_over_the_socket_need_no_room() -> None:
    bench = Bench(shared=True)
    bench.gateway.by_http = False
    bench.place("a")
    await bench.pump()
    assert bench.gateway.sent == [("order/create", ["a"])]


async def test_a_ban_that_another_account_was_told_of_silences_this_one() -> None:
    bench = Bench()
    bench.executor.banned(ban_of(START_S + 600, START_S, None, 403))
    bench.executor.banned(ban_of(START_S + 60, START_S, None, 403))
    bench.place("a")
    await bench.clock.advance(599)
    assert bench.gateway.sent == []
    assert bench.executor.ban is not None
    assert bench.executor.ban.until_s == START_S + 600, "the later end counts"
    await bench.clock.advance(2)
    assert bench.gateway.sent == [("order/create", ["a"])]


async def test_who_has_waited_is_asked_before_it_leaves_and_what_its_price_has_passed_does_not() -> None:
    """Such orders left, were cancelled at once, and cost the address requests; three of them barred their level."""
    bench = Bench(shared=True)
    bench.place("a", "b")
    await bench.pump()
    assert bench.owner.waited_for == [], "nobody had to wait yet"
    bench.owner.passed = {"a"}
    lend(bench, 1)
    await bench.clock.advance(0.1)
    assert bench.gateway.sent == [("order/create", ["b"])]
    bench.owner.waited_for.clear()
    lend(bench, 2)
    bench.place("c")
    await bench.pump()
    assert bench.gateway.sent[1:] == [("order/create", ["c"])]
    assert bench.owner.waited_for == [], "it has not waited"


async def test_of_many_that_wait_only_those_whose_turn_it_is_are_asked() -> None:
    """At a start 1,500 orders waited, and each of 504 pumps asked all of them: 2 s of CPU."""
    bench = Bench(shared=True)
    waiting = [f"w{number:02d}" for number in range(30)]
    bench.place(*waiting)
    await bench.pump()
    bench.owner.passed = set(waiting[:4])
    lend(bench, 1)
    await bench.clock.advance(0.1)
    assert bench.gateway.sent == [("order/create-batch", waiting[4:14])], "a full one, though four were withdrawn"
    assert bench.owner.waited_for == waiting[:14]


async def test_an_owner_that_breaks_when_it_is_asked_again_keeps_nobody_from_leaving() -> None:
    bench = Bench(shared=True)
    bench.place("a", "b")
    await bench.pump()
    bench.owner.breaks_on, bench.owner.passed = {"a"}, {"b"}
    lend(bench, 1)
    await bench.clock.advance(0.1)
    assert bench.gateway.sent == [("order/create", ["a"])]
    assert next(part for part, *_ in bench.faults) == "BTCUSDT: looking again at an order that waited"
