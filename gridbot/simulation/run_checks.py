"""The invariants of a run, by name. Plain functions of plain values: each returns what is wrong, in sentences.

one-order-per-level     at most one live order of ours at one (direction, price)
no-unknown-order        no order of ours rests that no book knows
books-rest              no order in a book that does not rest
records-rest            the orders that all records hold for open, the view `open_orders`, are those that rest
flatten-rules           what cancels and closes keeps its own invariants, and whatever it sends only reduces
link-id-once            no orderLinkId was given to two orders
executions-once         every execution of the exchange is recorded exactly once
money                   what is recorded equals the exchange's own figures
grid                    the grid is that of a fresh engine told the same
halted-sends-nothing    what is paused, halted or latched sends only what reduces
foreign-untouched       orders that are not ours are left alone
unresolved-stays        what is unresolved leaves again only after it was looked up, by whichever way
ban-is-kept             during a ban nothing leaves by HTTP, and over the trade socket orders go on
bounded                 tasks end at stop, nothing is swallowed, nothing forbidden is used
standstill-is-told      when nothing can be sent for a minute though levels want orders, health says so
level-is-calm           one level gets few orders in a minute, whatever becomes of them
told-once               an incident is told when it begins, gets worse and ends, and not in between
fills-are-asked-for     the executions that a finished order lacks are asked for by its id, soon
maintenance-is-told     while the exchange says that it is maintained, so does health, and not for long after
nothing-in-vain         what the exchange does not take on a symbol or a leg is asked for once, not on and on
account-is-followed     rows that nobody can read and symbols that are gone keep nobody from comparing
mode-is-ours            a symbol that trades is in hedge mode
shadow-is-fresh         the funds of shadow strategies are as fresh as those of live ones
no-proof                with a fix taken out: what stands in for it works itself (`taken_out`)
reload-counts           what a reload has put in force is what trades and rests; who has not changed has noticed nothing
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType

from gridbot.paper.accounts.exchange_order import Execution, Order
from gridbot.records.record_types import CorrectionRecord, ExecutionRecord, OrderRecord

__all__ = [
    "Finding",
    "books_rest",
    "executions_once",
    "flatten_only_reduces",
    "link_id_once",
    "liquidation_pauses",
    "mode_is_ours",
    "money_by_execution",
    "money_of_coins",
    "money_of_legs",
    "money_of_totals",
    "moved_unseen",
    "no_unknown_order",
    "off_the_ladder",
    "one_order_per_level",
    "other_settings",
    "shadow_is_fresh",
]

EXACT = Decimal("1e-8")
SHADOW_BEHIND_S = 1.0
PAUSING = frozenset({"BustTrade", "Delivery", "MovePosition", "ReverseSplitSettle", "SpinOff"})
"""Executions after which a strategy trades no more until an operator says so."""
MONEY_ONLY = frozenset({"Dividend", "Settle", "SessionSettlePnL"})
"""Those after which it does, unless they took a part of a leg."""
SEEN = frozenset({"Trade", "AdlTrade", "BustTrade", "Delivery", "Funding"})
"""Those whose rows say all that is needed to follow a leg."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A broken invariant. `is_error`: what Python raised is what was found."""

    invariant: str
    text: str
    at_s: float = 0.0
    is_error: bool = False

    def __str__(self) -> str:
        return f"{self.invariant} at {self.at_s:.2f} s: {self.text}"


def one_order_per_level(ours: Iterable[Order]) -> list[str]:
    """`ours` are open orders of the worker's on the exchange."""
    levels: dict[tuple[str, str, Decimal], list[str]] = {}
    for order in ours:
        levels.setdefault((order.symbol, order.direction.value, order.price), []).append(order.link_id)
    return [
        f"{symbol} {direction} {price}: {len(links)} live orders, {', '.join(links)}"
        for (symbol, direction, price), links in levels.items()
        if len(links) > 1
    ]


def no_unknown_order(ours: Iterable[Order], known: set[str]) -> list[str]:
    """`known` are the link ids in the books."""
    return [
        f"{order.symbol} {order.direction} {order.side} {order.price}: {order.link_id} rests and no book knows it"
        for order in ours
        if order.link_id not in known
    ]


