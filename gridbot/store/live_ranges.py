"""Rows of PostgreSQL's `record` by ranges of numbers: each statement has at most so many rows, however many there are.

So a limit on the time of a statement holds for a range, not for all rows. Whoever asks has one transaction with one
snapshot (REPEATABLE READ), so all ranges together are the rows of one moment. Two statements a range: one finds in the
index where it ends, the other copies its rows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, LiteralString

from gridbot.lease.record_floor import epoch_of

if TYPE_CHECKING:
    import psycopg

__all__ = ["COPIED", "RANGE_ROWS", "Span", "spans_of", "statements"]

RANGE_ROWS: Final = 50_000
"""Rows of one statement, in all: some 35 MB of bodies."""
SPANS_AT_ONCE: Final = 50
"""Accounts of one statement: a fleet has thousands, and most of them have few rows that are not in files."""

_OF: Final[LiteralString] = "(%(accounts)s::text[] IS NULL OR account = ANY(%(accounts)s))"
_ALL: Final[LiteralString] = "SELECT DISTINCT NULL, account, 0 FROM gridbot.shipped WHERE " + _OF + " ORDER BY 2"
_LIVE: Final[LiteralString] = (
    "SELECT host, account, coalesce(h.seq, 0) FROM gridbot.shipped AS s LEFT JOIN gridbot.history_at AS h"
    " USING (host, account) WHERE s.seq > coalesce(h.seq, 0) AND " + _OF + " ORDER BY 2, 3"
)
_SPANS: Final[LiteralString] = """
    unnest(%(hosts)s::text[], %(accounts)s::text[], %(epochs)s::bigint[], %(aboves)s::bigint[])
        WITH ORDINALITY AS s (host, account, epoch, above, at)
"""
_IN_SPAN: Final[LiteralString] = (
    "r.account = s.account AND (r.epoch, r.seq) > (s.epoch, s.above) AND (s.host IS NULL OR r.host = s.host)"
)
_ENDS: Final[LiteralString] = (
    "SELECT s.at, last.seq FROM " + _SPANS + " CROSS JOIN LATERAL (SELECT r.seq FROM gridbot.record AS r WHERE "
    + _IN_SPAN + " ORDER BY r.epoch, r.seq OFFSET %(rows)s - 1 LIMIT 1) AS last"
)  # fmt: skip
COPIED: Final[LiteralString] = (
    "SELECT r.account, r.seq, r.kind, (r.at AT TIME ZONE 'UTC')::date, r.body FROM "
    "unnest(%(hosts)s::text[], %(accounts)s::text[], %(epochs)s::bigint[], %(aboves)s::bigint[], %(ends)s::bigint[],"
    " %(uptos)s::bigint[]) WITH ORDINALITY AS s (host, account, epoch, above, ends, upto, at)"
    " CROSS JOIN LATERAL (SELECT * FROM gridbot.record AS r WHERE "
    + _IN_SPAN + " AND (s.upto IS NULL OR (r.epoch, r.seq) <= (s.ends, s.upto))"
    " AND (%(kinds)s::text[] IS NULL OR r.kind = ANY(%(kinds)s::text[]))"
    " AND (%(since)s::timestamptz IS NULL OR r.at >= %(since)s OR r.kind = 'run_events')) AS r"
    " ORDER BY s.at, r.epoch, r.seq"
)  # fmt: skip
"""The rows of the spans of `statements`, in the columns of `fleet_rows.RAW`."""


@dataclass(frozen=True, slots=True)
class Span:
    """Rows of an account above a number; of one host, or (None) of all."""

    host: str | None
    account: str
    above: int


def spans_of(connection: psycopg.Connection[Any], *, live: bool, accounts: Sequence[str] | None = None) -> list[Span]:
    """All rows that PostgreSQL has, of all accounts or of these; `live`: those in no file. Raises psycopg.Error."""
    values = {"accounts": None if accounts is None else list(accounts)}
    return [Span(*row) for row in connection.execute(_LIVE if live else _ALL, values).fetchall()]


def statements(
    connection: psycopg.Connection[Any],
    spans: Sequence[Span],
    kinds: Collection[str] | None = None,
    rows: int | None = None,
    since: datetime | None = None,
) -> Iterator[dict[str, Any]]:
    """Values for `COPIED`, one for each range: at most `rows` rows of at most `SPANS_AT_ONCE` spans.

    `rows`: RANGE_ROWS when None. Each is to be copied before the next is asked for. `kinds`: only rows of these;
    `since`: only those recorded then or later. Raises psycopg.Error.
    """
    most = RANGE_ROWS if rows is None else rows
    for first in range(0, len(spans), SPANS_AT_ONCE):
        group = list(spans[first : first + SPANS_AT_ONCE])
        while group:
            values = {
                "hosts": [span.host for span in group],
                "accounts": [span.account for span in group],
                "epochs": [epoch_of(span.above) for span in group],
                "aboves": [span.above for span in group],
            }
            ends = dict(connection.execute(_ENDS, {**values, "rows": max(1, most // len(group))}).fetchall())
            uptos = [ends.get(at) for at in range(1, len(group) + 1)]
            epochs = [None if upto is None else epoch_of(upto) for upto in uptos]
            wanted = {"kinds": None if kinds is None else sorted(kinds), "since": since}
            yield {**values, "ends": epochs, "uptos": uptos, **wanted}
            group = [replace(span, above=upto) for span, upto in zip(group, uptos, strict=True) if upto is not None]
