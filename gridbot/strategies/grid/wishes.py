"""What a grid would have rest at a price, and why it does not ask for some of it there: for operators. Pure."""

from __future__ import annotations

from decimal import Decimal

from gridbot.core.vocabulary import Direction
from gridbot.strategies.base import Wish
from gridbot.strategies.grid.known_interval import Eligibility
from gridbot.strategies.grid.plan import Plan

__all__ = ["wishes_at"]


def wishes_at(plan: Plan, rule: Eligibility, price: Decimal) -> list[Wish]:
    """An order of each leg for every level that has a side, from the lowest level up."""
    edges = rule.at(plan, price)
    found = []
    for _, ticks, side, buys in sorted(plan.walk):
        is_eligible = ticks <= edges.buy_limit if buys else ticks >= edges.sell_limit
        waits = "" if is_eligible else _waits(rule, ticks, price, buys=buys)
        found += [Wish(direction, ticks, side, waits) for direction in Direction]
    return found


def _waits(rule: Eligibility, ticks: int, price: Decimal, *, buys: bool) -> str:
    level = rule.instrument.price(ticks)
    is_passed = level >= price if buys else level <= price
    where = "the price has reached it" if is_passed else "within half a step of the price"
    return f"{where}: placed when the price is {'above' if buys else 'below'} {rule.begins_at(ticks, buys=buys)}"
