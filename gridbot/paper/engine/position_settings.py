"""Leverage and position mode of a symbol. Pure."""

from __future__ import annotations

from decimal import Decimal

from gridbot.paper.accounts.account import Account
from gridbot.paper.api_error import ApiError
from gridbot.paper.ledger.exchange_state import ExchangeState
from gridbot.paper.rows.outbox import Outbox

__all__ = ["PositionSettings"]


class PositionSettings:
    """Changes settings, or refuses with `ApiError` and changes nothing."""

    def __init__(self, state: ExchangeState, outbox: Outbox) -> None:
        self._state = state
        self._outbox = outbox

    def set_leverage(self, account: Account, symbol: str, leverage: Decimal, now_ms: int) -> None:
        valuation = self._state.valuation
        if leverage == valuation.leverage(account, symbol):
            raise ApiError(110043, "leverage not modified")
        if not 1 <= leverage <= self._state.markets[symbol].instrument.max_leverage:
            raise ApiError(110013, "cannot set leverage gt maxLeverage by risk limit")
        before = account.leverage.get(symbol)
        account.leverage[symbol] = leverage
        account.changes.settings()
        self._reserve_again(account, symbol)
        if valuation.totals(account).available < 0 and (before is None or leverage < before):
            account.leverage[symbol] = before or self._state.config.default_leverage
            self._reserve_again(account, symbol)
            raise ApiError(110007, "ab not enough for new leverage")
        for leg in self._state.legs(account, symbol):
            leg.updated_ms = now_ms
            self._outbox.leg_changed(account, leg)
        self._outbox.flush()

    def _reserve_again(self, account: Account, symbol: str) -> None:
        for order in account.resting_on(symbol):
            account.reserve(order, self._state.valuation.order_margin(account, order))

    def switch_mode(self, account: Account, symbol: str, *, hedge: bool) -> None:
        if self._state.is_hedge(account, symbol) is hedge:
            raise ApiError(110025, "Position mode is not modified")
        if any(leg.size for (name, _), leg in account.legs.items() if name == symbol):
            raise ApiError(110024, "You have an existing position, so the position mode cannot be switched")
        if account.open_by_symbol.get(symbol):
            raise ApiError(110028, "You have existing open orders, so the position mode cannot be switched")
        account.hedge[symbol] = hedge
        account.changes.settings()
