"""The strategy once more, naively: docs/strategy.md sentence by sentence, with fractions, on every tick.

It shares nothing with `gridbot.core` but the words for events. Prices are `Fraction`s in USDT, levels are small lists,
everything is looked up by scanning. It exists to be compared with, and to be slow.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from gridbot.core import ExecutionEvent, TickerEvent


class Impossible(Exception):
    """The ladder does not come out strictly ascending, positive and at least half a step apart."""


class NaiveEngine:
    """`on_event(event, orders)` answers with tuples (`place`, `cancel`); `orders` maps long and short to lists."""

    def __init__(self, symbol, tick_size, count, step, threshold, strat_id, anchor=None):
        self.symbol = symbol
        self.tick = Fraction(tick_size)
        self.count = count
        self.step = Fraction(step)
        self.threshold = Fraction(threshold)
        self.strat_id = strat_id
        self.anchor = None if anchor is None else Fraction(anchor)
        self.grid: list[list] = []  # [price, "Buy" | "Sell" | "Wait"], lowest first
        self.last: Fraction | None = None
        self.last_fill: Fraction | None = None
        self.kept_fills: list[Fraction] = []

    # -------------------------------------------------------------- section 1

    def rounded(self, price: Fraction) -> Fraction:
        return round(price / self.tick) * self.tick  # Python rounds a Fraction's ties to even

    def build(self, price: Fraction) -> None:
        levels = [[self.rounded(price), "Wait"]]
        p = price
        for _ in range(self.count // 2):
            p = self.rounded(p * (1 + self.step / 100))
            levels.append([p, "Sell"])
        p = price
        for _ in range(self.count // 2):
            p = self.rounded(p * (1 - self.step / 100))
            levels.insert(0, [p, "Buy"])
        if not self.holds(levels):
            raise Impossible
        self.grid = levels

    def holds(self, levels) -> bool:
        if levels[0][0] <= 0:
            return False
        for i in range(1, len(levels)):
            gap = levels[i][0] - levels[i - 1][0]
            if gap <= 0 or gap / levels[i - 1][0] * 100 < self.step / 2:
                return False
        return True

    def fill(self, fill: Fraction) -> None:
        last = self.last
        assert last is not None
        if not self.grid or not self.grid[0][0] < last < self.grid[-1][0]:
            self.build(last)
        for level in self.grid:
            if abs(level[0] - fill) / level[0] * 100 < self.step / 4:
                level[1] = "Wait"
            elif last < level[0]:
                level[1] = "Sell"
            elif last > level[0]:
                level[1] = "Buy"
        self.recentre()
        self.last_fill = fill

    def recentre(self) -> None:
        b = sum(1 for level in self.grid if level[1] == "Buy")
        s = sum(1 for level in self.grid if level[1] == "Sell")
        if b + s == 0:
            return
        moved = [list(level) for level in self.grid]
        if Fraction(b - s, b + s) > self.threshold:
            del moved[0]
            moved.append([self.rounded(moved[-1][0] * (1 + self.step / 100)), "Sell"])
        elif Fraction(s - b, b + s) > self.threshold:
            del moved[-1]
            moved.insert(0, [self.rounded(moved[0][0] * (1 - self.step / 100)), "Buy"])
        if self.holds(moved):
            self.grid = moved

    # -------------------------------------------------------------- section 2

    def on_event(self, event, orders) -> list[tuple]:
        if isinstance(event, TickerEvent):
            return self.ticker(Fraction(event.last_price), orders)
        if isinstance(event, ExecutionEvent) and event.exec_type == "Trade" and event.leaves_qty == 0:
            self.kept_fills.append(Fraction(event.price))
            if self.last is not None:
                self.use_kept_fills()
        return []

    def use_kept_fills(self) -> None:
        while self.kept_fills:
            self.fill(self.kept_fills[0])
            self.kept_fills.pop(0)

    def ticker(self, price: Fraction, orders) -> list[tuple]:
        self.last = price
        if not self.grid:
            self.build(price if self.anchor is None else self.anchor)
        elif price < self.grid[0][0] or price > self.grid[-1][0]:
            self.build(price)
        self.use_kept_fills()
        return self.direction("long", orders["long"]) + self.direction("short", orders["short"])

    def direction(self, direction: str, orders) -> list[tuple]:
        if len(orders) > len(self.grid) + 10:
            assert self.last is not None
            self.build(self.last)
            return [self.cancel(order, "rebuild", direction) for order in orders]
        intents = []
        kept = []
        for order in orders:
            if self.survivor([other for other in orders if other.ticks == order.ticks]) is order:
                kept.append(order)
            else:
                intents.append(self.cancel(order, "duplicate", direction))
        centre = self.centre()
        by_distance = sorted(range(len(self.grid)), key=lambda i: (abs(i - centre), self.grid[i][0]))
        for i in by_distance:
            price, side = self.grid[i]
            if side == "Wait":
                continue
            ticks = price / self.tick
            here = [order for order in kept if order.ticks == ticks]
            for order in here:
                if order.side != side:
                    intents.append(self.cancel(order, "side_mismatch", direction))
            if not any(order.side == side for order in here) and self.eligible(price, side):
                intents.append(self.place(i, direction))
        for order in kept:
            price = order.ticks * self.tick
            if not any(level_price == price for level_price, _ in self.grid):
                intents.append(self.cancel(order, "outside_grid", direction))
        return intents

    def survivor(self, same_price):
        side = None
        price = same_price[0].ticks * self.tick
        for level_price, level_side in self.grid:
            if level_price == price:
                side = level_side
        right = [order for order in same_price if order.side == side]
        candidates = right or same_price
        with_fills = [order for order in candidates if order.has_fills]
        return (with_fills or candidates)[0]

    def centre(self) -> int:
        waiting = [i for i in range(len(self.grid)) if self.grid[i][1] == "Wait"]
        if not waiting:
            return len(self.grid) // 2
        return (min(waiting) + max(waiting)) // 2

    def eligible(self, price: Fraction, side: str) -> bool:
        last = self.last
        assert last is not None
        right_side = price < last if side == "Buy" else price > last
        return right_side and abs(last - price) / last * 100 > self.step / 2

    # -------------------------------------------------------------- section 3

    def place(self, i: int, direction: str) -> tuple:
        price, side = self.grid[i]
        ticks = int(price / self.tick)
        reduce_only = (direction, side) in (("long", "Sell"), ("short", "Buy"))
        return ("place", direction, side, ticks, reduce_only, i)

    def cancel(self, order, reason: str, direction: str) -> tuple:
        return ("cancel", direction, str(order.side), order.ticks, order.key, reason)


def as_tuple(intent) -> tuple:
    """An intent of the real engine in the form of the naive one's."""
    if hasattr(intent, "reason"):
        return ("cancel", str(intent.direction), str(intent.side), intent.ticks, intent.key, intent.reason)
    return (
        "place",
        str(intent.direction),
        str(intent.side),
        intent.ticks,
        intent.reduce_only,
        intent.level,
    )


def levels_of(grid, tick_size: Decimal) -> list[list]:
    """The real engine's grid in the form of the naive one's."""
    tick = Fraction(tick_size)
    return [[level.ticks * tick, "Wait" if level.side is None else str(level.side)] for level in grid.levels]
