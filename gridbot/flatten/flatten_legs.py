"""One leg that is closed: how much, at which price, and what an answer changes. Pure.

::

    at limit, within the band ──market_after_s, or its price was refused──► at market
        at market ──a piece was refused as it stands──► half as large ──► ... ──► by whole

A leg waits longer after each refusal, and no leg waits for another. `by whole` names no quantity: the exchange closes
what there is (reduceOnly and closeOnTrigger), also less than it takes as an order.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from gridbot.core.exact import WIDE
from gridbot.core.instrument import Instrument
from gridbot.core.vocabulary import Side
from gridbot.exchange.failures import ErrorKind
from gridbot.flatten.flatten_state import ZERO, LegToClose, Market
from gridbot.flatten.flatten_words import Close, Problem, Terms

__all__ = ["MOST_PIECES", "STUCK_AT", "answered", "limit_price", "pieces", "refuses", "size_seen"]

MOST_PIECES = 100
"""Of a leg in one round; what is left comes in the next."""
STUCK_AT = 6
"""So many refusals, or rounds without effect, in a row, and nothing is to be expected of a leg."""
FIRST_WAIT_S = 0.25
LONGEST_WAIT_S = 5.0
REFUSING = frozenset({ErrorKind.PARAM, ErrorKind.BALANCE, ErrorKind.SYMBOL, ErrorKind.AUTH, ErrorKind.HALT})
"""Kinds of errors that the same request would meet again."""


def refuses(problem: Problem) -> bool:
    """Whether the same question or request would have the same answer."""
    return problem.kind in REFUSING


def limit_price(side: Side, price: Decimal, band: Decimal, rules: Instrument) -> Decimal:
    """The price of a close (USDT): the last whole tick within `band` of the last price."""
    raw = price * (1 + band) if side is Side.BUY else price * (1 - band)
    ticks = WIDE.divide(raw, rules.tick_size).to_integral_value(ROUND_FLOOR if side is Side.BUY else ROUND_CEILING)
    return rules.price(int(ticks))


def pieces(
    leg: LegToClose, market: Market | None, terms: Terms, side: Side, now_s: float
) -> list[tuple[Decimal, Decimal | None]]:
    """What closes a leg now: quantities, each with its price, or None at the market. Marks the leg as begun.

    Together they are never more than the leg has. Without rules or below the minimum it is closed by whole.
    """
    since_s = leg.since_s = now_s if leg.since_s is None else leg.since_s
    late = now_s - since_s >= terms.market_after_s
    if market is None or (market.price is None and not (late or leg.at_market)):
        return [(ZERO, None)] if late else []
    leg.at_market = leg.at_market or late
    rules = market.rules
    size = rules.round_qty_down(leg.size)
    if leg.by_whole or size < rules.min_order_qty or size <= 0:
        leg.at_market = leg.by_whole = True
        return [(ZERO, None)]
    most = rules.max_market_qty if leg.at_market and rules.max_market_qty is not None else rules.max_order_qty
    if leg.most is not None:
        most = min(most, leg.most)
    price = None if leg.at_market or market.price is None else limit_price(side, market.price, terms.band, rules)
    return [(qty, price) for qty in _split(size, max(most, rules.min_order_qty), rules)]


def _split(size: Decimal, most: Decimal, rules: Instrument) -> list[Decimal]:
    """Whole steps of at most `most`, none below the minimum."""
    most = max(rules.round_qty_down(most), rules.qty_step)
    count, rest = int(size // most), size % most
    found = [most] * min(count, MOST_PIECES)
    if count >= MOST_PIECES:
        return found
    least = max(rules.min_order_qty, rules.qty_step)
    if rest >= least or (rest and not found):
        found.append(rest)
    elif rest and most - (least - rest) >= least:
        found[-1] -= least - rest
        found.append(least)
    return found


def size_seen(leg: LegToClose, size: Decimal) -> None:
    """A newer listing has the leg at `size`."""
    if size < leg.size:
        leg.refused = leg.idle = 0
        leg.problem = None
        leg.next_s = 0.0
    leg.size = size


def answered(leg: LegToClose, close: Close, problem: Problem | None, now_s: float) -> None:
    """A close of the leg was taken (None), or not."""
    if problem is None:
        leg.idle += 1
        return
    leg.problem = problem
    if problem.kind is ErrorKind.RATE_LIMIT:
        leg.next_s = max(leg.next_s, now_s + 1.0)
    if not refuses(problem):
        return
    leg.refused += 1
    leg.next_s = now_s + min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0**leg.refused)
    if problem.kind is not ErrorKind.PARAM:
        return
    if close.price is not None:
        leg.at_market, leg.next_s = True, now_s  # the exchange does not take such a price
    elif close.qty > 0:
        half = close.qty / 2
        leg.most = half if leg.most is None else min(leg.most, half)
        leg.by_whole = leg.refused >= STUCK_AT - 1
