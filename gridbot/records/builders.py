"""Builds records from events, orders, proposals and grids."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

import orjson

from gridbot.core import (
    Direction,
    ExecType,
    ExecutionEvent,
    OrderStatus,
    OrderUpdateEvent,
    PositionEvent,
    Side,
    TickerEvent,
    WalletEvent,
)
from gridbot.core.account_legs import Correction
from gridbot.core.leg_history import Holding
from gridbot.core.vocabulary import SETTLE_COIN
from gridbot.exchange.requests import PublicTrade
from gridbot.orders.order import TrackedOrder, Transition
from gridbot.orders.proposal import Proposal
from gridbot.records.record_types import (
    AdjustmentRecord,
    CorrectionRecord,
    ExecutionRecord,
    GridRecord,
    IntentRecord,
    Json,
    OrderRecord,
    PositionRecord,
    PublicTradeRecord,
    RawMessageRecord,
    TickerRecord,
    UtcMs,
    WalletRecord,
)
from gridbot.strategies.base import Ladder

LEVELS_KEPT: Final = 2_000

__all__ = [
    "correction_of",
    "execution_of",
    "of_adjustment",
    "of_cancel",
    "of_correction",
    "of_execution",
    "of_grid",
    "of_position",
    "of_proposal",
    "of_public_trade",
    "of_ticker",
    "of_transition",
    "of_wallet",
    "position_of",
    "raw_execution",
    "raw_order",
]


def of_proposal(
    strategy: str,
    symbol: str,
    proposal: Proposal,
    *,
    verdict: str,
    reason: str = "",
    link_id: str = "",
    ticker: TickerEvent | None,
) -> IntentRecord:
    """An order that the strategy wanted, and what became of it."""
    return IntentRecord(
        strategy=strategy,
        symbol=symbol,
        action="place",
        direction=proposal.direction,
        side=proposal.side,
        price=proposal.price,
        qty=proposal.qty,
        reduce_only=proposal.reduce_only,
        verdict=verdict,
        reason=reason,
        order_link_id=link_id,
        last_price=ticker.last_price if ticker else None,
        exchange_ts=UtcMs(ticker.exchange_ts) if ticker else None,
    )


def of_cancel(order: TrackedOrder, *, verdict: str, reason: str, ticker: TickerEvent | None) -> IntentRecord:
    """A cancel that was decided, and why."""
    return IntentRecord(
        strategy=order.strat_id,
        symbol=order.symbol,
        action="cancel",
        direction=order.direction,
        side=order.side,
        price=order.price,
        reduce_only=order.reduce_only,
        verdict=verdict,
        reason=reason,
        order_link_id=order.link_id,
        last_price=ticker.last_price if ticker else None,
        exchange_ts=UtcMs(ticker.exchange_ts) if ticker else None,
    )


def of_transition(transition: Transition, *, shadow: bool, ret_code: int | None = None) -> OrderRecord:
    """One step in the life of an order."""
    order = transition.order
    return OrderRecord(
        strategy=order.strat_id,
        symbol=order.symbol,
        order_link_id=order.link_id,
        order_id=order.order_id,
        direction=order.direction,
        side=order.side,
        price=order.price,
        qty=order.qty,
        cum_exec_qty=order.cum_exec_qty,
        reduce_only=order.reduce_only,
        state=transition.after,
        attempt=order.attempt,
        ret_code=ret_code,
        reason=transition.reason,
        shadow=shadow,
        exchange_ts=UtcMs(transition.exchange_ts) if transition.exchange_ts else None,
    )


def of_execution(
    strategy: str, execution: ExecutionEvent, realised: Decimal, *, shadow: bool, source: str
) -> ExecutionRecord:
    """One execution, with the profit it realised."""
    return ExecutionRecord(
        strategy=strategy,
        symbol=execution.symbol,
        exec_id=execution.exec_id,
        order_id=execution.order_id,
        order_link_id=execution.order_link_id,
        direction=execution.direction,
        side=execution.side,
        price=execution.price,
        qty=execution.qty,
        leaves_qty=execution.leaves_qty,
        closed_size=execution.closed_size,
        fee=execution.fee,
        realised_pnl=realised,
        exec_type=execution.exec_word or execution.exec_type,
        is_maker=execution.is_maker,
        shadow=shadow,
        source=source,
        exchange_seq=execution.seq,
        exchange_pnl=execution.realised,
        fee_currency=execution.fee_currency,
        taxes=execution.taxes,
        other_fees=_json({coin: str(fee) for coin, fee in execution.other_fees}) if execution.other_fees else None,
        exchange_ts=UtcMs(execution.exchange_ts),
    )


def of_correction(correction: Correction) -> CorrectionRecord:
    """What is to be added to the figures of one execution."""
    return CorrectionRecord(
        strategy=correction.strategy,
        symbol=correction.symbol,
        direction=correction.direction,
        exec_id=correction.exec_id,
        realised_pnl=correction.realised,
        fee=correction.fee,
        exec_type=correction.exec_type,
        is_maker=correction.is_maker,
        shadow=correction.shadow,
        final=correction.final,
        reason=correction.reason,
        exchange_ts=UtcMs(correction.exchange_ts),
    )


def correction_of(record: CorrectionRecord) -> Correction:
    """The correction that a record was built from."""
    return Correction(
        strategy=record.strategy,
        symbol=record.symbol,
        direction=Direction(record.direction),
        exec_id=record.exec_id,
        exec_type=ExecType(record.exec_type),
        is_maker=record.is_maker,
        shadow=record.shadow,
        exchange_ts=record.exchange_ts,
        realised=record.realised_pnl,
        fee=record.fee,
        final=record.final,
        reason=record.reason,
    )


def of_adjustment(strategy: str, row: PositionEvent, ours: Holding, reason: str) -> AdjustmentRecord:
    """A row of the exchange that was believed instead of what our executions add up to."""
    return AdjustmentRecord(
        strategy=strategy,
        symbol=row.symbol,
        direction=row.direction,
        size_before=ours.size,
        entry_before=round(ours.entry, 12) if ours.cost else None,
        size=row.size,
        entry_price=row.entry_price,
        reason=reason,
        exchange_seq=row.seq,
        exchange_ts=UtcMs(row.exchange_ts),
    )


def position_of(record: AdjustmentRecord) -> PositionEvent:
    """The row that was believed."""
    return PositionEvent(
        symbol=record.symbol,
        direction=Direction(record.direction),
        size=record.size,
        entry_price=record.entry_price,
        seq=record.exchange_seq,
        exchange_ts=record.exchange_ts,
    )


def execution_of(record: ExecutionRecord) -> ExecutionEvent:
    """The event that a record was built from, for counting the journal's executions at start."""
    return ExecutionEvent(
        symbol=record.symbol,
        exec_id=record.exec_id,
        order_id=record.order_id,
        order_link_id=record.order_link_id,
        side=Side(record.side),
        price=record.price,
        qty=record.qty,
        leaves_qty=record.leaves_qty,
        fee=record.fee,
        closed_size=record.closed_size,
        exec_type=ExecType(record.exec_type),
        exec_word=record.exec_type,
        fee_currency=record.fee_currency or SETTLE_COIN,
        taxes=record.taxes or Decimal(0),
        other_fees=_fees_of(record.other_fees),
        is_maker=record.is_maker,
        exchange_ts=record.exchange_ts,
        seq=record.exchange_seq or 0,
        realised=record.exchange_pnl,
    )


