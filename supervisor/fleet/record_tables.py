"""The records of all hosts in PostgreSQL, as a step of `fleet_schema`: recent rows, rollups, and how far each host is.

    record          recent rows of every account, each once; their body is the record as its worker wrote it
    newest          the newest row of each leg, order and coin, and start of an account, however old it is
    daily_sums      executions and their corrections added up per UTC day, over everything that was ever shipped
    equity_hour     the last equity of each account in each hour
    shipped         by host and account: the number of the last record that is here
    shipping        by host: up to when all that it has recorded is here

The same execution may be recorded by two hosts, when one takes an account over from another that died before it could
say what it had: `record_execution` has each once, by the account and the exchange's id.
"""

from __future__ import annotations

from typing import Final, LiteralString

__all__ = ["ARRIVED_STEP", "ENDED_STEP", "RECORD_STEP", "START_STEP"]

RECORD_STEP: Final[tuple[LiteralString, ...]] = (
    # `origin`: the host, for records of no lease (epoch 0), whose numbers are each host's own.
    """
    CREATE TABLE gridbot.record (
        account text NOT NULL,
        epoch bigint NOT NULL,
        seq bigint NOT NULL,
        origin text NOT NULL,
        host text NOT NULL,
        kind text NOT NULL,
        at timestamptz NOT NULL,
        exec_id text,
        body jsonb NOT NULL,
        PRIMARY KEY (account, epoch, seq, origin)
    )
    """,
    "CREATE UNIQUE INDEX record_execution ON gridbot.record (account, exec_id) WHERE exec_id IS NOT NULL",
    "CREATE INDEX record_at ON gridbot.record (at)",
    """
    CREATE TABLE gridbot.newest (
        account text NOT NULL,
        kind text NOT NULL,
        key text NOT NULL,
        epoch bigint NOT NULL,
        seq bigint NOT NULL,
        at timestamptz NOT NULL,
        body jsonb NOT NULL,
        PRIMARY KEY (account, kind, key)
    ) WITH (fillfactor = 70)
    """,
    """
    CREATE TABLE gridbot.daily_sums (
        day date NOT NULL,
        account text NOT NULL,
        strategy text NOT NULL,
        symbol text NOT NULL,
        direction text NOT NULL,
        shadow boolean NOT NULL,
        exec_type text NOT NULL,
        is_maker boolean NOT NULL,
        executions bigint NOT NULL,
        volume numeric NOT NULL,
        realised_pnl numeric NOT NULL,
        fee numeric NOT NULL,
        last_seq bigint NOT NULL,
        PRIMARY KEY (account, day, strategy, symbol, direction, shadow, exec_type, is_maker)
    ) WITH (fillfactor = 70)
    """,
    """
    CREATE TABLE gridbot.equity_hour (
        account text NOT NULL,
        coin text NOT NULL,
        hour timestamptz NOT NULL,
        seq bigint NOT NULL,
        equity numeric,
        wallet_balance numeric,
        PRIMARY KEY (account, coin, hour)
    ) WITH (fillfactor = 70)
    """,
    """
    CREATE TABLE gridbot.shipped (
        host text NOT NULL,
        account text NOT NULL,
        seq bigint NOT NULL,
        at timestamptz NOT NULL DEFAULT clock_timestamp(),
        PRIMARY KEY (host, account)
    ) WITH (fillfactor = 70)
    """,
    """
    CREATE TABLE gridbot.shipping (
        host text PRIMARY KEY,
        complete_to timestamptz,
        files text NOT NULL DEFAULT ''
    ) WITH (fillfactor = 70)
    """,
    "GRANT SELECT ON gridbot.record, gridbot.newest, gridbot.daily_sums, gridbot.equity_hour, gridbot.shipped,"
    " gridbot.shipping TO gridbot_host, gridbot_operator, gridbot_reader",
    "GRANT INSERT, UPDATE, DELETE ON gridbot.record, gridbot.newest, gridbot.daily_sums, gridbot.equity_hour,"
    " gridbot.shipped, gridbot.shipping TO gridbot_host",
    # A chunk of rows goes through a temporary table of the host's connection.
    """
    DO $$ BEGIN EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO gridbot_host', current_database()); END $$
    """,
)
"""One step of `fleet_schema.STEPS`; never changed once a release had it."""
START_STEP: Final[tuple[LiteralString, ...]] = (
    """
    INSERT INTO gridbot.newest (account, kind, key, epoch, seq, at, body)
    SELECT DISTINCT ON (account, key) account, kind, concat_ws('|', 'start', body->'data'->>'environment') AS key,
        epoch, seq, at, body
    FROM gridbot.record WHERE kind = 'run_events' AND body->'data'->>'event' = 'start'
    ORDER BY account, key, epoch DESC, seq DESC
    ON CONFLICT DO NOTHING
    """,
)
"""The newest start of each account on paper, testnet and mainnet stays: it says what kind of money its sums are."""
ENDED_STEP: Final[tuple[LiteralString, ...]] = (
    "ALTER TABLE gridbot.shipping ADD COLUMN ended boolean NOT NULL DEFAULT false",
)
"""Whether a host ended in order, and all that it had recorded is here: nothing more is to come from it."""
ARRIVED_STEP: Final[tuple[LiteralString, ...]] = (
    "ALTER TABLE gridbot.record ADD COLUMN arrived timestamptz NOT NULL DEFAULT now()",
    "ALTER TABLE gridbot.newest ADD COLUMN arrived timestamptz NOT NULL DEFAULT now()",
    # By it hosts of an earlier program look for what is old, until they are replaced.
    "DROP INDEX gridbot.record_at",
    "CREATE INDEX record_at ON gridbot.record USING brin (at)",
    "CREATE INDEX record_arrived ON gridbot.record (arrived)",
)
"""When a row came, by the database's clock: by that it grows old. A host's clock may be wrong by months, and rows that
waited on a host came late."""
