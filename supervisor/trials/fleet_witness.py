"""What a trial of a real fleet goes by: the exchange's own listings, and every grant of a lease.

What must hold after any trouble:

    one-epoch        the exchange has no order of an epoch that it took after the database had granted a later one
    one-order        no level of a leg ever had two orders of ours at rest at one time
    every-execution  the records of the fleet have each execution of the exchange once, and no other
    guarded          no account, and so no position, is without a holder for much longer than a takeover takes

The grants are rows that a trigger in the database writes with each change of an epoch, so none is missed. Orders are
asked of the paper exchange itself, past every proxy, from an address of our own.
"""

from __future__ import annotations

import http.client
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, LiteralString
from urllib.parse import urlencode

import psycopg

from gridbot.bybit.signing import signer_of
from gridbot.config.models import GridbotConfig
from gridbot.doors.bounded_json import read_json
from gridbot.orders.ids import parse
from gridbot.store.connecting import connect
from supervisor.polling import wait_until

__all__ = ["Grant", "Taken", "Witness"]

TRIGGER: LiteralString = """
    CREATE TABLE public.grants (account text, epoch bigint, host text, at timestamptz);
    CREATE FUNCTION public.note_grant() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
    BEGIN
        INSERT INTO public.grants VALUES (NEW.account, NEW.epoch, NEW.host, clock_timestamp());
        RETURN NULL;
    END $$;
    CREATE TABLE public.gaps (account text, epoch bigint, seconds float8);
    CREATE FUNCTION public.note_gap() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
    BEGIN
        INSERT INTO public.gaps
            SELECT NEW.account, NEW.epoch, extract(epoch FROM clock_timestamp() - OLD.until)
            WHERE NOT starts_with(NEW.account, '@') AND NEW.state = 'held' AND OLD.until < clock_timestamp();
        RETURN NULL;
    END $$;
    CREATE TRIGGER note_gap AFTER UPDATE OF until ON gridbot.lease FOR EACH ROW EXECUTE FUNCTION public.note_gap();
    CREATE TRIGGER note_grant AFTER INSERT OR UPDATE OF epoch ON gridbot.lease
        FOR EACH ROW EXECUTE FUNCTION public.note_grant();
"""
HELD: LiteralString = """
    SELECT account, host, epoch FROM gridbot.lease WHERE state = 'held' AND until > clock_timestamp()
"""
GRANTS: LiteralString = """
    SELECT account, epoch, host, (extract(epoch FROM at) * 1000)::float8 FROM public.grants ORDER BY account, epoch
"""
GAPS: LiteralString = "SELECT account, epoch, max(seconds) FROM public.gaps GROUP BY 1, 2 ORDER BY 3 DESC"
ADDRESS: Final = "127.0.0.99"
SHIPPED_S: Final = 240.0
"""Ends only what has failed: a machine with no core to spare ships late."""
RECV_MS: Final = 60_000
SHIPPED_SQL: Final = """
    SELECT account, exec_id, count(*) FROM executions WHERE NOT shadow GROUP BY account, exec_id"""


@dataclass(frozen=True, slots=True)
class Grant:
    """A lease was granted at a time of the database's clock, in milliseconds since 1970."""

    account: str
    epoch: int
    host: str
    at_ms: float


@dataclass(frozen=True, slots=True)
class Taken:
    """An order of ours that the exchange took. `end_ms` is None while it rests."""

    account: str
    link_id: str
    epoch: int
    level: tuple[str, str, int, str]
    """Symbol, side, positionIdx, price."""
    created_ms: int
    end_ms: int | None


