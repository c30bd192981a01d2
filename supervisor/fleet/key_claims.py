"""One API key, one account of the fleet: an account's lease is not granted while another one with its key is traded.

Two accounts can have one key for a while: one is given another name, and the host of the old name cannot let go of it
yet, or two files have the same key by mistake. Two hosts would trade one account of the exchange then. So who acquires
a lease claims the key, too: a row of the table `lease`, named by a digest of the key, has the account whose it is.

That row is locked first, in a statement of its own, so that of two who ask at one time the second sees what the first
got. Where the former account's lease is over, it is ended: its holder cannot renew it any more.
"""

from __future__ import annotations

import hashlib
from typing import Final, LiteralString

from gridbot.config.models import GridbotConfig
from gridbot.exchange.environment import Environment

__all__ = ["CLAIM", "GUARDED", "MARK", "MAY", "TAKEN_BY", "AskedKeys", "claim_of", "taken_text"]

MARK: Final = "@key:"
"""Begins the name of such a row, as that of a service begins: no account has one."""

CLAIM: Final[LiteralString] = """
    INSERT INTO gridbot.lease AS k (account, epoch, host, instance, state, until, previous)
    VALUES (%(claim)s, 0, '', '', 'ended', clock_timestamp(), %(account)s)
    ON CONFLICT (account) DO UPDATE SET previous = k.previous
"""
GUARDED: Final[tuple[LiteralString, LiteralString]] = (
    """
    WITH other AS MATERIALIZED (
        SELECT o.account FROM gridbot.lease k JOIN gridbot.lease o ON o.account = k.previous
        WHERE k.account = %(claim)s AND o.account <> %(account)s
    ), over AS (
        UPDATE gridbot.lease o SET state = CASE state WHEN 'free' THEN 'free' ELSE 'ended' END FROM other
        WHERE o.account = other.account AND (o.state = 'free' OR (
            o.until + make_interval(secs => %(wait)s) < clock_timestamp()
            AND clock_timestamp() <= to_timestamp(%(latest)s / 1000000.0)))
        RETURNING 1
    ), got AS (
    """,
    """
    ), ours AS (
        UPDATE gridbot.lease SET previous = CASE account WHEN %(claim)s THEN %(account)s ELSE '' END
        WHERE EXISTS (SELECT FROM got) AND (account = %(claim)s
            OR starts_with(account, '@key:') AND previous = %(account)s)
    )
    SELECT * FROM got
    """,
)
"""Around the statement that acquires a lease. A key that the account had before is nobody's then."""
MAY: Final[LiteralString] = " (NOT EXISTS (SELECT FROM other) OR EXISTS (SELECT FROM over)) "
TAKEN_BY: Final[LiteralString] = """
    SELECT o.account, o.host FROM gridbot.lease k JOIN gridbot.lease o ON o.account = k.previous
    WHERE k.account = %(claim)s AND o.account <> %(account)s
        AND NOT (o.state = 'free' OR o.until + make_interval(secs => %(wait)s) < clock_timestamp())
"""
"""The account that is traded with the key, and on which host."""


def claim_of(config: GridbotConfig, account: str) -> str:
    """The row that the key of an account is claimed by; "" on the paper exchange, where each has its own."""
    try:
        found = config.account(account)
    except KeyError:
        return ""
    if found.environment is Environment.PAPER:
        return ""
    return f"{MARK}{hashlib.sha256(found.api_key.get_secret_value().encode()).hexdigest()[:32]}"


class AskedKeys:
    """What each account's lease was asked for with last on this host, so that a change of its key is seen: another host
    may trade the new one, so the account has to be asked for anew."""

    def __init__(self) -> None:
        self._asked: dict[str, str] = {}

    def claim(self, config: GridbotConfig, account: str) -> str:
        """What the key is claimed by, as the lease is asked for now."""
        claim = self._asked[account] = claim_of(config, account)
        return claim

    def is_another(self, config: GridbotConfig, account: str) -> bool:
        """Whether an account of this configuration has another key in it than its lease was asked for with."""
        known = any(each.name == account for each in config.accounts)
        return known and self._asked.get(account) not in (None, claim_of(config, account))


def taken_text(account: str, other: str, host: str) -> str:
    """Why an account is not traded here."""
    return (
        f"{account} is not traded: its API key is that of {other}, which host {host} trades; give each account a key"
        f" of its own, or take {other} out of the configuration (its positions have to be closed first)"
    )
