"""Turns a strategy's intents into orders: each is sized, checked by the gate, and submitted or refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from operator import itemgetter
from typing import Final

from gridbot.core import CancelIntent, Direction, Instrument, Intent, PlaceLimitIntent
from gridbot.orders.proposal import Proposal
from gridbot.records import builders
from gridbot.risk.gate import Gate
from gridbot.risk.refusals import Refusal
from gridbot.risk.strategy_state import StrategyRiskState
from gridbot.worker.context import WorkerContext
from gridbot.worker.order_manager import OrderManager
from gridbot.worker.position_sizer import PositionSizer
from gridbot.worker.settled_refusals import SettledRefusals

__all__ = ["Placement"]

ZERO = Decimal(0)
_NOT_COVERED = Refusal.NOT_COVERED
LONG, SHORT = Direction.LONG, Direction.SHORT
ROUTINE: Final = frozenset({Refusal.LEVEL_TAKEN, Refusal.NOT_COVERED})
"""The level waits until its old order is gone, or until there is a position to close."""
WIRE_ORDER: Final = itemgetter(0, 1)
"""Closes before opens, the nearest price first."""
_Level = tuple[bool, Decimal, Decimal, PlaceLimitIntent]
"""Whether it opens, how far from the last price it is, its price (USDT), and the level."""


class Placement:
    """One per strategy."""

    def __init__(
        self,
        risk_state: StrategyRiskState,
        instrument: Instrument,
        context: WorkerContext,
        *,
        sizer: PositionSizer,
        orders: OrderManager,
        gate: Gate,
    ) -> None:
        self._risk_state = risk_state
        self._instrument = instrument
        self._context = context
        self._sizer = sizer
        self._orders = orders
        self._gate = gate
        self._refused: dict[tuple[Direction, int], Refusal] = {}
        """Another object after each decision."""
        self._counted: tuple[object, Counter[Refusal]] = (None, Counter())
        """Of which of these there are how many: it is asked for each second, and the decision is seldom another."""
        self.settled = SettledRefusals(risk_state, instrument, gate)

    @property
    def refusals(self) -> Counter[Refusal]:
        """How many levels wait, by reason, as of the last decision: why there are fewer orders than levels."""
        if self._counted[0] is not self._refused:
            self._counted = self._refused, Counter(self._refused.values())
        return self._counted[1]

    @property
    def refused(self) -> Mapping[tuple[Direction, int], Refusal]:
        """Why each level, by leg and ticks, has no order, as of the last decision."""
        return self._refused

    def is_settled(self, intents: Sequence[Intent]) -> bool:
        """Whether `act` would do nothing about these."""
        return not intents or self.settled.holds(intents)

    def act(self, intents: Sequence[Intent]) -> None:
        """Cancels first, then closes, then opens from the nearest price outwards. On the hot path."""
        if not intents or self.settled.holds(intents):
            return
        risk_state = self._risk_state
        moment = self.settled.moment()
        levels: list[_Level] = []
        price_of, last = self._instrument.price, risk_state.last_price
        refused: dict[tuple[Direction, int], Refusal] = {}
        covers: dict[Direction, bool] = {}
        with self._orders.batch:
            for intent in intents:
                if type(intent) is CancelIntent:
                    self._orders.cancel(intent.key, intent.reason)
                    covers.clear()  # a close that had not left is gone at once
                    continue
                if intent.reduce_only:
                    direction = intent.direction
                    if direction not in covers:
                        covers[direction] = self._covers_a_close(direction)
                    if not covers[direction]:  # half the levels: of a flat leg, and of one whose closes all rest
                        refused[direction, intent.ticks] = _NOT_COVERED
                        continue
                price = price_of(intent.ticks)
                levels.append((not intent.reduce_only, ZERO if last is None else abs(price - last), price, intent))
            now_s = self._context.clock.monotonic_s()
            has_numbers = self._context.generations.available(len(levels))
            if len(levels) > 1:
                levels.sort(key=WIRE_ORDER)
            places = []
            for opens, distance, price, intent in levels:
                if not opens:
                    direction = intent.direction
                    if direction not in covers:
                        covers[direction] = self._covers_a_close(direction)
                    if not covers[direction]:  # the closes before it have taken it all: neither sized nor asked for
                        refused[direction, intent.ticks] = _NOT_COVERED
                        continue
                proposal = self._sized(intent, price, distance)
                places.append(proposal)
                # A number that is not reserved on the disk might be used twice. The disk is asked again all the while.
                refusal = self._gate.admit(risk_state, proposal, now_s) if has_numbers else Refusal.NO_NUMBER
                if refusal is None:
                    self._orders.submit(proposal)
                    if not opens:
                        covers.clear()
                else:
                    refused[proposal.direction, proposal.ticks] = refusal
                    if refusal is _NOT_COVERED:
                        covers[direction] = self._covers_a_smaller_close(direction, levels)
                    if self._refused.get((proposal.direction, proposal.ticks)) is not refusal:
                        self._record_refusal(proposal, refusal)
        self._refused = refused
        if len(refused) == len(intents):
            self.settled.note(intents, moment, refused, places)

    @property
    def covers_a_close(self) -> bool:
        """Whether a leg may be large enough for one more close."""
        return self._covers_a_close(LONG) or self._covers_a_close(SHORT)

    def settle(self, intents: Sequence[Intent]) -> bool:
        """Refuse all of these as `act` would where no leg covers a close: False, and nothing is done, where there is
        anything but closes.

        Nobody sees that it came sooner: such refusals are no news, and neither are those of before.
        """
        if not ROUTINE.issuperset(self.refusals):
            return False
        if not intents or self.settled.is_bare(intents):
            return True
        moment = self.settled.moment()
        refused: dict[tuple[Direction, int], Refusal] = {}
        for intent in intents:
            if type(intent) is CancelIntent or not intent.reduce_only:
                return False
            refused[intent.direction, intent.ticks] = _NOT_COVERED
        self._refused = refused
        self.settled.note(intents, moment, refused, ())
        return True

    def _covers_a_close(self, direction: Direction) -> bool:
        """Whether the position may be large enough for one more close, as small as the exchange takes it."""
        size = self._risk_state.legs[direction].size
        if not size:
            return False
        resting = self._risk_state.book.resting_close_qty(direction)
        return size >= resting + self._instrument.min_order_qty if resting > ZERO else size > ZERO

    def _covers_a_smaller_close(self, direction: Direction, levels: Sequence[_Level]) -> bool:
        """Whether what a close was too large for may be enough for another of these: at no price is one smaller than
        at the highest.
        """
        highest = max(price for opens, _, price, intent in levels if not opens and intent.direction is direction)
        resting = self._risk_state.book.resting_close_qty(direction)
        return self._risk_state.legs[direction].size >= resting + self._sizer.wanted(
            direction, direction.close_side, highest
        )

    def proposal(self, intent: PlaceLimitIntent) -> Proposal:
        """The order that an intent asks for, sized as of now."""
        price, last = self._instrument.price(intent.ticks), self._risk_state.last_price
        return self._sized(intent, price, ZERO if last is None else abs(price - last))

    def _sized(self, intent: PlaceLimitIntent, price: Decimal, distance: Decimal) -> Proposal:
        book = self._risk_state.book
        qty = self._sizer.quantity(
            intent.direction,
            intent.side,
            price,
            resting_close=book.resting_close_qty(intent.direction) if intent.reduce_only else ZERO,
        )
        return Proposal(
            intent.side,
            intent.direction,
            intent.ticks,
            price,
            qty,
            intent.reduce_only,
            distance / (self._risk_state.last_price or price),  # a ratio: strategies share the budget
        )

    def _record_refusal(self, proposal: Proposal, refusal: Refusal) -> None:
        """Only the first of a series for a level: a record at each tick would drown everything else (incident L12)."""
        if refusal in ROUTINE:
            return
        state = self._risk_state
        self._context.tallies.refused(state.strat_id, refusal)
        self._context.recorder.record(
            builders.of_proposal(
                state.strat_id, state.symbol, proposal, verdict="refused", reason=refusal, ticker=state.ticker
            )
        )