def records_rest(recorded: Mapping[str, OrderRecord], ours: Iterable[Order]) -> list[str]:
    """`recorded` are the orders that are open by their newest record; without those of shadow strategies."""
    resting = {order.link_id for order in ours}
    return [
        *(
            f"{link} is {recorded[link].state} by its newest record, and does not rest"
            for link in recorded.keys() - resting
        ),
        *(f"{link} rests, and no record says so" for link in resting - recorded.keys()),
    ]


def books_rest(booked: Mapping[str, str], resting: set[str]) -> list[str]:
    """`booked` are the books' live orders by link id, each with its state; `resting` those on the exchange."""
    return [f"{link} is {state} in the book and does not rest" for link, state in booked.items() if link not in resting]


def link_id_once(orders: Iterable[Order]) -> list[str]:
    """`orders` are all that the exchange ever accepted from the account."""
    counts = Counter(order.link_id for order in orders if order.link_id)
    return [f"{link} was given to {count} orders" for link, count in counts.items() if count > 1]


def flatten_only_reduces(executions: Iterable[Execution], closes: Collection[str]) -> list[str]:
    """`closes` are the link ids of what flattening has sent: each of their executions makes a leg smaller."""
    return [
        f"{execution.order_link_id}: {execution.closed_size} of {execution.qty} {execution.side} have closed something"
        for execution in executions
        if execution.order_link_id in closes and execution.closed_size != execution.qty
    ]


def liquidation_pauses(made: Iterable[Execution], held: Mapping[str, bool]) -> list[str]:
    """`made` are those since an operator resumed last; `held` says of each symbol that a strategy trades whether it is
    paused or halted."""
    return [
        f"{execution.symbol}: {execution.exec_type} ({execution.exec_id}), and its strategy is not paused"
        for execution in made
        if (execution.exec_type in PAUSING or (execution.exec_type in MONEY_ONLY and execution.closed_size))
        and not held.get(execution.symbol, True)
    ]


def mode_is_ours(hedge: Mapping[str, bool], excused: Collection[str]) -> list[str]:
    """`hedge` says of each symbol that trades whether it has two legs; one with a position or an order of one-way mode
    cannot be switched, and what is held sends nothing."""
    return [f"{symbol} is in one-way mode" for symbol, is_set in hedge.items() if not is_set and symbol not in excused]


def other_settings(in_force: Mapping[str, object], trading: Mapping[str, object]) -> list[str]:
    """By strategy, the settings that are in force and those that its runner goes by."""
    found = [f"{name} is in force, and does not trade" for name in in_force.keys() - trading.keys()]
    found += [f"{name} trades, and is not in force" for name in trading.keys() - in_force.keys()]
    both = in_force.keys() & trading.keys()
    return sorted(found + [f"{name} trades by other settings" for name in both if in_force[name] != trading[name]])


def off_the_ladder(strategy: str, resting: Iterable[int], levels: Collection[int]) -> list[str]:
    """Orders (whole ticks) that nobody withdraws, at prices that the ladder does not have."""
    return [
        f"{strategy}: an order rests at {ticks} ticks, which is no level" for ticks in resting if ticks not in levels
    ]


def shadow_is_fresh(known_s: float | None, shadow_s: float | None) -> list[str]:
    """When the wallet was last known to be true: for the live strategies, and for those in shadow."""
    if known_s is None or (shadow_s is not None and shadow_s >= known_s - SHADOW_BEHIND_S):
        return []
    return [f"shadow funds of {shadow_s or 0.0:.0f} s, those of the account are of {known_s:.0f} s"]


