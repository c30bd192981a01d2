"""Who waits for its turn, who hears of room, and what is said to the supervisor."""

from __future__ import annotations

import asyncio
from typing import Any

from gridbot.budget.address_budget import AGAIN_S, APART_S, LONG_WAIT_S, OF_START, AddressBudget, Done
from gridbot.budget.request_permits import REST_S, Purpose
from tests.execution.support import ManualClock, settle


class Desk:
    """An `AddressBudget`, its clock, and what it has said; `lend` is the supervisor's word."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.said: list[dict[str, Any]] = []
        self.budget = AddressBudget(self.clock, self.said.append)
        self.budget.open()

    def lend(self, lent: int | None, keep: int | None = None) -> None:
        self.budget.lease({"type": "lease", "lent": lent, "keep": keep, "floor": 1, "ahead": 0})

    def wants(self) -> tuple[int, ...]:
        return tuple(self.said[-1]["wants"])


def turns(budget: AddressBudget, count: int) -> list[asyncio.Task[Done]]:
    return [asyncio.ensure_future(budget.turn()) for _ in range(count)]


def given(tasks: list[asyncio.Task[Done]]) -> int:
    return sum(task.done() for task in tasks)


def test_where_nobody_counts_nothing_waits() -> None:
    async def scene() -> None:
        budget = AddressBudget(ManualClock())
        budget.open()
        assert not budget.is_leased
        assert budget.may_leave(Purpose.OPEN)
        budget.orders_wait({Purpose.OPEN: 3})
        for _ in range(1000):
            (await budget.turn())(True)
            budget.sent(Purpose.CANCEL)(False)
        budget.extra()
        assert budget.why_late() == ""

    asyncio.run(scene())


def test_a_query_waits_for_a_permit_and_for_those_before_it() -> None:
    async def scene() -> None:
        desk = Desk()
        assert desk.said == [{"type": "requests", "seen": 0, "back": 0, "wants": (0, 0, 0, 0, 0, 0)}], (
            "it says it is there"
        )
        tasks = turns(desk.budget, 3)
        await settle()
        await desk.clock.advance(2 * APART_S)
        assert desk.wants() == (0, 0, 0, 0, 3, 0)
        desk.lend(2)
        await settle()
        assert [task.done() for task in tasks] == [True, True, False], "in the order they came"
        tasks[0].result()(True)
        await desk.clock.advance(REST_S - 0.1)
        assert given(tasks) == 2
        await desk.clock.advance(0.2)
        assert given(tasks) == 3
        desk.budget.close()

    asyncio.run(scene())


def test_what_is_wanted_is_said_again_while_it_is_wanted() -> None:
    async def scene() -> None:
        desk = Desk()
        tasks = turns(desk.budget, 1)
        await settle()
        await desk.clock.advance(2 * APART_S)
        count = len(desk.said)
        await desk.clock.advance(4 * AGAIN_S)
        assert count + 3 <= len(desk.said) <= count + 4
        desk.lend(1)
        await settle()
        assert given(tasks) == 1
        desk.budget.close()

    asyncio.run(scene())


def test_one_more_is_said_at_once_also_where_the_words_are_those_of_before() -> None:
    """Of a fleet that started, whoever needed more permits than it had at hand waited half a second for each."""

    async def scene() -> None:
        desk = Desk()
        for lent in range(1, 6):
            [task] = turns(desk.budget, 1)
            await settle()
            await desk.clock.advance(2 * APART_S)
            assert (desk.said[-1]["seen"], desk.wants()) == (lent - 1, (0, 0, 0, 0, 1, 0))
            desk.lend(lent)
            await settle()
            assert task.done()
        count = len(desk.said)
        await desk.clock.advance(4 * APART_S)
        assert len(desk.said) - count <= 1, "who wants nothing has nothing to say"
        desk.budget.close()

    asyncio.run(scene())


def test_an_order_is_first_and_its_owner_hears_of_room() -> None:
    async def scene() -> None:
        desk = Desk()
        sent: list[str] = []

        def on_room() -> None:
            if desk.budget.may_leave(Purpose.OPEN):
                desk.budget.orders_wait({})
                sent.append("order")
                desk.budget.sent(Purpose.OPEN)

        desk.budget.tell_room(on_room)
        [query] = turns(desk.budget, 1)
        await settle()
        desk.budget.orders_wait({Purpose.OPEN: 1})
        desk.lend(1)
        await settle()
        assert (sent, query.done()) == (["order"], False)
        desk.lend(2)
        await settle()
        assert (sent, query.done()) == (["order"], True)
        desk.budget.close()

    asyncio.run(scene())


def test_who_sends_beside_the_executor_waits_and_leaves_no_mark_behind() -> None:
    """A rescue cancelled once where permits were short, and then none of its queries had a turn again, for ever."""

    async def scene() -> None:
        desk = Desk()
        waiting = [asyncio.ensure_future(desk.budget.order_turn(Purpose.CANCEL)) for _ in range(2)]
        desk.budget.orders_wait({Purpose.CANCEL: 1, Purpose.OPEN: 2})
        [query] = turns(desk.budget, 1)
        await settle()
        await desk.clock.advance(2 * APART_S)
        assert desk.wants() == (3, 0, 0, 2, 1, 0), "beside those of the executor"
        waiting[1].cancel()
        desk.lend(1)
        await settle()
        assert waiting[0].done()
        desk.budget.sent(Purpose.CANCEL)(True)
        desk.budget.orders_wait({})
        await desk.clock.advance(AGAIN_S)
        assert desk.wants() == (0, 0, 0, 0, 1, 0)
        assert not query.done(), "its permit rests"
        await desk.clock.advance(REST_S)
        await settle()
        assert query.done()
        free = asyncio.ensure_future(desk.budget.order_turn(Purpose.CLOSE))
        await settle()
        assert not free.done()
        desk.lend(None)
        await settle()
        assert free.done(), "nothing is limited any more"

    asyncio.run(scene())


def test_a_query_that_is_given_up_leaves_its_turn_to_the_next() -> None:
    async def scene() -> None:
        desk = Desk()
        waiting, used = turns(desk.budget, 2)
        await settle()
        waiting.cancel()
        await settle()
        desk.lend(1)
        await settle()
        assert used.done()
        used.result()(True)
        late, last = turns(desk.budget, 2)
        await settle()
        await desk.clock.advance(REST_S - 0.01)
        desk.clock.now_s += 0.02
        desk.budget._look()  # gives the turn, in the moment in which nobody wants it any more
        late.cancel()
        await settle()
        assert last.done(), "the permit was not lost"
        desk.budget.close()

    asyncio.run(scene())


def test_when_nothing_is_limited_any_more_all_that_wait_leave() -> None:
    async def scene() -> None:
        desk = Desk()
        tasks = turns(desk.budget, 5)
        await settle()
        desk.lend(None)
        await settle()
        assert given(tasks) == 5
        for task in tasks:
            task.result()(True)
        assert desk.budget.permits.under_way == 0
        assert desk.budget.may_leave(Purpose.QUERY)

    asyncio.run(scene())


def test_what_others_need_goes_back_at_once() -> None:
    async def scene() -> None:
        desk = Desk()
        desk.lend(10)
        await desk.clock.advance(0.1)
        desk.lend(10, keep=4)
        await desk.clock.advance(0.1)
        assert desk.said[-1]["back"] == 6
        desk.budget.close()

    asyncio.run(scene())


def test_the_queries_of_a_start_are_a_purpose_of_their_own_until_it_trades() -> None:
    async def scene() -> None:
        desk = Desk()
        desk.budget.starting()
        tasks = turns(desk.budget, 3)
        await settle()
        await desk.clock.advance(2 * APART_S)
        assert desk.wants() == (0, 0, 3, 0, 0, OF_START), "and as many as a start takes, in one message"
        desk.lend(1)
        await settle()
        assert given(tasks) == 1
        assert desk.budget.may_leave(Purpose.CLOSE) is False, "there is no permit left"
        desk.budget.started()
        await desk.clock.advance(2 * APART_S)
        assert desk.wants() == (0, 0, 0, 0, 2, 0), "what still waits is no start any more"
        desk.lend(3)
        await settle()
        assert given(tasks) == 3
        desk.budget.close()

    asyncio.run(scene())


def test_waiting_for_long_is_a_reason_and_not_before() -> None:
    async def scene() -> None:
        desk = Desk()
        tasks = turns(desk.budget, 1)
        await settle()
        await desk.clock.advance(LONG_WAIT_S - 0.1)
        assert desk.budget.why_late() == ""
        await desk.clock.advance(0.2)
        assert "no request has left for 12 s" in desk.budget.why_late()
        desk.lend(1)
        await settle()
        assert given(tasks) == 1
        assert desk.budget.why_late() == ""
        desk.budget.close()

    asyncio.run(scene())


def test_a_request_that_has_not_left_after_its_turn_costs_nothing() -> None:
    async def scene() -> None:
        desk = Desk()
        desk.lend(1)
        desk.budget.unsent(await desk.budget.turn())
        desk.budget.unsent(await desk.budget.turn())
        assert desk.budget.permits.left(desk.clock.now_s) == 1
        over = desk.budget.sent(Purpose.OPEN)
        tasks = turns(desk.budget, 1)
        await settle()
        assert given(tasks) == 0
        desk.budget.unsent(over)
        await settle()
        assert given(tasks) == 1, "whoever waits has its turn at once"
        desk.budget.close()

    asyncio.run(scene())
