"""What the hosts of a fleet share beyond leases, as a step of `fleet_schema`: hosts, configuration, wishes, commands.

    host            who is there, what it offers, and its newest status
    config_version  what was pushed, each version for good; config_force: which of them counts
    wish            where an operator wants an account
    command         what an operator asks of an account wherever it is, and the holder's answer

Every change of them is announced on the channel `gridbot`; its payload is one word and what it concerns.
"""

from __future__ import annotations

from typing import Final, LiteralString

__all__ = ["CHANNEL", "FORGET_STEP", "HOST_STEP", "OFFERS_STEP"]

CHANNEL: Final = "gridbot"

HOST_STEP: Final[tuple[LiteralString, ...]] = (
    """
    ALTER TABLE gridbot.host
        ADD offers text[] NOT NULL DEFAULT '{}',
        ADD not_offered jsonb NOT NULL DEFAULT '{}',
        ADD draining boolean NOT NULL DEFAULT false,
        ADD applied integer NOT NULL DEFAULT 0,
        ADD status jsonb,
        ADD status_at timestamptz,
        ADD trouble text NOT NULL DEFAULT ''
    """,
    """
    CREATE TABLE gridbot.config_version (
        version integer PRIMARY KEY,
        body text NOT NULL,
        who text NOT NULL,
        note text NOT NULL DEFAULT '',
        at timestamptz NOT NULL DEFAULT clock_timestamp()
    )
    """,
    """
    CREATE TABLE gridbot.config_force (
        one boolean PRIMARY KEY DEFAULT true CHECK (one),
        version integer NOT NULL REFERENCES gridbot.config_version,
        who text NOT NULL,
        leave_positions boolean NOT NULL DEFAULT false,
        at timestamptz NOT NULL DEFAULT clock_timestamp()
    )
    """,
    """
    CREATE TABLE gridbot.wish (
        account text PRIMARY KEY,
        host text NOT NULL,
        who text NOT NULL,
        at timestamptz NOT NULL DEFAULT clock_timestamp()
    )
    """,
    """
    CREATE TABLE gridbot.command (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        account text NOT NULL,
        request jsonb NOT NULL,
        who text NOT NULL,
        origin text NOT NULL,
        at timestamptz NOT NULL DEFAULT clock_timestamp(),
        expires timestamptz NOT NULL,
        host text,
        taken_at timestamptz,
        answer jsonb,
        answered_at timestamptz
    )
    """,
    "CREATE INDEX command_open ON gridbot.command (account) WHERE taken_at IS NULL",
    "GRANT SELECT ON gridbot.config_version, gridbot.config_force, gridbot.wish, gridbot.command"
    " TO gridbot_host, gridbot_operator, gridbot_reader",
    "GRANT INSERT ON gridbot.config_version, gridbot.config_force TO gridbot_host, gridbot_operator",
    "GRANT UPDATE ON gridbot.config_force TO gridbot_host, gridbot_operator",
    "GRANT INSERT, UPDATE, DELETE ON gridbot.wish TO gridbot_host, gridbot_operator",
    "GRANT INSERT ON gridbot.command TO gridbot_host, gridbot_operator",
    "GRANT UPDATE, DELETE ON gridbot.command TO gridbot_host",
    "GRANT UPDATE (draining) ON gridbot.host TO gridbot_operator",
)
"""One step of `fleet_schema.STEPS`; never changed once a release had it."""

OFFERS_STEP: Final[tuple[LiteralString, ...]] = (
    # Of the names in `offers`; empty when a program that did not know it has written them.
    "ALTER TABLE gridbot.host ADD offers_mark text NOT NULL DEFAULT ''",
)
"""A later step: hosts that look do not read again what has not changed."""

FORGET_STEP: Final[tuple[LiteralString, ...]] = ("GRANT DELETE ON gridbot.host TO gridbot_operator",)
"""A later step: an operator may have the fleet forget a host that has left for good."""
