"""How many requests are under way, in which order, and what becomes of those that nobody waits for any more."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from gridbot.budget.address_budget import AddressBudget
from gridbot.budget.request_permits import REST_S, UNSURE_REST_S, Purpose
from gridbot.bybit.calls import Calls
from gridbot.bybit.carrier import Answer, NoAnswer, NotSent, Outgoing, Tell
from gridbot.bybit.endpoints import Credentials, endpoints_for
from gridbot.bybit.session import RestTransport
from gridbot.exchange.environment import Environment
from gridbot.exchange.failures import ErrorKind, ExchangeError
from tests.bybit.support import CREDENTIALS, run
from tests.execution.support import ManualClock

OK = Answer(200, {"x-bapi-limit": "10", "x-bapi-limit-status": "7"}, b'{"retCode":0,"result":{}}')
REAL = endpoints_for(Environment.MAINNET)


class Held:
    """A carrier that answers when the test says so."""

    def __init__(self) -> None:
        self.sent: list[tuple[Outgoing, Tell]] = []
        self.is_closed = False

    def carry(self, outgoing: Outgoing, timeout_s: float, tell: Tell) -> None:
        self.sent.append((outgoing, tell))

    def close(self) -> None:
        self.is_closed = True

    def targets(self) -> list[str]:
        return [outgoing.target for outgoing, _ in self.sent]

    def answer(self, number: int, answer: Any = OK) -> None:
        self.sent[number][1](answer)


def transport(held: Held, pool_size: int = 2) -> RestTransport:
    return RestTransport(REAL, CREDENTIALS, pool_size=pool_size, timeout=5, recv_window=5000, carrier=held)


def query(rest: RestTransport, number: int) -> asyncio.Task[Any]:
    async def wait(reply: Any) -> Any:
        return await reply

    return asyncio.get_running_loop().create_task(wait(rest.call("market/tickers", {"symbol": str(number)})))


def test_queries_leave_in_the_order_they_came_and_never_more_than_the_size() -> None:
    async def scene() -> None:
        held = Held()
        rest = transport(held)
        tasks = [query(rest, number) for number in range(6)]
        await asyncio.sleep(0)
        for number in range(6):
            assert len(held.sent) == min(number + 2, 6)
            held.answer(number)
        assert held.targets() == [f"/v5/market/tickers?symbol={number}" for number in range(6)]
        await asyncio.gather(*tasks)

    run(scene())


def test_an_order_has_left_when_the_call_returns_whatever_waits() -> None:
    async def scene() -> None:
        held = Held()
        rest = transport(held, pool_size=1)
        for number in range(5):
            rest.call("market/tickers", {"symbol": str(number)})
        rest.call("order/cancel", {"symbol": "A", "orderId": "o"})
        assert [outgoing.is_order for outgoing, _ in held.sent] == [False, True]

    run(scene())


def test_a_query_that_nobody_waits_for_any_more_never_leaves_and_takes_no_place() -> None:
    async def scene() -> None:
        held = Held()
        rest = transport(held, pool_size=1)
        first, given_up, last = (query(rest, number) for number in range(3))
        await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.sleep(0)
        held.answer(0)
        assert held.targets() == ["/v5/market/tickers?symbol=0", "/v5/market/tickers?symbol=2"]
        held.answer(1)
        await asyncio.gather(first, last)

    run(scene())


def test_the_answer_to_a_request_that_was_given_up_still_says_what_it_says() -> None:
    async def scene() -> None:
        held = Held()
        rest = transport(held, pool_size=1)
        given_up = query(rest, 0)
        await asyncio.sleep(0)
        given_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await given_up
        held.answer(0)
        assert rest.limits["market/tickers"].remaining == 7
        query(rest, 1)
        await asyncio.sleep(0)
        assert len(held.sent) == 2, "its place is free again"

    run(scene())


def test_a_refused_stamp_leads_to_one_look_at_the_clock_and_then_to_the_refusal() -> None:
    async def scene() -> None:
        held = Held()
        rest = transport(held, pool_size=1)
        late = Answer(200, {}, b'{"retCode":10002,"retMsg":"timestamp"}')
        asked, waits = query(rest, 0), query(rest, 1)
        await asyncio.sleep(0)
        held.answer(0, late)
        assert held.targets()[1:] == ["/v5/market/time"], "before whatever else waits"
        held.answer(1, late)
        await asyncio.sleep(0)
        assert held.targets()[2:] == ["/v5/market/tickers?symbol=1"], "a clock that is refused is not asked again"
        held.answer(2)
        with pytest.raises(ExchangeError) as caught:
            await asked
        assert caught.value.ret_code == 10002
        await waits

    run(scene())


def test_a_thousand_requests_that_cannot_be_made_end_one_after_the_other() -> None:
    """Each end makes room for the next: without a loop of its own that is a recursion."""

    async def scene() -> None:
        held = Held()
        rest = transport(held, pool_size=1)
        replies = [rest.call("market/tickers", {"symbol": "0"})]
        replies += [rest.call("position/set-leverage", {"symbol": Decimal(1)}) for _ in range(3000)]
        held.answer(0)
        await replies[0]
        for reply in replies[1:]:
            with pytest.raises(ExchangeError, match="TypeError during a request"):
                await reply

    run(scene())


def test_a_request_that_is_none_leaves_nobody_waiting() -> None:
    async def scene() -> None:
        broken = Credentials("a key\r\nof two lines", "s")
        for keys, endpoint, fault in (
            (CREDENTIALS, "no/such-endpoint", "KeyError"),
            (broken, "account/info", "expected an API key of one line"),
        ):
            rest = RestTransport(REAL, keys, pool_size=1, timeout=5, recv_window=5000)
            with pytest.raises(ExchangeError, match=fault):
                await rest.call(endpoint, {})
            rest.close()

    run(scene())


def test_a_fault_of_ours_leaves_nobody_waiting_and_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        faults: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
        held = Held()
        rest = transport(held)
        monkeypatch.setattr(RestTransport, "_note_limit", lambda *_: 1 / 0)
        task = query(rest, 0)
        await asyncio.sleep(0)
        held.answer(0)
        with pytest.raises(ExchangeError, match="ZeroDivisionError") as caught:
            await task
        assert caught.value.kind is ErrorKind.AMBIGUOUS
        assert [fault["message"] for fault in faults] == ["reading an answer of the exchange"]

    run(scene())


def test_after_close_nothing_leaves() -> None:
    async def scene() -> None:
        held = Held()
        rest = transport(held, pool_size=1)
        under_way, waits = query(rest, 0), query(rest, 1)
        await asyncio.sleep(0)
        rest.close()
        assert held.is_closed
        held.answer(0, NotSent("closed"))
        for task in (under_way, waits, query(rest, 2)):
            with pytest.raises(ExchangeError) as caught:
                await task
            assert caught.value.kind is ErrorKind.RETRY
        assert len(held.sent) == 1

    run(scene())


@pytest.mark.parametrize("endpoint", ["order/cancel", "market/tickers"])
@pytest.mark.parametrize(
    ("became", "rests_s"), [(NotSent("refused"), 0.0), (NoAnswer("no answer in time"), UNSURE_REST_S), (OK, REST_S)]
)
def test_only_what_may_have_left_uses_up_a_permit_of_the_address(endpoint: str, became: Any, rests_s: float) -> None:
    """Else an exchange that cannot be reached leaves nothing for the cancels that follow when it is back."""

    async def scene() -> None:
        held, clock = Held(), ManualClock()
        budget = AddressBudget(clock, lambda message: None)
        budget.open()
        budget.lease({"type": "lease", "lent": 1, "keep": None, "floor": 1, "ahead": 0})
        calls = Calls(REAL, CREDENTIALS, budget=budget, transport=partial(RestTransport, carrier=held))
        if endpoint == "order/cancel":
            begun = asyncio.ensure_future(calls.answer(calls.begin(endpoint, {"symbol": "A", "orderId": "o"})))
        else:
            begun = asyncio.ensure_future(calls._call(endpoint, symbol="A"))
        await asyncio.sleep(0)
        assert not budget.may_leave(Purpose.CANCEL), "it is under way"
        held.answer(0, became)
        await asyncio.gather(begun, return_exceptions=True)
        assert budget.permits.next_s(clock.now_s) == (pytest.approx(rests_s) if rests_s else None)
        assert budget.may_leave(Purpose.CANCEL) == (rests_s == 0)
        budget.close()

    run(scene())


def test_a_query_that_was_dropped_before_it_left_uses_up_no_permit() -> None:
    async def scene() -> None:
        held = Held()
        rest = transport(held, pool_size=1)
        said: list[str] = []
        for number in range(2):
            reply = rest.call("market/tickers", {"symbol": str(number)})
            reply.when_over(lambda answered: said.append(f"over {answered}"), lambda: said.append("unsent"))
            waits = asyncio.ensure_future(asyncio.wait_for(reply, 5))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            waits.cancel()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        assert said == ["over False", "unsent"]

    run(scene())
