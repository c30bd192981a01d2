"""Both legs of one strategy as the exchange has them. A change updates risk state and multipliers, and is recorded."""

from __future__ import annotations

import logging
from collections.abc import Callable
from decimal import Decimal

from gridbot.core import Direction, PositionEvent
from gridbot.core.exchange_sequence import is_outdated
from gridbot.records import builders
from gridbot.risk.strategy_state import Leg, StrategyRiskState
from gridbot.worker.context import RecordSink
from gridbot.worker.log_repeats import Repeats
from gridbot.worker.position_sizer import PositionSizer

__all__ = ["StrategyPositions"]

ZERO = Decimal(0)

Log = logging.LoggerAdapter[logging.Logger]


class StrategyPositions:
    """Sizes in base coin, prices and PnL in USDT."""

    def __init__(
        self,
        risk_state: StrategyRiskState,
        sizer: PositionSizer,
        recorder: RecordSink,
        *,
        log: Log,
        is_shadow: bool,
        now_s: Callable[[], float],
    ) -> None:
        self._risk_state = risk_state
        self._sizer = sizer
        self._recorder = recorder
        self._log = log
        self._repeats = Repeats(now_s)
        self._is_shadow = is_shadow
        self._rule = sizer.rule
        """The one that was told last."""
        self._latest: dict[Direction, PositionEvent] = {}

    def update(self, position: PositionEvent, source: str) -> None:
        """Update a leg with what the exchange reports; a flat leg counts like any other.

        `source` is stream, rest or shadow. Streams repeat old figures and answers are late: a row that is older than
        the one we have, by its own time and sequence number, is ignored wherever it comes from. While the leg is
        unsure, the exchange has contradicted the stream's figures, and only a reading by REST counts.
        """
        before = self._latest.get(position.direction)
        leg = self._risk_state.legs[position.direction]
        if source == "stream" and leg.unsure:
            return
        if source != "shadow" and before is not None and is_outdated(position, before):
            return
        self._latest[position.direction] = position
        leverage = position.leverage or leg.leverage
        reduce_only = leg.reduce_only if position.reduce_only is None else position.reduce_only
        known = leg.size, leg.entry_price, leg.leverage, leg.reduce_only
        if leg.unsure or known != (position.size, position.entry_price, leverage, reduce_only):
            new = Leg(position.size, position.entry_price, leverage, reduce_only=reduce_only)
            self._risk_state.set_leg(position.direction, new)
        self._assess(position)
        changed = before is None or (before.size, before.entry_price) != (position.size, position.entry_price)
        if changed or source == "rest":
            self.record(position, source)

    def judge_again(self) -> None:
        """The settings of the risk rules are others: judge both legs by them."""
        for position in list(self._latest.values()):
            self._assess(position)

    def liq_price(self, direction: Direction) -> Decimal | None:
        """The exchange's liquidation price of a leg; None when it gave none."""
        position = self._latest.get(direction)
        return position.liq_price if position else None

    def unrealised(self, direction: Direction) -> Decimal | None:
        """A leg's unrealised PnL at the mark price when that is known, else at the last price."""
        leg = self._risk_state.legs[direction]
        ticker = self._risk_state.ticker
        if leg.size == 0:
            return ZERO
        price = (ticker.mark_price or ticker.last_price) if ticker else None
        if price is None or leg.entry_price is None:
            return None
        move = price - leg.entry_price if direction is Direction.LONG else leg.entry_price - price
        return move * leg.size

    def _assess(self, position: PositionEvent) -> None:
        """Recompute the risk multipliers from what is known now; unknown is not zero (incident L25)."""
        if not self._sizer.assess(position, self._risk_state.last_price):
            return
        self._risk_state.sizes_changed()
        before, self._rule = self._rule, self._sizer.rule
        if self._rule != before:
            change = f"[risk] rule {before or 'none'} -> {self._rule or 'none'}"
            tail = self._repeats.tail(change)  # a balanced grid goes to and fro at each fill
            if tail is not None:
                self._log.info("%s%s", change, tail)

    def record(self, position: PositionEvent, source: str) -> None:
        """Record a leg as it was read, with the multipliers in force."""
        self._recorder.record(
            builders.of_position(
                self._risk_state.strat_id,
                position,
                multipliers=self._sizer.multipliers(position.direction),
                rule=self._sizer.rule,
                shadow=self._is_shadow,
                source=source,
            )
        )
