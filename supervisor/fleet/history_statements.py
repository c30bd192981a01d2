"""What the writer of the history says to PostgreSQL (`history_tables` has the tables).

`{mine}` is which hosts' records this host writes: its own, and those of a host that has shipped nothing for a day.
Every change of what counts is conditional, so it does not matter how many processes think that it is their turn.
"""

from __future__ import annotations

from typing import Final, LiteralString

_MINE: Final[LiteralString] = """
    (f.host = %(host)s OR EXISTS (SELECT FROM gridbot.shipping AS g
        WHERE g.host = f.host AND g.complete_to < clock_timestamp() - interval '1 day'))"""

PLACE: Final[LiteralString] = """
    SELECT mark, place, host, NOT EXISTS (SELECT FROM gridbot.history_file WHERE state <> 'writing')
    FROM gridbot.history_place
"""
"""Its mark and name, the host that chose it, and whether nothing was written there yet."""
RENAME_PLACE: Final[LiteralString] = "UPDATE gridbot.history_place SET place = %(place)s"
SET_PLACE: Final[LiteralString] = """
    INSERT INTO gridbot.history_place (mark, place, host) VALUES (%(mark)s, %(place)s, %(host)s)
    ON CONFLICT DO NOTHING
"""

WAITING: Final[LiteralString] = (
    """
    SELECT f.host, f.account, coalesce(h.seq, 0),
        extract(epoch FROM clock_timestamp() - coalesce(h.at, f.at))::float8,
        h.at IS NULL OR f.seq - h.seq >= %(rows)s OR h.at < clock_timestamp() - make_interval(secs => %(secs)s)
            OR (h.at AT TIME ZONE 'UTC')::date < (clock_timestamp() AT TIME ZONE 'UTC')::date
    FROM gridbot.shipped AS f LEFT JOIN gridbot.history_at AS h USING (host, account)
    WHERE f.seq > coalesce(h.seq, 0) AND """
    + _MINE
    + " ORDER BY 4 DESC"
)
"""Host, account, position, for how long its first record waits at most (seconds), and whether a part of it is due."""

SHIPPED: Final[LiteralString] = "SELECT seq FROM gridbot.shipped WHERE host = %(host)s AND account = %(account)s"
ROWS: Final[LiteralString] = """
    SELECT account, seq, kind, (at AT TIME ZONE 'UTC')::date, body FROM gridbot.record
    WHERE account = %(account)s AND (epoch, seq) > (%(epoch)s, %(above)s) AND host = %(host)s
    ORDER BY epoch, seq LIMIT %(limit)s
"""

BEGIN_FILE: Final[LiteralString] = """
    INSERT INTO gridbot.history_file (path, host, account, day, kind, shape, rows, bytes, first)
    VALUES (%(path)s, %(host)s, %(account)s, %(day)s, %(kind)s, %(shape)s, %(rows)s, %(bytes)s, %(first)s)
"""
SHOW_FILES: Final[LiteralString] = """
    UPDATE gridbot.history_file SET state = 'there', since = clock_timestamp()
    WHERE path = ANY(%(paths)s) AND state = 'writing'
"""
HIDE_FILES: Final[LiteralString] = """
    UPDATE gridbot.history_file SET state = 'gone', since = clock_timestamp()
    WHERE path = ANY(%(paths)s) AND state = 'there'
"""
MOVE_ON: Final[LiteralString] = """
    INSERT INTO gridbot.history_at AS h (host, account, seq) VALUES (%(host)s, %(account)s, %(upto)s)
    ON CONFLICT (host, account) DO UPDATE SET seq = excluded.seq, at = clock_timestamp() WHERE h.seq = %(above)s
    RETURNING seq
"""
"""No row: somebody else has written for this host and account meanwhile."""

PARTS: Final[LiteralString] = (
    """
    SELECT f.host, f.account, f.day, f.kind, f.shape, array_agg(f.path ORDER BY f.first), min(f.first)
    FROM gridbot.history_file AS f
    WHERE f.state = 'there' AND f.bytes < %(big)s AND f.kind <> 'daily_sums'
        AND f.day < (clock_timestamp() AT TIME ZONE 'UTC')::date AND """
    + _MINE
    + """
    GROUP BY 1, 2, 3, 4, 5 HAVING count(*) > 1 AND (array_agg(f.path ORDER BY f.first))[1] <> ALL (%(but)s)
    ORDER BY 3 LIMIT %(limit)s
"""
)
"""Days that are over and have several files that could be one, but for those whose first file is among `but`."""

OVER: Final[LiteralString] = (
    """
    SELECT f.path, f.state FROM gridbot.history_file AS f
    WHERE (f.state = 'writing' AND f.since < clock_timestamp() - make_interval(secs => %(writing)s)
        OR f.state = 'gone' AND f.since < clock_timestamp() - make_interval(secs => %(gone)s)) AND """
    + _MINE
    + " LIMIT %(limit)s"
)
CLAIM: Final[LiteralString] = """
    UPDATE gridbot.history_file SET state = 'gone' WHERE path = %(path)s AND state <> 'there' RETURNING path
"""
DROP_FILE: Final[LiteralString] = "DELETE FROM gridbot.history_file WHERE path = %(path)s AND state = 'gone'"

OLD_SUMS_THERE: Final[LiteralString] = """
    SELECT 1 FROM gridbot.daily_sums
    WHERE day < (clock_timestamp() AT TIME ZONE 'UTC')::date - %(days)s::integer LIMIT 1
"""
OLD_SUMS: Final[LiteralString] = """
    SELECT day, account, strategy, symbol, direction, shadow, exec_type, is_maker, executions, volume, realised_pnl,
        fee, last_seq
    FROM gridbot.daily_sums
    WHERE day < (clock_timestamp() AT TIME ZONE 'UTC')::date - %(days)s::integer
    ORDER BY day, account, strategy, symbol, direction, shadow, exec_type, is_maker LIMIT %(limit)s FOR UPDATE
"""
DROP_SUMS: Final[LiteralString] = """
    DELETE FROM gridbot.daily_sums
    WHERE (day, account, strategy, symbol, direction, shadow, exec_type, is_maker)
        = (%s, %s, %s, %s, %s, %s, %s, %s)
"""
SHOW_SUMS: Final[LiteralString] = """
    UPDATE gridbot.history_file SET state = 'there', since = clock_timestamp(), rows = %(rows)s, bytes = %(bytes)s
    WHERE path = %(path)s AND state = 'writing'
"""
