"""`adopt`: takes over orders of another program that rest on the symbols of strategies, by their shape.

::

    asked ──► the exchange's list ──► matched with what each strategy wants (`orders/shape_match.py`) ──► shown
                                              │ with `apply`, while the strategy is held
                                              ▼
              a record of each order: from here on it is the strategy's ──► a reconcile puts it into the book

The record is all that is decided here. An order is ours when our records say so (`reconcile.owns`), in this life and in
the next: whoever dies in between leaves an order that is foreign still, or one that the next comparison with the
exchange puts into the book. Nothing is sent to the exchange. Fills count from the record on; those of before are money
of the account, which the ledger has counted, and no news for the strategy.

The answer is one JSON object as text: `said`, and a row for each strategy (`strategy_row`).
"""

from __future__ import annotations

import json
from asyncio import Future, get_running_loop
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Final, Protocol

from gridbot import background
from gridbot.core import OrderUpdateEvent, PlaceLimitIntent, Side
from gridbot.exchange.failures import ExchangeError
from gridbot.exchange.listing import Listing
from gridbot.orders.order import OrderState
from gridbot.orders.shape_match import Fit, Judged, Matching, WantedOrder, match
from gridbot.records import unfollowed_orders
from gridbot.risk.holds import Hold
from gridbot.strategies.base import CannotTrade, LaysLadder, Wish
from gridbot.worker.context import WorkerContext
from gridbot.worker.strategy_runner import StrategyRunner

__all__ = ["Adoption", "HowToAdopt", "strategy_row", "wanted_of"]

ZERO = Decimal(0)
HELD: Final = (Hold.LATCHED, Hold.HALTED, Hold.PAUSED)
"""What makes sure that a strategy places nothing while its orders are taken over."""
Told = Future[tuple[bool, str]]


class OpenOrdersQuery(Protocol):
    """As much of `ExchangeQueries` as it needs."""

    async def open_orders(self, symbol: str | None = None) -> Listing[OrderUpdateEvent]: ...


