"""What shipping says to PostgreSQL (`record_tables` has the tables): rows and all that follows from them in one
statement, so that rollups have exactly the rows that are there."""

from __future__ import annotations

from typing import Final, LiteralString

__all__ = [
    "AS_CORRECTION",
    "BEGUN",
    "COMPLETE",
    "COPY",
    "CORRECTED",
    "CORRECTIONS",
    "ENDED",
    "FIRST_OF_ALL",
    "FORGET",
    "FORGET_EQUITY",
    "FORGET_IDS",
    "FORGET_ORDERS",
    "INCOMING",
    "KNOWN_NOW",
    "LEFT_OUT",
    "MOVE",
    "POSITIONS",
    "RECORDED_AGAIN",
    "TAKEN",
]

POSITIONS: Final[LiteralString] = "SELECT account, seq FROM gridbot.shipped WHERE host = %s"

INCOMING: Final[LiteralString] = """
    CREATE TEMPORARY TABLE IF NOT EXISTS incoming (
        account text, epoch bigint, seq bigint, origin text, kind text, at timestamptz, exec_id text, body jsonb
    ) ON COMMIT DELETE ROWS
"""
COPY: Final[LiteralString] = "COPY incoming (account, epoch, seq, origin, kind, at, exec_id, body) FROM STDIN"

_AMOUNT: Final[LiteralString] = (
    "coalesce(sum((body->'data'->>'{0}')::numeric) FILTER (WHERE abs((body->'data'->>'{0}')::numeric) < 1e20), 0)"
)
_VALUE: Final[LiteralString] = "(body->'data'->>'price')::numeric * (body->'data'->>'qty')::numeric"
_PNL: Final[LiteralString] = _AMOUNT.replace("{0}", "realised_pnl")
_FEE: Final[LiteralString] = _AMOUNT.replace("{0}", "fee")
_IS_EXECUTION: Final[LiteralString] = "kind = 'executions'"

MOVE: Final[LiteralString] = (
    """
    WITH fresh AS (
        INSERT INTO gridbot.record (account, epoch, seq, origin, host, kind, at, exec_id, body)
        SELECT account, epoch, seq, origin, %(host)s, kind, at, exec_id, body FROM incoming
        ORDER BY account, epoch, seq
        ON CONFLICT DO NOTHING
        RETURNING account, epoch, seq, kind, at, body
    ), sums AS (
        INSERT INTO gridbot.daily_sums AS s (day, account, strategy, symbol, direction, shadow, exec_type, is_maker,
            executions, volume, realised_pnl, fee, last_seq)
        SELECT (to_timestamp((body->'data'->>'exchange_ts')::bigint / 1000.0) AT TIME ZONE 'UTC')::date AS day, account,
            body->'data'->>'strategy', body->'data'->>'symbol', body->'data'->>'direction',
            (body->'data'->>'shadow')::boolean, body->'data'->>'exec_type', (body->'data'->>'is_maker')::boolean,
            count(*) FILTER (WHERE """
    + _IS_EXECUTION
    + "), coalesce(sum("
    + _VALUE
    + ") FILTER (WHERE "
    + _IS_EXECUTION
    + " AND abs("
    + _VALUE
    + ") < 500000000), 0), "
    + _PNL
    + ", "
    + _FEE
    + """, max(seq)
        FROM fresh WHERE kind IN ('executions', 'corrections') GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
        ORDER BY 2, 1, 3, 4, 5, 6, 7, 8
        ON CONFLICT (account, day, strategy, symbol, direction, shadow, exec_type, is_maker) DO UPDATE SET
            executions = s.executions + excluded.executions, volume = s.volume + excluded.volume,
            realised_pnl = s.realised_pnl + excluded.realised_pnl, fee = s.fee + excluded.fee,
            last_seq = greatest(s.last_seq, excluded.last_seq)
    ), keyed AS (
        SELECT account, kind, epoch, seq, at, body, CASE kind
            WHEN 'position_events' THEN concat_ws('|', body->'data'->>'symbol', body->'data'->>'direction',
                body->'data'->>'shadow')
            WHEN 'orders' THEN coalesce(nullif(body->'data'->>'order_link_id', ''), body->'data'->>'order_id')
            WHEN 'run_events' THEN concat_ws('|', 'start', body->'data'->>'environment')
            ELSE body->'data'->>'coin' END AS key
        FROM fresh
        WHERE kind IN ('position_events', 'wallets')
            OR kind = 'run_events' AND body->'data'->>'event' = 'start'
            OR kind = 'orders' AND NOT coalesce((body->'data'->>'shadow')::boolean, false)
    ), latest AS (
        INSERT INTO gridbot.newest AS n (account, kind, key, epoch, seq, at, body)
        SELECT DISTINCT ON (account, kind, key) account, kind, key, epoch, seq, at, body FROM keyed
        ORDER BY account, kind, key, epoch DESC, seq DESC
        ON CONFLICT (account, kind, key) DO UPDATE
        SET epoch = excluded.epoch, seq = excluded.seq, at = excluded.at, body = excluded.body, arrived = now()
        WHERE (n.epoch, n.seq) < (excluded.epoch, excluded.seq)
    ), equity AS (
        INSERT INTO gridbot.equity_hour AS e (account, coin, hour, seq, equity, wallet_balance)
        SELECT DISTINCT ON (account, coin, hour) account, coin, hour, seq, equity, wallet_balance FROM (
            SELECT account, seq, body->'data'->>'coin' AS coin, (body->'data'->>'equity')::numeric AS equity,
                (body->'data'->>'wallet_balance')::numeric AS wallet_balance,
                date_trunc('hour', at, 'UTC') AS hour
            FROM fresh WHERE kind = 'wallets') AS wallets
        ORDER BY account, coin, hour, seq DESC
        ON CONFLICT (account, coin, hour) DO UPDATE
        SET seq = excluded.seq, equity = excluded.equity, wallet_balance = excluded.wallet_balance
        WHERE e.seq < excluded.seq
    )
    SELECT count(*) FROM fresh
"""
)
"""What of `incoming` is new goes into `record` and the rollups; how much that was. An execution that another host has
shipped is not new."""

