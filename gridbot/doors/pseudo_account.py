"""The account under which a supervisor records what it does itself: its runs, health, alerts and commands.

On a host it is `_supervisor`; in the records of a whole fleet each host's supervisor is one of its own,
`_supervisor@HOST`. Configured accounts begin with a letter or a digit. Whoever asks whether an account is a
supervisor's asks here.
"""

from __future__ import annotations

from typing import Final

__all__ = ["OF_HOST", "SUPERVISOR", "host_of", "is_supervisor", "is_supervisor_sql", "shared_name"]

SUPERVISOR: Final = "_supervisor"
OF_HOST: Final = "@"
"""Stands before the host in the name of an account that each host has."""


def is_supervisor(account: str) -> bool:
    """Whether this is the account of a supervisor, of this host or of one of a fleet."""
    return account.partition(OF_HOST)[0] == SUPERVISOR


def is_supervisor_sql(column: str = "account") -> str:
    """The same as a condition on a column of names, for DuckDB, PostgreSQL and the tools that open our files."""
    return f"({column} = '{SUPERVISOR}' OR {column} LIKE '#{SUPERVISOR}{OF_HOST}%' ESCAPE '#')"


def host_of(account: str) -> str:
    """The host of a supervisor's account in the records of a fleet; else ""."""
    return account.partition(OF_HOST)[2] if is_supervisor(account) else ""


def shared_name(account: str, host: str) -> str:
    """The account's name in the fleet: the supervisors of all hosts record as one account, and are several."""
    return f"{account}{OF_HOST}{host}" if account.startswith("_") else account
