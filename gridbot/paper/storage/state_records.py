"""Records of what changed, and of everything: what `kept_state` is built from. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import orjson

from gridbot.paper.accounts.account import Account
from gridbot.paper.accounts.changes import AccountChanges
from gridbot.paper.accounts.leg import Leg
from gridbot.paper.accounts.packed_rows import Texts
from gridbot.paper.accounts.row_cells import CLOSED_PNL, LEGS, ORDERS, TRANSFERS
from gridbot.paper.engine.exchange import Exchange
from gridbot.paper.market.listing_terms import terms_of
from gridbot.paper.storage.kept_state import MONEY, SetAside

__all__ = ["VERSION", "ChangeNotes", "WholeState"]

VERSION = 6
ROWS_PER_RECORD = 200
MOST_ROWS = 4000  # of a record of changes; a row has less than 1 kB, a frame holds 16 MB
SEQUENCE_BLOCK = 1_000_000
Bodies = Iterator[bytes]
NOTHING_ASIDE = SetAside()


def _body(record: Mapping[str, Any]) -> bytes:
    return orjson.dumps(record, default=str)


def _money(account: Account) -> list[str]:
    return [str(getattr(account, name)) for name in MONEY]


def _settings(account: Account) -> dict[str, Any]:
    return {
        "reprice": account.reprice,
        "leverage": {symbol: str(value) for symbol, value in account.leverage.items()},
        "sell_leverage": {symbol: str(value) for symbol, value in account.sell_leverage.items()},
        "hedge": account.hedge,
        "partial_stops": sorted(account.partial_stops),
        "isolated": account.isolated,
        "mode_ms": account.mode_ms,
        "dcp_window_s": account.dcp_window_s,
        "cached_from": account.cached_from,
        "opened_ms": account.opened_ms,
    }


class ChangeNotes:
    """Takes from a running exchange what changed since the last time."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._ids = exchange.state.ids
        self._listings = exchange.state.listings
        self._dirty = exchange.state.note_changes()
        self._number = self._ids.last
        self._markets: dict[str, tuple[int, int]] = {}  # sequence numbers are reserved a block at a time
        self._markets_moved = False
        self.look_at_markets()

    def __bool__(self) -> bool:
        """True when something changed that has not been taken. An id that was given and not used counts."""
        changed = bool(self._dirty) or self._ids.last != self._number or self._markets_moved
        return changed or bool(self._listings)

    @property
    def markets(self) -> Mapping[str, tuple[int, int]]:
        """(first sequence number that is surely not given yet, next funding in ms) by symbol."""
        return self._markets

    def look_at_markets(self) -> None:
        """Note fundings, and sequence numbers that have used up half of what was reserved; call it each 0.1 s."""
        for symbol, market in self._exchange.markets.items():
            reserved, next_funding_ms = self._markets.get(symbol, (0, 0))
            if market.seq > reserved - SEQUENCE_BLOCK // 2 or market.next_funding_ms != next_funding_ms:
                self._markets[symbol] = market.seq + SEQUENCE_BLOCK, market.next_funding_ms
                self._markets_moved = True

    def take(self, number: int) -> list[bytes]:
        """Records of what changed, from number `number` on: none, one, or several of whole accounts when it is much."""
        if not self:
            return []
        accounts, last = self._exchange.accounts, self._ids.last
        parts: dict[str, Any] = {}
        record: dict[str, Any] = {"i": number, "n": last, "a": parts}
        if self._markets_moved:
            record["m"] = self._markets
        bodies: list[bytes] = []
        rows = 0
        for name, changes in self._dirty.items():
            if rows > MOST_ROWS:
                bodies.append(_body(record))
                parts = {}
                record = {"i": number + len(bodies), "n": last, "a": parts}
                rows = 0
            if len(self._dirty) > 1:
                rows += changes.row_count
            parts[name] = _changed_part(accounts[name], changes)
            changes.clear()
        self._dirty.clear()
        if self._listings:  # last: a symbol is Closed only when everything on it has ended
            record |= _listed(self._exchange, self._listings.fresh, news=self._listings.has_news)
            self._listings.clear()
        bodies.append(_body(record))
        self._number, self._markets_moved = last, False
        return bodies

    def placed(self, number: int) -> bytes | None:
        """The record, if all that changed is one plain order that was placed; None says nothing, and changes nothing.

        It is what most turns are that answer a request. All in one piece, since that request waits for it.
        """
        dirty = self._dirty
        if len(dirty) != 1 or self._markets_moved or self._listings:
            return None
        [(name, changes)] = dirty.items()
        orders = changes.orders
        if changes.is_more or len(orders) != 1:
            return None
        [order] = orders.values()
        cells = ORDERS.placed(name, order)
        if cells is None:
            return None
        self._number = last = self._ids.last
        orders.clear()
        dirty.clear()
        return orjson.dumps({"i": number, "n": last, "o": cells})