TAKEN: Final[LiteralString] = """
    INSERT INTO gridbot.shipped AS s (host, account, seq) VALUES (%(host)s, %(account)s, %(upto)s)
    ON CONFLICT (host, account) DO UPDATE SET seq = excluded.seq, at = clock_timestamp() WHERE s.seq = %(above)s
    RETURNING seq
"""
"""No row: somebody else has shipped for this host and account meanwhile."""

COMPLETE: Final[LiteralString] = """
    INSERT INTO gridbot.shipping AS s (host, complete_to)
    VALUES (%(host)s, clock_timestamp() - make_interval(secs => %(ago)s))
    ON CONFLICT (host) DO UPDATE SET complete_to = excluded.complete_to
"""
ENDED: Final[LiteralString] = """
    UPDATE gridbot.shipping SET complete_to = clock_timestamp(), ended = true WHERE host = %(host)s
"""
BEGUN: Final[LiteralString] = "UPDATE gridbot.shipping SET ended = false WHERE host = %(host)s AND ended"
FORGET: Final[LiteralString] = """
    WITH old AS (
        SELECT r.ctid FROM gridbot.record AS r
        WHERE r.arrived < clock_timestamp() - make_interval(secs => %(keep)s)
            AND (NOT EXISTS (SELECT FROM gridbot.history_place) OR EXISTS (
                SELECT FROM gridbot.history_at AS h
                WHERE h.host = r.host AND h.account = r.account AND r.seq <= h.seq))
        LIMIT %(limit)s)
    DELETE FROM gridbot.record AS r USING old WHERE r.ctid = old.ctid
"""
"""What came so long ago, by the database's clock; of a fleet with files, what files have."""
FORGET_IDS: Final[LiteralString] = """
    DELETE FROM gridbot.execution_id WHERE at < clock_timestamp() - interval '90 days' - make_interval(secs => %(keep)s)
"""
FORGET_ORDERS: Final[LiteralString] = """
    DELETE FROM gridbot.newest WHERE kind = 'orders'
        AND arrived < clock_timestamp() - interval '30 days' - make_interval(secs => %(keep)s)
        AND lower(body->'data'->>'state') IN ('filled', 'cancelled', 'rejected')
"""
FORGET_EQUITY: Final[LiteralString] = """
    DELETE FROM gridbot.equity_hour WHERE hour < clock_timestamp() - interval '400 days'
        AND EXISTS (SELECT FROM gridbot.history_place)
"""

# -- an execution that two holders have recorded: the first is the row that is shown, the latest knows its money

FIRST_OF_ALL: Final[LiteralString] = """
    INSERT INTO gridbot.execution_id (account, exec_id, epoch, host, seq, realised_pnl, fee, at)
    SELECT account, exec_id, epoch, %(host)s, seq, (body->'data'->>'realised_pnl')::numeric,
        (body->'data'->>'fee')::numeric, now()
    FROM incoming WHERE exec_id IS NOT NULL
    ORDER BY account, exec_id, epoch, seq
    ON CONFLICT DO NOTHING
"""
RECORDED_AGAIN: Final[LiteralString] = """
    SELECT i.account, i.seq, i.exec_id, i.epoch, i.body, e.epoch, e.realised_pnl, e.fee
    FROM incoming AS i JOIN gridbot.execution_id AS e USING (account, exec_id)
    WHERE (i.epoch, i.seq) <> (e.epoch, e.seq) OR e.host <> %(host)s
    ORDER BY i.account, i.epoch, i.seq
    FOR UPDATE OF e
"""
CORRECTIONS: Final[LiteralString] = """
    SELECT i.account, i.seq, e.exec_id, i.epoch, i.body, e.epoch, e.host
    FROM incoming AS i JOIN gridbot.execution_id AS e
        ON e.account = i.account AND e.exec_id = i.body->'data'->>'exec_id'
    WHERE i.kind = 'corrections' AND NOT coalesce((i.body->'data'->>'shadow')::boolean, false)
    ORDER BY i.account, i.epoch, i.seq
    FOR UPDATE OF e
"""
LEFT_OUT: Final[LiteralString] = "DELETE FROM incoming WHERE account = %(account)s AND seq = %(seq)s"
AS_CORRECTION: Final[LiteralString] = """
    UPDATE incoming SET kind = 'corrections', exec_id = NULL, body = %(body)s
    WHERE account = %(account)s AND seq = %(seq)s
"""
KNOWN_NOW: Final[LiteralString] = """
    UPDATE gridbot.execution_id
    SET epoch = %(epoch)s, host = %(host)s, seq = %(seq)s, realised_pnl = %(realised_pnl)s, fee = %(fee)s
    WHERE account = %(account)s AND exec_id = %(exec_id)s
"""
CORRECTED: Final[LiteralString] = """
    UPDATE gridbot.execution_id SET realised_pnl = realised_pnl + %(realised_pnl)s, fee = fee + %(fee)s
    WHERE account = %(account)s AND exec_id = %(exec_id)s
"""