class Witness:
    """`dsn` and `exchange` (host, port) lead to the servers themselves; `config` has the accounts with their keys."""

    def __init__(self, dsn: str, exchange: tuple[str, int], config: GridbotConfig) -> None:
        self.dsn = dsn
        self._exchange = exchange
        self._config = config
        self.began_ms = int(time.time() * 1000)
        """Orders from before are not looked at."""

    def begin(self) -> None:
        """Have the database write its grants down."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            connection.execute(TRIGGER)

    # ------------------------------------------------------------------ the database

    def held(self) -> dict[str, tuple[str, int]]:
        """By account host and epoch of each lease that is held."""
        return {account: (host, epoch) for account, host, epoch in self._rows(HELD)}

    def grants(self) -> list[Grant]:
        """Every grant so far, by account and epoch."""
        return [Grant(*row) for row in self._rows(GRANTS)]

    def longest_gap_s(self) -> float:
        """For how long an account had no holder, at worst: from the end of a lease to the next or its renewal."""
        return max((float(seconds) for _, _, seconds in self._rows(GAPS)), default=0.0)

    def unguarded(self, most_s: float) -> list[str]:
        """Accounts that were without a holder for longer than that."""
        return [
            f"guarded: {account} had no holder for {seconds:.1f} s before epoch {epoch}, expected {most_s:.0f} at most"
            for account, epoch, seconds in self._rows(GAPS)
            if seconds > most_s
        ]

    def is_taken(self, account: str) -> bool:
        """Whether a host carries out a command for this account that another one was given."""
        query: LiteralString = "SELECT account FROM gridbot.command WHERE taken_at IS NOT NULL AND answer IS NULL"
        return (account,) in self._rows(query)

    def documents(self, account: str, folder: str) -> dict[str, dict[str, Any]]:
        """Documents of a kind that the fleet keeps for the next holder, without the number of their record."""
        with psycopg.connect(self.dsn, autocommit=True, connect_timeout=10) as connection:
            query: LiteralString = "SELECT name, body FROM gridbot.document WHERE account = %s AND name LIKE %s"
            rows = connection.execute(query, (account, f"{folder}/%")).fetchall()
        found = {str(name): read_json(bytes(body)) for name, body in rows}
        numbers = ("seq", "checksum")
        return {
            name: {key: value for key, value in document.items() if key not in numbers}
            for name, document in found.items()
            if isinstance(document, dict)
        }

    def _rows(self, query: LiteralString) -> list[Any]:
        with psycopg.connect(self.dsn, autocommit=True, connect_timeout=10) as connection:
            return connection.execute(query).fetchall()

    # ------------------------------------------------------------------ the exchange

    def orders(self, account: str, *, newest: bool = False) -> list[Taken]:
        """Those that the exchange took since the beginning, the oldest first; `newest`: of each listing one page."""
        scope = {"category": "linear", "settleCoin": "USDT", "limit": "50"}
        listed: dict[str, Taken] = {}
        for place in ("/v5/order/history", "/v5/order/realtime"):
            fields = {**scope, "startTime": str(self.began_ms)} if place.endswith("history") else scope
            for row in self._pages(account, place, fields, most=1 if newest else 1000):
                found = _taken(account, row)
                if found is not None and found.created_ms >= self.began_ms:
                    listed.setdefault(found.link_id, found)  # one that ended between the two listings has ended
        return sorted(listed.values(), key=lambda each: each.created_ms)

    def resting(self, account: str) -> int:
        """How many orders rest there, of whomever."""
        fields = {"category": "linear", "settleCoin": "USDT", "limit": "50"}
        return sum(1 for _ in self._pages(account, "/v5/order/realtime", fields, most=1000))

    def is_flat(self, account: str) -> bool:
        """Whether no position is open there."""
        fields = {"category": "linear", "settleCoin": "USDT", "limit": "200"}
        return all(not float(row["size"]) for row in self._pages(account, "/v5/position/list", fields, most=100))

    def executions(self, account: str) -> set[str]:
        """The ids of all that was executed there; the exchange began less than a minute before us."""
        fields = {"category": "linear", "limit": "100", "startTime": str(self.began_ms - 60_000)}
        return {str(row["execId"]) for row in self._pages(account, "/v5/execution/list", fields, most=10_000)}

    def _pages(self, account: str, place: str, fields: Mapping[str, str], *, most: int) -> Iterator[dict[str, Any]]:
        cursor = ""
        for _ in range(most):
            found = self._ask(account, place, {**fields, **({"cursor": cursor} if cursor else {})})
            yield from found["list"]
            cursor = found.get("nextPageCursor", "")
            if not cursor:
                return

    def _ask(self, account: str, place: str, fields: Mapping[str, str]) -> dict[str, Any]:
        config = self._config.account(account)
        key, stamp, query = config.api_key.get_secret_value(), str(int(time.time() * 1000)), urlencode(fields)
        sign = signer_of(config.api_secret.get_secret_value())(f"{stamp}{key}{RECV_MS}{query}".encode())
        headers = {
            "X-BAPI-API-KEY": key,
            "X-BAPI-TIMESTAMP": stamp,
            "X-BAPI-RECV-WINDOW": str(RECV_MS),
            "X-BAPI-SIGN": sign,
        }
        connection = http.client.HTTPConnection(*self._exchange, timeout=60, source_address=(ADDRESS, 0))
        try:
            connection.request("GET", f"{place}?{query}", headers=headers)
            answer = read_json(connection.getresponse().read())
        finally:
            connection.close()
        if not isinstance(answer, dict) or answer.get("retCode"):
            raise RuntimeError(f"{place} of {account}: {answer}")
        result: dict[str, Any] = answer["result"]
        return result

    # ------------------------------------------------------------------ the checks

    def findings(self, *, by_the_database: bool = True) -> list[str]:
        """What does not hold. `by_the_database`: its clock and the exchange's can be compared (nobody has set one)."""
        grants = defaultdict[str, dict[int, float]](dict)
        for grant in self.grants():
            grants[grant.account][grant.epoch] = grant.at_ms
        found: list[str] = []
        for account in (each.name for each in self._config.accounts):
            orders = self.orders(account)
            found += _overlaps(account, orders, grants[account] if by_the_database else {})
            found += _doubled(account, orders)
        return found + self.unrecorded()

    def unrecorded(self) -> list[str]:
        """Executions that the fleet's records do not have once, after waiting until they have been shipped."""
        found: list[str] = []
        before = self._all_executions()  # not asked again: trading goes on, and records are some seconds behind

        def look() -> bool:
            with connect(fleet=self.dsn) as records:
                rows = {(account, exec_id): n for account, exec_id, n in records.execute(SHIPPED_SQL).fetchall()}
            missing, more = before - rows.keys(), rows.keys() - before
            more = more - self._all_executions() if more else more  # it happened after we had asked the exchange
            found[:] = [f"{len(missing)} of {len(before)} are in no record of the fleet"] if missing else []
            found.extend(f"{each} is recorded {n} times" for each, n in rows.items() if n != 1)
            found.extend([f"{len(more)} records are not the exchange's: {sorted(more)[:3]}"] if more else [])
            return not found

        wait_until(look, timeout_s=SHIPPED_S, every_s=1.0)
        return [f"every-execution: {text}" for text in found]

    def _all_executions(self) -> set[tuple[str, str]]:
        names = [account.name for account in self._config.accounts]
        return {(name, exec_id) for name in names for exec_id in self.executions(name)}


