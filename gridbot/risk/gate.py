"""The only way to the exchange: every order (of a strategy, a retry, an operator) has to be admitted here first.

Pure: the gate sees a `StrategyRiskState` (one strategy's book, position, price and limits), the account's `Funds` and
the time, and answers with the reason why it refuses, or None. It decides; it sends nothing. Checks run from "may
anything be sent at all" to "can it be paid for": the first reason is also the first one an operator has to remove.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from gridbot.core import Direction, Side
from gridbot.core.limits import Limit
from gridbot.orders.breakers import Breaker, FailureRun
from gridbot.orders.order import TrackedOrder
from gridbot.orders.proposal import Proposal
from gridbot.risk.caps import CapWatch
from gridbot.risk.funds import Funds
from gridbot.risk.refusals import Producer, Refusal
from gridbot.risk.strategy_state import StrategyRiskState

__all__ = ["AUTH_COOLDOWN_S", "STALE_PRICE_S", "Gate", "LevelKey", "level_key"]

LevelKey = tuple[str, Direction, Side, int]
"""Strategy, direction, side and price in ticks."""

ZERO = Decimal(0)
STALE_PRICE_S = 30.0
AUTH_COOLDOWN_S = 1800.0


class Gate:
    """One per account. `warn(key, text)` is called once when a cap is 80 % used, and again after it was below."""

    def __init__(
        self,
        funds: Funds,
        *,
        account_max_notional: Limit | None = None,
        auth_cooldown_s: float = AUTH_COOLDOWN_S,
        warn: Callable[[str, str], None] = lambda key, text: None,
    ) -> None:
        self.funds = funds
        self.strategies: dict[str, StrategyRiskState] = {}
        self.stopping = False
        self.loss_latched = ""
        """Why nothing is opened any more (the session loss limit); empty when it is not passed."""
        self.auth = FailureRun(cooldown_s=auth_cooldown_s)
        self.breaker: Breaker[LevelKey] = Breaker()
        self._account_max_notional = account_max_notional
        self._caps_watch = CapWatch(warn)

    def enroll(self, state: StrategyRiskState) -> None:
        """Count a strategy's positions and orders towards the account's caps."""
        self.strategies[state.strat_id] = state

    def stop(self) -> None:
        """The worker is stopping: from now on only an operator's close passes."""
        self.stopping = True

    def latch_loss(self, reason: str) -> None:
        """The account has lost too much (`reason` says how much); an empty reason lets it trade again."""
        self.loss_latched = reason

    def admit(
        self, state: StrategyRiskState, proposal: Proposal, now_s: float, producer: Producer = Producer.STRATEGY
    ) -> Refusal | None:
        """Let an order through (then it counts against caps and funds) or say why not.

        A CLOSE passes whatever stops the strategies, but may not close more than there is. ValueError when it would
        open something.
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

    # ------------------------------------------------------------------ answers of the exchange

    def accepted(self, order: TrackedOrder) -> None:
        """The exchange accepted an order: our key is good, and its level's failures are forgotten."""
        self.auth.succeed()
        self.breaker.succeed(level_key(order))

    def refused(self, order: TrackedOrder, now_s: float) -> bool:
        """The exchange refused an order; True when this refusal opens the breaker of its level."""
        return self.breaker.fail(level_key(order), now_s)

    def auth_failed(self, now_s: float) -> bool:
        """The exchange did not accept our key; True when this failure starts a cooldown."""
        return self.auth.fail(now_s)

    def auth_succeeded(self) -> None:
        self.auth.succeed()

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
        key = (state.strat_id, proposal.direction, proposal.side, proposal.ticks)
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
            if self._caps_watch.exceeds(f"{state.strat_id}.max_open_orders", count, Decimal(caps.max_open_orders)):
                return Refusal.MAX_OPEN_ORDERS
        if state.rate.per_minute is not None:
            used = Decimal(state.rate.used(now_s) + 1)
            if self._caps_watch.exceeds(
                f"{state.strat_id}.max_orders_per_minute", used, Decimal(state.rate.per_minute)
            ):
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
            if self._caps_watch.exceeds(
                f"{state.strat_id}.max_margin.{proposal.direction}", value / wallet, state.caps.max_margin
            ):
                return Refusal.MAX_MARGIN
        if state.caps.max_notional is not None:
            limit = state.caps.max_notional.resolve(wallet)
            if self._caps_watch.exceeds(f"{state.strat_id}.max_notional", state.notional() + proposal.notional, limit):
                return Refusal.MAX_NOTIONAL
        if self._account_max_notional is not None:
            limit = self._account_max_notional.resolve(wallet)
            total: Decimal = sum((d.notional() for d in self.strategies.values()), ZERO)
            if self._caps_watch.exceeds("account.max_notional", total + proposal.notional, limit):
                return Refusal.ACCOUNT_MAX_NOTIONAL
        need = self.funds.needed(proposal.notional, leg.leverage)
        if not self.funds.affords(need, now_s):
            return Refusal.FUNDS
        self.funds.promise(need)
        return None


def level_key(order: TrackedOrder) -> LevelKey:
    """The key under which the breaker counts the exchange's refusals."""
    return (order.strat_id, order.direction, order.side, order.ticks)
