"""The statements of a comparison's working database: rows by level, what is alone, and the tables that stay. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Final

from gridbot.compare.tolerances import Reach, Tolerance
from gridbot.store.schema import quote

__all__ = [
    "AT_ONCE",
    "LEVELS",
    "LEVEL_VIEW",
    "OUTCOMES",
    "SIDES",
    "compared",
    "edged",
    "events",
    "in_levels",
    "lonely",
    "rows_of",
]

SIDES: Final = ("here", "there")
OUTCOMES: Final = ("same", "only_here", "only_there", "price", "size", "time")
"""What may become of a row; a pair that differs in several ways counts as the first of price, size, time."""

AT_ONCE: Final = "rested before"
"""Reason of an order that rested when a span begins, and counts as placed then."""

_LEVEL: Final = "what, symbol, direction, side, ticks"


def edged(rows: Callable[[Any, Any], str], since: Any, until: Any, edge: Any) -> str:
    """Statement of the rows of a span, and of those up to `edge` before and behind it: `compared` takes them for the
    other half of a pair, and for nothing else. `rows`: statement of the rows from a time to another."""
    around = " UNION ALL ".join((rows(since - edge, since), rows(until, until + edge)))
    return f"{rows(since, until)} UNION ALL SELECT * FROM ({around}) WHERE reason IS DISTINCT FROM {quote(AT_ONCE)}"


def rows_of(side: str, source: str, without_direction: Collection[str]) -> str:
    """The table of one side's rows, numbered by their order, which is of what they say.

    `source` has the columns what, symbol, direction, side, price, at_ms, qty, reason, id, fee and realised_pnl. Of the
    kinds in `without_direction` the leg does not count: one of the sides does not know it.
    """
    kinds = ", ".join(map(quote, sorted(without_direction))) or "''"
    return f"""
        CREATE TEMP TABLE {side}_rows AS
        SELECT what, symbol, CASE WHEN what IN ({kinds}) THEN '' ELSE coalesce(direction, '') END AS direction, side,
            CAST(round(price / tick) AS HUGEINT) AS ticks, price, at_ms, qty, reason, id, fee, realised_pnl
        FROM ({source}) JOIN symbol_ticks USING (symbol)
        ORDER BY {_LEVEL}, at_ms, qty, price, reason, id"""


LEVELS: Final = f"""
    CREATE TEMP TABLE levels AS
    SELECT row_number() OVER () AS level, * FROM (
        SELECT DISTINCT {_LEVEL} FROM (FROM here_rows UNION ALL FROM there_rows))"""


def in_levels() -> str:
    """Rows as `row_pairs` wants them."""
    parts = (
        f"SELECT level, at_ms, {number} AS of, r.rowid AS number FROM {side}_rows AS r JOIN levels USING ({_LEVEL})"
        for number, side in enumerate(SIDES)
    )
    return f"SELECT * FROM ({' UNION ALL '.join(parts)}) ORDER BY level, at_ms, of, number"


def lonely() -> str:
    """What is in no pair yet, as `near_pairs` wants it."""
    parts = (
        f"""
        SELECT kind, at_ms, {number} AS of, ticks, rows.rowid AS number FROM {side}_rows AS rows
        JOIN kinds USING (what, symbol, direction, side) ANTI JOIN pairs ON rows.rowid = pairs.{side}"""
        for number, side in enumerate(SIDES)
    )
    kinds = "SELECT row_number() OVER () AS kind, * FROM (SELECT DISTINCT what, symbol, direction, side FROM levels)"
    return (
        f"WITH kinds AS ({kinds}) SELECT * FROM ({' UNION ALL '.join(parts)}) ORDER BY kind, at_ms, ticks, of, number"
    )


def events(side: str, refusals: str | None) -> str:
    """What was last known of each level on one side, for saying why the other is alone there."""
    refused = f"""
        UNION ALL SELECT symbol, coalesce(direction, ''), side, CAST(round(price / tick) AS HUGEINT), at_ms, 'refused',
            reason
        FROM ({refusals}) JOIN symbol_ticks USING (symbol)"""
    return f"""
        CREATE TEMP TABLE {side}_events AS
        SELECT symbol, direction, side, ticks, at_ms, max(what) AS what, max(reason) AS reason
        FROM (
            SELECT symbol, direction, side, ticks, at_ms, what, '' AS reason FROM {side}_rows
            {refused if refusals else ""})
        GROUP BY ALL"""


def compared(tolerance: Tolerance, reach: Reach, since_ms: int, until_ms: int) -> str:
    """The table of all rows, in pairs and alone, of which one is from `since_ms` on and before `until_ms`."""
    within = " OR ".join(f"({side}_ms >= {since_ms} AND {side}_ms < {until_ms})" for side in SIDES)
    return f"""
        CREATE TABLE compared AS
        WITH found AS (
            {_pairs()} UNION ALL {_alone("here", "there", reach)} UNION ALL {_alone("there", "here", reach)}),
        measured AS (
            SELECT *, CAST(here_ticks - there_ticks AS DOUBLE) AS ticks_apart,
                (there_ms - here_ms) / 1000 AS late_s,
                100 * abs(CAST(here_qty - there_qty AS DOUBLE)) / CAST(greatest(here_qty, there_qty) AS DOUBLE)
                    AS size_percent
            FROM found),
        judged AS (
            SELECT *, abs(ticks_apart) > {tolerance.price} AS other_price,
                coalesce(size_percent > {tolerance.size}, false) AS other_size,
                abs(late_s) > {tolerance.time} AS other_time,
                coalesce(least(here_ms, there_ms), here_ms, there_ms) AS at_ms
            FROM measured)
        SELECT CASE WHEN there_ms IS NULL THEN 'only_here' WHEN here_ms IS NULL THEN 'only_there'
                WHEN other_price THEN 'price' WHEN other_size THEN 'size' WHEN other_time THEN 'time' ELSE 'same' END
                AS outcome,
            what, symbol, direction, side, coalesce(here_price, there_price) AS price,
            coalesce(here_ticks, there_ticks) AS ticks,
            date_trunc('minute', make_timestamp(at_ms * 1000)) AS minute,
            make_timestamp(here_ms * 1000) AS here_at, make_timestamp(there_ms * 1000) AS there_at,
            here_price, there_price, here_qty, there_qty, -ticks_apart AS ticks_higher, late_s, size_percent,
            round(CASE WHEN there_ms IS NULL THEN here_worth WHEN here_ms IS NULL THEN there_worth
                ELSE abs(here_worth - there_worth) END, 8) AS worth,
            here_fee, there_fee, here_realised, there_realised, why, here_reason, there_reason, here_id, there_id
        FROM judged WHERE {within} ORDER BY at_ms, what, symbol, direction, side, price"""


def _columns(side: str, rows: str) -> str:
    names = ("ticks", "price", "qty", "reason", "id", "fee")
    listed = ", ".join(f"{rows}.{name} AS {side}_{name}" for name in names)
    worth = f"coalesce(CAST({rows}.price AS DOUBLE) * CAST({rows}.qty AS DOUBLE), 0)"
    return f"{listed}, {rows}.realised_pnl AS {side}_realised, {rows}.at_ms AS {side}_ms, {worth} AS {side}_worth"


def _pairs() -> str:
    return f"""
        SELECT here_rows.what, here_rows.symbol, here_rows.direction, here_rows.side, {_columns("here", "here_rows")},
            {_columns("there", "there_rows")}, '' AS why
        FROM pairs JOIN here_rows ON here_rows.rowid = pairs.here JOIN there_rows ON there_rows.rowid = pairs.there"""


_NOTHING: Final = ", ".join(
    f"CAST(NULL AS {kind}) AS {{side}}_{name}"
    for name, kind in {
        "ticks": "HUGEINT",
        "price": "DECIMAL(38, 12)",
        "qty": "DECIMAL(38, 12)",
        "reason": "VARCHAR",
        "id": "VARCHAR",
        "fee": "DECIMAL(38, 12)",
        "realised": "DECIMAL(38, 12)",
        "ms": "BIGINT",
        "worth": "DOUBLE",
    }.items()
)


def _alone(side: str, other: str, reach: Reach) -> str:
    """Rows of one side without a pair, with what is known of their level on the other."""
    mine, theirs = _columns(side, "alone"), _NOTHING.format(side=other)
    columns = f"{mine}, {theirs}" if side == "here" else f"{theirs}, {mine}"
    since = "strftime(make_timestamp(last.at_ms * 1000), '%H:%M:%S')"
    return f"""
        SELECT alone.what, alone.symbol, alone.direction, alone.side, {columns},
            CASE WHEN last.what = 'refused' THEN 'refused {other}: ' || last.reason
                WHEN alone.what = 'place' THEN CASE last.what WHEN 'place' THEN 'rests {other} since ' || {since}
                    WHEN 'fill' THEN 'filled {other} at ' || {since} ELSE '' END
                WHEN last.what IS NULL THEN 'nothing rested {other}'
                WHEN last.what = 'place' THEN 'still rests {other}'
                WHEN last.what = 'fill' THEN 'filled {other} at ' || {since}
                WHEN last.what = 'cancel' THEN 'cancelled {other} at ' || {since} ELSE '' END AS why
        FROM (
            SELECT rows.*, rows.at_ms + CASE what WHEN 'place' THEN {reach.time_ms} ELSE 0 END AS until_ms
            FROM {side}_rows AS rows ANTI JOIN pairs ON rows.rowid = pairs.{side}) AS alone
        ASOF LEFT JOIN {other}_events AS last ON alone.symbol = last.symbol AND alone.direction = last.direction
            AND alone.side = last.side AND alone.ticks = last.ticks AND alone.until_ms >= last.at_ms"""


def _counted(outcome: str) -> str:
    return f"other_{outcome}" if outcome in ("price", "size", "time") else outcome


LEVEL_VIEW: Final = f"""
    CREATE VIEW compared_levels AS
    SELECT what, symbol, direction, side, price, ticks, minute,
        {", ".join(f"count(*) FILTER (outcome = '{outcome}') AS {_counted(outcome)}" for outcome in OUTCOMES)}
    FROM compared GROUP BY ALL"""
