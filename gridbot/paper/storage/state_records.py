"""Records of what changed, and of everything: what `kept_state` is built from. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from gridbot.paper.accounts.account import Account
from gridbot.paper.accounts.bookings import ClosedPnl
from gridbot.paper.accounts.changes import AccountChanges
from gridbot.paper.accounts.exchange_order import Execution, Order
from gridbot.paper.accounts.leg import Leg
from gridbot.paper.engine.exchange import Exchange
from gridbot.paper.storage.kept_state import MONEY

__all__ = ["VERSION", "ChangeNotes", "WholeState"]

VERSION = 3
ROWS_PER_RECORD = 200
MOST_ROWS = 4000  # of a record of changes; a row has about 1 kB, a frame holds 16 MB
SEQUENCE_BLOCK = 1_000_000
Bodies = Iterator[bytes]


def _body(record: Mapping[str, Any]) -> bytes:
    return orjson.dumps(record, default=str)


def _money(account: Account) -> list[str]:
    return [str(getattr(account, name)) for name in MONEY]


def _settings(account: Account) -> dict[str, Any]:
    return {
        "reprice": account.reprice,
        "leverage": {symbol: str(value) for symbol, value in account.leverage.items()},
        "hedge": account.hedge,
        "dcp_window_s": account.dcp_window_s,
        "cached_from": account.cached_from,
        "opened_ms": account.opened_ms,
    }


class ChangeNotes:
    """Takes from a running exchange what changed since the last time."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._ids = exchange.state.ids
        self._dirty = exchange.state.note_changes()
        self._number = self._ids.last
        self._markets: dict[str, tuple[int, int]] = {}  # sequence numbers are reserved a block at a time
        self._markets_moved = False
        self.look_at_markets()

    def __bool__(self) -> bool:
        """True when something changed that has not been taken. An id that was given and not used counts."""
        return bool(self._dirty) or self._ids.last != self._number or self._markets_moved

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
        """Records of what changed, from number `number` on: one, or several of whole accounts when it is very much."""
        accounts = self._exchange.accounts
        record: dict[str, Any] = {"i": number, "n": self._ids.last}
        if self._markets_moved:
            record["m"] = self._markets
        bodies: list[bytes] = []
        parts = record["a"] = {}
        rows = 0
        for name, changes in self._dirty.items():
            if rows > MOST_ROWS:
                bodies.append(_body(record))
                parts = {}
                record = {"i": number + len(bodies), "n": self._ids.last, "a": parts}
                rows = 0
            if len(self._dirty) > 1:
                rows += changes.row_count
            parts[name] = _changed_part(accounts[name], changes)
        bodies.append(_body(record))
        for changes in self._dirty.values():
            changes.clear()
        self._dirty.clear()
        self._number, self._markets_moved = self._ids.last, False
        return bodies


def _changed_part(account: Account, changes: AccountChanges) -> dict[str, Any]:
    """Rows as they are, to be read at once: what changed is forgotten afterwards."""
    part: dict[str, Any] = {}
    if changes.orders:
        part["orders"] = list(changes.orders.values())
    if changes.closed_orders:
        part["closed"] = changes.closed_orders
    if changes.legs:
        part["legs"] = list(changes.legs.values())
    if changes.has_settings:
        part["settings"] = _settings(account)
    if changes.has_money:
        part["money"] = _money(account)
        part["executions"] = changes.executions
        part["transfers"] = changes.transfers
        part["closed_pnl"] = list(changes.closed_pnl_rows.values())
    return part


@dataclass(frozen=True, slots=True)
class _History:
    """Rows of an account that never change again."""

    closed: list[Order]
    executions: list[Execution]
    closed_pnl: list[ClosedPnl]


class WholeState:
    """Everything at one moment. What may change afterwards is written down at once, the long history as it is read."""

    def __init__(
        self,
        exchange: Exchange,
        markets: Mapping[str, tuple[int, int]],
        strangers: Sequence[tuple[str, Mapping[str, Any]]] = (),
    ) -> None:
        ids = exchange.state.ids
        self._number = ids.last
        accounts = exchange.accounts.items()
        self._live = [
            _body({"version": VERSION, "run_id": ids.run_id, "n": ids.last, "m": markets}),
            *(_body({"n": ids.last, "a": {name: part}}) for name, part in strangers),
            *(_body({"n": ids.last, "a": {name: _live_part(account)}}) for name, account in accounts),
        ]
        self._history = {name: _history(account) for name, account in accounts}

    def bodies(self) -> Bodies:
        """Records that make the state again, a few hundred rows each. May run in another thread."""
        yield from self._live
        for name, history in self._history.items():
            for key, rows in (
                ("closed", history.closed),
                ("executions", history.executions),
                ("closed_pnl", history.closed_pnl),
            ):
                for start in range(0, len(rows), ROWS_PER_RECORD):
                    part = {key: rows[start : start + ROWS_PER_RECORD]}
                    yield _body({"n": self._number, "a": {name: part}})


def _live_part(account: Account) -> dict[str, Any]:
    return {
        "money": _money(account),
        "settings": _settings(account),
        "orders": list(account.open.values()),
        "legs": [leg for key, leg in sorted(account.legs.items()) if not _is_blank(leg, account.opened_ms)],
        "transfers": account.transfers,
    }


def _is_blank(leg: Leg, opened_ms: int) -> bool:
    """True for a leg that was only asked for; it is made again when it is asked for again."""
    return leg == Leg(leg.symbol, leg.position_idx, leg.direction, opened_ms, updated_ms=opened_ms)


def _history(account: Account) -> _History:
    rows = [replace(row, order=replace(row.order)) if row.order.is_open else row for row in account.closed_pnl.values()]
    return _History(list(account.closed.values()), list(account.executions), rows)
