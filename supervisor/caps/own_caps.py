"""Whose worker is silent while a cap of its own account is nearly used: nobody watches that cap then. Pure; seconds.

A worker alone knows its prices, so it alone can say that its cap is crossed. One that is silent, or gone, cannot: as
long as it is, nothing may open. So what opens is withdrawn without it, by a rescue, and its next process looks at its
caps before it trades. At four fifths of a cap this is worth the orders that it costs; far from it the usual time of a
silence counts (`supervisor.heartbeat_timeout`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gridbot.risk.caps import WARN_AT

__all__ = ["AGAIN_S", "SILENT_S", "Member", "OwnCaps"]

SILENT_S: Final = 2.0
"""Twice as long as between two reports."""
LATE_S: Final = 1.0
"""After a look so late the machine was busy, and workers are late as well: the next look decides."""
AGAIN_S: Final = 600.0
"""Between two times that a worker is ended for this: never so often that its restarts are used up."""
WATCHED: Final = ("max_drawdown", "session_loss_limit", "max_margin_ratio")
"""The caps that prices alone can cross; above `max_notional` nothing is placed, and a silent worker places nothing."""


@dataclass(frozen=True, slots=True)
class Member:
    """An account: its newest process by number, when that was heard last, its caps as it said (`CapGuard.rows`)."""

    account: str
    process: int
    heard_s: float
    caps: Sequence[Mapping[str, Any]]


class OwnCaps:
    """One per supervisor."""

    def __init__(self) -> None:
        self._looked_s = float("inf")
        self._done: dict[str, tuple[int, float]] = {}

    def look(self, members: Iterable[Member], now_s: float) -> dict[str, str]:
        """For whom what opens has to be withdrawn now, and why. `members` trade, or have no process."""
        late, self._looked_s = now_s - self._looked_s > LATE_S, now_s
        if late:
            return {}
        found: dict[str, str] = {}
        for member in members:
            caps = [str(row["cap"]) for row in member.caps if _is_nearly_used(row)]
            if not caps or now_s - member.heard_s < SILENT_S or self._was_done(member, now_s):
                continue
            self._done[member.account] = member.process, now_s
            names = " and ".join(caps)
            found[member.account] = (
                f"it is silent while {names} of its account is used up or nearly, so nobody watches it"
            )
        return found

    def _was_done(self, member: Member, now_s: float) -> bool:
        process, at_s = self._done.get(member.account, (0, float("-inf")))
        return process == member.process or now_s - at_s < AGAIN_S


def _is_nearly_used(row: Mapping[str, Any]) -> bool:
    share = row.get("share")
    return row.get("cap") in WATCHED and (share is None or share >= float(WARN_AT))
