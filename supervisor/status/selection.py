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
        reasons += _reasons(row, many=len(addressed) > 1)
        about = {"", *names}
        incidents += [
            incident
            for incident in status["incidents"]
            if incident["account"] == row["account"] and ("" in names or incident["strategy"] in about)
        ]
    health = "degraded" if reasons else "healthy"
    return {**status, "accounts": rows, "incidents": incidents, "health": health, "reasons": reasons}


def _reasons(row: Json, *, many: bool) -> list[str]:
    well = (row["process"]["state"], row["health"], row["freshness"]) == ("RUNNING", "healthy", "active")
    if well:
        return []
    found = list(row["reasons"]) or [row["process"]["reason"] or f"{row['account']} is not healthy"]
    return [f"{row['account']}: {reason}" for reason in found] if many else found
