"""What the exchange has to say as the worker's events, made at once: the row of text and its reading are left out.

Each is exactly what the worker would read of the exchange's row (`tests/backtest/test_event_outbox.py`): no more than
eight decimals, None where the row has nothing. A charge in another coin than USDT, or a tax, still goes by its row.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_DOWN, Decimal
from typing import Any, Final

from gridbot.bybit.parse_account import parse_execution
from gridbot.core.events import ExecType, ExecutionEvent, OrderStatus, OrderUpdateEvent, PositionEvent, WalletEvent
from gridbot.core.vocabulary import SETTLE_COIN, Direction
from gridbot.paper.accounts.account import Account
from gridbot.paper.accounts.exchange_order import Execution, Order
from gridbot.paper.accounts.leg import Leg
from gridbot.paper.rows.order_rows import execution_row
from gridbot.paper.rows.outbox import Outbox, Push
from gridbot.paper.worth.valuation import Totals, Valuation

__all__ = ["EventOutbox", "leg_event", "wallet_event"]

ZERO: Final = Decimal(0)
UNIT, RATE = Decimal("0.00000001"), Decimal("0.0001")
TYPES: Final = {word: ExecType(word) for word in ("Trade", "Funding", "BustTrade")}


def told(value: Decimal) -> Decimal:
    """A number as a row has it."""
    rounded = value.quantize(UNIT)
    return value if value == rounded else rounded


def order_event(order: Order) -> OrderUpdateEvent:
    """A row of the order topic."""
    request, filled = order.request, order.cum_qty
    index = request.position_idx
    return OrderUpdateEvent(
        request.symbol,
        order.order_id,
        request.order_link_id,
        request.side,
        Direction.from_position_idx(index) if index else None,
        order.price,
        order.qty,
        order.status,
        filled,
        ZERO if order.status is OrderStatus.FILLED else order.leaves,
        (told(order.cum_value / filled) or None) if filled else None,
        request.reduce_only,
        order.cancel_type,
        order.reject_reason,
        "Limit" if request.price is not None else "Market",
        order.updated_ms,
        order.created_ms,
    )


def execution_event(execution: Execution) -> ExecutionEvent:
    """A row of the execution topic."""
    if execution.tax or execution.fee_coin != SETTLE_COIN:
        return parse_execution(execution_row(execution, stream=True))
    word = execution.exec_type
    kind = TYPES.get(word) or ExecType(word)
    closed, rate = execution.closed_size, execution.fee_rate
    return ExecutionEvent(
        symbol=execution.symbol,
        exec_id=execution.exec_id,
        order_id=execution.order_id,
        order_link_id=execution.order_link_id,
        side=execution.side,
        price=execution.price,
        qty=execution.qty,
        leaves_qty=execution.leaves_qty,
        fee=told(execution.fee),
        closed_size=closed or execution.qty if kind.only_closes else closed,
        exec_type=kind,
        exec_word=word,
        is_maker=execution.is_maker,
        exchange_ts=execution.time_ms,
        order_qty=execution.order_qty,
        order_price=execution.order_price,
        fee_rate=rate if rate == told(rate) else rate.quantize(UNIT, ROUND_DOWN),
        mark_price=execution.mark_price,
        seq=max(0, execution.seq),
        realised=told(execution.realised),
    )


def leg_event(
    account: Account, leg: Leg, valuation: Valuation, figures: Totals, *, stream: bool = False
) -> PositionEvent:
    """A row of position/list, or of the position topic."""
    symbol, size = leg.symbol, leg.size
    market = valuation.markets[symbol]
    mark, instrument = market.mark, market.instrument
    entry = liq = unrealised = initial = maintenance = None
    if size:
        entry, unrealised, margin = told(leg.entry) or None, told(leg.unrealised(mark)), figures.margin_of(leg)
        initial, maintenance = told(margin.initial), told(margin.maintenance)
        price = valuation.liquidation_price(account, leg, figures)
        if price is not None and instrument.min_price < price < instrument.max_price:
            liq = told(price) or None
    elif stream:
        unrealised = ZERO
    else:
        initial = maintenance = ZERO
    return PositionEvent(
        symbol,
        leg.direction,
        size,
        entry,
        mark,
        liq,
        valuation.leverage(account, symbol, leg.direction),
        unrealised,
        initial,
        maintenance,
        told(leg.total_realised),
        leg.status,
        leg.reduce_only,
        account.seq_of(leg),
        leg.updated_ms,
    )


def wallet_event(figures: Totals, exchange_ts: int, *, is_whole: bool = False) -> WalletEvent:
    """A row of the wallet topic, or (whole) of wallet-balance, in cross margin."""
    holdings, balance = figures.holdings, figures.equity
    initial, maintenance = figures.initial, figures.maintenance
    equity, has_rate = told(balance), balance > 0
    return WalletEvent(
        SETTLE_COIN,
        told(figures.wallet),
        equity,
        told(max(ZERO, balance - initial)),
        told(holdings.unrealised),
        equity,
        told(initial),
        told(maintenance),
        (initial / balance).quantize(RATE, ROUND_DOWN) if has_rate else None,
        (maintenance / balance).quantize(RATE, ROUND_DOWN) if has_rate else None,
        exchange_ts,
        is_whole=is_whole,
    )


class EventOutbox(Outbox):
    """`now_ms` is the exchange's clock: a wallet has the time of its frame."""

    def __init__(self, valuation: Valuation, seed: int, now_ms: Callable[[], int]) -> None:
        super().__init__(valuation, seed)
        self._now_ms = now_ms
        self._moved: set[str] = set()
        """Accounts of which the present step changed a leg."""
        self._owed: dict[str, tuple[Account, dict[tuple[str, bool], None]]] = {}

    def leg_changed(self, account: Account, leg: Leg) -> None:
        self._moved.add(account.name)
        account.changes.leg(leg)
        self._of(account).pairs[leg.symbol, leg.position_idx != 0] = None

    def flush(self) -> None:
        """What orders alone change of legs and wallet is told once, after all orders of a request."""
        changed = self._changed
        for name in [name for name, each in changed.items() if not each.executions and name not in self._moved]:
            changes = changed.pop(name)
            if changes.orders:
                self._pushes.append(Push(name, "order", changes.orders))
            self._owed.setdefault(name, (changes.account, {}))[1].update(changes.pairs)
        self._moved.clear()
        if changed:
            super().flush()

    def take(self) -> list[Push]:
        if self._owed:
            owed, self._owed = self._owed, {}
            for account, pairs in owed.values():
                self._push_values(account, pairs)
        return super().take()

    _order_row = staticmethod(order_event)  # type: ignore[assignment]  # the rows of these are events
    _execution_row = staticmethod(execution_event)  # type: ignore[assignment]

    def _leg_row(self, account: Account, leg: Leg, figures: Totals) -> Any:
        return leg_event(account, leg, self._valuation, figures, stream=True)

    def _wallet_row(self, account: Account, figures: Totals) -> Any:
        return wallet_event(figures, self._now_ms())
