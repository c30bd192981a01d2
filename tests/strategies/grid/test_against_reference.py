"""The engine against the naive reference: the same intents and the same grid after every event, on any path."""

from __future__ import annotations

from decimal import Decimal, localcontext
from fractions import Fraction

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gridbot.core import LimitOrders, OrderStatus, OrderUpdateEvent
from gridbot.strategies.grid import GridConfig, GridEngine, ImpossibleLadder
from tests.core.helpers import BUY, EXAMPLES, LONG, SELL, SHORT, SYMBOL, Book, fill, instrument, ticker
from tests.strategies.grid.reference import Impossible, NaiveEngine, as_tuple, levels_of

TICKS = ["0.1", "0.01", "1", "0.5", "3", "0.3", "25", "0.00000001", "0.0125"]
STEPS = ["0.05", "0.2", "0.2", "0.4", "0.333", "1", "1.7", "5", "20"]
THRESHOLDS = ["0.3", "0.3", "0", "0.05", "0.9"]

signed = st.integers(-300, 300)
event = st.one_of(
    st.tuples(st.just("walk"), signed),  # hundredths of a step
    st.tuples(st.just("walk"), signed),
    st.tuples(st.just("ticks"), st.integers(-8, 8)),  # quarters of a tick, so also off the tick
    st.tuples(st.just("jump"), st.integers(-90, 300)),  # percent: over the whole grid
    st.tuples(st.just("level"), st.integers(0, 60), st.integers(-1, 1)),  # on a level or just beside it
    st.tuples(st.just("edge"), st.integers(0, 60), st.integers(-2, 2)),  # where a level becomes eligible
    st.tuples(st.just("again"), st.just(0)),
    st.tuples(st.just("settle"), st.just(0)),
    st.tuples(st.just("cross"), st.integers(0, 5)),  # the market fills what it crossed
    st.tuples(st.just("fill"), signed),  # a fill anywhere near
    st.tuples(st.just("fill_level"), st.integers(0, 60)),
    st.tuples(st.just("partial"), signed),
    st.tuples(st.just("update"), st.just(0)),
    st.tuples(st.just("restart"), st.just(0)),
    st.tuples(st.just("refuse"), st.integers(0, 7)),
    st.tuples(st.just("prepare"), st.integers(0, 1)),  # from here on the engine is prepared before each event, or not
    st.tuples(st.just("mess"), st.integers(0, 4), st.integers(0, 60), st.booleans(), st.booleans()),
)


class Pair:
    """Both engines on one path, with one book of orders."""

    def __init__(
        self, tick: str, count: int, step: str, threshold: str, price: Decimal, anchor: Decimal | None
    ) -> None:
        self.instrument = instrument(tick)
        config = GridConfig(count, Decimal(step), Decimal(threshold))
        self.fast = GridEngine(SYMBOL, self.instrument, config, "grid-1", anchor)
        self.naive = NaiveEngine(SYMBOL, tick, count, step, threshold, "grid-1", anchor)
        self.anchor = anchor
        self.book = Book()
        self.price = price
        self.refusing = 0
        self.preparing = True
        self.seen = 0

    def restart(self) -> None:
        """A new process has what was saved: levels, last fill and the fills kept for the first price, but no price."""
        config, anchor = self.fast.config, self.anchor
        self.fast = GridEngine(SYMBOL, self.instrument, config, "grid-1", anchor, restored=self.fast.state())
        self.naive.last = None

    def both(self, an_event):
        """Feed both, compare everything, and return the intents (None if the ladder is impossible)."""
        if self.preparing:
            self.fast.prepare(self.book.orders)
        orders = {"long": list(self.book.orders.long), "short": list(self.book.orders.short)}
        try:
            expected = self.naive.on_event(an_event, orders)
        except Impossible:
            expected = None
        try:
            intents = self.fast.on_event(an_event, self.book.orders)
        except ImpossibleLadder:
            intents = None
        answer = None if intents is None else [as_tuple(intent) for intent in intents]
        assert answer == expected
        if self.fast.grid is None:
            assert self.naive.grid == []
        else:
            assert levels_of(self.fast.grid, self.instrument.tick_size) == self.naive.grid
            last_fill = self.fast.grid.last_fill
            assert (None if last_fill is None else Fraction(last_fill)) == self.naive.last_fill
        return intents

    def tick(self, price: Decimal, *, refuse: bool = True):
        if price <= 0:
            price = self.instrument.tick_size
        self.price = price
        intents = self.both(ticker(price))
        if intents:
            places = [(i.direction, i.ticks) for i in intents if not hasattr(i, "reason")]
            assert len(set(places)) == len(places), "more than one order for one level of one leg"
            cancels = [i.key for i in intents if hasattr(i, "reason")]
            assert len(set(cancels)) == len(cancels), "one order cancelled twice"
            self.book.apply(intents, self._refuses if refuse else lambda intent: False)
        return intents

    def _refuses(self, intent) -> bool:
        self.seen += 1
        return bool(self.refusing & (1 << (self.seen % 3)))

    def level(self, index: int) -> Decimal:
        grid = self.fast.grid
        if grid is None:
            return self.price
        return grid.price(grid.levels[index % len(grid.levels)])


