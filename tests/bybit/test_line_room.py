"""How many WebSockets a process may open, and how many a fleet in a loop does."""

from __future__ import annotations

import random

import pytest

from gridbot.bybit.line_room import ALL_LINES, WINDOW_S, LineRoom, part_of
from gridbot.bybit.watchdog import Limits, backoff_s

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
