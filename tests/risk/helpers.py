"""A gate with one strategy that may trade, and proposals for it."""

from __future__ import annotations

from decimal import Decimal

from gridbot.core import Direction, Side, TickerEvent, WalletEvent
from gridbot.exchange.failures import ErrorKind, make_error
from gridbot.orders.book import OrderBook
from gridbot.orders.proposal import Proposal
from gridbot.risk.caps import Caps
from gridbot.risk.gate import Gate
from gridbot.risk.refusals import Refusal
from gridbot.risk.strategy_state import Leg, StrategyRiskState
from tests.orders.helpers import INSTRUMENT

__all__ = ["BAD_KEY", "NOW", "NOW_MS", "Bench", "proposal", "ticker", "trading_state", "wallet"]

D = Decimal
BAD_KEY = make_error("API key is invalid.", ErrorKind.AUTH, ret_code=10003)
NOW_MS = 1_700_000_000_000
NOW = 1.0  # a clock that has just started: nothing may look like "long ago" (incident L36)


def wallet(balance: str = "1000", available: str | None = "1000", ts: int = 1) -> WalletEvent:
    return WalletEvent(
        "USDT", D(balance), available_balance=None if available is None else D(available), exchange_ts=ts
    )


def proposal(
    ticks: int = 1000,
    side: Side = Side.BUY,
    direction: Direction = Direction.LONG,
    qty: str = "0.1",
    distance: str = "0",
) -> Proposal:
    return Proposal(
        side=side,
        direction=direction,
        ticks=ticks,
        price=INSTRUMENT.price(ticks),
        qty=D(qty),
        reduce_only=side is direction.close_side,
        level_distance=D(distance),
    )


def ticker(price: str = "100.5") -> TickerEvent:
    return TickerEvent("BTCUSDT", D(price))


def trading_state(strat_id: str, caps: Caps | None = None) -> StrategyRiskState:
    """A strategy that may trade: flat at 10x, with a price as of now."""
    state = StrategyRiskState(strat_id, "BTCUSDT", OrderBook(INSTRUMENT), caps or Caps(), lambda: NOW_MS)
    state.set_ready(ready=True)
    state.set_price(ticker(), NOW)
    for direction in Direction:
        state.set_leg(direction, Leg(leverage=D(10)))
    return state


class Bench:
    """A gate with one strategy that may trade, and the warnings it gave."""

    def __init__(self, caps: Caps | None = None) -> None:
        self.warnings: list[str] = []
        self.gate = Gate(lambda: NOW_MS, warn=lambda key, text: self.warnings.append(key))
        self.gate.wallet_seen(wallet(), NOW)
        self.risk_state = trading_state("s1", caps)
        self.gate.enroll(self.risk_state)

    def ask(self, wanted: Proposal | None = None, now: float = NOW) -> Refusal | None:
        return self.gate.admit(self.risk_state, wanted or proposal(), now)
