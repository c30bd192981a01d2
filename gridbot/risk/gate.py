"""The only door to the wire. Whoever wants an order or a cancel (strategy, retry, healing, operator) asks here.

Pure: the gate sees a `StrategyRiskState` (one strategy's book, position, price and limits), the account's `Funds` and
the time, and answers with the reason it refuses, or None. It decides; it sends nothing. Checks run from "may anything
be sent at all" to "can it be paid for", so that the first reason is the one an operator has to remove first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from gridbot.config.fields import Limit
from gridbot.core import Direction, Side
from gridbot.orders.book import OrderBook
from gridbot.orders.breakers import Breaker, FailureRun, RateCap
from gridbot.risk.funds import Funds

__all__ = ["PRICE_BLIND", "Caps", "Gate", "Producer", "Proposal", "Refusal", "StrategyRiskState", "wire_order"]

LevelKey = tuple[str, Direction, Side, int]
"""Strategy, direction, side and price in ticks."""

ZERO = Decimal(0)
WARN_AT = Decimal("0.8")
STALE_PRICE_S = 30.0


class Refusal(StrEnum):
    """Why an order stays here."""

    STOPPING = "stopping"
    NOT_READY = "not_ready"
    PAUSED = "paused"
    HALTED = "halted"
    AUTH_COOLDOWN = "auth_cooldown"
    STALE_PRICE = "stale_price"
    LEVEL_TAKEN = "level_taken"
    BREAKER_OPEN = "breaker_open"
    TOO_SMALL = "too_small"
    NOT_COVERED = "not_covered"
    POSITION_UNSURE = "position_unsure"
    MAX_OPEN_ORDERS = "max_open_orders"
    MAX_ORDERS_PER_MINUTE = "max_orders_per_minute"
    MAX_NOTIONAL = "max_notional"
    ACCOUNT_MAX_NOTIONAL = "account_max_notional"
    MAX_MARGIN = "max_margin"
    FUNDS = "insufficient_balance"
    LOSS_LIMIT = "session_loss_limit"


class Producer(StrEnum):
    """Who wants an order. A RETRY holds its level and was paid for already; an operator's CLOSE may only reduce."""

    STRATEGY = "strategy"
    RETRY = "retry"
    CLOSE = "close"


PRICE_BLIND = frozenset(
    {Refusal.LEVEL_TAKEN, Refusal.TOO_SMALL, Refusal.NOT_COVERED, Refusal.MAX_OPEN_ORDERS, Refusal.MAX_MARGIN}
)
"""Refusals that neither time nor price can lift, only the book, a position or the wallet."""


@dataclass(frozen=True, slots=True)
class Caps:
    """Hard limits of one strategy; None means unlimited. `max_margin` is a ratio to the wallet balance."""

    max_notional: Limit | None = None
    max_open_orders: int | None = None
    max_orders_per_minute: int | None = None
    max_margin: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Leg:
    """One position as the gate needs it. `unsure` is set when the exchange contradicted our size (110017)."""

    size: Decimal = ZERO
    entry_price: Decimal | None = None
    leverage: Decimal | None = None
    unsure: bool = False


@dataclass(slots=True)
class StrategyRiskState:
    """What the gate looks at for one strategy; its runner keeps it true."""

    strat_id: str
    symbol: str
    book: OrderBook
    caps: Caps
    legs: dict[Direction, Leg] = field(default_factory=lambda: {d: Leg() for d in Direction})
    last_price: Decimal | None = None
    price_s: float | None = None
    ready: bool = False
    paused: bool = False
    halted: str = ""
    epoch: int = 0
    """Grows whenever a leg or the wallet changes: what was refused for their sake is worth another look."""
    rate: RateCap = field(default_factory=lambda: RateCap(None))

    def notional(self) -> Decimal:
        """USDT of both legs at the last price, and of resting opens."""
        price = self.last_price or ZERO
        held: Decimal = sum((leg.size * price for leg in self.legs.values()), ZERO)
        return held + self.book.opening_notional()


@dataclass(frozen=True, slots=True)
class Proposal:
    """One order that somebody wants to place; `level_distance` (a ratio) orders the opens: nearest first."""

    side: Side
    direction: Direction
    ticks: int
    price: Decimal
    qty: Decimal
    reduce_only: bool
    client_id: str
    level_distance: Decimal = ZERO
    post_only: bool = True

    @property
    def notional(self) -> Decimal:
        return self.qty * self.price


def wire_order(proposals: Iterable[Proposal]) -> list[Proposal]:
    """Closes before opens, nearest price first. (Cancels go before all of them.)"""
    return sorted(proposals, key=lambda p: (not p.reduce_only, p.level_distance))


