"""The worker's side of the caps of fleet and groups: its shares of their notional, and what they hold it for.

    from the supervisor (`caps`)    shares with their numbers, what holds the account, how many `resume`s it knows of
    to the supervisor (`caps`)      the account's figures, the shares it keeps to, what it is held for, its `resume`s

A share grows at once and shrinks to what is used: the supervisor counts the rest as lent until the next message says
the number of the word. Without a word for `SILENT_S` all shares are 0: nothing opens under a supervisor that hangs. A
word that does not know of the newest `resume` holds nothing. It has no clock of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Self

from gridbot.core.limits import OnBreach
from gridbot.core.strict_numbers import saved_decimal

__all__ = ["SILENT_S", "CapHold", "FleetShare"]

Message = dict[str, Any]
SILENT_S: Final = 10.0
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class CapHold:
    """Why a cap holds an account, since when (ms UTC), and what it does to it."""

    reason: str
    since_ms: int
    action: OnBreach = OnBreach.REDUCE

    def to_document(self) -> Message:
        """JSON-able."""
        return {"reason": self.reason, "since_ms": self.since_ms, "action": str(self.action)}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Read what `to_document` wrote. KeyError, TypeError or ValueError for anything else."""
        return cls(str(document["reason"]), int(document["since_ms"]), OnBreach(document["action"]))


class FleetShare:
    """One per worker. `scopes` says of each scope of the account whether it has a cap on notional."""

    def __init__(self, scopes: Mapping[str, bool]) -> None:
        self._scopes = dict(scopes)
        self._shares = {scope: ZERO for scope, lends in scopes.items() if lends}
        self._seen: dict[str, int] = {}
        self._heard_s: float | None = None
        self._resumes = 0
        self.held: dict[str, CapHold] = {}
        """What holds the account, by scope; also of scopes that the configuration has no more, until a `resume`."""

    @property
    def is_capped(self) -> bool:
        """Whether there is any such cap."""
        return bool(self._scopes)

    def share(self, now_s: float) -> Decimal | None:
        """What the account may be worth at most (USDT); None where no cap says so."""
        if not self._shares:
            return None
        return ZERO if self.is_silent(now_s) else min(self._shares.values())

    def is_silent(self, now_s: float) -> bool:
        """Whether the supervisor has said nothing for too long."""
        return bool(self._scopes) and (self._heard_s is None or now_s - self._heard_s > SILENT_S)

    def hear(self, word: Mapping[str, Any], used: Decimal, now_s: float) -> bool:
        """A word of the supervisor; `used` is what the account is worth now. Whether something new holds it.

        KeyError, TypeError or ValueError for one that none of ours sends.
        """
        self._heard_s = now_s
        for scope, (told, number) in word["shares"].items():
            if scope in self._shares:
                wanted, before = saved_decimal(told), self._shares[scope]
                self._shares[scope] = max(wanted, min(before, used))
                self._seen[scope] = int(number)
        if int(word["resumes"]) != self._resumes:
            return False  # it was said before the operator resumed the account
        news = {scope: CapHold.from_document(row) for scope, row in word["held"].items() if scope not in self.held}
        self.held |= news
        return bool(news)

    def said(self) -> Message:
        """What the supervisor has to know of this side."""
        return {
            "shares": {scope: [str(share), self._seen.get(scope, 0)] for scope, share in self._shares.items()},
            "held": {scope: hold.to_document() for scope, hold in self.held.items()},
            "resumes": self._resumes,
        }

    def restore(self, held: Mapping[str, CapHold]) -> None:
        """What held the account in an earlier life holds again."""
        self.held = dict(held)

    def clear(self) -> None:
        """An operator resumes the account."""
        self.held = {}
        self._resumes += 1
