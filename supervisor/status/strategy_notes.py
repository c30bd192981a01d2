"""What `status` says below its tables of strategies that do not trade as they should. Pure: the model in, lines out.

Strategies of which the same is to be said are one line, since a fleet is held as a whole more often than not, and what
lifts it stands below.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from gridbot.command_line import pasteable

__all__ = ["strategy_notes"]

Json = Mapping[str, Any]
RESUMED: Final = ("paused", "reducing", "halted", "latched")
"""States of a strategy that an operator ends."""
MOST_NAMES: Final = 6


def strategy_notes(accounts: Sequence[Json], data_dir: str) -> Iterator[str]:
    """Why strategies are held, each reason once, with what lifts it; then the requests that are tried again."""
    held: dict[tuple[str, bool], list[tuple[Json, Json]]] = {}
    tried: dict[tuple[str, str], list[tuple[Json, Json]]] = {}
    for account in accounts:
        for strategy in account["strategies"]:
            if reason := strategy.get("reason"):
                held.setdefault((reason, strategy["state"] in RESUMED), []).append((account, strategy))
            for item in strategy.get("retrying", ()):
                tried.setdefault((item["request"], item["error"]), []).append((strategy, item))
    for (reason, is_lifted), rows in held.items():
        yield f"! {_listed([strategy['strat_id'] for _, strategy in rows])}: {reason}"
        if is_lifted:
            yield f"  lifted by: {_lifts(rows, data_dir)}"
    for (request, error), items in tried.items():
        names = _listed(list(dict.fromkeys(strategy["strat_id"] for strategy, _ in items)))
        if len(items) > 1:
            yield f"! {names}: {len(items)} {request} requests are tried again: {error}"
        else:
            only = items[0][1]
            yield f"! {names}: retry {only['attempt']} of the {request} request for {only['order']} is due: {error}"


def _lifts(rows: Sequence[tuple[Json, Json]], data_dir: str) -> str:
    targets = list(dict.fromkeys(_target(account, strategy) for account, strategy in rows))
    if len(targets) > MOST_NAMES:
        return f"`{pasteable('resume', data_dir=data_dir)}` with their names, or with --all"
    return pasteable(f"resume {' '.join(targets)}", data_dir=data_dir)


def _target(account: Json, strategy: Json) -> str:
    """The account, where it is latched as a whole: of one strategy alone `resume` leaves that."""
    if strategy["state"] == "latched" and account["health"] == "circuit_open":
        return str(account["account"])
    return f"{account['account']}/{strategy['strat_id']}"


def _listed(names: Sequence[str]) -> str:
    if len(names) <= MOST_NAMES:
        return ", ".join(names)
    return f"{', '.join(names[:MOST_NAMES])} and {len(names) - MOST_NAMES} more"
