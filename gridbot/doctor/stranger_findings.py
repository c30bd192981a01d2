"""Orders and positions that are not ours, and who else trades the account. Pure.

An order id says whose the order is (`orders/ids.py`). Numbers of ids are reserved on the disk before the first of them
is used: an id with our tags and a number that nobody has reserved here was given elsewhere, by a copy of this
configuration. The older layout has no account in it, so there only a hash of the terms tells (`orders/former_ids.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Final, NamedTuple

from gridbot.core.events import ExecType, ExecutionEvent, OrderUpdateEvent
from gridbot.doctor.doctor_facts import Local, Unread
from gridbot.doctor.findings import Finding, Verdict
from gridbot.doors.plain_text import one_line
from gridbot.exchange.examined import HeldLeg
from gridbot.exchange.requests import ApiKeyInfo
from gridbot.orders.former_ids import has_layout
from gridbot.orders.ids import parse, strategy_tag

__all__ = [
    "RECENT_MS",
    "Maker",
    "Ours",
    "adopted_of",
    "foreign_orders",
    "foreign_positions",
    "maker_of",
    "rival",
    "same_users",
]

RECENT_MS: Final = 3_600_000
MOST_NAMES: Final = 4
OK, WARNING, REFUSED = Verdict.OK, Verdict.WARNING, Verdict.REFUSED


class Maker(StrEnum):
    """Who gave an order its id."""

    OURS = "ours"
    LEFT = "a strategy that the file does not name"
    FORMER = "an earlier version of gridbot, or of another account"
    COPY = "a copy of this configuration"
    GRIDBOT = "another gridbot"
    PROGRAM = "another program"
    HAND = "a hand, or the exchange"


class Ours(NamedTuple):
    """What makes an id ours: the account's tag, its strategies, and the symbols that they trade live."""

    tag: str
    strategies: frozenset[str]
    symbols: frozenset[str]
    in_fleet: bool = False
    """Whether other hosts may have made orders of ours, with numbers of their own."""

    @classmethod
    def of(cls, tag: str, strat_ids: Iterable[str], symbols: Iterable[str], *, in_fleet: bool = False) -> Ours:
        tags = frozenset(strategy_tag(strat_id) for strat_id in strat_ids)
        return cls(tag, tags, frozenset(symbols), in_fleet)


def maker_of(link_id: str, ours: Ours, next_number: int | None) -> Maker:
    """Who made the order of an id. `next_number` as in `Local`."""
    if not link_id:
        return Maker.HAND
    found = parse(link_id)
    if found is None:
        return Maker.FORMER if has_layout(link_id) else Maker.PROGRAM
    if found.account != ours.tag:
        return Maker.GRIDBOT
    is_later = next_number is not None and found.generation >= next_number
    if not ours.in_fleet and (found.epoch or is_later):
        return Maker.COPY
    return Maker.OURS if found.strategy in ours.strategies else Maker.LEFT


def adopted_of(ledger: object) -> frozenset[str]:
    """The orders that a ledger's document knows for ours although their ids do not say so, by link id or exchange id.

    None of a document that is none.
    """
    rows = ledger.get("orders") if isinstance(ledger, dict) else None
    told = [row for row in rows if isinstance(row, dict) and not row.get("shadow")] if isinstance(rows, list) else []
    keys = {str(row.get("order_link_id") or row.get("order_id") or "") for row in told}
    return frozenset(key for key in keys if key and parse(key) is None)


def foreign_orders(
    account: str,
    orders: Sequence[OrderUpdateEvent] | Unread,
    ours: Ours,
    next_number: int | None,
    adopted: Collection[str] = (),
) -> Finding:
    """`foreign_orders`."""
    if isinstance(orders, Unread):
        return Finding("foreign_orders", WARNING, f"not known: {orders.text}", account)
    foreign = [
        (order, maker)
        for order in orders
        if _key(order) not in adopted and (maker := _of_order(order, ours, next_number)) is not Maker.OURS
    ]
    if not foreign:
        return Finding("foreign_orders", OK, f"none; {_count(len(orders), 'order')} of ours rest", account)
    by_symbol: dict[str, Decimal] = {}
    counts: Counter[str] = Counter()
    for order, _ in foreign:
        counts[order.symbol] += 1
        left = order.leaves_qty or order.qty - order.cum_exec_qty
        by_symbol[order.symbol] = by_symbol.get(order.symbol, Decimal(0)) + left * order.price
    rows = [f"{_name(symbol)}: {counts[symbol]} worth {value:.2f} USDT" for symbol, value in sorted(by_symbol.items())]
    makers = ", ".join(sorted({maker for _, maker in foreign}))
    shared = any(order.symbol in ours.symbols for order, _ in foreign)
    also = "; on a symbol of ours they change its position, and cover what we close" if shared else ""
    text = (
        f"{_count(len(foreign), 'order')} not of ours ({_some(rows)}), made by {makers}; they are never touched{also}"
    )
    return Finding("foreign_orders", WARNING, text, account)


