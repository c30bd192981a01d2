"""Of which intents it is known that none can be sent, until what it depends on is something else.

    refusal                what may lift it
    closes of a bare leg   the book, a leg: they are neither sized nor is the gate asked
    of `PRICE_BLIND`       also a size, the wallet's balance
    others                 also holds of the account and the strategy, and a brake
    max_notional           also the price: the value of both legs is taken at it
    account_max_notional   also what all strategies are worth, a warning of a cap, the price band: each price looks
                           at these, and asks the gate again where it may say something else
    insufficient_balance   also each wallet that comes, an order that was admitted, and silence of the private stream;
                           at another price it may be the cap's refusal

Without this each price would ask the gate again for every level, which an account without room does for days.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final, NamedTuple

from gridbot.core import Direction, Instrument, Intent, Side
from gridbot.orders.breakers import FailureRun
from gridbot.orders.proposal import Proposal
from gridbot.risk.brake import Brake
from gridbot.risk.caps import WARN_AT
from gridbot.risk.funds import FRESH_S, Funds
from gridbot.risk.gate import Gate
from gridbot.risk.holds import Holds
from gridbot.risk.refusals import PRICE_BLIND, Refusal
from gridbot.risk.strategy_state import StrategyRiskState
from gridbot.risk.symbol_state import Allows

__all__ = ["SettledRefusals"]

_OF_ALL: Final = Refusal.ACCOUNT_MAX_NOTIONAL
SETTLED: Final = PRICE_BLIND | {Refusal.MAX_NOTIONAL, Refusal.FUNDS, Refusal.LOSS_LIMIT, _OF_ALL}
MOST_TICKS: Final = 1 << 53
"""No price is above it."""
Moment = tuple[int, int, int]
"""Numbers that grow: with the book, with the legs, with anything but orders that may lift a refusal."""


class _OfAll(NamedTuple):
    """Of refusals for the account's cap: the least that one would add (USDT), the highest Buy and the lowest Sell among
    them, and what the gate and the exchange's word were."""

    least: Decimal
    buy: Decimal | None
    sell: Decimal | None
    warned: frozenset[str]
    auth: FailureRun
    allows: Allows


