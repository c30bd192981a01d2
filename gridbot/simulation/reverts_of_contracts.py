"""Fixes about the life of a contract taken out again (`reverts` names them)."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

from gridbot.core import Direction, Instrument
from gridbot.exchange.failures import ExchangeError
from gridbot.risk import symbol_watch
from gridbot.risk.strategy_state import Leg, StrategyRiskState
from gridbot.risk.symbol_state import Allows, SymbolState, symbol_state
from gridbot.risk.symbol_watch import SymbolWatch
from gridbot.simulation.taken_out import replaced, together
from gridbot.worker.notice_watch import NoticeWatch

__all__ = ["open_until_delisted", "order_before_it_trades", "overlook_cuts", "read_no_notices"]


def _without(ignored: Allows) -> AbstractContextManager[Any]:
    """What stands in the listing, and what answers say, is overlooked where it allows just this much."""
    refused = SymbolWatch.refused

    def listed(instrument: Instrument, now_ms: int) -> SymbolState:
        found = symbol_state(instrument, now_ms)
        return SymbolState(text=found.text) if found.allows is ignored else found

    def answered(watch: SymbolWatch, error: ExchangeError, now_s: float) -> None:
        is_reducing = error.ret_code in symbol_watch.REDUCE_ONLY_CODES
        if is_reducing is not (ignored is Allows.REDUCING):
            refused(watch, error, now_s)

    return together(
        replaced(symbol_watch, symbol_state=listed),
        replaced(SymbolWatch, refused=answered),
    )


def order_before_it_trades() -> AbstractContextManager[Any]:
    """A symbol that does not trade gets orders like any other."""
    return _without(Allows.NOTHING)


def open_until_delisted() -> AbstractContextManager[Any]:
    """Positions are opened until the exchange settles them."""
    return _without(Allows.REDUCING)


def overlook_cuts() -> AbstractContextManager[Any]:
    """A leg that may only be reduced is opened like any other."""
    real = StrategyRiskState.set_leg

    def set_leg(state: StrategyRiskState, direction: Direction, leg: Leg) -> None:
        real(state, direction, replace(leg, reduce_only=False))

    return together(
        replaced(StrategyRiskState, set_leg=set_leg),
        _without(Allows.REDUCING),
    )


def read_no_notices() -> AbstractContextManager[Any]:
    """Nobody reads what the exchange announces."""

    async def read(watch: NoticeWatch) -> None:
        """Nothing."""

    return replaced(NoticeWatch, read=read)