class Gate:
    """One per account. `warn(key, text)` is told once when a cap is 80 % used, and again after it was below."""

    def __init__(
        self,
        funds: Funds,
        *,
        account_max_notional: Limit | None = None,
        warn: Callable[[str, str], None] = lambda key, text: None,
    ) -> None:
        self.funds = funds
        self.strategies: dict[str, StrategyRiskState] = {}
        self.stopping = False
        self.loss_latched = ""
        self.auth = FailureRun()
        self.breaker: Breaker[LevelKey] = Breaker()
        self._account_max_notional = account_max_notional
        self._warn = warn
        self._warned: set[str] = set()

    def admit(
        self, state: StrategyRiskState, proposal: Proposal, now_s: float, producer: Producer = Producer.STRATEGY
    ) -> Refusal | None:
        """Let an order through (then it counts against caps and funds) or say why not.

        A CLOSE passes whatever stops or holds the strategies, never what keeps an order from closing more than there
        is. ValueError when it would open something.
        """
        if producer is Producer.CLOSE:
            if not proposal.reduce_only:
                raise ValueError(f"expected a close to be reduce-only, got {proposal}")
            refusal = self._size(state, proposal, own_level=False)
        else:
            refusal = self._admit(state, proposal, now_s, own_level=producer is Producer.RETRY)
        if refusal is None:
            state.rate.count(now_s)
        return refusal

    def _admit(self, state: StrategyRiskState, proposal: Proposal, now_s: float, *, own_level: bool) -> Refusal | None:
        return (
            self._may_trade(state, now_s)
            or self._level(state, proposal, now_s, own_level)
            or self._size(state, proposal, own_level)
            or (None if own_level else self._caps(state, proposal, now_s))
            or (None if own_level or proposal.reduce_only else self._money(state, proposal, now_s))
        )

    def level_key(self, state: StrategyRiskState, direction: Direction, side: Side, ticks: int) -> LevelKey:
        """What the breaker counts refusals of the exchange by."""
        return (state.strat_id, direction, side, ticks)

    # ------------------------------------------------------------------ the checks, in their order

    def _may_trade(self, state: StrategyRiskState, now_s: float) -> Refusal | None:
        if self.stopping:
            return Refusal.STOPPING
        if not state.ready:
            return Refusal.NOT_READY
        if self.loss_latched:
            return Refusal.LOSS_LIMIT
        if state.halted:
            return Refusal.HALTED
        if state.paused:
            return Refusal.PAUSED
        if self.auth.is_cooling(now_s):
            return Refusal.AUTH_COOLDOWN
        if state.last_price is None or state.price_s is None or now_s - state.price_s > STALE_PRICE_S:
            return Refusal.STALE_PRICE
        return None

    def _level(self, state: StrategyRiskState, proposal: Proposal, now_s: float, own_level: bool) -> Refusal | None:
        if not own_level and state.book.has_live(proposal.direction, proposal.ticks):
            return Refusal.LEVEL_TAKEN
        key = self.level_key(state, proposal.direction, proposal.side, proposal.ticks)
        return Refusal.BREAKER_OPEN if self.breaker.is_open(key, now_s) else None

    def _size(self, state: StrategyRiskState, proposal: Proposal, own_level: bool) -> Refusal | None:
        if proposal.qty <= 0:
            return Refusal.NOT_COVERED if proposal.reduce_only else Refusal.TOO_SMALL
        if not proposal.reduce_only:
            return None
        leg = state.legs[proposal.direction]
        if leg.unsure:
            return Refusal.POSITION_UNSURE
        resting = state.book.resting_close_qty(proposal.direction) - (proposal.qty if own_level else ZERO)
        return None if leg.size >= proposal.qty + resting else Refusal.NOT_COVERED

    def _caps(self, state: StrategyRiskState, proposal: Proposal, now_s: float) -> Refusal | None:
        caps = state.caps
        if caps.max_open_orders is not None:
            count = Decimal(len(state.book) + 1)
            if self._exceeds(f"{state.strat_id}.max_open_orders", count, Decimal(caps.max_open_orders)):
                return Refusal.MAX_OPEN_ORDERS
        if state.rate.per_minute is not None:
            used = Decimal(state.rate.used(now_s) + 1)
            if self._exceeds(f"{state.strat_id}.max_orders_per_minute", used, Decimal(state.rate.per_minute)):
                return Refusal.MAX_ORDERS_PER_MINUTE
        return None

    def _money(self, state: StrategyRiskState, proposal: Proposal, now_s: float) -> Refusal | None:
        wallet = self.funds.wallet_balance
        leg = state.legs[proposal.direction]
        if state.caps.max_margin is not None:
            entry = leg.entry_price or state.last_price or proposal.price
            value = leg.size * entry + state.book.opening_notional(proposal.direction) + proposal.notional
            if wallet <= 0:
                return Refusal.MAX_MARGIN
            if self._exceeds(
                f"{state.strat_id}.max_margin.{proposal.direction}", value / wallet, state.caps.max_margin
            ):
                return Refusal.MAX_MARGIN
        if state.caps.max_notional is not None:
            limit = state.caps.max_notional.resolve(wallet)
            if self._exceeds(f"{state.strat_id}.max_notional", state.notional() + proposal.notional, limit):
                return Refusal.MAX_NOTIONAL
        if self._account_max_notional is not None:
            limit = self._account_max_notional.resolve(wallet)
            total: Decimal = sum((d.notional() for d in self.strategies.values()), ZERO)
            if self._exceeds("account.max_notional", total + proposal.notional, limit):
                return Refusal.ACCOUNT_MAX_NOTIONAL
        need = self.funds.needed(proposal.notional, leg.leverage)
        if not self.funds.affords(need, now_s):
            return Refusal.FUNDS
        self.funds.promise(need)
        return None

    def _exceeds(self, key: str, value: Decimal, limit: Decimal) -> bool:
        """Compare with a cap, and warn once on the way up through 80 %."""
        if value >= limit * WARN_AT:
            if key not in self._warned:
                self._warned.add(key)
                self._warn(key, f"{key}: {value.normalize():f} of {limit.normalize():f} used")
        else:
            self._warned.discard(key)
        return value > limit
