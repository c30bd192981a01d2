"""The caps of the status model as lines of text: each of fleet and groups, those of accounts from half on; and what
cancels orders when the machine is gone. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

__all__ = ["caps_lines"]

Json = Mapping[str, Any]

SHOWN_FROM: Final = 0.5
"""Part of a cap of an account that is used before its line is shown: fifty accounts have a hundred caps."""


def caps_lines(status: Json) -> Iterator[str]:
    """One sentence a cap."""
    for row in status.get("caps", ()):
        held = f"; held: {', '.join(row['held'])}" if row["held"] else ""
        yield f"{row['scope']} {_use(row)}, {row['accounts']} accounts{uncounted(row)}{over_hosts(row)}{held}"
    for account in status["accounts"]:
        if dead_man := account.get("dead_man"):
            yield f"{account['account']} dead_man: {dead_man['state']}, {dead_man['after_s']} s"
        for row in account.get("caps") or ():
            if row["share"] is None or row["share"] >= SHOWN_FROM:
                yield f"{account['account']} {_use(row)}"


def uncounted(row: Json) -> str:
    """How many accounts have not told yet what they use: what is shown is without them."""
    missing = row["accounts"] - row.get("known", row["accounts"])
    if not missing:
        return ""
    why = "" if row["known"] or row.get("hosts") is None else ": a cap that is new counts from each host's next start"
    return f", {missing} not counted yet{why}"


def over_hosts(row: Json) -> str:
    """What each host of a fleet may use of a cap that is shared; nothing without hosts, and of other caps."""
    if not row.get("hosts") or row["cap"] != "max_notional":
        return ""
    return "; may use: " + ", ".join(f"{host} {amount}" for host, amount in row["hosts"].items())


def _use(row: Json) -> str:
    part = "" if row["share"] is None else f" ({row['share'] * 100:.0f} %)"
    return f"{row['cap']}: {row['used']} of {row['limit']} used{part}"
