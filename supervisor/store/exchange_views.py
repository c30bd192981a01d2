"""Compares the views `open_orders` and `positions` with what the exchange lists, for `ledger check --exchange`.

A bot that trades changes both while they are read, so one reading proves nothing: a difference counts when several
readings in a row show the same one. An order under way (sent, sent again, cancelled, looked up) is compared once that
has taken longer than it may. Only our own orders are compared, and legs that have a row or a live strategy.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from gridbot.bybit.rest import BybitRest
from gridbot.config.account_models import AccountConfig
from gridbot.config.models import GridbotConfig
from gridbot.core import Direction, OrderUpdateEvent, PositionEvent
from gridbot.exchange.failures import ExchangeError
from gridbot.exchange.listing import Unreadable
from gridbot.orders.ids import account_tag, parse
from gridbot.orders.order import OrderState
from supervisor.store.address_pace import Paces
from supervisor.store.query import Limits, ask_all

__all__ = ["Listed", "Recorded", "ViewCheck", "Views", "check_views", "differences", "lasting"]

ENTRY_ROUNDING: Final = Decimal("0.000001")
"""Part of an entry price by which the exchange's and ours may differ: it prints a few digits of its average."""
ZERO: Final = Decimal(0)
LOOKS: Final = 3
APART_S: Final = 2.0
AT_A_TIME: Final = 64
"""Accounts that are asked at the same time: each waits most of the time."""
UNDER_WAY: Final = frozenset({OrderState.PENDING, OrderState.UNRESOLVED, OrderState.PENDING_CANCEL})
UNDER_WAY_S: Final = 60.0
"""How long an order may be under way: sent again for 30 s, its fate asked for until a minute has gone by."""

_ORDERS: Final = """SELECT account, order_link_id, order_id, symbol, price, qty, cum_exec_qty, state,
    strategy, direction, side, reduce_only, attempt, local_ts FROM open_orders"""
_LEGS: Final = "SELECT account, symbol, direction, size, entry_price FROM positions"

Leg = tuple[str, Direction]


@dataclass(frozen=True, slots=True)
class Recorded:
    """A row of `open_orders`."""

    link_id: str
    order_id: str
    symbol: str
    price: Decimal
    qty: Decimal
    executed: Decimal
    state: str
    strategy: str = ""
    direction: str = ""
    side: str = ""
    reduce_only: bool = False
    attempt: int = 0
    is_under_way: bool = False

    def as_row(self) -> dict[str, Any]:
        """The argument of the worker's command `correct`: a row that ends when the exchange does not have it."""
        return {
            "strategy": self.strategy,
            "symbol": self.symbol,
            "order_link_id": self.link_id,
            "order_id": self.order_id,
            "direction": self.direction,
            "side": self.side,
            "price": str(self.price),
            "qty": str(self.qty),
            "cum_exec_qty": str(self.executed),
            "reduce_only": self.reduce_only,
            "state": self.state,
            "attempt": self.attempt,
            "shadow": False,
        }


@dataclass(frozen=True, slots=True)
class Views:
    """What the records of an account say: its open orders by link id, and size and entry of each leg."""

    orders: Mapping[str, Recorded]
    legs: Mapping[Leg, tuple[Decimal, Decimal]]

    def without(self, symbols: Collection[str]) -> Views:
        """The same but for these symbols."""
        return Views(
            {name: order for name, order in self.orders.items() if order.symbol not in symbols},
            {leg: held for leg, held in self.legs.items() if leg[0] not in symbols},
        )


@dataclass(frozen=True, slots=True)
class Listed:
    """What the exchange lists for an account, and the rows of it that cannot be read: each names its symbol."""

    orders: Sequence[OrderUpdateEvent]
    legs: Sequence[PositionEvent]
    unreadable: tuple[Unreadable, ...] = ()

    def without(self, symbols: Collection[str]) -> Listed:
        """The readable rows of all other symbols."""
        return Listed(
            [row for row in self.orders if row.symbol not in symbols],
            [row for row in self.legs if row.symbol not in symbols],
        )


def differences(tag: str, views: Views, listed: Listed, traded: Collection[str] = ()) -> list[str]:
    """Each difference as a line, whatever the moment. Pure.

    `tag` is what the link ids of the account begin with, `traded` are the symbols of its live strategies.
    """
    found = list(_of_orders(tag, views.orders, listed.orders))
    rows = {(row.symbol, row.direction): row for row in listed.legs}
    for leg, (size, entry) in sorted(views.legs.items()):
        row = rows.get(leg)
        theirs = row.size if row is not None else ZERO
        name = f"positions: {leg[1].value} of {leg[0]}"
        if theirs != size:
            found.append(f"{name}: recorded {size:f}, the exchange has {theirs:f}")
        elif row is not None and row.entry_price and abs(row.entry_price - entry) > ENTRY_ROUNDING * row.entry_price:
            found.append(f"{name}: recorded entry {entry:f}, the exchange has {row.entry_price:f}")
    found += (
        f"positions: {row.direction.value} of {row.symbol} is not there, the exchange has {row.size:f}"
        for row in listed.legs
        if row.size and row.symbol in traded and (row.symbol, row.direction) not in views.legs
    )
    return found


def lasting(readings: Sequence[Sequence[str]]) -> list[str]:
    """The differences that each reading shows."""
    first, *others = readings
    return [line for line in first if all(line in other for other in others)]


