"""The caps over hosts in PostgreSQL: what `caps.fleet_scope` says, with its rows. Raises FleetAway.

    tell    one statement: the rows of our accounts, each taken when we hold its lease and nothing newer was told
    look    one transaction a scope, one host at a time: rows in, shares and latches out
    read    the rows that have our newest number, and every scope

Rows are locked in the order of (scope, account) by both, so that neither ever waits for the other in a circle.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, LiteralString, TypeVar

from psycopg import AsyncConnection
from psycopg.types.json import Jsonb

from gridbot.config.fleet_models import FleetCaps
from gridbot.risk.fleet_share import CapHold
from supervisor.caps.cap_scope import Figures
from supervisor.caps.fleet_scope import ScopeLook, ScopeSeen, Told, UseRow, look
from supervisor.fleet.lease_types import HostId
from supervisor.fleet.postgres_link import PostgresLink

__all__ = ["DUE_S", "CapStore"]

log = logging.getLogger("supervisor")

T = TypeVar("T")
ZERO: Final = Decimal(0)
EVERYTHING: Final = Decimal(10) ** 18

DUE_S: Final = 0.4
"""A scope that somebody has looked at less long ago is left alone, unless somebody wants something of it."""
FROZEN_MS: Final = 1000
"""A host that stands still in the middle of a look keeps the others from theirs for so long."""

# The rules of `fleet_scope.taken`. Who holds the lease is looked at without a lock: what comes late is older than what
# the next holder tells, and never says that less is kept to than the former one did.
_TELL: LiteralString = """
    INSERT INTO gridbot.cap_use AS c (scope, account, host, instance, epoch, seq, used, short, reserved, share, heard,
        kept, figures, hold, lifts)
    SELECT t.scope, t.account, %(host)s, %(instance)s, t.epoch, t.seq, t.used, t.short, t.kept, t.kept, t.number,
        t.kept, t.figures, t.hold, t.lifts
    FROM unnest(%(scopes)s::text[], %(accounts)s::text[], %(epochs)s::bigint[], %(seqs)s::bigint[],
        %(used)s::numeric[], %(short)s::numeric[], %(kept)s::numeric[], %(numbers)s::bigint[], %(figures)s::jsonb[],
        %(holds)s::jsonb[], %(lifts)s::bigint[])
        AS t (scope, account, epoch, seq, used, short, kept, number, figures, hold, lifts)
    JOIN gridbot.lease l ON l.account = t.account AND l.epoch = t.epoch AND l.host = %(host)s
        AND l.instance = %(instance)s AND l.state = 'held'
    ORDER BY t.scope, t.account
    ON CONFLICT (scope, account) DO UPDATE SET
        host = excluded.host, instance = excluded.instance, epoch = excluded.epoch, seq = excluded.seq,
        used = excluded.used, short = excluded.short, heard = excluded.heard, kept = excluded.kept,
        reserved = CASE WHEN excluded.epoch > c.epoch OR excluded.heard = c.number
            THEN least(c.reserved, excluded.kept) ELSE c.reserved END,
        figures = coalesce(excluded.figures, c.figures), hold = excluded.hold,
        lifts = greatest(c.lifts, excluded.lifts), at = clock_timestamp()
    WHERE (c.epoch, c.seq) < (excluded.epoch, excluded.seq)
"""
_ROWS: LiteralString = """
    SELECT scope, account, host, instance, epoch, seq, used, short, reserved, share, number, heard, kept, figures, hold,
        lifts, extract(epoch FROM clock_timestamp() - at)::float8
    FROM gridbot.cap_use
"""
_OURS: LiteralString = (
    _ROWS + "WHERE account = ANY(%(accounts)s) AND host = %(host)s AND instance = %(instance)s AND seq = %(seq)s"
)
_SCOPES: LiteralString = """
    SELECT scope, version, holds,
        CASE WHEN holds IS DISTINCT FROM (%(known)s::jsonb ->> scope)::bigint THEN held END, shown,
        extract(epoch FROM clock_timestamp() - at)::float8
    FROM gridbot.cap_scope WHERE scope = ANY(%(scopes)s) AND shown IS NOT NULL ORDER BY scope
