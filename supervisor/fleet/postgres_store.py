"""The fleet's store in PostgreSQL: each question is one statement, decided by the database's own clock.

Two connections: renewals have one for themselves, so that no other question keeps one waiting.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, LiteralString

from psycopg import AsyncConnection

from supervisor.fleet.fleet_store import Document
from supervisor.fleet.key_claims import CLAIM, GUARDED, MAY, TAKEN_BY, taken_text
from supervisor.fleet.lease_types import Acquire, HostId, LeaseRow, LeaseState, LeaseTimes
from supervisor.fleet.postgres_link import PostgresLink

__all__ = ["PostgresStore"]

_NOW: LiteralString = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
_ROW: LiteralString = "account, epoch, host, instance, state, (extract(epoch FROM until) * 1000000)::bigint, previous"
# The clock comes with the rows: each way to a database that is far takes as long as everything else together.
_LOOK: LiteralString = (
    "SELECT " + _NOW + ", " + _ROW + " FROM (SELECT) AS one LEFT JOIN gridbot.lease ON account = ANY(%s)"
)
_RENEW: LiteralString = (
    """
    WITH renewed AS (
        UPDATE gridbot.lease l SET until = clock_timestamp() + make_interval(secs => %s)
        FROM unnest(%s::text[], %s::bigint[]) AS ours (account, epoch)
        WHERE l.account = ours.account AND l.epoch = ours.epoch AND l.host = %s AND l.instance = %s AND l.state = 'held'
        RETURNING l.account)
    SELECT """
    + _NOW
    + ", array_agg(account) FROM renewed"
)
# `clock_timestamp()`, not `now()`: a statement that waited for another one's row must not decide by an earlier time.
_FIRST: LiteralString = (
    """
    INSERT INTO gridbot.lease (account, epoch, host, instance, state, until)
    SELECT %(account)s, 1, %(host)s, %(instance)s, 'held', clock_timestamp() + make_interval(secs => %(ttl)s)
    WHERE {may} ON CONFLICT (account) DO NOTHING RETURNING """
    + _ROW
)
_ACQUIRE: LiteralString = (
    """
    UPDATE gridbot.lease SET
        epoch = epoch + 1, host = %(host)s, instance = %(instance)s, state = 'held', previous = host,
        until = clock_timestamp() + make_interval(secs => %(ttl)s), since = clock_timestamp()
    WHERE account = %(account)s AND epoch = %(epoch)s AND (state = 'free' OR (
        until + make_interval(secs => %(wait)s) < clock_timestamp()
        AND clock_timestamp() <= to_timestamp(%(latest)s / 1000000.0)))
        AND {may}
    RETURNING """
    + _ROW
)
_RELEASE: LiteralString = """
    UPDATE gridbot.lease SET state = %s, until = least(until, clock_timestamp())
    WHERE account = %s AND epoch = %s AND host = %s AND instance = %s AND state = 'held'
"""
# The lease's row is locked, so that nobody takes the lease while its document is being written.
_DOCUMENT: LiteralString = """
    WITH ours AS MATERIALIZED (
        SELECT 1 FROM gridbot.lease WHERE account = %(account)s AND epoch = %(epoch)s AND host = %(host)s
        AND instance = %(instance)s AND state = 'held' FOR SHARE
    ), kept AS (
        INSERT INTO gridbot.document AS d (account, name, epoch, seq, body)
        SELECT %(account)s, %(name)s, %(epoch)s, %(seq)s, %(body)s FROM ours
        ON CONFLICT (account, name) DO UPDATE
        SET epoch = excluded.epoch, seq = excluded.seq, body = excluded.body, at = clock_timestamp()
        WHERE (d.epoch, d.seq) < (excluded.epoch, excluded.seq)
    )
    SELECT count(*) FROM ours
"""
_DOCUMENTS: LiteralString = """
    SELECT account, name, epoch, seq, body FROM gridbot.document WHERE account = %s ORDER BY name