def _of_orders(tag: str, recorded: Mapping[str, Recorded], listed: Iterable[OrderUpdateEvent]) -> Iterable[str]:
    rows = {row.order_link_id or row.order_id: row for row in listed}
    for name, ours in sorted(recorded.items()):
        if ours.is_under_way:
            continue
        row = rows.get(name)
        what = f"open_orders: {name} of {ours.symbol}"
        if row is None:
            yield _stale(name, ours)
            continue
        if ours.order_id != row.order_id:
            yield f"{what}: recorded order_id {ours.order_id or 'none'}, the exchange has {row.order_id}"
        figures = (
            ("price", ours.price, row.price),
            ("qty", ours.qty, row.qty),
            ("cum_exec_qty", ours.executed, row.cum_exec_qty),
        )
        for column, here, there in figures:
            if here != there:
                yield f"{what}: recorded {column} {here:f}, the exchange has {there:f}"
    for name, row in sorted(rows.items()):
        if name not in recorded and row.order_link_id.startswith(tag) and parse(row.order_link_id) is not None:
            yield (
                f"open_orders: {name} of {row.symbol} is not there, on the exchange it rests: "
                f"{row.side.value} {row.qty:f} @ {row.price:f}"
            )


def _stale(name: str, ours: Recorded) -> str:
    return f"open_orders: {name} of {ours.symbol}: recorded as {ours.state}, it does not rest on the exchange"


@dataclass(frozen=True, slots=True)
class ViewCheck:
    """How many orders, and legs that are not flat, of an account were compared, and what lasts of their differences.

    `stale` are the orders that are recorded as open and do not rest. `problem` is why nothing could be compared,
    `unreadable` why nothing of their symbols was.
    """

    orders: int = 0
    legs: int = 0
    lines: tuple[str, ...] = ()
    problem: str = ""
    stale: tuple[Recorded, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()


def check_views(
    config: GridbotConfig,
    accounts: Sequence[AccountConfig],
    data_dir: Path,
    connect: Callable[[AccountConfig], BybitRest],
    limits: Limits,
    paces: Paces,
) -> dict[str, ViewCheck]:
    """Compare the views of these accounts with the exchange, as often as there are differences, `LOOKS` times at most.

    `connect` makes a client for an account, which is closed here; it raises LookupError or ValueError when nothing
    answers for the account. Raises SqlFailed.
    """
    found: dict[str, ViewCheck] = {}
    shown: dict[str, list[list[str]]] = {account.name: [] for account in accounts}
    left = list(accounts)
    for look in range(LOOKS):
        if look:
            time.sleep(APART_S)  # what happened meanwhile reaches the records within a flush or two
        views = _read_views(data_dir, limits)
        for account, answer in zip(left, asyncio.run(_ask_all(left, connect, paces)), strict=True):
            name, ours = account.name, views.get(account.name, Views({}, {}))
            if isinstance(answer, str):
                found[name] = ViewCheck(problem=answer)
                continue
            unreadable = answer.unreadable or found.get(name, ViewCheck()).unreadable
            left_out = {row.symbol for row in unreadable}
            ours, answer = ours.without(left_out), answer.without(left_out)
            traded = {each.symbol for each in config.strategies_of(name) if not each.shadow_mode}
            shown[name].append(differences(account_tag(account.environment, name), ours, answer, traded))
            lines = tuple(lasting(shown[name]))
            stale = tuple(order for key, order in ours.orders.items() if _stale(key, order) in lines)
            found[name] = ViewCheck(
                len(ours.orders),
                sum(1 for size, _ in ours.legs.values() if size),
                lines,
                stale=stale,
                unreadable=unreadable,
            )
        left = [account for account in left if found[account.name].lines]
        if not left:
            break
    return found


async def _ask_all(
    accounts: Sequence[AccountConfig], connect: Callable[[AccountConfig], BybitRest], paces: Paces
) -> list[Listed | str]:
    slots = asyncio.Semaphore(AT_A_TIME)

    async def one(account: AccountConfig) -> Listed | str:
        async with slots:
            try:
                rest = connect(account)
            except (LookupError, ValueError) as error:  # the paper exchange has gone meanwhile
                return str(error)
            try:
                await rest.server_time_ms()
                orders = await rest.open_orders()
                legs = await rest.positions()
                return Listed(orders, legs, orders.unreadable + legs.unreadable)
            except (ExchangeError, ValueError) as error:
                return str(error)
            finally:
                rest.close()

    async with paces.open():
        return list(await asyncio.gather(*(one(account) for account in accounts)))


def _read_views(data_dir: Path, limits: Limits) -> dict[str, Views]:
    """Both views, by account. Raises SqlFailed."""
    orders: dict[str, dict[str, Recorded]] = {}
    legs: dict[str, dict[Leg, tuple[Decimal, Decimal]]] = {}
    open_orders, positions = ask_all(data_dir, [_ORDERS, _LEGS], limits)
    lately = datetime.now(UTC).replace(tzinfo=None) - timedelta(seconds=UNDER_WAY_S)
    for account, link_id, order_id, symbol, price, qty, executed, state, *whose, local_ts in open_orders.rows:
        amounts = (price or ZERO, qty or ZERO, executed or ZERO)
        under_way = state in UNDER_WAY and local_ts > lately
        row = Recorded(link_id or "", order_id or "", symbol, *amounts, state, *whose)
        row = replace(row, is_under_way=under_way)
        orders.setdefault(account, {})[link_id or order_id] = row
    for account, symbol, direction, size, entry in positions.rows:
        legs.setdefault(account, {})[symbol, Direction(direction)] = size, entry or ZERO
    return {name: Views(orders.get(name, {}), legs.get(name, {})) for name in orders.keys() | legs.keys()}