def of_position(
    strategy: str,
    position: PositionEvent,
    *,
    multipliers: tuple[Decimal, Decimal],
    rule: str,
    shadow: bool,
    source: str,
) -> PositionRecord:
    """A leg as it is now, with the (Buy, Sell) multipliers and the risk rule in force."""
    return PositionRecord(
        strategy=strategy,
        symbol=position.symbol,
        direction=position.direction,
        size=position.size,
        entry_price=position.entry_price,
        mark_price=position.mark_price,
        liq_price=position.liq_price,
        leverage=position.leverage,
        unrealised_pnl=position.unrealised_pnl,
        multiplier_buy=multipliers[0],
        multiplier_sell=multipliers[1],
        rule=rule,
        shadow=shadow,
        source=source,
        exchange_ts=UtcMs(position.exchange_ts) if position.exchange_ts else None,
    )


def of_wallet(wallet: WalletEvent, *, source: str) -> WalletRecord:
    """The settle coin after a change."""
    return WalletRecord(
        coin=wallet.coin,
        wallet_balance=wallet.wallet_balance,
        equity=wallet.equity,
        available_balance=wallet.available_balance,
        unrealised_pnl=wallet.unrealised_pnl,
        total_initial_margin=wallet.total_initial_margin,
        total_maintenance_margin=wallet.total_maintenance_margin,
        source=source,
        exchange_ts=UtcMs(wallet.exchange_ts) if wallet.exchange_ts else None,
    )