def _key(row: OrderUpdateEvent | ExecutionEvent) -> str:
    return row.order_link_id or row.order_id


def _of_order(order: OrderUpdateEvent, ours: Ours, next_number: int | None) -> Maker:
    return maker_of(order.order_link_id, ours, next_number)


def foreign_positions(account: str, legs: Sequence[HeldLeg] | Unread, ours: Ours) -> Finding:
    """`foreign_positions`."""
    if isinstance(legs, Unread):
        return Finding("foreign_positions", WARNING, f"not known: {legs.text}", account)
    foreign = [leg for leg in legs if leg.symbol not in ours.symbols]
    mine = [_leg(leg) for leg in legs if leg.symbol in ours.symbols]
    held = f"held by our strategies: {_some(mine)}" if mine else "our strategies hold nothing"
    if not foreign:
        return Finding("foreign_positions", OK, f"none; {held}", account)
    text = (
        f"no live strategy trades {_some([_leg(leg) for leg in foreign])}: they use the account's margin, and nothing "
        f"here closes them; {held}"
    )
    return Finding("foreign_positions", WARNING, text, account)


def rival(
    account: str,
    ours: Ours,
    local: Local,
    orders: Sequence[OrderUpdateEvent] | Unread,
    executions: Sequence[ExecutionEvent] | Unread,
    server_ms: int,
) -> Finding:
    """`rival`: of the account alone; `same_users` compares accounts."""
    if local.holder:
        who = f"process {local.holder}" if local.holder != "unknown" else "a process"
        text = f"expected nobody else with this key on this machine, {who} has it: stop it, or use another key"
        return Finding("rival", REFUSED, text, account)
    if isinstance(orders, Unread) or isinstance(executions, Unread):
        why = next(each.text for each in (orders, executions) if isinstance(each, Unread))
        return Finding("rival", WARNING, f"not known: {why}", account)
    recent = [e for e in executions if e.exec_type is ExecType.TRADE and e.exchange_ts > server_ms - RECENT_MS]
    strange = [each for each in recent if _key(each) not in local.adopted]
    makers: dict[Maker, str] = {}
    seen = [(row.symbol, row.order_link_id) for row in orders] + [(row.symbol, row.order_link_id) for row in recent]
    for symbol, link_id in seen:
        maker = maker_of(link_id, ours, local.next_number)
        if maker in (Maker.COPY, Maker.GRIDBOT):
            makers.setdefault(maker, f"{_name(symbol)} {link_id}")
    if Maker.COPY in makers:
        text = (
            f"{Maker.COPY} trades this account elsewhere ({makers[Maker.COPY]}): this data directory has not given "
            "that id; stop the other one, or give each its own account"
        )
        return Finding("rival", REFUSED, text, account)
    if Maker.GRIDBOT in makers:
        text = (
            f"{Maker.GRIDBOT} trades this account ({makers[Maker.GRIDBOT]}), or it did under another name or "
            "environment: stop it, or withdraw its orders; give each its own account"
        )
        return Finding("rival", REFUSED, text, account)
    strangers = Counter(
        maker
        for row in strange
        if row.symbol in ours.symbols
        and (maker := maker_of(row.order_link_id, ours, local.next_number)) in (Maker.PROGRAM, Maker.HAND, Maker.FORMER)
    )
    if strangers:
        rows = ", ".join(f"{count} by {maker}" for maker, count in sorted(strangers.items()))
        text = f"trades on symbols of ours within the last hour that are not ours: {rows}; end what makes them"
        return Finding("rival", WARNING, text, account)
    never = "" if local.next_number is not None else "; this data directory has never traded it"
    return Finding("rival", OK, f"nobody: {_count(len(recent), 'trade')} of the last hour looked at{never}", account)


def same_users(keys: Mapping[str, tuple[str, ApiKeyInfo]]) -> list[Finding]:
    """A finding for each account of which an earlier one has the same user: two workers on one account.

    By account: its exchange (users are numbered by each), and what its key may do.
    """
    first: dict[tuple[str, str], str] = {}
    found = []
    for account, (exchange, key) in keys.items():
        if not key.user_id:
            continue
        other = first.setdefault((exchange, key.user_id), account)
        if other != account:
            text = (
                f"expected an account of its own, its key and that of {other} belong to the same user {key.user_id}: "
                "two workers would trade against each other; use a sub-account"
            )
            found.append(Finding("rival", REFUSED, text, account))
    return found


def _leg(leg: HeldLeg) -> str:
    return f"{_name(leg.symbol)} {leg.direction} {leg.size.normalize():f} ({leg.value:.2f} USDT)"


def _name(symbol: str) -> str:
    return one_line(symbol, 24)


def _some(rows: Sequence[str]) -> str:
    more = len(rows) - MOST_NAMES
    return ", ".join([*rows[:MOST_NAMES], *([f"and {more} more"] if more > 0 else [])])


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
