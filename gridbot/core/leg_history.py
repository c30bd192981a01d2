"""One leg as its executions make it, in the exchange's order whatever the order of their arrival. Pure.

A leg keeps its newest executions (`Step`) and the position rows that were believed (`Stated`)::

    held before ──► step ──► step ──► stated ──► step ──► held now
                       ▲                  │
         a late one goes in here          └ replaces what the steps before it add up to

What is held now, and what each close realised, follow from the steps and rows alone. So an execution that comes late
changes what those after it realised: `settle` says by how much.

An execution may bring the exchange's own figure of what it realised. It is the truth, and ours the check: when they
differ by more than rounding, the entry that we held was wrong, and the exchange's takes its place.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal

from gridbot.core.events import ExecType, ExecutionEvent, PositionEvent
from gridbot.core.exact import WIDE
from gridbot.core.exchange_sequence import CLOCK_STEP_MS, Placed, is_before, is_outdated
from gridbot.core.vocabulary import Direction

__all__ = ["UNIT", "Holding", "LegHistory", "Mark", "Stated", "Step"]

ZERO = Decimal(0)
UNIT = Decimal("0.00000001")
"""The exchange's money unit, USDT."""
ROUNDING = Decimal("0.000001")
"""USDT by which the exchange's figure and ours may differ without a wrong entry."""


@dataclass(frozen=True, slots=True)
class Holding:
    """What a leg holds: base coin, and what it cost in USDT (0 when that is not known)."""

    size: Decimal = ZERO
    cost: Decimal = ZERO

    @property
    def entry(self) -> Decimal:
        """Average entry in USDT; 0 when flat."""
        return WIDE.divide(self.cost, self.size) if self.size else ZERO

    def opened(self, qty: Decimal, price: Decimal) -> Holding:
        """Held after more was bought (sold, for a short) at a price."""
        return Holding(WIDE.add(self.size, qty), WIDE.add(self.cost, WIDE.multiply(qty, price)))

    def released(self, qty: Decimal) -> Decimal:
        """What `qty` of it cost, rounded as the exchange does, so that a leg closed in parts leaves nothing over."""
        if qty == self.size:
            return self.cost
        return WIDE.multiply(self.entry, qty).quantize(UNIT, context=WIDE)

    def closed(self, qty: Decimal) -> Holding:
        """Held after `qty` of it is gone; never less than nothing."""
        if qty >= self.size:
            return Holding()
        return Holding(WIDE.subtract(self.size, qty), WIDE.subtract(self.cost, self.released(qty)))


@dataclass(slots=True)
class Step:
    """One execution. `realised` and `fee` (USDT) are as recorded so far, corrections included.

    `figure` is what the exchange itself says was realised; None when it has not said.
    """

    exec_id: str
    exchange_ts: int
    seq: int
    symbol: str
    price: Decimal
    qty: Decimal
    closed: Decimal
    fee: Decimal
    exec_type: ExecType = ExecType.TRADE
    is_maker: bool = True
    shadow: bool = False
    figure: Decimal | None = None
    realised: Decimal = ZERO

    @classmethod
    def of(cls, execution: ExecutionEvent, *, shadow: bool) -> Step:
        """Of an execution that nothing is recorded of yet."""
        return cls(
            exec_id=execution.exec_id,
            exchange_ts=execution.exchange_ts,
            seq=execution.seq,
            symbol=execution.symbol,
            price=execution.price,
            qty=execution.qty,
            closed=execution.closed_size,
            fee=execution.fee,
            exec_type=execution.exec_type,
            is_maker=execution.is_maker,
            shadow=shadow,
            figure=execution.realised,
        )

    def is_late(self, known: Step) -> bool:
        """Whether the exchange made it before one that came before it. Those of one match have one number: then the ids
        tell.
        """
        if (self.seq, self.exchange_ts) == (known.seq, known.exchange_ts):
            return self.exec_id < known.exec_id
        return is_outdated(self, known)

    def after(self, held: Holding, direction: Direction) -> tuple[Holding, Decimal]:
        """What is held after it, and what it realised."""
        if not self.exec_type.moves_legs:
            return held, self.figure or ZERO
        if not self.closed:
            return held.opened(self.qty, self.price), self.figure or ZERO
        value, sign = WIDE.multiply(self.closed, self.price), 1 if direction is Direction.LONG else -1
        gain = WIDE.multiply(sign, WIDE.subtract(value, held.released(self.closed))) if held.cost else ZERO
        # A cost made from a figure or a row has more digits than money, and a smaller difference is never corrected.
        ours = gain.quantize(UNIT, context=WIDE)
        if self.figure is None:
            return held.closed(self.closed), ours
        if abs(ours - self.figure) > ROUNDING:
            cost = WIDE.subtract(value, WIDE.multiply(sign, self.figure))
            held = Holding(held.size, WIDE.multiply(WIDE.divide(cost, self.closed), held.size))
        return held.closed(self.closed), self.figure


