"""Faults of our own while an account trades: whatever raises fails alone, and never in silence.

::

    a part raises ──► log with traceback ──► of a strategy?  yes ──► halt it, compare everything with the exchange
                                                  │
                                                  no ──► alert
                                             (everything else goes on)

Each cause is told once: the same fault again is the same incident, until it has not come for ten minutes
(`gridbot.incidents`). A halt has an alert of its own; a fault of a strategy that is halted already is an alert, too.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from gridbot.fault_words import cause_of, in_words, sentence
from gridbot.incidents import Name, Standing
from gridbot.worker.refresh_requests import RefreshRequests

__all__ = ["Alert", "Faults"]

log = logging.getLogger(__name__)


class Alert(Protocol):
    """Tells the operator, and returns how often this has come in its incident (`gridbot.incidents`).

    `level` is warning or error, `key` groups alerts, an empty `strategy` means the account. `cause` tells faults of one
    key apart; with `shown` False another alert tells of it.
    """

    def __call__(
        self, level: str, key: str, text: str, strategy: str = "", *, cause: str = "", shown: bool = True
    ) -> int: ...

    def over(self, key: str, text: str, strategy: str = "") -> None:
        """It is over, says its owner."""

    def look(self, standing: Mapping[Name, Standing]) -> None:
        """Everything that stands now."""

    def rows(self) -> list[dict[str, Any]]:
        """The open incidents, JSON-able."""


class Faults:
    """One per account. `enroll` each strategy, so that its faults halt it."""

    def __init__(self, alert: Alert, requests: RefreshRequests) -> None:
        self._alert = alert
        self._requests = requests
        self._newest: BaseException | None = None
        self._halts: dict[str, Callable[[str], bool]] = {}

    def enroll(self, symbol: str, halt: Callable[[str], bool]) -> None:
        """`halt` stops the strategy of `symbol` and alerts; it returns False when the strategy was halted before."""
        self._halts[symbol] = halt

    def withdraw(self, symbol: str) -> None:
        """The strategy of `symbol` is gone."""
        self._halts.pop(symbol, None)

    def report(self, part: str, error: BaseException, symbol: str = "") -> None:
        """`part` failed, in words; with `symbol` it belongs to that symbol's strategy.

        An error that comes by a second way, such as the job that waited for what failed, is not told again.
        """
        if error is self._newest and not symbol:
            return
        self._newest = error
        halt = self._halts.get(symbol)
        halted = halt is not None and halt(sentence(part, error))
        key = f"fault.{symbol}" if symbol else "fault"
        times = self._alert("error", key, sentence(part, error), cause=cause_of(part, error), shown=not halted)
        if times == 1:
            log.error("%s failed", part, exc_info=error)
        elif times & (times - 1) == 0:  # 2, 4, 8 ...
            log.error("%s failed for the %dth time: %s", part, times, in_words(error))
        if halt is not None and (halted or times == 1):
            self._requests.reconcile(f"{part} failed")

    def contained(self, part: str, symbol: str = "") -> _Contained:
        """What raises inside is reported, and the code behind it goes on."""
        return _Contained(self, part, symbol)


class _Contained:
    """A dozen of them a second: a generator would cost several times as much."""

    __slots__ = ("_faults", "_part", "_symbol")

    def __init__(self, faults: Faults, part: str, symbol: str) -> None:
        self._faults, self._part, self._symbol = faults, part, symbol

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        if error is None or not isinstance(error, Exception):
            return False
        self._faults.report(self._part, error, self._symbol)
        return True
