"""The part of the status model that somebody asked for. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gridbot.commands.targets import Addressed

__all__ = ["select"]

Json = Mapping[str, Any]


def select(status: Json, addressed: Sequence[Addressed] | None) -> Json:
    """The model with these accounts, or strategies of them, and their health instead of all accounts'; None: all.

    An account of which only strategies are addressed has these alone, and what is wrong with it as a whole.
    """
    if addressed is None:
        return status
    rows, incidents, reasons = [], [], []
    for row in status["accounts"]:
        names = [each.strategy for each in addressed if each.account == row["account"]]
        if not names:
            continue
        if "" not in names:
            row = {**row, "strategies": [each for each in row["strategies"] if each["strat_id"] in names]}
        rows.append(row)
        reasons += _reasons(row)
        about = {"", *names}
        incidents += [
            incident
            for incident in status["incidents"]
            if incident["account"] == row["account"] and ("" in names or incident["strategy"] in about)
        ]
    health = "degraded" if reasons else "healthy"
    found = {**status, "accounts": rows, "incidents": incidents, "health": health, "reasons": reasons}
    if "elsewhere" in status:
        wanted = {each.account for each in addressed}
        found["elsewhere"] = [row for row in status["elsewhere"] if row["account"] in wanted]
    return found


def _reasons(row: Json) -> list[str]:
    well = (row["process"]["state"], row["health"], row["freshness"]) == ("RUNNING", "healthy", "active")
    if well:
        return []
    process = row["process"]
    if process["state"] != "RUNNING":
        state = f"its process is {process['state']}" + (f": {process['reason']}" if process["reason"] else "")
    elif row["health"] != "healthy":
        state = "it has not reported yet" if row["health"] is None else f"it is {row['health']}"
    else:
        state = f"market data is {row['freshness']}"
    return [f"{row['account']}: {reason}" for reason in row["reasons"] or (state,)]
