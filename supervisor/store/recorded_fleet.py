"""Which accounts and strategies the records know, as of the newest configuration that each account ran with."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from gridbot.commands.targets import Addressed, FleetMember
from gridbot.doors.bounded_json import JsonMistake, read_json
from gridbot.doors.pseudo_account import is_supervisor_sql
from gridbot.store.schema import quote

__all__ = ["FLEET", "fleet_of", "where_addressed"]

FLEET: Final = f"""
    SELECT account, arg_max(config, seq) AS config FROM run_events
    WHERE event = 'start' AND NOT {is_supervisor_sql()} GROUP BY account ORDER BY account"""
"""Rows for `fleet_of`."""


def fleet_of(rows: Iterable[tuple[Any, ...]]) -> tuple[FleetMember, ...]:
    """The fleet; an account whose configuration cannot be read has neither strategies nor labels."""
    found = []
    for account, config in rows:
        try:
            read = read_json(config or "{}")
            strategies = tuple(str(each["strat_id"]) for each in read.get("strategies", ()))
            groups = tuple(map(str, read.get("account", {}).get("groups") or ()))
        except (JsonMistake, AttributeError, KeyError, TypeError):
            strategies, groups = (), ()
        found.append(FleetMember(str(account), strategies, groups))
    return tuple(found)


def where_addressed(
    addressed: Iterable[Addressed] | None, *, account: str = "account", strategy: str = "strategy"
) -> str:
    """A condition in SQL that holds for the rows of what is addressed; None is everything."""
    if addressed is None:
        return "true"
    parts = [
        f"({account} = {quote(each.account)}" + (f" AND {strategy} = {quote(each.strategy)})" if each.strategy else ")")
        for each in addressed
    ]
    return f"({' OR '.join(parts)})"
