"""What holds of everything an executor sends, as named functions. Pure; for tests and the simulator.

Each returns what is wrong, in words, or "".
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from gridbot.execution.rate_budget import WINDOW_S
from gridbot.execution.send_lane import RequestKind
from gridbot.execution.send_queue import BATCH_MAX

__all__ = [
    "Urgency",
    "Wire",
    "broken_rules",
    "cancels_before_creates",
    "lanes_bounded",
    "nothing_forgotten",
    "one_batch",
    "one_request_per_wish",
    "silent_while_banned",
    "slots_add_up",
    "urgent_first",
    "within_quota",
]

Urgency = tuple[int, Decimal]
"""Rank (of creates: 0 a close, 1 an open) and distance from the price; the smaller goes first."""


@dataclass(frozen=True, slots=True)
class Wire:
    """One request as it left, and what stood behind it. `at_s` is monotonic; `quota` that of its endpoint then.

    `urgencies` are those of its orders, `behind` those of the orders of its lane that still waited.
    `cancels_could_go`: a cancel waited, and its budget had room. `banned_until_s`: the end of the last ban of our
    address. `by_http`: not over the trade socket. `sees_all`: no news of the account can have been missed.
    """

    at_s: float
    kind: RequestKind
    endpoint: str
    links: tuple[str, ...]
    urgencies: tuple[Urgency, ...]
    behind: tuple[Urgency, ...]
    quota: int
    cancels_could_go: bool = False
    banned_until_s: float | None = None
    by_http: bool = True
    sees_all: bool = True


def broken_rules(wires: Sequence[Wire]) -> list[str]:
    """What is wrong about the newest request of `wires`."""
    newest = wires[-1]
    found = (
        cancels_before_creates(newest),
        urgent_first(newest),
        within_quota(wires),
        silent_while_banned(newest),
        one_batch(newest),
    )
    return [text for text in found if text]


def cancels_before_creates(wire: Wire) -> str:
    """No create leaves while a cancel waits that could leave (incident L39)."""
    late = wire.kind is RequestKind.PLACE and wire.cancels_could_go
    return f"{wire.links} created before a cancel that could go" if late else ""


def urgent_first(wire: Wire) -> str:
    """Closes before opens and near before far: none that waits is more urgent than one that leaves."""
    late = min(wire.behind, default=None)
    return f"{wire.links} left before one of {late}" if late is not None and late < max(wire.urgencies) else ""


def within_quota(wires: Sequence[Wire]) -> str:
    """In no window more orders than the quota of their endpoint; looks at the window that ends with the newest."""
    newest = wires[-1]
    same = [w for w in wires if w.endpoint == newest.endpoint and newest.at_s - w.at_s < WINDOW_S]
    count = sum(len(wire.links) for wire in same)
    return (
        f"{count} orders to {newest.endpoint} in a window, its quota is {newest.quota}" if count > newest.quota else ""
    )


def silent_while_banned(wire: Wire) -> str:
    """After a 403 HTTP is silent until the ban is over, and an account that may have missed news opens nothing."""
    if wire.banned_until_s is None or wire.at_s >= wire.banned_until_s:
        return ""
    if wire.by_http:
        return f"{wire.links} left during a ban"
    opens = wire.kind is RequestKind.PLACE and any(rank for rank, _ in wire.urgencies)
    return f"{wire.links} opens during a ban, and news may be missing" if opens and not wire.sees_all else ""


def one_batch(wire: Wire) -> str:
    """A request has one to ten orders, each once; the endpoint for one order has one."""
    count = len(wire.links)
    fits = 1 <= count <= (BATCH_MAX if wire.endpoint == wire.kind.batch else 1)
    return "" if fits and len(set(wire.links)) == count else f"{wire.links} in one request to {wire.endpoint}"


def one_request_per_wish(wire: Wire, open_wishes: Collection[str]) -> str:
    """Each order of a request was still wanted, and had not been sent for this wish. `open_wishes` as before it."""
    unwanted = [link for link in wire.links if link not in open_wishes]
    return f"{unwanted} sent without a wish" if unwanted else ""


def slots_add_up(free: int, under_way: int, max_in_flight: int) -> str:
    """Every slot is free or has its request: none is lost, and there are never more than allowed."""
    fine = free >= 0 and under_way <= max_in_flight and free + under_way == max_in_flight
    return "" if fine else f"{free} slots free and {under_way} requests under way, of {max_in_flight}"


def nothing_forgotten(waiting: int, under_way: int, timers: int) -> str:
    """Where orders wait, a request under way or exactly one timer will ask again."""
    alone = waiting > 0 and under_way == 0 and timers == 0
    return f"{waiting} orders wait, and nothing asks again" if alone or timers > 1 else ""


def lanes_bounded(waiting: Mapping[RequestKind, Sequence[str]]) -> str:
    """An order waits once in each lane, so a lane is never longer than the book."""
    doubled = [kind.name for kind, links in waiting.items() if len(set(links)) < len(links)]
    return f"an order waits twice in {doubled}" if doubled else ""
