"""The history of all hosts as files, as a step of `fleet_schema`: which Parquet files count, and how far they go.

    history_place   where the files of this fleet are, and the mark that a host looks for there
    history_at      by host and account: the number of the last record that files have; records above it are live rows
    history_file    each file, and its state: `writing` until it counts, `there`, `gone` (another one has its rows)
    execution_id    each execution once, whoever recorded it first; with what it realised and cost as its latest holder
                    knows it: a second record of it, and corrections, change the sums by the difference alone

Up to version 4 the supervisors of all hosts shipped as one account `_supervisor`: since then each has its own.
"""

from __future__ import annotations

from typing import Final, LiteralString

__all__ = ["HISTORY_STEP"]

HISTORY_STEP: Final[tuple[LiteralString, ...]] = (
    """
    CREATE TABLE gridbot.history_place (
        one boolean PRIMARY KEY DEFAULT true CHECK (one),
        mark text NOT NULL,
        place text NOT NULL,
        host text NOT NULL,
        at timestamptz NOT NULL DEFAULT clock_timestamp()
    )
    """,
    """
    CREATE TABLE gridbot.history_at (
        host text NOT NULL,
        account text NOT NULL,
        seq bigint NOT NULL,
        at timestamptz NOT NULL DEFAULT clock_timestamp(),
        PRIMARY KEY (host, account)
    ) WITH (fillfactor = 70)
    """,
    """
    CREATE TABLE gridbot.history_file (
        path text PRIMARY KEY,
        host text NOT NULL,
        account text NOT NULL,
        day date NOT NULL,
        kind text NOT NULL,
        shape text NOT NULL,
        rows bigint NOT NULL,
        bytes bigint NOT NULL,
        first bigint NOT NULL,
        state text NOT NULL DEFAULT 'writing' CHECK (state IN ('writing', 'there', 'gone')),
        since timestamptz NOT NULL DEFAULT clock_timestamp()
    )
    """,
    "CREATE INDEX history_file_over ON gridbot.history_file (since) WHERE state <> 'there'",
    "CREATE INDEX history_file_day ON gridbot.history_file (day, account, kind, host) WHERE state = 'there'",
    """
    CREATE TABLE gridbot.execution_id (
        account text NOT NULL,
        exec_id text NOT NULL,
        epoch bigint NOT NULL,
        host text NOT NULL,
        seq bigint NOT NULL,
        realised_pnl numeric NOT NULL,
        fee numeric NOT NULL,
        at timestamptz NOT NULL,
        PRIMARY KEY (account, exec_id)
    ) WITH (fillfactor = 90)
    """,
    "CREATE INDEX execution_id_at ON gridbot.execution_id (at)",
    """
    INSERT INTO gridbot.execution_id (account, exec_id, epoch, host, seq, realised_pnl, fee, at)
    SELECT r.account, r.exec_id, r.epoch, r.host, r.seq,
        (r.body->'data'->>'realised_pnl')::numeric + coalesce(c.realised_pnl, 0),
        (r.body->'data'->>'fee')::numeric + coalesce(c.fee, 0), r.at
    FROM gridbot.record AS r LEFT JOIN (
        SELECT account, body->'data'->>'exec_id' AS exec_id,
            sum((body->'data'->>'realised_pnl')::numeric) AS realised_pnl,
            sum((body->'data'->>'fee')::numeric) AS fee
        FROM gridbot.record WHERE kind = 'corrections' GROUP BY 1, 2) AS c USING (account, exec_id)
    WHERE r.exec_id IS NOT NULL
    """,
    "UPDATE gridbot.record SET account = account || '@' || host WHERE account = '_supervisor'",
    "UPDATE gridbot.shipped SET account = account || '@' || host WHERE account = '_supervisor'",
    "ALTER TABLE gridbot.shipping DROP COLUMN files",
    "GRANT SELECT ON gridbot.history_place, gridbot.history_at, gridbot.history_file, gridbot.execution_id"
    " TO gridbot_host, gridbot_operator, gridbot_reader",
    "GRANT INSERT, UPDATE, DELETE ON gridbot.history_place, gridbot.history_at, gridbot.history_file,"
    " gridbot.execution_id TO gridbot_host",
)
"""One step of `fleet_schema.STEPS`; never changed once a release had it."""
