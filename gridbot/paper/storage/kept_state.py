"""What of an exchange is kept, built from records: those of a state file, then those of the journal behind it. Pure.

A record tells what changed in one turn of the loop: whole rows, absolute amounts. So a state is what its records add up
to, whatever the program computes today, and a state file is nothing but a short journal that begins from nothing:

    {"n": newest number given, "m": {symbol: [sequence, next funding]}, "a": {account: part}}
    part: money, settings, orders (open), closed, legs, executions, transfers, closed_pnl; each where it changed
    and "c": {symbol: how it is listed, where not as configured}, "x": what is announced; in the last record of a turn
    {"n": newest number given, "o": account and plain limit order that was placed, in a turn without any other change}

Rows are lists of cells (`row_cells`); up to version 3 they were objects with named fields, which are still read.
Version 5 has "o", version 6 "c" and "x".

Prices are not kept: they come from the market source. Orders that rest go to the end of their queues.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeVar

from pydantic import TypeAdapter

from gridbot.paper.accounts.account import KEEP_CLOSED_PNL, KEEP_EXECUTIONS, KEEP_ORDERS, KEEP_TRANSFERS, Account
from gridbot.paper.accounts.bookings import ClosedPnl, Transfer
from gridbot.paper.accounts.exchange_order import Execution, Order
from gridbot.paper.accounts.leg import Leg
from gridbot.paper.accounts.row_cells import CLOSED_PNL, EXECUTIONS, LEGS, ORDERS, TRANSFERS, CellFormat
from gridbot.paper.engine.exchange import Exchange
from gridbot.paper.market.listing_terms import with_terms

__all__ = ["MONEY", "KeptAccount", "KeptState", "SetAside"]

MONEY = ("deposit", "wallet", "realised", "fees", "funding", "insurance")
T = TypeVar("T")
_ORDERS = ORDERS, TypeAdapter(Order)
_EXECUTIONS = EXECUTIONS, TypeAdapter(Execution)
_TRANSFERS = TRANSFERS, TypeAdapter(Transfer)
_LEGS = LEGS, TypeAdapter(Leg)
_CLOSED = CLOSED_PNL, TypeAdapter(ClosedPnl)


def _rows(forms: tuple[CellFormat[T], TypeAdapter[T]], part: Mapping[str, Any], key: str) -> Sequence[T]:
    cells, fields = forms
    return [cells.row(row) if type(row) is list else fields.validate_python(row) for row in part.get(key, ())]


@dataclass(slots=True)
class KeptAccount:
    """One account, as `Account` has it. `money` is in the order of `MONEY`."""

    money: list[Decimal] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    open: dict[str, Order] = field(default_factory=dict)
    closed: OrderedDict[str, Order] = field(default_factory=OrderedDict)
    legs: dict[tuple[str, int], Leg] = field(default_factory=dict)
    executions: deque[Execution] = field(default_factory=lambda: deque(maxlen=KEEP_EXECUTIONS))
    transfers: deque[Transfer] = field(default_factory=lambda: deque(maxlen=KEEP_TRANSFERS))
    closed_pnl: OrderedDict[str, ClosedPnl] = field(default_factory=OrderedDict)

    def apply(self, part: Mapping[str, Any]) -> None:
        """Take over what changed. Raises ValueError (also pydantic's), KeyError or TypeError when it is damaged."""
        if "money" in part:
            self.money = [Decimal(amount) for amount in part["money"]]
        if "settings" in part:
            self.settings = dict(part["settings"])
        for order in _rows(_ORDERS, part, "orders"):
            self.open[order.order_id] = order
        for order in _rows(_ORDERS, part, "closed"):
            self.open.pop(order.order_id, None)
            self.closed[order.order_id] = order
        for leg in _rows(_LEGS, part, "legs"):
            self.legs[(leg.symbol, leg.position_idx)] = leg
        self.executions.extend(_rows(_EXECUTIONS, part, "executions"))
        self.transfers.extend(_rows(_TRANSFERS, part, "transfers"))
        for row in _rows(_CLOSED, part, "closed_pnl"):
            self.closed_pnl[row.order.order_id] = row
        while len(self.closed) > KEEP_ORDERS:
            self.closed.popitem(last=False)
        while len(self.closed_pnl) > KEEP_CLOSED_PNL:
            self.closed_pnl.popitem(last=False)

    def put_into(self, exchange: Exchange, account: Account) -> None:
        """Give a fresh account what is kept of it; orders and legs of symbols that are not listed are left out."""
        listed, settings = exchange.markets, self.settings
        for name, amount in zip(MONEY, self.money, strict=True):
            setattr(account, name, amount)
        account.reprice = bool(settings["reprice"])
        account.leverage = {symbol: Decimal(value) for symbol, value in settings["leverage"].items()}
        account.sell_leverage = {symbol: Decimal(value) for symbol, value in settings.get("sell_leverage", {}).items()}
        account.hedge = dict(settings["hedge"])
        account.partial_stops = set(settings.get("partial_stops", ()))
        account.isolated = bool(settings.get("isolated", False))
        account.dcp_window_s = settings["dcp_window_s"]
        account.cached_from = int(settings.get("cached_from", 0))
        account.opened_ms = int(settings.get("opened_ms", account.opened_ms))
        account.mode_ms = int(settings.get("mode_ms", account.opened_ms))
        account.legs |= {key: leg for key, leg in self.legs.items() if leg.symbol in listed}
        account.order_seqs = {key: listed[key[0]].seq for key in account.legs}  # not kept; later than all told before
        for order in self.open.values():
            if order.symbol in listed:
                exchange.restore(account, order)
        for order in self.closed.values():
            account.closed.put(order)
        for execution in self.executions:
            account.executions.append(execution)
        account.transfers.clear()
        account.transfers.extend(self.transfers)
        for row in self.closed_pnl.values():
            row.order = account.find(row.order.order_id, "") or row.order
            account.closed_pnl.add(row)
            if not row.order.is_open:
                account.closed_pnl.finish(row.order)

    def left_out(self, listed: Container[str]) -> dict[str, Any]:
        """The part with what `put_into` leaves out; empty when that is nothing."""
        orders = [ORDERS.cells(order) for order in self.open.values() if order.symbol not in listed]
        legs = [LEGS.cells(leg) for leg in self.legs.values() if leg.symbol not in listed]
        return ({"orders": orders} if orders else {}) | ({"legs": legs} if legs else {})


@dataclass(frozen=True, slots=True)
class SetAside:
    """What belongs to accounts and symbols that are not configured now: they may be again. As it stands in records."""

    parts: Sequence[tuple[str, Mapping[str, Any]]] = ()
    markets: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    listings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(slots=True)
class KeptState:
    """`run_id` and `number` continue the counter of ids; `markets` has (sequence, next funding in ms) by symbol,
    `listings` how a symbol is listed that is not as configured.

    Parts of accounts that are not configured now are kept as they came, in `strangers`.
    """

    known: frozenset[str]
    run_id: str = ""
    number: int = 0
    markets: dict[str, tuple[int, int]] = field(default_factory=dict)
    listings: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    announced: Mapping[str, Any] | None = None
    accounts: dict[str, KeptAccount] = field(default_factory=dict)
    strangers: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)

    def apply(self, record: Mapping[str, Any]) -> None:
        """Take over what changed in a turn. Raises ValueError, KeyError or TypeError when it is damaged."""
        self.run_id = record.get("run_id", self.run_id)
        self.number = max(self.number, int(record["n"]))
        for symbol, (seq, next_funding_ms) in record.get("m", {}).items():
            self.markets[symbol] = int(seq), int(next_funding_ms)
        self.listings |= record.get("c", {})
        self.announced = record.get("x", self.announced)
        for name, part in record.get("a", {}).items():
            if name in self.known:
                self.accounts.setdefault(name, KeptAccount()).apply(part)
            else:
                self.strangers.append((name, part))
        if "o" in record:
            name, order = ORDERS.placed_row(record["o"])
            if name in self.known:
                self.accounts.setdefault(name, KeptAccount()).open[order.order_id] = order
            else:
                self.strangers.append((name, {"orders": [ORDERS.cells(order)]}))

    def apply_version_2(self, document: Mapping[str, Any]) -> None:
        """Take over a whole state file of the version before the journal."""
        parts = {name: _part_of_version_2(kept) for name, kept in document["accounts"].items()}
        self.apply({"run_id": str(document["run_id"]), "n": document["number"], "a": parts})

    def put_into(self, exchange: Exchange) -> SetAside:
        """Give a fresh exchange what is kept; return what it has no place for now.

        No id and no sequence number that was given is given again.
        """
        exchange.state.ids.resume(self.run_id, self.number)
        for symbol, (seq, next_funding_ms) in self.markets.items():
            if symbol in exchange.markets:
                market = exchange.markets[symbol]
                market.seq = max(market.seq, seq)
                market.next_funding_ms = max(market.next_funding_ms, next_funding_ms)
        changed = [symbol for symbol in self.listings if symbol in exchange.markets]
        for symbol in changed:
            market = exchange.markets[symbol]
            market.relist(with_terms(market.listing, self.listings[symbol]))
            exchange.state.listings.symbols.add(symbol)
        if self.announced is not None:
            exchange.announced.restore(self.announced)
        for name, kept in self.accounts.items():
            kept.put_into(exchange, exchange.accounts[name])
        for symbol in changed:  # an order may stand between two of today's ticks
            exchange.resting.rebuild(symbol)
        left = [(name, kept.left_out(exchange.markets)) for name, kept in self.accounts.items()]
        return SetAside(
            [*self.strangers, *(pair for pair in left if pair[1])],
            {symbol: pair for symbol, pair in self.markets.items() if symbol not in exchange.markets},
            {symbol: terms for symbol, terms in self.listings.items() if symbol not in exchange.markets},
        )


def _part_of_version_2(kept: Mapping[str, Any]) -> dict[str, Any]:
    settings = {name: kept[name] for name in ("reprice", "leverage", "hedge", "dcp_window_s")}
    rows = {name: kept[name] for name in ("closed", "legs", "executions", "transfers", "closed_pnl")}
    return {"money": [kept[name] for name in MONEY], "settings": settings, "orders": kept["open"], **rows}