def of_ticker(ticker: TickerEvent) -> TickerRecord:
    """A sampled price."""
    return TickerRecord(
        symbol=ticker.symbol,
        last_price=ticker.last_price,
        mark_price=ticker.mark_price,
        index_price=ticker.index_price,
        bid1_price=ticker.bid1_price,
        ask1_price=ticker.ask1_price,
        funding_rate=ticker.funding_rate,
        exchange_ts=UtcMs(ticker.exchange_ts) if ticker.exchange_ts else None,
    )


def of_grid(strategy: str, ladder: Ladder) -> GridRecord:
    """A ladder as it is now."""
    levels = ",".join(map(_level_texts(ladder.tick_size).__getitem__, ladder.levels))
    return GridRecord(
        strategy=strategy,
        symbol=ladder.symbol,
        version=ladder.version,
        anchor=ladder.anchor,
        last_fill=ladder.last_fill,
        levels=Json(f"[{levels}]"),
        exchange_ts=UtcMs(ladder.exchange_ts) if ladder.exchange_ts else None,
    )


class _LevelTexts(dict[tuple[int, Side | None], str]):
    """Levels as JSON, each made when it is first asked for: from ladder to ladder most are the same."""

    def __init__(self, tick_size: Decimal) -> None:
        super().__init__()
        self._tick_size = tick_size

    def __missing__(self, level: tuple[int, Side | None]) -> str:
        if len(self) >= LEVELS_KEPT:
            self.clear()
        ticks, side = level
        text = f'["{(ticks * self._tick_size).normalize():f}","{"Wait" if side is None else side.value}"]'
        self[level] = text
        return text


@lru_cache(maxsize=64)
def _level_texts(tick_size: Decimal) -> _LevelTexts:
    return _LevelTexts(tick_size)


def of_public_trade(trade: PublicTrade) -> PublicTradeRecord:
    """A trade of the market."""
    return PublicTradeRecord(
        symbol=trade.symbol,
        trade_id=trade.trade_id,
        side=trade.side,
        price=trade.price,
        qty=trade.qty,
        exchange_ts=UtcMs(trade.exchange_ts),
    )


def raw_execution(strategy: str, execution: ExecutionEvent) -> RawMessageRecord | None:
    """The execution as the exchange sent it; None for a hypothetical one."""
    return _raw(strategy, "execution", execution.exec_id, execution)


def raw_order(strategy: str, update: OrderUpdateEvent) -> RawMessageRecord | None:
    """The update as the exchange sent it, of an order that it ended by itself; None for any other order."""
    if update.status.is_open or update.status is OrderStatus.FILLED or update.cancel_type == "CancelByUser":
        return None
    return _raw(strategy, "order", update.order_id, update)


def _raw(strategy: str, topic: str, ref_id: str, event: ExecutionEvent | OrderUpdateEvent) -> RawMessageRecord | None:
    if event.raw is None:
        return None
    return RawMessageRecord(
        strategy=strategy,
        symbol=event.symbol,
        topic=topic,
        ref_id=ref_id,
        payload=_json(event.raw),
        exchange_ts=UtcMs(event.exchange_ts) if event.exchange_ts else None,
    )


def _fees_of(other: str | None) -> tuple[tuple[str, Decimal], ...]:
    return tuple((coin, Decimal(fee)) for coin, fee in orjson.loads(other).items()) if other else ()


def _json(value: list[Any] | Mapping[str, Any]) -> Json:
    return Json(orjson.dumps(value).decode())