class SettledRefusals:
    """One per strategy. Prices are USDT."""

    def __init__(self, risk_state: StrategyRiskState, instrument: Instrument, gate: Gate) -> None:
        self._risk_state = risk_state
        self._instrument = instrument
        self._gate = gate
        self._intents: Sequence[Intent] = ()
        """The engine repeats the same object."""
        self._at: Moment = (-1, -1, -1)
        self._is_bare = False
        """Whether not even a size or the wallet's balance can lift any."""
        self._is_blind = False
        """Whether nothing beside `_at` can lift any."""
        self._holds: Holds | None = None
        self._own: Holds | None = None
        self._brake: Brake | None = None
        self._funds: Funds | None = None
        """What there was, where it was too little."""
        self._range: tuple[int, int] | None = None
        """Prices (whole ticks, both included) at which they stay refused; None: any."""
        self._of_all: _OfAll | None = None
        self._warned: frozenset[str] = frozenset()
        """What the gate had warned of before it was asked."""

    def moment(self) -> Moment:
        """Take it before the gate is asked, and give it to `note`."""
        state = self._risk_state
        self._warned = self._gate.state.warned
        return state.book.version, state.leg_changes, state.epoch + self._gate.state.balance_changes

    def holds(self, intents: Sequence[Intent]) -> bool:
        """Whether all of these would be refused again."""
        if intents is not self._intents:
            return False
        state = self._risk_state
        orders, legs, epoch = self._at
        if orders != state.book.version or legs != state.leg_changes:
            return False
        if self._is_bare:
            return True
        if epoch != state.epoch + self._gate.state.balance_changes:
            return False
        return self._is_blind or self._holds_beside(state)

    def is_blind(self, intents: Sequence[Intent]) -> bool:
        """Whether these stay refused until a leg, an order or a size is another, whatever else happens."""
        return self._is_blind and self.holds(intents)

    def is_bare(self, intents: Sequence[Intent]) -> bool:
        """Whether these stay refused until a leg or an order is another, whatever else happens."""
        return self._is_bare and self.holds(intents)

    def counts_others(self, intents: Sequence[Intent]) -> bool:
        """Whether these were refused for what all strategies of the account are worth, so that the price of another
        symbol may lift it."""
        return self._of_all is not None and intents is self._intents

    def _holds_beside(self, state: StrategyRiskState) -> bool:
        """Whether what else may lift them is as it was."""
        gate, between = self._gate.state, self._range
        if self._holds is not gate.holds or self._own is not state.holds or self._brake is not gate.brake:
            return False
        if between is not None:
            price = state.last_price
            if price is None or not between[0] <= self._instrument.ticks(price) <= between[1]:
                return False
        if self._of_all is not None and not self._holds_of_all(self._of_all, state):
            return False
        if self._funds is None:
            return True
        funds, price_s = gate.funds, state.price_s
        if funds.wallet is not self._funds.wallet or funds.promised is not self._funds.promised:
            return False
        return funds.known_s is not None and price_s is not None and price_s - funds.known_s <= FRESH_S

    def _holds_of_all(self, known: _OfAll, state: StrategyRiskState) -> bool:
        gate = self._gate.state
        cap, band = self._gate.account.max_notional, state.band
        return (
            cap is not None
            and gate.warned is known.warned
            and gate.auth is known.auth
            and not gate.breaker.circuits
            and state.symbol_watch.state.allows is known.allows
            and not (known.buy is not None and band.is_beyond(Side.BUY, known.buy))
            and not (known.sell is not None and band.is_beyond(Side.SELL, known.sell))
            and self._gate.worth() + known.least > cap.resolve(gate.funds.wallet_balance)
        )

    def within(self, low: Decimal, high: Decimal) -> tuple[Decimal, Decimal]:
        """The part of an interval of prices, in which the present one lies, at which this holds."""
        if self._range is None:
            return low, high
        first, last = (self._instrument.price(ticks) for ticks in self._range)
        return max(low, first), min(high, last)

    def note(
        self,
        intents: Sequence[Intent],
        moment: Moment,
        refused: Mapping[tuple[Direction, int], Refusal],
        proposals: Sequence[Proposal],
    ) -> None:
        """All `intents` were refused, those that came before the gate as `proposals`; remember it where it lasts.

        What was remembered before is forgotten in any case: it may hold again, but for other reasons than those shown.
        """
        self._intents, self._of_all = (), None
        if PRICE_BLIND.issuperset(refused.values()):  # the usual case
            self._intents, self._at, self._is_blind, self._range = intents, moment, True, None
            self._is_bare = not proposals
            return
        reasons = set(refused.values())
        if not SETTLED.issuperset(reasons):
            return
        gate, lacks_funds = self._gate.state, Refusal.FUNDS in reasons
        counts_others = self._gate.account.max_notional is not None or gate.share is not None
        if lacks_funds and (counts_others or gate.funds.available is None):
            return  # prices of other symbols count; or nobody knows what there is, and each 5 s one is tried
        self._intents, self._at, self._is_blind, self._is_bare = intents, moment, False, False
        self._holds, self._own, self._brake = gate.holds, self._risk_state.holds, gate.brake
        self._funds = gate.funds if lacks_funds else None
        self._range = self._prices(refused, proposals) if lacks_funds or Refusal.MAX_NOTIONAL in reasons else None
        if _OF_ALL in reasons:
            self._of_all = self._known_of_all(refused, proposals)
            if self._of_all is None:
                self._intents = ()

    def _known_of_all(
        self, refused: Mapping[tuple[Direction, int], Refusal], proposals: Sequence[Proposal]
    ) -> _OfAll | None:
        """None where the same question at another price may warn of another cap, or say that one is eased."""
        gate, state = self._gate.state, self._risk_state
        name = state.strat_id
        if gate.warned is not self._warned or not gate.warned.isdisjoint(
            (f"{name}.max_notional", f"{name}.max_orders_per_minute")
        ):
            return None
        mine = [each for each in proposals if refused.get((each.direction, each.ticks)) is _OF_ALL]
        size = sum((leg.size for leg in state.legs.values()), Decimal(0))
        if state.caps.max_notional is not None and size:
            room = state.caps.max_notional.resolve(gate.funds.wallet_balance) * WARN_AT - state.book.opening_notional()
            self._range = 0, self._last_within(size, room - max(each.notional for each in proposals)) - 1
        return _OfAll(
            min(each.notional for each in mine),
            max((each.price for each in mine if each.side is Side.BUY), default=None),
            min((each.price for each in mine if each.side is Side.SELL), default=None),
            gate.warned,
            gate.auth,
            state.symbol_watch.state.allows,
        )

    def _prices(
        self, refused: Mapping[tuple[Direction, int], Refusal], proposals: Sequence[Proposal]
    ) -> tuple[int, int] | None:
        """Between which prices each stays on its side of the cap."""
        state = self._risk_state
        cap = state.caps.max_notional
        size = sum((leg.size for leg in state.legs.values()), Decimal(0))
        if cap is None or not size:
            return None
        limit = cap.resolve(self._gate.state.funds.wallet_balance) - state.book.opening_notional()
        low, high = 0, MOST_TICKS
        for each in proposals:
            why = refused.get((each.direction, each.ticks))
            if why in (Refusal.MAX_NOTIONAL, Refusal.FUNDS) and not each.reduce_only:
                last = self._last_within(size, limit - each.notional)
                if why is Refusal.MAX_NOTIONAL:
                    low = max(low, last + 1)
                else:
                    high = min(high, last)
        return low, high

    def _last_within(self, size: Decimal, room: Decimal) -> int:
        """The highest price (ticks) at which the legs are worth no more than `room` (USDT); -1 for none."""
        if room < 0:
            return -1
        price = self._instrument.price
        ticks = int(room / (size * self._instrument.tick_size))
        while size * price(ticks) > room:
            ticks -= 1
        while size * price(ticks + 1) <= room:
            ticks += 1
        return ticks
