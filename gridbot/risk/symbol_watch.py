"""What may be sent for a symbol now: as the exchange lists it, as it answers, and as the account's margin mode allows.

Pure; `now_s` is monotonic.

::

    free ──Refused: reduce only──► reducing ──ten minutes without another──► free
    free ──Refused: not live─────► nothing ───a minute without another─────► free
    free ──isolated margin───────► reducing ──cross margin─────────────────► free

An answer says at once what the listing says later, or never (a region, an account). What holds is the strictest;
after its time the next order asks the exchange again.
"""

from __future__ import annotations

from dataclasses import replace

from gridbot.core import Instrument
from gridbot.exchange.failures import ExchangeError
from gridbot.exchange.remedies import remedy_for
from gridbot.risk.symbol_state import Allows, SymbolState, SymbolWord, margin_state, symbol_state

__all__ = ["REDUCE_ONLY_CODES", "SymbolWatch"]

REDUCE_ONLY_CODES = frozenset({30228, 110023, 110042})
"""The exchange takes closes only: delisting, a restriction, shortly before the delivery."""
REDUCING_S = 600.0
NOTHING_S = 60.0
_STRICTNESS = tuple(Allows)


class SymbolWatch:
    """One per strategy. `state` is what holds, as of the last event; the gate looks at it for each order."""

    def __init__(self, instrument: Instrument) -> None:
        self._listed = instrument
        self._answered = SymbolState()
        self._until_s = 0.0
        self._margin = SymbolState()
        self.is_isolated = False
        """Whether the account is in isolated margin or a mode that nobody knows, as it was read last."""
        self.state = SymbolState()

    def listed(self, instrument: Instrument) -> None:
        """The exchange's rules of the symbol were read. `look` applies them; an end that it does not tell stays."""
        if instrument.delivery_ms is None:
            instrument = replace(instrument, delivery_ms=self._listed.delivery_ms)
        self._listed = instrument

    def in_margin_mode(self, margin_mode: str) -> None:
        """The account's margin mode was read. `look` applies it; "" changes nothing."""
        self._margin = margin_state(self._listed.symbol, margin_mode) or self._margin
        self.is_isolated = self._margin.allows is not Allows.ALL

    def refused(self, error: ExchangeError, now_s: float) -> None:
        """The exchange has refused an order because of the state of its symbol."""
        symbol = self._listed.symbol
        reduces = error.ret_code in REDUCE_ONLY_CODES
        # Such refusals are not counted in `passage`: no other text shows their remedy.
        why = f"{error}; {remedy_for(error)}"
        if reduces:
            text = f"{symbol}: the exchange lets positions be reduced only: {why}"
            answered = SymbolState(SymbolWord.REDUCING, Allows.REDUCING, text)
        else:
            text = f"{symbol} takes no orders now, they wait: {why}"
            answered = SymbolState(SymbolWord.WAITING, Allows.NOTHING, text)
        if now_s >= self._until_s or _is_stricter(answered, self._answered):
            self._answered = answered
        self._until_s = now_s + (REDUCING_S if self._answered.allows is Allows.REDUCING else NOTHING_S)
        if _is_stricter(self._answered, self.state):
            self.state = self._answered

    def look(self, now_ms: int, now_s: float) -> None:
        """Time has passed, or the listing was read. `now_ms` is UTC."""
        listed = symbol_state(self._listed, now_ms)
        if now_s >= self._until_s:
            self._answered = SymbolState()
        self.state = listed
        for other in (self._answered, self._margin):
            if _is_stricter(other, self.state):
                self.state = other


def _is_stricter(one: SymbolState, other: SymbolState) -> bool:
    return _STRICTNESS.index(one.allows) > _STRICTNESS.index(other.allows)
