"""The first steps of commands that wait for their second one.

A token is 256 random bits. It is good for whom it was given to (a login of the page, a user of
Telegram), for a minute, and once: whatever the second step says, it is used up by that. Nobody else can use it, or use
it up. What is given here is what is carried out: the second step names nothing anew.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

from supervisor.remote.prepared_command import GOOD_S

__all__ = ["MOST_WAITING", "Asker", "Confirmations"]

MOST_WAITING: Final = 20
"""Of one asker; the oldest makes way. How many askers there are has an end: logins and listed users."""
Shown = TypeVar("Shown")


class Asker(Protocol):
    """Who takes both steps, such as a login of the page; compared by identity."""

    @property
    def is_over(self) -> bool:
        """Whether what was given to it is good for nothing any more."""


@dataclass(frozen=True, slots=True)
class _First(Generic[Shown]):
    asker: Asker
    shown: Shown
    given_s: float


class Confirmations(Generic[Shown]):
    """Owns them. `clock` is monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._waiting: dict[str, _First[Shown]] = {}

    def give(self, asker: Asker, shown: Shown) -> str:
        """The token for the second step of what was shown."""
        self._forget()
        own = [digest for digest, first in self._waiting.items() if first.asker is asker]
        for digest in own[: max(0, len(own) + 1 - MOST_WAITING)]:
            del self._waiting[digest]
        token = secrets.token_urlsafe(32)
        self._waiting[_digest(token)] = _First(asker, shown, self._clock())
        return token

    def take(self, asker: Asker, token: str) -> Shown | None:
        """What the token was given for, which is used up by that; None where it is good for nothing."""
        self._forget()
        digest = _digest(token)  # how long the search takes says nothing about the token
        first = self._waiting.get(digest)
        if first is None or first.asker is not asker:
            return None
        del self._waiting[digest]
        return first.shown

    def _forget(self) -> None:
        """What is too old, and what belongs to one who is over."""
        now_s = self._clock()
        self._waiting = {
            digest: first
            for digest, first in self._waiting.items()
            if now_s - first.given_s <= GOOD_S and not first.asker.is_over
        }


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()
