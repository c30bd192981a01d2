"""Carries flattening out by REST: questions and requests become tasks, whose answers are fed back to the machine.

One for a worker and for the rescue of an account without one; what differs between the two is its `Hands`. Nothing here
decides. What raises unexpectedly is told (`Hands.on_fault`) and counts as an answer that was lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import groupby
from typing import Any, Protocol, TypeVar

from gridbot import background
from gridbot.budget.address_budget import AddressBudget
from gridbot.budget.request_permits import Purpose
from gridbot.core.events import OrderUpdateEvent, PositionEvent, TickerEvent
from gridbot.core.instrument import Instrument
from gridbot.exchange.failures import ErrorKind, ExchangeError
from gridbot.exchange.listing import Listing
from gridbot.exchange.requests import CancelRef, OrderAck, OrderRequest
from gridbot.flatten.flatten_state import FlattenState
from gridbot.flatten.flatten_step import next_look_s, step
from gridbot.flatten.flatten_words import (
    BROKEN_OFF,
    AskKnown,
    AskLegs,
    AskMarket,
    AskOrders,
    Begun,
    Cancel,
    CancelAnswered,
    Close,
    CloseAnswered,
    Effect,
    Event,
    Finished,
    KeepLatch,
    Known,
    LatchSaved,
    LegsListed,
    MarketRead,
    OrdersListed,
    Problem,
    ReadFailed,
    Resting,
    Time,
    Told,
    Wanted,
    Warn,
    WithdrawKnown,
    Withdrawn,
    problem_of,
)
from gridbot.ports import Clock, OrderGateway, Timer

__all__ = ["FlattenDrive", "FlattenQueries", "Hands", "reference_price"]

T = TypeVar("T")

AT_ONCE = 10
"""Orders of one request."""
POLL_S = 0.02
LEAST_WAIT_S = 0.001


class FlattenQueries(Protocol):
    """What is read of the exchange (`BybitRest`)."""

    async def open_orders(self) -> Listing[OrderUpdateEvent]: ...
    async def every_position(self) -> tuple[Listing[PositionEvent], Listing[PositionEvent]]: ...
    async def tickers(self, symbol: str) -> TickerEvent: ...
    async def instrument(self, symbol: str) -> Instrument: ...


class Hands(Protocol):
    """What flattening needs of whoever has the account: a worker, or its rescue."""

    def latch_is_safe(self) -> bool:
        """Whether the disk has what stops orders."""

    def withdraw_known(self, symbols: Iterable[str]) -> int:
        """Withdraw what is known to rest, without waiting; how many orders."""

    def is_ours(self, row: OrderUpdateEvent) -> bool:
        """Whether one of our strategies made the order."""

    def under_way(self, symbols: Iterable[str]) -> int:
        """Creates of our own that may land yet."""

    def saw_legs(self, legs: Sequence[PositionEvent]) -> None:
        """The legs that REST has listed as open."""

    def known_rules(self, symbol: str) -> Instrument | None:
        """The exchange's rules of a symbol where they are known already."""

    def known(self, symbols: Iterable[str]) -> Known:
        """During a ban: legs and prices by the streams, where closes have another way than HTTP."""

    def request_of(self, close: Close, reference: Decimal, leg_size: Decimal) -> OrderRequest | str:
        """The request of a close, with an id of ours and recorded; or why it may not leave (the gate)."""

    def answered(self, request: OrderRequest, answer: OrderAck | ExchangeError) -> None:
        """A close was answered."""

    def warn(self, text: str) -> None:
        """Tell the operator."""

    def on_fault(self, part: str, error: BaseException) -> None:
        """A fault of ours."""


