"""Whether the orders of each strategy get through, and what is known of why not (`risk/passage.py` decides)."""

from __future__ import annotations

from collections import OrderedDict

from gridbot.core import Direction
from gridbot.exchange.failures import ExchangeError
from gridbot.orders.book import OrderBook
from gridbot.orders.order import OrderState, TrackedOrder, Transition
from gridbot.orders.outcomes import OrderResult
from gridbot.ports import Clock
from gridbot.risk.passage import Accepted, Lane, Passage, Refused, Repaired, blocked, covering, passes, step
from gridbot.why.asked_about import Spoken
from gridbot.worker.refresh_requests import RefreshRequests

__all__ = ["PassageWatch", "covers_of"]

SPOKEN_KEPT = 2_000
"""Levels whose newest refusal is remembered; the one refused longest ago makes room."""

UNPROVED = frozenset({OrderState.PENDING, OrderState.UNRESOLVED})
PROOFS = frozenset({OrderState.OPEN, OrderState.PARTIALLY_FILLED, OrderState.FILLED})


class PassageWatch:
    """One per account; it owns the rows of refusals."""

    def __init__(self, clock: Clock, requests: RefreshRequests) -> None:
        self._clock = clock
        self._requests = requests
        self._state = Passage()
        self.terms: dict[str, str] = {}
        """What is wrong with the exchange's terms, by symbol, as they were read last; changed by `terms_read`."""
        self.spoken: OrderedDict[tuple[str, Direction, int], Spoken] = OrderedDict()
        """By strategy, leg and ticks: what the exchange refused of a level, until it accepts an order there."""
        self._announced = ""

    def answered(self, order: TrackedOrder, result: OrderResult) -> None:
        """A create request was answered."""
        if result.ack is not None:
            if self.spoken:
                self.spoken.pop((order.strat_id, order.direction, order.ticks), None)
            self._accepted(order, rests=False)
        elif result.error is not None:
            after_lost = order.attempt > 1 and order.answered_with is None
            self._speaks(order, result.error)
            self._take(Refused(_lane(order), result.error, after_lost), order.symbol)

    def ended_at_once(self, order: TrackedOrder, error: ExchangeError) -> None:
        """A create request was accepted, and the exchange has ended its order before it could rest."""
        self._speaks(order, error)
        self._take(Refused(_lane(order), error, was_accepted=True), order.symbol)

    def moved(self, transition: Transition) -> None:
        """An order has another state: one that rests or trades has got through, whatever its answer was."""
        if transition.after in PROOFS and transition.before in UNPROVED:
            self._accepted(transition.order)

    def terms_read(self, symbol: str, text: str) -> None:
        """The exchange's terms were read; `text` says what is wrong with them, empty for nothing."""
        self.terms[symbol] = text

    def announced(self, text: str) -> None:
        """What the exchange does to itself now, which may be why; empty for nothing."""
        self._announced = text

    def repaired(self, strategy: str, uncovered: frozenset[Direction] = frozenset()) -> None:
        """What the exchange refused the strategy's orders for was set right."""
        self._state, _ = step(self._state, Repaired(strategy, uncovered), self._clock.monotonic_s())

    @property
    def is_clear(self) -> bool:
        """Whether the newest request of each lane was accepted."""
        return not any(self._state.lanes.values())

    def blocked(self, book: OrderBook, strategy: str) -> str:
        """What does not get through of a strategy, why, and what can be done; empty when everything does."""
        terms = self.terms.get(book.instrument.symbol, "")
        return blocked(
            self._state,
            strategy,
            self._clock.monotonic_s(),
            hints=[hint for hint in (terms, self._announced) if hint],
            covers=covers_of(book),
        )

    def cause(self, book: OrderBook, strategy: str) -> str:
        """What is known of why; it may become known after the refusals, as the foreign order that covers a leg."""
        found = covering(self._state, strategy, self._clock.monotonic_s(), covers_of(book))
        return "; ".join(filter(None, (self.terms.get(book.instrument.symbol, ""), *found)))

    def _speaks(self, order: TrackedOrder, error: ExchangeError) -> None:
        level = order.strat_id, order.direction, order.ticks
        before = self.spoken.pop(level, None)
        self.spoken[level] = Spoken(error, self._clock.monotonic_s(), 1 if before is None else before.times + 1)
        if len(self.spoken) > SPOKEN_KEPT:
            self.spoken.popitem(last=False)

    def _accepted(self, order: TrackedOrder, *, rests: bool = True) -> None:
        if not passes(self._state, order.strat_id, order.direction, closes=order.reduce_only):
            self._take(Accepted(_lane(order), rests), order.symbol)

    def _take(self, event: Accepted | Refused, symbol: str) -> None:
        self._state, effects = step(self._state, event, self._clock.monotonic_s())
        if effects:
            self._requests.read_terms(symbol)


def covers_of(book: OrderBook) -> dict[Direction, str]:
    """Which order that is not ours closes each leg; side and leg say so, the flag need not (docs/bybit.md 3.5)."""
    return {
        row.direction: f"an order that is not ours covers the {row.direction}: {row.side} {row.qty} @ {row.price} "
        f"({row.order_id})"
        for row in book.strangers.values()
        if row.direction is not None and row.side is row.direction.close_side
    }


def _lane(order: TrackedOrder) -> Lane:
    return Lane(order.strat_id, order.direction, order.reduce_only)
