"""What the caps over hosts need, as a step of `fleet_schema` (`supervisor/caps/fleet_scope.py` says what it means).

cap_use      of each account in each scope: what its holder has told last, and what it was granted
cap_scope    of each scope: peak, losses and latches of the whole fleet, and what is shown of it
"""

from __future__ import annotations

from typing import Final, LiteralString

__all__ = ["CAP_STEP"]

CAP_STEP: Final[tuple[LiteralString, ...]] = (
    # Rows are changed in place all the time, as those of leases.
    """
    CREATE TABLE gridbot.cap_use (
        scope text NOT NULL,
        account text NOT NULL,
        host text NOT NULL,
        instance text NOT NULL,
        epoch bigint NOT NULL,
        seq bigint NOT NULL,
        used numeric NOT NULL,
        short numeric NOT NULL,
        reserved numeric NOT NULL,
        share numeric NOT NULL,
        number bigint NOT NULL DEFAULT 0,
        heard bigint NOT NULL DEFAULT 0,
        kept numeric NOT NULL,
        figures jsonb,
        hold jsonb,
        lifts bigint NOT NULL DEFAULT 0,
        at timestamptz NOT NULL DEFAULT clock_timestamp(),
        PRIMARY KEY (scope, account)
    ) WITH (fillfactor = 50)
    """,
    """
    CREATE TABLE gridbot.cap_scope (
        scope text PRIMARY KEY,
        version integer NOT NULL DEFAULT 0,
        body jsonb,
        held jsonb NOT NULL DEFAULT '{}',
        holds bigint NOT NULL DEFAULT 0,
        shown jsonb,
        at timestamptz
    ) WITH (fillfactor = 50)
    """,
    "GRANT SELECT ON gridbot.cap_use, gridbot.cap_scope TO gridbot_host, gridbot_operator, gridbot_reader",
    "GRANT INSERT, UPDATE, DELETE ON gridbot.cap_use, gridbot.cap_scope TO gridbot_host",
)
"""One step of `fleet_schema.STEPS`; never changed once a release had it."""
