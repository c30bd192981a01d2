"""What the exchange lets one do with a symbol: from its status, and from the time at which it is delivered. Pure.

::

    PendingOpen, PreLaunch ──► Trading ──a deliveryTime──► announced ──a day before──► reduce only
                                                                                          │ its time
                                             Closed ◄── Settling, Delivering ◄────────────┘

A perpetual has a delivery time only when it is going to be delisted (docs/bybit.md 2.3). The exchange itself refuses to
open anything some time before, and at the time settles what is left at the average index price of half an hour.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum

from gridbot.core.instrument import Instrument
from gridbot.core.quick_values import quick_value

__all__ = [
    "ISOLATED_MARGIN",
    "OPENS_STOP_MS",
    "SHARED_MARGIN",
    "WAITING",
    "Allows",
    "SymbolState",
    "SymbolWord",
    "day_of",
    "margin_state",
    "symbol_state",
]

OPENS_STOP_MS = 24 * 3600 * 1000
"""So long before its delivery a symbol is only reduced: a grid closes as the price moves, and needs time for it."""
WAITING = frozenset({"PendingOpen", "PreLaunch"})
SETTLING = frozenset({"Settling", "Delivering"})
ISOLATED_MARGIN = "ISOLATED_MARGIN"
SHARED_MARGIN = frozenset({"REGULAR_MARGIN", "PORTFOLIO_MARGIN"})
"""Margin modes in which all positions share the account's margin."""


class Allows(StrEnum):
    """Which orders may be sent, from all of them to none."""

    ALL = "all"
    REDUCING = "reducing"
    NOTHING = "nothing"


class SymbolWord(StrEnum):
    """What the state is called, for an operator."""

    TRADING = "trading"
    WAITING = "waiting"
    REDUCING = "reducing"
    SETTLING = "settling"
    DELISTED = "delisted"


@quick_value(frozen=True, slots=True)
class SymbolState:
    """`text` is a sentence for the operator; empty when there is nothing to say."""

    word: SymbolWord = SymbolWord.TRADING
    allows: Allows = Allows.ALL
    text: str = ""


def symbol_state(instrument: Instrument, now_ms: int) -> SymbolState:
    """The state at `now_ms` (UTC). A status that nobody knows is one to wait in."""
    symbol, status, ends_ms = instrument.symbol, instrument.status, instrument.delivery_ms
    if status in WAITING:
        text = f"{symbol} is {status}: the strategy waits until it trades"
        return SymbolState(SymbolWord.WAITING, Allows.NOTHING, text)
    if status == "Closed":
        text = f"{symbol} is Closed: it was delisted; take its strategy out of the configuration"
        return SymbolState(SymbolWord.DELISTED, Allows.NOTHING, text)
    if status in SETTLING:
        text = f"{symbol} is {status}: the exchange cancels what rests and settles what is held; nothing is placed"
        return SymbolState(SymbolWord.SETTLING, Allows.NOTHING, text)
    if status != "Trading":
        text = f"{symbol} is {status}, which gridbot does not know: the strategy waits until it is Trading"
        return SymbolState(SymbolWord.WAITING, Allows.NOTHING, text)
    return _leaving(symbol, ends_ms, now_ms) if ends_ms else SymbolState()


def margin_state(symbol: str, margin_mode: str) -> SymbolState | None:
    """The state that the account's margin mode allows at most (`account/info`); None when an answer has no mode.

    In isolated margin each leg has its own margin and is liquidated alone, and no figure of the account says what is
    left: nothing is made larger. Nor in a mode that nobody knows.
    """
    if not margin_mode:
        return None
    if margin_mode in SHARED_MARGIN:
        return SymbolState()
    mode = "isolated margin" if margin_mode == ISOLATED_MARGIN else f"{margin_mode}, a margin mode nobody knows"
    text = f"{symbol}: the account is in {mode}, positions are reduced only: switch it to cross on Bybit"
    return SymbolState(SymbolWord.REDUCING, Allows.REDUCING, text)


def _leaving(symbol: str, ends_ms: int, now_ms: int) -> SymbolState:
    date = day_of(ends_ms)
    if now_ms >= ends_ms:
        text = f"{symbol} delisted on {date}: the exchange settles what is held; nothing is placed"
        return SymbolState(SymbolWord.SETTLING, Allows.NOTHING, text)
    if now_ms >= ends_ms - OPENS_STOP_MS:
        text = f"{symbol} delists on {date}: reduce only, close by then; the exchange settles what is left"
        return SymbolState(SymbolWord.REDUCING, Allows.REDUCING, text)
    text = f"{symbol} delists on {date}: reduce only from {day_of(ends_ms - OPENS_STOP_MS)} on, close by then"
    return SymbolState(text=text)


def day_of(at_ms: int) -> str:
    """A time (ms UTC) as an operator reads it."""
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M} UTC"