def executions_once(made: Iterable[Execution], recorded: Sequence[ExecutionRecord]) -> list[str]:
    """What the exchange made against what is in the journal, funding included."""
    counts = Counter(record.exec_id for record in recorded)
    found, known = [], set()
    for execution in made:
        known.add(execution.exec_id)
        count = counts[execution.exec_id]
        if count != 1:
            found.append(
                f"{execution.symbol} {execution.exec_type} {execution.side} {execution.qty} @ {execution.price} "
                f"({execution.exec_id}, order {execution.order_link_id or execution.order_id or 'none'}) "
                f"is recorded {count} times"
            )
    return found + [f"{exec_id} is recorded and was never made" for exec_id in counts if exec_id not in known]


def moved_unseen(made: Iterable[Execution]) -> dict[str, int]:
    """By symbol, the time (ms) of the first execution that is no trade and moved a leg, or money in a way that nobody
    knows: what is realised from it on may be wrong until somebody has looked."""
    found: dict[str, int] = {}
    for execution in made:
        is_known = execution.exec_type in SEEN or execution.exec_type in MONEY_ONLY
        if (execution.closed_size and execution.exec_type not in SEEN) or (execution.realised and not is_known):
            found.setdefault(execution.symbol, execution.time_ms)
    return found


def money_by_execution(
    made: Iterable[Execution],
    recorded: Sequence[ExecutionRecord],
    corrections: Sequence[CorrectionRecord],
    unrepaired: Mapping[str, int] = MappingProxyType({}),
) -> list[str]:
    """Realised PnL and fee, corrections included, of each execution that both have; what is realised on an `unrepaired`
    symbol is not looked at from that time (ms) on."""
    by_id = {record.exec_id: record for record in recorded}
    realised, fees = defaultdict[str, Decimal](Decimal), defaultdict[str, Decimal](Decimal)
    for correction in corrections:
        realised[correction.exec_id] += correction.realised_pnl
        fees[correction.exec_id] += correction.fee
    found = []
    for execution in made:
        record = by_id.get(execution.exec_id)
        if record is None:
            continue
        for name, theirs, ours in (
            ("realised", execution.realised, record.realised_pnl + realised[execution.exec_id]),
            ("fee", execution.cost, record.fee + fees[execution.exec_id]),
        ):
            waits = name == "realised" and execution.time_ms >= unrepaired.get(execution.symbol, execution.time_ms + 1)
            if abs(theirs - ours) > EXACT and not waits:
                found.append(
                    f"{execution.exec_id} {execution.symbol} {record.direction} {execution.side} {execution.qty} @ "
                    f"{execution.price}: {name} {ours:f}, the exchange has {theirs:f}"
                )
    return found


def money_of_coins(made: Iterable[Execution], recorded: Sequence[ExecutionRecord]) -> list[str]:
    """What other coins than USDT were charged, of each execution that both have."""
    by_id = {record.exec_id: record for record in recorded}
    found = []
    for execution in made:
        record = by_id.get(execution.exec_id)
        theirs = {} if execution.fee_coin == "USDT" else {execution.fee_coin: execution.fee}
        ours = {} if record is None else {c: Decimal(fee) for c, fee in json.loads(record.other_fees or "{}").items()}
        if record is not None and ours != theirs:
            found.append(f"{execution.exec_id}: other coins were charged {ours}, the exchange has {theirs}")
    return found


def money_of_legs(
    theirs: Mapping[tuple[str, str], tuple[Decimal, Decimal]], ours: Mapping[tuple[str, str], tuple[Decimal, Decimal]]
) -> list[str]:
    """(size, entry) of each (symbol, direction)."""
    return [
        f"{symbol} {direction}: {ours[symbol, direction][0]} @ {ours[symbol, direction][1]}, the exchange has "
        f"{size} @ {entry}"
        for (symbol, direction), (size, entry) in theirs.items()
        if (symbol, direction) in ours
        and (ours[symbol, direction][0] != size or (size and abs(ours[symbol, direction][1] - entry) > EXACT * entry))
    ]


def money_of_totals(theirs: Mapping[str, Decimal], ours: Mapping[str, Decimal]) -> list[str]:
    """Sums by name, in USDT; each of many executions may be off by a rounding."""
    return [
        f"{name}: {ours[name]:f}, the exchange has {value:f}"
        for name, value in theirs.items()
        if abs(ours[name] - value) > EXACT * 1000
    ]