def step_of(pair: Pair, an_event: tuple) -> None:
    kind, number = an_event[0], an_event[1]
    percent = pair.fast.config.grid_step / 100
    tick = pair.instrument.tick_size
    if kind == "walk":
        pair.tick((pair.price * (1 + percent * number / 100)).quantize(tick))
    elif kind == "ticks":
        pair.tick(pair.price + tick * number / 4)
    elif kind == "jump":
        pair.tick((pair.price * (100 + number) / 100).quantize(tick))
    elif kind == "level":
        pair.tick(pair.level(number) + tick * an_event[2] / 4)
    elif kind == "edge":
        level = pair.level(number)
        edge = level / (1 - percent / 2) if number % 2 else level / (1 + percent / 2)
        pair.tick(pair.instrument.price(pair.instrument.ticks(edge)) + tick * an_event[2] / 2)
    elif kind == "again":
        pair.tick(pair.price)
    elif kind == "settle":
        intents = pair.tick(pair.price, refuse=False)
        if intents is not None and not any(getattr(i, "reason", "") == "rebuild" for i in intents):
            assert pair.both(ticker(pair.price)) == ()
    elif kind == "cross":
        crossed(pair, number)
    elif kind == "fill":
        pair.both(fill(max(tick, pair.price * (1 + percent * number / 100))))
    elif kind == "fill_level":
        pair.both(fill(pair.level(number)))
    elif kind == "partial":
        pair.both(fill(max(tick, pair.price * (1 + percent * number / 100)), leaves="0.5"))
    elif kind == "update":
        pair.both(OrderUpdateEvent(SYMBOL, "o", "l", BUY, LONG, pair.price, Decimal(1), OrderStatus.NEW))
    elif kind == "restart":
        pair.restart()
    elif kind == "refuse":
        pair.refusing = number
    elif kind == "prepare":
        pair.preparing = bool(number)
    else:
        mess(pair, *an_event[1:])


def crossed(pair: Pair, most: int) -> None:
    """Fill up to `most` orders that the last price went through."""
    for direction in (LONG, SHORT):
        for order in list(pair.book.orders[direction])[: most * 5]:
            price = pair.instrument.price(order.ticks)
            through = pair.price <= price if order.side is BUY else pair.price >= price
            if through and most:
                most -= 1
                pair.book.remove(direction, order.key)
                pair.both(fill(price, side=order.side))


def mess(pair: Pair, kind: int, index: int, is_long: bool, is_buy: bool) -> None:
    """Orders nobody asked for: duplicates, wrong sides, off the grid, far too many."""
    direction, side = (LONG if is_long else SHORT), (BUY if is_buy else SELL)
    ticks = pair.instrument.ticks(pair.level(index))
    if kind == 4:
        for extra in range(len(pair.naive.grid) + 11):
            pair.book.add(direction, side, ticks + extra)
    else:
        pair.book.add(direction, side, ticks + (1 if kind == 3 else 0), has_fills=kind == 1)


@settings(max_examples=EXAMPLES * 2, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    tick=st.sampled_from(TICKS),
    count=st.integers(4, 17),
    step=st.sampled_from(STEPS),
    threshold=st.sampled_from(THRESHOLDS),
    price_ticks=st.one_of(st.integers(40, 3000), st.integers(3000, 10**6), st.integers(10**6, 10**9)),
    off_tick=st.sampled_from(["0", "0", "0.5", "0.25", "0.49999"]),
    anchor=st.sampled_from([None, None, "0.9", "1.001", "3"]),
    events=st.lists(event, min_size=3, max_size=30),
)
def test_every_decision_equals_the_reference(tick, count, step, threshold, price_ticks, off_tick, anchor, events):
    with localcontext() as context:
        context.prec = 50
        price = (price_ticks + Decimal(off_tick)) * Decimal(tick)
        pair = Pair(tick, count, step, threshold, price, None if anchor is None else price * Decimal(anchor))
        if price_ticks % 2:
            pair.both(fill(price))
        pair.tick(price)
        for an_event in events:
            step_of(pair, an_event)


def test_a_fill_after_a_restart_waits_for_the_first_price():
    """Reference 1: nothing happens until fill and price are both known, and no price outlives a process.

    A model that keeps the last price over a restart has `Wait` at once where the engine still has `Buy`.
    """
    pair = Pair("0.1", 4, "0.05", "0.3", Decimal("99979.0"), None)
    pair.tick(Decimal("99979.0"))
    step_of(pair, ("walk", 11))
    pair.restart()
    lowest = pair.level(0)
    step_of(pair, ("fill_level", 0))
    assert pair.naive.grid[0][1] == "Buy"
    assert pair.naive.last_fill is None
    assert pair.fast.state().pending == (lowest,)
    pair.tick(pair.price)
    assert pair.naive.last_fill == Fraction(lowest), "and `both` compares the engine with it at each step"
    assert dict(pair.naive.grid)[Fraction(lowest)] == "Wait"


def test_the_original_size_on_a_long_violent_path():
    """Fifty levels, fills of everything crossed, crashes and recoveries through the whole grid."""
    pair = Pair("0.1", 50, "0.2", "0.3", Decimal("60000"), None)
    pair.tick(Decimal("60000"))
    moves = [30, -60, 90, -45, 200, -400, 10, 10, -10, 2600, -2600, 5, -5, 120, 120, 120, -360, 0, 1, -1] * 3
    for number in moves:
        step_of(pair, ("walk", number))
        step_of(pair, ("cross", 5))
        step_of(pair, ("again", 0))
    assert pair.fast.grid is not None
    assert pair.fast.grid.last_fill is not None


def test_a_mapping_is_evaluated_like_the_holder():
    pair = Pair("0.1", 10, "0.5", "0.3", Decimal("100"), None)
    pair.tick(Decimal("100"))
    plain = {"long": list(pair.book.orders.long), "short": list(pair.book.orders.short)}
    for price in ("100.3", "99.1", "104", "97", "100"):
        other = GridEngine(SYMBOL, pair.instrument, pair.fast.config, "grid-1", restored=pair.fast.state())
        held = LimitOrders(plain["long"], plain["short"])
        assert other.on_event(ticker(price), plain) == pair.fast.on_event(ticker(price), held)
        assert other.quiet_interval is None
