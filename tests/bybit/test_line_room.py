"""How many WebSockets a process may open, and how many a fleet in a loop does."""

from __future__ import annotations

import asyncio
import functools
import random
import time
from collections.abc import Sequence

import pytest

from gridbot.bybit.endpoints import Credentials, endpoints_for
from gridbot.bybit.line_room import ALL_LINES, WINDOW_S, LineRoom, part_of
from gridbot.bybit.line_room import LEAST as LINES_OF_START
from gridbot.bybit.rest import BybitRest
from gridbot.bybit.stream_settings import StreamSettings
from gridbot.bybit.trade_socket import TradeSocket
from gridbot.bybit.watchdog import Limits, backoff_s
from gridbot.exchange.environment import Environment
from supervisor.leases.line_grants import LineGrants

KINDS = ("private", "public", "trade")
EXCHANGE, FIVE_MINUTES_S = 500, 300.0


def test_each_account_has_an_equal_part_and_enough_to_start() -> None:
    assert [part_of(accounts) for accounts in (0, 1, 50, 150, 225, 1000)] == [450, 450, 9, 3, 2, 2]
    assert all(part_of(accounts) * accounts <= ALL_LINES for accounts in range(1, 226))


def test_the_last_ones_are_for_what_matters_more() -> None:
    room = LineRoom(4)
    room.opened(0.0)
    assert [room.wait_s(kind, 0.0) for kind in KINDS] == [0.0, 0.0, 0.0]
    room.opened(1.0)
    assert [room.wait_s(kind, 1.0) > 0 for kind in KINDS] == [False, False, True]
    room.opened(2.0)
    assert [room.wait_s(kind, 2.0) > 0 for kind in KINDS] == [False, True, True]
    room.opened(3.0)
    assert room.wait_s("private", 3.0) == pytest.approx(WINDOW_S - 3.0, abs=0.01)
    assert room.wait_s("private", WINDOW_S) == 0.0
    small = LineRoom(2)
    assert small.wait_s("trade", 0.0) == 0.0, "a small part has room for each kind, one after the other"
    small.opened(0.0)
    assert small.wait_s("trade", 0.0) > 0


def test_a_trade_socket_without_room_says_that_it_waits() -> None:
    """It said "lost", of a socket that had not been opened yet, for two and a half minutes."""
    room = LineRoom(2)
    for _ in range(2):
        room.opened(time.monotonic())
    endpoints = endpoints_for(Environment.PAPER, "http://127.0.0.1:1")
    key = Credentials("key", "secret")
    rest = BybitRest(endpoints, key)

    async def scene() -> None:
        socket = TradeSocket(
            endpoints.ws_trade,
            key,
            name="test",
            limits=rest.limits,
            refusal=rest.refusal,
            on_back=lambda unresolved: None,
            timeout=1.0,
            settings=StreamSettings(room=room),
        )
        socket.start()
        assert "as many connections in five minutes as the exchange lets it" in socket.health().error
        await socket.stop()

    asyncio.run(scene())
    rest.close()


@pytest.mark.parametrize("accounts", [50, 150, 200])
def test_a_fleet_that_reconnects_in_a_loop_stays_below_the_limit_of_its_address(accounts: int) -> None:
    """Each connection of each account is refused again and again, for an hour: backing off alone, thousands a time.

    The streams of a start are dialled together, and do not ask.
    """
    draw, limits = random.Random(accounts), Limits()
    rooms = [LineRoom(part_of(accounts)) for _ in range(accounts)]
    lines = [(room, kind) for room in rooms for kind in KINDS]
    starts_s = {room: draw.uniform(0.0, 5.0) for room in rooms}
    due_s = [starts_s[room] for room, _ in lines]
    failures = [0] * len(lines)
    opened: list[float] = []
    for second in range(3600):
        for number, (room, kind) in enumerate(lines):
            if due_s[number] > second:
                continue
            wait_s = room.wait_s(kind, float(second)) if failures[number] or kind == "trade" else 0.0
            if not wait_s:
                room.opened(float(second))
                opened.append(float(second))
                failures[number] += 1
                wait_s = backoff_s(failures[number], draw.random(), limits)
            due_s[number] = second + wait_s
    most = max(sum(at_s <= each < at_s + FIVE_MINUTES_S for each in opened) for at_s in set(opened))
    assert most <= EXCHANGE
    assert len(opened) > 3600 / WINDOW_S * accounts, "and all of them try on"


def test_what_earlier_processes_opened_counts_and_what_is_opened_is_kept() -> None:
    room, kept = LineRoom(4), list[tuple[float, ...]]()
    room.keep_with(lambda times_s: kept.append(tuple(times_s)))
    room.earlier([30.0, 10.0])
    assert room.start_wait_s(40.0) == 0.0, "two are left"
    room.opened(40.0)
    assert kept == [(10.0, 30.0, 40.0)]
    assert room.start_wait_s(50.0) == pytest.approx(10.0 + WINDOW_S - 50.0), "one is not enough for a start"
    room.opened(50.0)
    room.opened(51.0)
    assert kept[1:] == [(10.0, 30.0, 40.0, 50.0)], "beyond the part nothing is counted"
    assert room.start_wait_s(10.0 + WINDOW_S) == 1.0
    assert room.start_wait_s(30.0 + WINDOW_S) == 0.0
    room.opened(400.0)
    assert kept[-1] == (400.0,), "the others are too old"


@pytest.mark.parametrize("accounts", [20, 50, 225])
def test_a_fleet_that_is_restarted_again_and_again_stays_below_the_limit_of_its_address(accounts: int) -> None:
    """Each process lives for some seconds, and its successor opens its streams anew; so does the supervisor."""
    draw = random.Random(accounts)
    kept: dict[int, Sequence[float]] = dict.fromkeys(range(accounts), ())
    due_s = {account: draw.uniform(0.0, 5.0) for account in kept}
    grants, opened, started = LineGrants(), list[float](), 0
    for second in range(1500):
        if second % 100 == 99:
            after = LineGrants()
            after.inherit(grants.given_s(float(second)))
            grants = after
        for account in [account for account, at_s in due_s.items() if at_s <= second]:
            room = LineRoom(part_of(accounts))
            room.earlier(kept[account])
            room.keep_with(functools.partial(kept.__setitem__, account))
            wait_s = room.start_wait_s(float(second)) and grants.ask(float(second))
            due_s[account] = second + (wait_s or draw.uniform(1.0, 40.0))
            if not wait_s:
                started += 1
                for _ in range(LINES_OF_START):
                    room.opened(float(second))
                opened += [float(second)] * LINES_OF_START
    most = max(sum(at_s <= each < at_s + FIVE_MINUTES_S for each in opened) for at_s in set(opened))
    assert EXCHANGE - 60 < most <= EXCHANGE
    assert started > 1500 / WINDOW_S * accounts, "and all of them go on"