"""
_NEWEST: LiteralString = """
    SELECT scope, version, holds, held, shown, extract(epoch FROM clock_timestamp() - at)::float8 FROM gridbot.cap_scope
    WHERE shown IS NOT NULL AND version = (SELECT max(version) FROM gridbot.cap_scope) ORDER BY scope
"""
_BEGIN: LiteralString = """
    SELECT set_config('idle_in_transaction_session_timeout', %s, true),
        EXISTS (SELECT 1 FROM gridbot.cap_scope WHERE scope = %s)
"""
_LOCK: LiteralString = """
    SELECT version, body, held, holds, extract(epoch FROM clock_timestamp() - at)::float8,
        (extract(epoch FROM clock_timestamp()) * 1000)::bigint
    FROM gridbot.cap_scope WHERE scope = %s FOR UPDATE SKIP LOCKED
"""
_GRANT: LiteralString = """
    UPDATE gridbot.cap_use c SET share = g.share, number = g.number, reserved = g.reserved
    FROM unnest(%s::text[], %s::numeric[], %s::bigint[], %s::numeric[]) AS g (account, share, number, reserved)
    WHERE c.scope = %s AND c.account = g.account
"""


class CapStore:
    """One per host; `link` may be shared."""

    def __init__(self, link: PostgresLink) -> None:
        self._link = link

    async def tell(self, me: HostId, told: Sequence[Told]) -> None:
        """Tell what the accounts here use. Those whose lease is not ours are left out."""
        values = {
            "host": me.name,
            "instance": me.instance,
            "scopes": [each.scope for each in told],
            "accounts": [each.account for each in told],
            "epochs": [each.epoch for each in told],
            "seqs": [each.seq for each in told],
            "used": [each.used for each in told],
            "short": [each.short for each in told],
            "kept": [each.kept for each in told],
            "numbers": [each.number for each in told],
            "figures": [None if each.figures is None else Jsonb(each.figures.to_document()) for each in told],
            "holds": [None if each.hold is None else Jsonb(each.hold.to_document()) for each in told],
            "lifts": [each.lifts for each in told],
        }

        async def work(connection: AsyncConnection[Any]) -> None:
            await connection.execute(_TELL, values)

        if told:
            await self._link.run(work)

    async def look(
        self, scope: str, caps: FleetCaps, accounts: Sequence[str], version: int, *, urgent: bool
    ) -> ScopeLook | None:
        """Look at a scope as version `version` of the configuration has it, when it is due or `urgent`.

        None when it is not due, when another host looks at it now, or when a newer version of the configuration has
        been looked at already: who goes by an older one has no say in what there is.
        """

        async def work(connection: AsyncConnection[Any]) -> ScopeLook | None:
            async with connection.transaction():
                there = await (await connection.execute(_BEGIN, (str(FROZEN_MS), scope))).fetchone()
                if there is None or not there[1]:  # an INSERT would wait for whoever is at it now
                    await connection.execute(
                        "INSERT INTO gridbot.cap_scope (scope) VALUES (%s) ON CONFLICT DO NOTHING", (scope,)
                    )
                row = await (await connection.execute(_LOCK, (scope,))).fetchone()
                if row is None or row[0] > version or not (urgent or row[4] is None or row[4] >= DUE_S):
                    return None
                found = await connection.execute(_ROWS + "WHERE scope = %s ORDER BY account FOR UPDATE", (scope,))
                rows = [_use_row(each) for each in await found.fetchall()]
                done = look(scope, caps, accounts, row[1], rows, int(row[5]))
                await self._write(connection, scope, version, row[2], done)
            return done

        return await self._link.run(work)

    async def _write(
        self, connection: AsyncConnection[Any], scope: str, version: int, before: Mapping[str, Any], done: ScopeLook
    ) -> None:
        if done.granted:
            names = sorted(done.granted)
            given = [done.granted[name] for name in names]
            columns = [[each[place] for each in given] for place in range(3)]
            await connection.execute(_GRANT, (names, *columns, scope))
        held = {name: hold.to_document() for name, hold in done.held.items()}
        await connection.execute(
            "UPDATE gridbot.cap_scope SET version = %s, body = %s, held = %s, holds = holds + %s, shown = %s,"
            " at = clock_timestamp() WHERE scope = %s",
            (version, Jsonb(done.body), Jsonb(held), int(held != before), Jsonb(done.shown), scope),
        )
        if held != before:
            await connection.execute("SELECT pg_notify('gridbot', %s)", (f"caps {scope}",))

    async def read(
        self, me: HostId, accounts: Sequence[str], seq: int, scopes: Sequence[str], known: Mapping[str, ScopeSeen]
    ) -> tuple[list[UseRow], list[ScopeSeen]]:
        """Our rows with that number, and these scopes; of those in `known` what has not changed is taken from there."""
        values = {"host": me.name, "instance": me.instance, "accounts": list(accounts), "seq": seq}
        asked = {"scopes": list(scopes), "known": Jsonb({name: each.holds for name, each in known.items()})}

        async def work(connection: AsyncConnection[Any]) -> tuple[list[UseRow], list[ScopeSeen]]:
            rows = await (await connection.execute(_OURS, values)).fetchall() if accounts else []
            found = await (await connection.execute(_SCOPES, asked)).fetchall()
            return [_use_row(row) for row in rows], [_scope(row, known) for row in found]

        return await self._link.run(work)

    async def scopes(self, names: Sequence[str]) -> list[ScopeSeen]:
        """These scopes, for whoever is no host."""
        return (await self.read(HostId("", ""), (), 0, names, {}))[1]

    async def newest(self) -> list[ScopeSeen]:
        """Every scope of the newest configuration that a host has gone by."""

        async def work(connection: AsyncConnection[Any]) -> list[ScopeSeen]:
            return [_scope(row, {}) for row in await (await connection.execute(_NEWEST)).fetchall()]

        return await self._link.run(work)

    async def close(self) -> None:
        await self._link.close()


def _use_row(row: Sequence[Any]) -> UseRow:
    """Never raises for what another program has written: the caps of all hosts would end with one such row.

    Figures that cannot be read count as not told, so what was counted stays. An amount that is none counts as nothing
    used and everything lent: no account gets more by it.
    """
    scope, account, host, instance, epoch, seq, used, short, reserved, share, number, heard, kept = row[:13]
    used, short, share = (_amount(each, ZERO) for each in (used, short, share))
    reserved, kept = (_amount(each, EVERYTHING) for each in (reserved, kept))
    figures, hold = _readable(Figures.from_document, row[13]), _readable(CapHold.from_document, row[14])
    told = Told(scope, account, int(epoch), int(seq), used, short, kept, int(heard), figures, hold, int(row[15]))
    return UseRow(told, host, instance, reserved, share, int(number), float(row[16]))


def _amount(value: Decimal, otherwise: Decimal) -> Decimal:
    return value if value.is_finite() and value >= 0 else otherwise


def _readable(read: Callable[[Any], T], document: Any) -> T | None:
    try:
        return None if document is None else read(document)
    except (KeyError, TypeError, ValueError) as error:
        log.debug("what is told of caps cannot be read: %s", error)
        return None


def _scope(row: Sequence[Any], known: Mapping[str, ScopeSeen]) -> ScopeSeen:
    scope, version, holds, held, shown, age_s = row
    found = known[scope].held if held is None else {name: CapHold.from_document(hold) for name, hold in held.items()}
    return ScopeSeen(scope, int(version), int(holds), found, shown, float(age_s or 0.0))