def _taken(account: str, row: Mapping[str, Any]) -> Taken | None:
    link = parse(str(row.get("orderLinkId", "")))
    if link is None or row["orderStatus"] == "Rejected":
        return None
    level = (str(row["symbol"]), str(row["side"]), int(row["positionIdx"]), str(row["price"]))
    rests = row["orderStatus"] in ("New", "PartiallyFilled", "Untriggered")
    end_ms = None if rests else int(row["updatedTime"])
    return Taken(account, str(row["orderLinkId"]), link.epoch, level, int(row["createdTime"]), end_ms)


def _overlaps(account: str, orders: list[Taken], grants: Mapping[int, float]) -> Iterator[str]:
    """Orders of an epoch after one of a later epoch was taken, or after that was granted."""
    newest = 0
    for order in orders:
        newest = max(newest, order.epoch)
        later = min((at_ms for epoch, at_ms in grants.items() if epoch > order.epoch), default=None)
        if order.epoch < newest:
            yield f"one-epoch: {account} {order.link_id} was taken after an order of epoch {newest}"
        elif later is not None and order.created_ms > later:
            late_ms = order.created_ms - later
            yield f"one-epoch: {account} {order.link_id} was taken {late_ms:.0f} ms after the next grant"


def _doubled(account: str, orders: list[Taken]) -> Iterator[str]:
    """Two orders at one level at one time."""
    levels = defaultdict[tuple[object, ...], list[Taken]](list)
    for order in orders:
        levels[order.level].append(order)
    for level, at_level in levels.items():
        for earlier, later in pairwise(at_level):
            if earlier.end_ms is None or earlier.end_ms > later.created_ms:
                yield f"one-order: {account} {earlier.link_id} and {later.link_id} rested at {level} together"