"""


class PostgresStore:
    """A `FleetStore`. `other` may be shared with whatever else the host asks of the database. `claim` has the row that
    the key of an account is claimed by, "" for none; `refused` hears of one with whose key another account is traded.
    """

    def __init__(
        self,
        renewals: PostgresLink,
        other: PostgresLink,
        *,
        claim: Callable[[str], str] = lambda account: "",
        refused: Callable[[str], object] = lambda text: None,
    ) -> None:
        self._renewals = renewals
        self._other = other
        self._claim = claim
        self._refused = refused
        self._told: dict[str, str] = {}
        """By account what was said of its key last."""

    async def look(self, accounts: AbstractSet[str]) -> tuple[int, list[LeaseRow]]:
        async def work(connection: AsyncConnection[Any]) -> tuple[int, list[LeaseRow]]:
            rows = await (await connection.execute(_LOOK, (sorted(accounts),))).fetchall()
            return int(rows[0][0]), [_row(row[1:]) for row in rows if row[1] is not None]

        return await self._other.run(work)

    async def renew(self, me: HostId, times: LeaseTimes, held: Mapping[str, int]) -> tuple[int, frozenset[str]]:
        async def work(connection: AsyncConnection[Any]) -> tuple[int, frozenset[str]]:
            values = (times.ttl_s, list(held), list(held.values()), me.name, me.instance)
            row = await (await connection.execute(_RENEW, values)).fetchone()
            assert row is not None, "an aggregate without GROUP BY has one row"
            return int(row[0]), frozenset(row[1] or ())

        return await self._renewals.run(work)

    async def acquire(self, me: HostId, times: LeaseTimes, wish: Acquire) -> tuple[int, LeaseRow | None]:
        values = {
            "account": wish.account,
            "host": me.name,
            "instance": me.instance,
            "ttl": times.ttl_s,
            "wait": times.wait_us / 1e6,
            "epoch": wish.epoch,
            "latest": wish.latest_us,
        }

        statement = _ACQUIRE if wish.epoch else _FIRST
        if claim := self._claim(wish.account):
            return await self._other.run(lambda connection: self._claimed(connection, statement, values, claim))

        async def work(connection: AsyncConnection[Any]) -> tuple[int, LeaseRow | None]:
            row = await (await connection.execute(statement.replace("{may}", "true"), values)).fetchone()
            return await _now(connection), None if row is None else _row(row)

        return await self._other.run(work)

    async def _claimed(
        self, connection: AsyncConnection[Any], statement: LiteralString, values: dict[str, Any], claim: str
    ) -> tuple[int, LeaseRow | None]:
        """The same, and the account's key with it."""
        account, values = str(values["account"]), {**values, "claim": claim}
        acquire = statement.replace("{may}", MAY).join(GUARDED)
        async with connection.pipeline(), connection.transaction():  # one way to the database and back
            await connection.execute(CLAIM, values)
            acquired = await connection.execute(acquire, values)
            clock = await connection.execute("SELECT " + _NOW)
            other = await connection.execute(TAKEN_BY, values)
        row, now, taken = await acquired.fetchone(), await clock.fetchone(), await other.fetchone()
        assert now is not None, "a SELECT without FROM has one row"
        if row is not None or taken is None:
            self._told.pop(account, None)
        elif (text := taken_text(account, str(taken[0]), str(taken[1]))) != self._told.get(account):
            self._told[account] = text
            self._refused(text)
        return int(now[0]), None if row is None else _row(row)

    async def release(self, me: HostId, account: str, epoch: int, *, free: bool) -> None:
        state = LeaseState.FREE if free else LeaseState.ENDED

        async def work(connection: AsyncConnection[Any]) -> None:
            await connection.execute(_RELEASE, (str(state), account, epoch, me.name, me.instance))

        await self._other.run(work)

    async def put_documents(self, me: HostId, documents: Sequence[Document]) -> frozenset[tuple[str, str]]:
        async def work(connection: AsyncConnection[Any]) -> frozenset[tuple[str, str]]:
            kept = set()
            async with connection.transaction():
                for each in documents:
                    values = {
                        "account": each.account,
                        "name": each.name,
                        "epoch": each.epoch,
                        "seq": each.seq,
                        "body": each.body,
                        "host": me.name,
                        "instance": me.instance,
                    }
                    row = await (await connection.execute(_DOCUMENT, values)).fetchone()
                    if row is not None and row[0]:
                        kept.add((each.account, each.name))
            return frozenset(kept)

        return await self._other.run(work)

    async def documents(self, account: str) -> list[Document]:
        async def work(connection: AsyncConnection[Any]) -> list[Document]:
            rows = await (await connection.execute(_DOCUMENTS, (account,))).fetchall()
            return [Document(row[0], row[1], row[2], row[3], bytes(row[4])) for row in rows]

        return await self._other.run(work)

    async def close(self) -> None:
        """Close both connections."""
        await self._renewals.close()
        await self._other.close()


async def _now(connection: AsyncConnection[Any]) -> int:
    row = await (await connection.execute("SELECT " + _NOW)).fetchone()
    assert row is not None, "a SELECT without FROM has one row"
    return int(row[0])


def _row(row: Sequence[Any]) -> LeaseRow:
    account, epoch, host, instance, state, until_us, previous = row
    return LeaseRow(account, int(epoch), HostId(host, instance), LeaseState(state), int(until_us), previous)