class FlattenDrive:
    """One run, on the running loop. `told` has the first word for whoever asked: the end, or what takes so long."""

    def __init__(
        self,
        wanted: Wanted,
        queries: FlattenQueries,
        gateway: OrderGateway,
        hands: Hands,
        clock: Clock,
        budget: AddressBudget | None = None,
    ) -> None:
        loop = asyncio.get_running_loop()
        self.state = FlattenState(wanted)
        self.told: asyncio.Future[tuple[bool, str]] = loop.create_future()
        self.finished: asyncio.Future[Finished] = loop.create_future()
        self._queries = queries
        self._gateway = gateway
        self._hands = hands
        self._clock = clock
        self._budget = budget
        self._rules: dict[str, Instrument] = {}
        self._tasks: dict[asyncio.Task[None], None] = {}
        self._timer: Timer | None = None
        self.stopped = False
        """Somebody has broken it off."""
        self._carriers: dict[type[Any], Callable[[Any], object]] = {
            KeepLatch: lambda effect: self._start(self._keep_latch(), "waiting for the disk"),
            WithdrawKnown: self._withdraw,
            AskOrders: lambda effect: self._start(self._ask_orders(), "reading the open orders"),
            AskLegs: lambda effect: self._start(self._ask_legs(), "reading the legs"),
            AskKnown: lambda effect: self._tell_known(),
            AskMarket: lambda effect: self._start(self._ask_market(effect.symbol), "reading a symbol"),
            Cancel: self._cancel,
            Warn: lambda effect: hands.warn(effect.text),
            Told: lambda effect: self._tell(False, effect.text),
            Finished: self._finish,
        }

    def start(self) -> None:
        """Begin; what follows happens by itself."""
        self._feed(Begun())

    async def replaced_by(self, other: FlattenDrive) -> None:
        """Send nothing more, as `other` wants all of it, too; whoever waits is told what comes of that one."""
        await self._end()
        other.told.add_done_callback(lambda told: self._tell(*told.result()))
        other.finished.add_done_callback(lambda end: self._finish(end.result()))

    async def stop(self) -> None:
        """Send nothing more; whoever waits is told."""
        await self._end()
        self._tell(False, BROKEN_OFF)
        self._finish(Finished(False, BROKEN_OFF))

    async def _end(self) -> None:
        self.stopped = True
        if self._timer is not None:
            self._timer.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # ------------------------------------------------------------------ events in, effects out

    def _feed(self, event: Event) -> None:
        if self.stopped:
            return
        effects = step(self.state, event, self._clock.monotonic_s())
        closes = [effect for effect in effects if isinstance(effect, Close)]
        for effect in effects:
            if not isinstance(effect, Close):
                self._carry_out(effect)
        for some in _batches(closes):
            self._start(self._close(some), "closing")
        self._look_later()

    def _carry_out(self, effect: Effect) -> None:
        try:
            self._carriers[type(effect)](effect)
        except Exception as error:  # noqa: BLE001 - reported with its traceback; the next round reads everything afresh
            self._hands.on_fault("flattening", error)

    def _look_later(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self.finished.done():
            return
        wait_s = max(LEAST_WAIT_S, next_look_s(self.state, self._clock.monotonic_s()))
        self._timer = self._clock.call_later(wait_s, lambda: self._feed(Time()))

    def _start(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = background.awaited(work, name=name)
        self._tasks[task] = None
        task.add_done_callback(self._landed)

    def _landed(self, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task, None)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._hands.on_fault(f"flattening: {task.get_name()}", error)

    def _tell(self, done: bool, text: str) -> None:
        if not self.told.done():
            self.told.set_result((done, text))

    def _finish(self, end: Finished) -> None:
        if not self.finished.done():
            self.finished.set_result(end)
        self._tell(end.clean, end.text)  # last: whoever has started it has taken in the end by then

    # ------------------------------------------------------------------ questions

    def _withdraw(self, effect: WithdrawKnown) -> None:
        count = self._hands.withdraw_known(self.state.wanted.symbols)
        self._clock.call_later(0.0, lambda: self._feed(Withdrawn(count)))

    def _tell_known(self) -> None:
        known = self._hands.known(self.state.wanted.symbols)
        self._clock.call_later(0.0, lambda: self._feed(known))

    async def _keep_latch(self) -> None:
        while not self._hands.latch_is_safe():
            await self._clock.sleep(POLL_S)
        self._feed(LatchSaved())

    async def _ask_orders(self) -> None:
        asked_s = self._clock.monotonic_s()
        try:
            under_way = self._hands.under_way(self.state.wanted.symbols)
            listed = await self._queries.open_orders()
            rows = tuple(
                Resting(row.symbol, row.order_id, row.order_link_id, self._hands.is_ours(row), not row.reduce_only)
                for row in listed
            )
            answer: Event = OrdersListed(asked_s, rows, under_way, _unreadable(listed))
        except Exception as error:  # noqa: BLE001 - a fault of ours is reported, and counts as a lost answer
            answer = ReadFailed("orders", self._problem("reading the open orders", error))
        self._feed(answer)

    async def _ask_legs(self) -> None:
        asked_s = self._clock.monotonic_s()
        try:
            hedged, one_way = await self._queries.every_position()
            self._hands.saw_legs(hedged)
            sizes = {(leg.symbol, leg.direction): leg.size for leg in (*hedged, *one_way)}
            alone = tuple((leg.symbol, leg.direction) for leg in one_way)
            answer: Event = LegsListed(asked_s, sizes, _unreadable(hedged) | _unreadable(one_way), alone)
        except Exception as error:  # noqa: BLE001 - as above
            answer = ReadFailed("legs", self._problem("reading the legs", error))
        self._feed(answer)

    async def _ask_market(self, symbol: str) -> None:
        try:
            rules = self._rules.get(symbol) or self._hands.known_rules(symbol)
            if rules is None:
                rules = await self._queries.instrument(symbol)
            self._rules[symbol] = rules
            ticker = await self._queries.tickers(symbol)
            answer: Event = MarketRead(symbol, rules, ticker.last_price)
        except Exception as error:  # noqa: BLE001 - as above
            answer = ReadFailed(symbol, self._problem(f"reading {symbol}", error))
        self._feed(answer)

    # ------------------------------------------------------------------ requests

    def _cancel(self, effect: Cancel) -> None:
        by_symbol = sorted(effect.rows, key=lambda row: row.symbol)
        for symbol, rows in groupby(by_symbol, key=lambda row: row.symbol):
            for some in _batches(list(rows)):
                self._start(self._cancel_some(symbol, some), "cancelling")

    async def _cancel_some(self, symbol: str, rows: Sequence[Resting]) -> None:
        answers: Sequence[OrderAck | ExchangeError | Problem]
        try:
            await self._room(Purpose.CANCEL)
            answers = await self._gateway.cancel_orders(symbol, [CancelRef(order_id=row.order_id) for row in rows])
        except Exception as error:  # noqa: BLE001 - as above
            answers = [self._problem("cancelling", error)] * len(rows)
        for row, answer in zip(rows, answers, strict=True):
            self._feed(CancelAnswered(row.order_id, self._problem_in(answer)))

    async def _close(self, closes: list[Close]) -> None:
        """Up to ten at once. One that may not leave, or whose making fails, keeps no other back."""
        requests: list[tuple[Close, OrderRequest]] = []
        await self._room(Purpose.CLOSE)
        for close in closes:
            try:
                leg = self.state.legs.get((close.symbol, close.direction))
                size = close.qty if leg is None else leg.size
                made = self._hands.request_of(close, reference_price(self.state, close), size)
            except Exception as error:  # noqa: BLE001 - as above
                self._feed(CloseAnswered(close.number, self._problem("making a close", error)))
                continue
            if isinstance(made, str):
                self._feed(CloseAnswered(close.number, Problem(ErrorKind.RETRY, made)))
            else:
                requests.append((close, made))
        if not requests:
            return
        answers: Sequence[OrderAck | ExchangeError | Problem]
        try:
            answers = await self._send([request for _, request in requests])
        except Exception as error:  # noqa: BLE001 - as above
            whole = error if isinstance(error, ExchangeError) else self._problem("closing", error)
            answers = [whole] * len(requests)
        for (close, request), answer in zip(requests, answers, strict=True):
            if not isinstance(answer, Problem):
                self._hands.answered(request, answer)
            self._feed(CloseAnswered(close.number, self._problem_in(answer)))

    async def _send(self, requests: list[OrderRequest]) -> Sequence[OrderAck | ExchangeError]:
        if len(requests) > 1:
            return await self._gateway.place_orders(requests)
        return [await self._gateway.place_order(requests[0])]

    async def _room(self, purpose: Purpose) -> None:
        """Wait for a permit of the address, where they are lent."""
        if self._budget is not None and self._gateway.by_http:
            await self._budget.order_turn(purpose)

    def _problem_in(self, answer: OrderAck | ExchangeError | Problem) -> Problem | None:
        if isinstance(answer, OrderAck):
            return None
        return answer if isinstance(answer, Problem) else problem_of(answer, self._clock.monotonic_s())

    def _problem(self, part: str, error: Exception) -> Problem:
        if isinstance(error, ExchangeError):
            return problem_of(error, self._clock.monotonic_s())
        self._hands.on_fault(f"flattening: {part}", error)
        return Problem(ErrorKind.AMBIGUOUS, f"{part} broke on our side ({type(error).__name__})")


def reference_price(state: FlattenState, close: Close) -> Decimal:
    """What a record says of the price (USDT): its limit, or the last price; 0 when neither is known."""
    market = state.markets.get(close.symbol)
    return close.price or (market.price if market is not None else None) or Decimal(0)


def _batches(items: Sequence[T]) -> Iterator[list[T]]:
    return (list(items[start : start + AT_ONCE]) for start in range(0, len(items), AT_ONCE))


def _unreadable(listed: Listing[Any]) -> dict[str, str]:
    return {row.symbol: row.reason for row in listed.unreadable}
