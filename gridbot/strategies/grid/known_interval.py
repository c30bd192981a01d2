"""Where levels become eligible, and the range of prices for which an answer holds. Pure, exact, whole numbers only.

A Buy at L ticks is eligible at the price C (USDT) if C·(200 − step) > 200·L·tick, a Sell if C·(200 + step) <
200·L·tick: more than half a step away, on the right side. With grid and orders fixed, the answer to a price can change
only where a level without an order becomes eligible or stops being so, and at the ends of the grid:

         lowest ── last_buy ────────── price ────────── last_sell ── highest
                     next_sell ──────────────────────── next_buy

`Edges` collects the nearest of those levels while the legs are decided; `Eligibility.holds` turns them into prices.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from gridbot.core.exact import ceil_div
from gridbot.core.instrument import Instrument
from gridbot.strategies.grid.ladder import GridConfig
from gridbot.strategies.grid.plan import Plan

__all__ = ["Edges", "Eligibility"]


class Edges:
    """What is eligible at a price, and what would change that.

    Eligible are Buys up to `buy_limit` and Sells from `sell_limit` (ticks). Among the levels without an order, `next`
    are the lowest Buy and highest Sell that are not eligible yet, `last` the highest Buy and lowest Sell that are.
    Where there is none, the value is so far out that it limits nothing.
    """

    __slots__ = ("buy_limit", "last_buy", "last_sell", "next_buy", "next_sell", "sell_limit")

    def __init__(self, plan: Plan, buy_limit: int, sell_limit: int) -> None:
        self.buy_limit = buy_limit
        self.sell_limit = sell_limit
        self.next_buy = plan.highest
        self.next_sell = plan.lowest
        self.last_buy = 0
        self.last_sell = 2 * plan.highest

    def note(self, ticks: int, *, buys: bool) -> None:
        """A level without an order, as `decide_levels` notes it."""
        if buys:
            if ticks > self.buy_limit:
                self.next_buy = min(self.next_buy, ticks)
            else:
                self.last_buy = max(self.last_buy, ticks)
        elif ticks < self.sell_limit:
            self.next_sell = max(self.next_sell, ticks)
        else:
            self.last_sell = min(self.last_sell, ticks)


@dataclass(frozen=True, slots=True)
class Eligibility:
    """The rule above for one step and tick size: L < C·buy_factor/divisor for a Buy, L > C·sell_factor/divisor for a
    Sell, with L in ticks and C in USDT.
    """

    instrument: Instrument
    whole: int
    step: int
    buy_factor: int
    sell_factor: int
    divisor: int

    @classmethod
    def of(cls, config: GridConfig, instrument: Instrument) -> Eligibility:
        step, scale = config.grid_step.as_integer_ratio()
        tick, tick_scale = instrument.tick_size.as_integer_ratio()
        whole = 200 * scale
        return cls(
            instrument=instrument,
            whole=whole,
            step=step,
            buy_factor=(whole - step) * tick_scale,
            sell_factor=(whole + step) * tick_scale,
            divisor=whole * tick,
        )

    def at(self, plan: Plan, price: Decimal) -> Edges:
        """The limits at this price, before any level was looked at."""
        top, bottom = price.as_integer_ratio()
        divisor = self.divisor * bottom
        return Edges(plan, ceil_div(top * self.buy_factor, divisor) - 1, top * self.sell_factor // divisor + 1)

    def begins_at(self, ticks: int, *, buys: bool) -> Decimal:
        """The price (a whole tick) that the last price has to pass, upwards for a Buy, before a level is eligible."""
        if buys:
            return self.instrument.price(ticks * self.whole // (self.whole - self.step))
        return self.instrument.price(ceil_div(ticks * self.whole, self.whole + self.step))

    def holds(self, plan: Plan, edges: Edges | None) -> tuple[Decimal, Decimal]:
        """The whole ticks from low to high, as prices (both included), inside which the same levels are eligible.

        They are rounded inwards, so low may be above high: then the answer is known for no price but its own. Without
        edges every level has its order, and only the ends of the grid limit the answer.
        """
        if edges is None:
            return plan.low, plan.high
        whole, step = self.whole, self.step
        low = max(
            plan.lowest,
            ceil_div(edges.next_sell * whole, whole + step),
            edges.last_buy * whole // (whole - step) + 1,
        )
        high = min(
            plan.highest,
            edges.next_buy * whole // (whole - step),
            ceil_div(edges.last_sell * whole, whole + step) - 1,
        )
        return self.instrument.price(low), self.instrument.price(high)
