"""Leverage, position mode and margin mode, and the margin of legs in isolated margin. Pure.

Sources of what Bybit documents: docs/bybit.md 2.5 and 2.6; of what it does not: docs/paper.md, "Where nobody knows".
"""

from __future__ import annotations

from decimal import Decimal

from gridbot.core.vocabulary import Direction
from gridbot.paper.accounts.account import Account
from gridbot.paper.accounts.leg import Leg
from gridbot.paper.api_error import ApiError
from gridbot.paper.ledger.exchange_state import ExchangeState
from gridbot.paper.rows.outbox import Outbox

__all__ = ["PositionSettings"]

ZERO = Decimal(0)


class PositionSettings:
    """Changes settings, or refuses with `ApiError` and changes nothing."""

    def __init__(self, state: ExchangeState, outbox: Outbox) -> None:
        self._state = state
        self._outbox = outbox

    def set_leverage(self, account: Account, symbol: str, buy: Decimal, sell: Decimal, now_ms: int) -> None:
        """Set the leverage of both sides, which differ in isolated margin and hedge mode only."""
        state = self._state
        if buy != sell and not (account.isolated and state.is_hedge(account, symbol)):
            mode = "the cross margin mode" if not account.isolated else "the one-way position mode"
            raise ApiError(10001, f"buy leverage must equal sell leverage under {mode}")
        before = tuple(state.valuation.leverage(account, symbol, direction) for direction in Direction)
        if (buy, sell) == before:
            raise ApiError(110043, "leverage not modified")
        if not all(1 <= leverage <= state.markets[symbol].instrument.max_leverage for leverage in (buy, sell)):
            raise ApiError(110013, "cannot set leverage gt maxLeverage by risk limit")
        self._set(account, symbol, buy, sell)
        lowered = buy < before[0] or sell < before[1]
        refusal = None
        if lowered and state.valuation.available(account) < 0:
            refusal = ApiError(110007, "ab not enough for new leverage")
        elif account.isolated and self._would_liquidate(account, symbol):
            refusal = _liquidates()
        if refusal is not None:
            self._set(account, symbol, *before)
            raise refusal
        for leg in state.legs(account, symbol):
            leg.updated_ms = now_ms
            self._outbox.leg_changed(account, leg)
        self._outbox.flush()

    def _set(self, account: Account, symbol: str, buy: Decimal, sell: Decimal) -> None:
        account.leverage[symbol] = buy
        account.sell_leverage.pop(symbol, None)
        if sell != buy:
            account.sell_leverage[symbol] = sell
        account.changes.settings()
        self._reserve_again(account, symbol)

    def _reserve_again(self, account: Account, symbol: str) -> None:
        for order in account.resting_on(symbol):
            account.reserve(order, self._state.valuation.order_margin(account, order))

    def _would_liquidate(self, account: Account, symbol: str = "") -> bool:
        return any(
            self._state.valuation.is_due(account, leg)
            for leg in account.legs.values()
            if leg.size and symbol in ("", leg.symbol)
        )

    def switch_mode(self, account: Account, symbol: str, *, hedge: bool) -> None:
        if self._state.is_hedge(account, symbol) is hedge:
            raise ApiError(110025, "Position mode is not modified")
        if any(leg.size for (name, _), leg in account.legs.items() if name == symbol):
            raise ApiError(110024, "You have an existing position, so the position mode cannot be switched")
        if account.open_by_symbol.get(symbol):
            raise ApiError(110028, "You have existing open orders, so the position mode cannot be switched")
        account.hedge[symbol] = hedge
        self._one_leverage(account, [symbol])
        account.changes.settings()

    def set_margin_mode(self, account: Account, now_ms: int, *, isolated: bool) -> None:
        """Switch the whole account. Positions and orders may stand, if the margin they need afterwards is there.

        Margin that was added to legs is free again in cross margin; both sides of a symbol get their lower leverage.
        """
        if account.isolated is isolated:
            return
        leverages = account.leverage.copy(), account.sell_leverage.copy()
        extras = [(leg, leg.extra) for leg in account.legs.values()]
        self._switch_margin(account, isolated=isolated)
        refusal = self._too_little(account)
        if refusal:
            account.isolated = not isolated
            account.leverage, account.sell_leverage = leverages
            for leg, extra in extras:
                leg.extra = extra
            for symbol in leverages[1]:
                self._reserve_again(account, symbol)
            raise ApiError(
                3400045,
                "Set margin mode failed",
                result={"reasons": [{"reasonCode": str(refusal.code), "reasonMsg": refusal.message}]},
            )
        account.mode_ms = now_ms
        account.changes.settings()
        for leg in account.legs.values():
            account.changes.leg(leg)  # what was added to its margin is gone, of a flat one too
            if leg.size:
                self._outbox.leg_changed(account, leg)
        self._outbox.wallet_changed(account)
        self._outbox.flush()

    def _switch_margin(self, account: Account, *, isolated: bool) -> None:
        account.isolated = isolated
        for leg in account.legs.values():
            leg.extra = ZERO
        self._one_leverage(account, list(account.sell_leverage))

    def _one_leverage(self, account: Account, symbols: list[str]) -> None:
        for symbol in symbols:
            if symbol in account.sell_leverage:
                lower = min(self._state.valuation.leverage(account, symbol, direction) for direction in Direction)
                self._set(account, symbol, lower, lower)

    def _too_little(self, account: Account) -> ApiError | None:
        """Why an account cannot stay as it is now."""
        figures = self._state.valuation.totals(account)
        if figures.available < 0:
            return ApiError(110006, "The available balance does not cover the margin of positions and orders")
        is_due = self._would_liquidate(account) if account.isolated else 0 < figures.equity <= figures.maintenance
        return _liquidates() if is_due else None

    def add_margin(self, account: Account, leg: Leg, amount: Decimal, now_ms: int) -> None:
        """Add to a leg's margin, or take back of what was added (below 0), in USDT."""
        if not account.isolated:
            raise ApiError(110015, "The position is in cross margin")
        if not leg.size:
            raise ApiError(110033, "Margin cannot be set without open position")
        if not amount:
            raise ApiError(110027, "Margin is not modified")
        if amount > self._state.valuation.available(account):
            raise ApiError(110014, "Insufficient available balance to add additional margin.")
        if -amount > max(ZERO, leg.extra):
            raise ApiError(110078, "Added margin more than max can reduce margin")
        leg.extra += amount
        if amount < 0 and self._state.valuation.is_due(account, leg):
            leg.extra -= amount
            raise _liquidates()
        self._margin_changed(account, leg, now_ms)

    def set_auto_add(self, account: Account, leg: Leg, now_ms: int, *, on: bool) -> None:
        """Let the exchange add to a leg's margin before it liquidates the leg, or no longer."""
        if not account.isolated:
            raise ApiError(110076, "Only isolated mode can set auto-add-margin")
        leg.auto_add = on
        self._margin_changed(account, leg, now_ms)

    def _margin_changed(self, account: Account, leg: Leg, now_ms: int) -> None:
        leg.updated_ms = now_ms
        self._outbox.leg_changed(account, leg)
        self._outbox.flush()


def _liquidates() -> ApiError:
    return ApiError(110011, "Any adjustments made will trigger immediate liquidation")