@dataclass(frozen=True, slots=True)
class HowToAdopt:
    """`ladder`: lay the strategy's ladder on the orders first. `any_quantity`: the quantity may be another one."""

    apply: bool = False
    ladder: bool = False
    any_quantity: bool = False
    who: str = "the operator"


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is to become of the orders on one strategy's symbol. `laid`: the orders that its ladder is to lie on.

    `refused`: why none can be adopted. `lost`: ids of adopted orders that ended before they were in the book.
    """

    runner: StrategyRunner
    matching: Matching = field(default_factory=lambda: Matching((), ()))
    refused: str = ""
    laid: Sequence[tuple[int, Side]] = ()
    lost: frozenset[str] = frozenset()


class Adoption:
    """One per account. `reconcile` compares everything with the exchange, `write` puts records into the journal."""

    def __init__(
        self,
        context: WorkerContext,
        queries: OpenOrdersQuery,
        reconcile: Callable[[str], Any],
        write: Callable[[], object],
    ) -> None:
        self._context = context
        self._queries = queries
        self._reconcile = reconcile
        self._write = write
        self._busy = False

    def begin(self, runners: Sequence[StrategyRunner], how: HowToAdopt) -> Told:
        """Look, and take over with `apply`. Raises ValueError when a strategy may not be adopted for now."""
        live = [runner for runner in runners if not runner.is_shadow]
        if not live:
            raise ValueError("expected a strategy with orders on the exchange, got none that runs, or shadows alone")
        if self._busy:
            raise ValueError("expected one adoption at a time, got another while one is under way; try again")
        if how.apply:
            _require_held(live)
        told: Told = get_running_loop().create_future()
        self._busy = True
        background.start(self._run(live, how, told), name="adopt")
        return told

    async def _run(self, runners: Sequence[StrategyRunner], how: HowToAdopt, told: Told) -> None:
        try:
            answer = await self._adopt(runners, how)
        except ExchangeError as error:
            answer = False, f"the exchange could not be asked: {error}"
        except ValueError as error:
            answer = False, str(error)
        except BaseException:
            if not told.done():
                told.set_result((False, "it broke off; the worker's log says why, and nothing is taken over by halves"))
            raise
        finally:
            self._busy = False
        if not told.done():
            told.set_result(answer)

    async def _adopt(self, runners: Sequence[StrategyRunner], how: HowToAdopt) -> tuple[bool, str]:
        listing = await self._queries.open_orders()
        self._require_there(runners)
        unreadable = {row.symbol for row in listing.unreadable}
        plans = [self._plan(runner, listing, unreadable, how) for runner in runners]
        late = ""
        if how.apply:
            _require_held(runners)  # it may have been resumed meanwhile
            if self._take(plans, how):
                late = await self._compare()
            plans = [replace(plan, lost=_lost(plan)) for plan in plans]
        rows = [strategy_row(plan, how) for plan in plans]
        return True, json.dumps({"said": _said(plans, how) + late, "applied": how.apply, "strategies": rows})

    def _require_there(self, runners: Sequence[StrategyRunner]) -> None:
        """A reload may have removed one meanwhile: what it took over then nobody would look after."""
        there = self._context.gate.strategies
        gone = [runner.strat_id for runner in runners if there.get(runner.strat_id) is not runner.risk_state]
        if gone:
            names = ", ".join(gone)
            raise ValueError(f"expected the strategies of before, got a reload that removed {names}; look again")

    async def _compare(self) -> str:
        """Bring the orders into the books; what is to be said when that has to wait."""
        try:
            await self._reconcile("orders were adopted")
        except ExchangeError as error:
            return f"; they are the strategy's, and followed when the exchange answers again: {error}"
        return ""

    def _plan(
        self, runner: StrategyRunner, listing: Iterable[OrderUpdateEvent], unreadable: set[str], how: HowToAdopt
    ) -> _Plan:
        book = runner.book
        rows = [
            row
            for row in listing
            if row.symbol == runner.symbol and not (book.get(row.order_link_id) or book.get(row.order_id))
        ]
        price = runner.risk_state.last_price
        if runner.symbol in unreadable:
            return _Plan(runner, refused="the exchange lists an order of this symbol that cannot be read")
        if price is None:
            return _Plan(runner, refused="no price is known yet; try again in a moment")
        laid = _ladder_orders(runner, rows) if how.ladder else ()
        try:
            wishes = _wishes_on(runner, laid, price) if how.ladder else runner.engine.wishes(price)
        except CannotTrade as error:
            return _Plan(runner, refused=str(error))
        wanted = wanted_of(runner, wishes)
        return _Plan(runner, match(rows, wanted, runner.instrument, any_quantity=how.any_quantity), laid=laid)

    def _take(self, plans: Sequence[_Plan], how: HowToAdopt) -> int:
        """Record whose the orders are: between two events of the loop, so nobody has seen half of it."""
        count = 0
        for plan in plans:
            runner, found = plan.runner, plan.matching.of(Fit.ADOPTED)
            if plan.refused or not found:
                continue
            if plan.laid and isinstance(runner.engine, LaysLadder):
                runner.engine.lay_on(plan.laid)
                runner.saving.save()
            for each in found:
                self._context.record_order(unfollowed_orders.of_adoption(runner.strat_id, each.row, how.who))
            count += len(found)
        self._write()
        return count


def wanted_of(runner: StrategyRunner, wishes: Sequence[Wish]) -> list[WantedOrder]:
    """What a strategy would have rest, sized as of now. A close has the quantity it had were it the only one."""
    taken = {(order.direction, order.ticks) for order in runner.book}
    return [
        WantedOrder(
            wish.side,
            wish.direction,
            runner.instrument.price(wish.ticks),
            _quantity(runner, wish),
            wish.closes,
            (wish.direction, wish.ticks) in taken,
        )
        for wish in wishes
    ]


def _quantity(runner: StrategyRunner, wish: Wish) -> Decimal:
    intent = PlaceLimitIntent(runner.symbol, wish.side, wish.ticks, wish.direction, reduce_only=wish.closes, level=0)
    if not wish.closes:
        return runner.placement.proposal(intent).qty
    price = runner.instrument.price(wish.ticks)
    return runner.sizer.quantity(wish.direction, wish.side, price, resting_close=ZERO)


def _require_held(runners: Sequence[StrategyRunner]) -> None:
    free = [runner.strat_id for runner in runners if not any(hold in runner.risk_state.holds.held for hold in HELD)]
    if free:
        raise ValueError(
            f"expected every strategy to be paused, got {', '.join(free)} that may place orders; pause first, so that "
            "none is placed beside those that are taken over"
        )


def _is_followed(runner: StrategyRunner, each: Judged) -> bool:
    order = runner.book.get(each.row.order_link_id or each.row.order_id)
    return order is not None and order.state in (OrderState.OPEN, OrderState.PARTIALLY_FILLED)


def _lost(plan: _Plan) -> frozenset[str]:
    adopted = plan.matching.of(Fit.ADOPTED)
    return frozenset(each.row.order_id for each in adopted if not _is_followed(plan.runner, each))


def _ladder_orders(runner: StrategyRunner, rows: Iterable[OrderUpdateEvent]) -> list[tuple[int, Side]]:
    """Where the ladder of another program is: by its orders, and by those that are the strategy's already.

    Some may be: adopted before, or made by the original under an id that our layout of before gives as well.
    """
    limits = (row for row in rows if row.direction is not None and row.order_type == "Limit" and row.price > 0)
    own = [(order.ticks, order.side) for order in runner.book if order.is_live]
    return [*own, *((runner.instrument.ticks(row.price), row.side) for row in limits)]


def _wishes_on(runner: StrategyRunner, orders: Sequence[tuple[int, Side]], price: Decimal) -> Sequence[Wish]:
    if not isinstance(runner.engine, LaysLadder):
        raise _no_ladder(runner, "a strategy with a ladder", "another kind")
    wishes = runner.engine.wishes_on(orders, price)
    levels = {(wish.direction, wish.ticks, wish.side) for wish in wishes}
    left = [order for order in runner.book if (order.direction, order.ticks, order.side) not in levels]
    if left:
        places = ", ".join(str(order.price) for order in left[:3])
        raise _no_ladder(runner, "its own orders on the new levels too", f"{len(left)} beside them ({places})")
    return wishes


def _no_ladder(runner: StrategyRunner, expected: str, got: str) -> CannotTrade:
    text = f"{runner.symbol}: its ladder is not moved: expected {expected}, got {got}"
    return CannotTrade(text, key="strategy", expected=expected, got=got, do="leave the ladder where it is")


# ---------------------------------------------------------------------- what is told


def _said(plans: Sequence[_Plan], how: HowToAdopt) -> str:
    counts = {fit: sum(len(plan.matching.of(fit)) for plan in plans) for fit in Fit}
    absent = sum(len(plan.matching.absent) for plan in plans)
    verb = "adopted" if how.apply else "would be adopted"
    refused = "".join(f"; {plan.runner.strat_id}: {plan.refused}" for plan in plans if plan.refused)
    return (
        f"{counts[Fit.ADOPTED]} {verb}, {counts[Fit.NEAR]} near misses and {counts[Fit.FOREIGN]} foreign orders left, "
        f"{absent} wanted and absent{refused}"
    )


def strategy_row(plan: _Plan, how: HowToAdopt) -> dict[str, Any]:
    """One strategy, JSON-able: its orders with how each fits and why not, and what is wanted and absent."""
    runner = plan.runner
    return {
        "strategy": runner.strat_id,
        "symbol": runner.symbol,
        "held": any(hold in runner.risk_state.holds.held for hold in HELD),
        "refused": plan.refused,
        "ladder_laid": bool(plan.laid) and not plan.refused and (how.apply and bool(plan.matching.of(Fit.ADOPTED))),
        "orders": [_order_row(each, plan.lost) for each in plan.matching.judged],
        "absent": [_wanted_row(each) for each in plan.matching.absent],
    }


def _order_row(each: Judged, lost: Collection[str]) -> dict[str, Any]:
    row = each.row
    why = "it has ended since; its fills count" if row.order_id in lost else each.why
    return {
        "order_id": row.order_id,
        "order_link_id": row.order_link_id,
        "side": str(row.side),
        "direction": str(row.direction or ""),
        "price": str(row.price),
        "qty": str(row.qty),
        "filled": str(row.cum_exec_qty),
        "reduce_only": row.reduce_only,
        "fit": str(each.fit),
        "level": "" if each.wanted is None else str(each.wanted.price),
        "why": why,
    }


def _wanted_row(wanted: WantedOrder) -> Mapping[str, str]:
    verb = "close" if wanted.closes else "open"
    return {
        "side": str(wanted.side),
        "direction": str(wanted.direction),
        "price": str(wanted.price),
        "qty": str(wanted.qty),
        "what": f"{verb} {wanted.direction}",
    }