@dataclass(frozen=True, slots=True)
class Stated:
    """What a position row of the exchange says, and how far it reaches: its time (ms) and sequence number."""

    exchange_ts: int
    seq: int
    held: Holding

    @classmethod
    def of(cls, row: PositionEvent) -> Stated:
        return cls(row.exchange_ts, row.seq, Holding(row.size, row.entry_value))

    def covers(self, step: Placed) -> bool:
        """Whether the row has the execution in it. A row has the number of its newest one, and about its time."""
        return self.seq == step.seq > 0 or not is_before(self, step)


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in the exchange's order: time (ms) and sequence number."""

    exchange_ts: int = 0
    seq: int = 0


@dataclass(slots=True)
class LegHistory:
    """`before` is what was held before the oldest step; `folded` whether that is made of older executions, of which the
    newest trade or believed row was at `folded_to` (0 when that was not saved)."""

    direction: Direction
    before: Holding = Holding()
    folded: bool = False
    folded_to: Mark = Mark()
    steps: list[Step] = field(default_factory=list)
    rows: list[Stated] = field(default_factory=list)
    now: Holding = Holding()

    def add(self, step: Step) -> bool:
        """Put an execution in its place. False when it is the newest: then nothing before it has changed."""
        at = len(self.steps)
        while at and step.is_late(self.steps[at - 1]):
            at -= 1
        late = at < len(self.steps) or (bool(self.rows) and self.rows[-1].covers(step))
        self.steps.insert(at, step)
        if not late:
            self.now, step.realised = step.after(self.now, self.direction)
        return late

    def believe(self, row: Stated) -> None:
        """Go on from what the exchange states."""
        at = len(self.rows)
        while at and is_outdated(row, self.rows[at - 1]):
            at -= 1
        self.rows.insert(at, row)

    def settle(self) -> Iterator[tuple[Step, Decimal]]:
        """Work everything out again; each execution whose figure has changed, with the difference (USDT)."""
        self.now, figures = self._replay(None)
        for step, figure in zip(self.steps, figures, strict=True):
            change = figure - step.realised
            if abs(change) >= UNIT:
                step.realised = figure
                yield step, change

    def held_now(self) -> Holding:
        """What is held after all steps and rows."""
        return self._replay(None)[0]

    def at(self, row: Stated) -> Holding:
        """What was held when the row was made, by our executions, unless that is forgotten. Of a settled history."""
        if all(map(row.covers, self.steps)) and not any(is_before(row, other) for other in self.rows):
            return self.now  # the usual case: nothing has happened since
        return self._replay(row)[0]

    def is_forgotten(self, row: Stated) -> bool:
        """Whether it is not known what was held when the row was made: it is older than the folded, or has no place.

        A leg that was traded in one-way mode has, in hedge mode again, the row of before, with a number of now: by its
        time it is older than an execution, and by its number newer.
        """
        if not row.covers(self.folded_to):
            return True
        is_older_ms = row.exchange_ts + CLOCK_STEP_MS
        return any(
            step.exchange_ts > is_older_ms and row.seq > step.seq > 0 and step.exec_type.moves_legs
            for step in self.steps
        )

    def is_before_first(self, row: Stated) -> bool:
        """Whether the row was made before the leg's first execution, as far as we know."""
        if self.folded:
            return False
        return not any(step.exec_type.moves_legs and row.covers(step) for step in self.steps)

    def fold(self, before_ms: int, most: int) -> list[Step]:
        """Forget the executions older than a time (ms), and all but the newest `most`; returns them."""
        count = next((at for at, step in enumerate(self.steps) if step.exchange_ts >= before_ms), len(self.steps))
        count = max(count, len(self.steps) - most)
        if not count:
            return []
        older, rest = self.steps[:count], self.steps[count:]
        ended = [row for row in self.rows if not any(row.covers(step) for step in rest)]
        self.before = replace(self, steps=older, rows=ended).held_now()
        trades: list[Placed] = [step for step in older if step.exec_type.moves_legs]
        for each in (*trades, *ended[-1:]):
            if not is_outdated(each, self.folded_to):
                self.folded_to = Mark(each.exchange_ts, each.seq)
        self.steps, self.rows, self.folded = rest, self.rows[len(ended) :], True
        return older

    def _replay(self, until: Stated | None) -> tuple[Holding, list[Decimal]]:
        """What is held at the end, or when a row was made; and what each execution realised."""
        held, figures = self.before, []
        rows = [row for row in self.rows if until is None or not is_before(until, row)]
        reached = 0
        for step in self.steps:
            while reached < len(rows) and not rows[reached].covers(step):
                held, reached = rows[reached].held, reached + 1
            if until is not None and not until.covers(step):
                break
            held, figure = step.after(held, self.direction)
            figures.append(figure)
        return (rows[-1].held if reached < len(rows) else held), figures
