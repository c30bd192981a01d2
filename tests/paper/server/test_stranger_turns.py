"""Strangers have half of the exchange's time at most, each in its turn."""

from __future__ import annotations

import asyncio

from gridbot.paper.api.callers import Caller
from gridbot.paper.server.stranger_turns import AT_ONCE, IN_A_TURN, PART_S, WINDOW_S, StrangerTurns


def stranger(requests: int = AT_ONCE) -> Caller:
    caller = Caller("127.0.0.1")
    caller.requests = requests
    return caller


def test_who_has_signed_and_who_begins_never_waits() -> None:
    turns = StrangerTurns(lambda: 0.0)
    turns.spent(100.0)
    known = stranger()
    known.known = True
    assert turns.may_go_on(known, 1_000_000)
    assert turns.may_go_on(stranger(AT_ONCE - 1), 0)


def test_strangers_have_their_part_of_each_window() -> None:
    now_s = 5.0
    turns = StrangerTurns(lambda: now_s)
    assert turns.may_go_on(stranger(), IN_A_TURN - 1)
    assert not turns.may_go_on(stranger(), IN_A_TURN), "then others have theirs"
    turns.spent(PART_S)
    assert not turns.may_go_on(stranger(), 0)
    now_s += WINDOW_S
    assert turns.may_go_on(stranger(), 0)


def test_who_waits_goes_on_in_order_and_newcomers_behind() -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        turns, order = StrangerTurns(loop.time), []

        def expensive(name: str) -> None:
            order.append(name)
            turns.spent(PART_S)
            if order.count(name) < 2:
                turns.wait(lambda: expensive(name))

        for name in "abc":
            turns.wait(lambda name=name: expensive(name))  # type: ignore[misc]
        assert not turns.may_go_on(stranger(), 0)
        assert len(turns) == 3
        for _ in range(500):
            if not len(turns):
                break
            await asyncio.sleep(WINDOW_S)
        assert order == list("abcabc")

    asyncio.run(run())