def _listed(exchange: Exchange, symbols: Iterable[str], *, news: bool) -> dict[str, Any]:
    """Listings that are not as configured, and what is announced."""
    kept: dict[str, Any] = {"c": {symbol: terms_of(exchange.markets[symbol].listing) for symbol in sorted(symbols)}}
    return kept | ({"x": exchange.announced.rows()} if news else {})


def _changed_part(account: Account, changes: AccountChanges) -> dict[str, Any]:
    """Rows as they are now."""
    part: dict[str, Any] = {}
    if changes.orders:
        part["orders"] = [ORDERS.cells(order) for order in changes.orders.values()]
    if changes.closed_orders:
        part["closed"] = [ORDERS.cells(order) for order in changes.closed_orders]
    if changes.legs:
        part["legs"] = [LEGS.cells(leg) for leg in changes.legs.values()]
    if changes.has_settings:
        part["settings"] = _settings(account)
    if changes.has_money:
        part["money"] = _money(account)
        rows = {
            "executions": [orjson.Fragment(packed) for packed in changes.executions],
            "transfers": [TRANSFERS.cells(transfer) for transfer in changes.transfers],
            "closed_pnl": [CLOSED_PNL.cells(row) for row in changes.closed_pnl_rows.values()],
        }
        part |= {key: cells for key, cells in rows.items() if cells}
    return part


@dataclass(frozen=True, slots=True)
class _History:
    """Rows of an account that never change again."""

    closed: Texts
    executions: Texts
    closed_pnl: Texts


class WholeState:
    """Everything at one moment. What may change afterwards is written down at once, the long history as it is read."""

    def __init__(
        self,
        exchange: Exchange,
        markets: Mapping[str, tuple[int, int]],
        aside: SetAside = NOTHING_ASIDE,
    ) -> None:
        ids = exchange.state.ids
        self._number = ids.last
        accounts = exchange.accounts.items()
        listed = _listed(exchange, exchange.state.listings.symbols, news=True)
        listed["c"] |= aside.listings
        all_markets = {**aside.markets, **markets}
        self._live = [
            _body({"version": VERSION, "run_id": ids.run_id, "n": ids.last, "m": all_markets, **listed}),
            *(_body({"n": ids.last, "a": {name: part}}) for name, part in aside.parts),
            *(_body({"n": ids.last, "a": {name: _live_part(account)}}) for name, account in accounts),
        ]
        self._history = {name: _history(account) for name, account in accounts}

    def bodies(self) -> Bodies:
        """Records that make the state again, a few hundred rows each. May run in another thread."""
        yield from self._live
        for name, history in self._history.items():
            yield from self._rows(name, "closed", history.closed)
            yield from self._rows(name, "executions", history.executions)
            yield from self._rows(name, "closed_pnl", history.closed_pnl)

    def _rows(self, name: str, key: str, texts: Texts) -> Bodies:
        rows = iter(texts)
        while some := [orjson.Fragment(row) for row in islice(rows, ROWS_PER_RECORD)]:
            yield _body({"n": self._number, "a": {name: {key: some}}})


def _live_part(account: Account) -> dict[str, Any]:
    return {
        "money": _money(account),
        "settings": _settings(account),
        "orders": [ORDERS.cells(order) for order in account.open.values()],
        "legs": [LEGS.cells(leg) for _, leg in sorted(account.legs.items()) if not _is_blank(leg, account.opened_ms)],
        "transfers": [TRANSFERS.cells(transfer) for transfer in account.transfers],
    }


def _is_blank(leg: Leg, opened_ms: int) -> bool:
    """True for a leg that was only asked for; it is made again when it is asked for again."""
    return leg == Leg(leg.symbol, leg.position_idx, leg.direction, opened_ms, updated_ms=opened_ms)


def _history(account: Account) -> _History:
    return _History(account.closed.copy(), account.executions.copy(), account.closed_pnl.copy())
