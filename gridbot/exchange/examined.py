"""What `doctor` reads of an account beside what a worker reads, as values. Amounts in USDT and base coin."""

from __future__ import annotations

from decimal import Decimal
from typing import Final, NamedTuple

from gridbot.core.vocabulary import Direction

__all__ = [
    "MAX_CLOCK_AHEAD_MS",
    "MAX_CLOCK_BEHIND_MS",
    "REFUSED_AHEAD_MS",
    "REFUSED_BEHIND_MS",
    "ClockReading",
    "DeadManState",
    "HeldLeg",
    "SymbolTerms",
]

MAX_CLOCK_AHEAD_MS: Final = 500
MAX_CLOCK_BEHIND_MS: Final = 3_000
"""What is worth a warning."""
REFUSED_AHEAD_MS: Final = 1_000
REFUSED_BEHIND_MS: Final = 5_000
"""From where on the exchange refuses a request with our time (10002); we send its time from 250 ms on."""


class ClockReading(NamedTuple):
    """How far our clock is ahead of the exchange's (ms; negative: behind), give or take half the way of the answer."""

    ahead_ms: float
    give_or_take_ms: float


class SymbolTerms(NamedTuple):
    """How an account trades a symbol. None: the exchange does not tell."""

    hedge: bool | None
    leverage: Decimal | None
    """The lower one of two legs."""


class HeldLeg(NamedTuple):
    """A position, in either mode. `unrealised` is at the mark price, `initial` and `maintenance` are its margins."""

    symbol: str
    direction: Direction
    size: Decimal
    entry_price: Decimal | None = None
    mark_price: Decimal | None = None
    unrealised: Decimal | None = None
    is_hedge: bool = True
    initial: Decimal = Decimal(0)
    maintenance: Decimal = Decimal(0)

    @property
    def value(self) -> Decimal:
        """USDT at the mark price, or at the entry; 0 where neither is told."""
        return self.size * (self.mark_price or self.entry_price or Decimal(0))


class DeadManState(NamedTuple):
    """Disconnect-cancel-all as the exchange has it for this account; without `may_use` it has none."""

    may_use: bool
    after_s: int = 0
