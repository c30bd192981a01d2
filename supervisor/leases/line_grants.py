"""Starts that may open WebSockets beyond their accounts' parts: so many in five minutes. Pure, monotonic seconds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from gridbot.budget.line_starts import SPARE_STARTS

__all__ = ["WINDOW_S", "LineGrants"]

WINDOW_S: Final = 301.0
"""The exchange's five minutes, and what two clocks may differ over them."""


class LineGrants:
    """Of one exchange."""

    def __init__(self) -> None:
        self._given_s: list[float] = []

    def inherit(self, given_s: Iterable[float]) -> None:
        """An earlier supervisor had granted starts at these times."""
        self._given_s = sorted([*self._given_s, *given_s])[-SPARE_STARTS:]

    def given_s(self, now_s: float) -> list[float]:
        """When those that count were granted."""
        self._given_s = [each_s for each_s in self._given_s if now_s - each_s < WINDOW_S]
        return self._given_s

    def ask(self, now_s: float) -> float:
        """Grant a start (0), or the seconds until one may be granted."""
        given_s = self.given_s(now_s)
        if len(given_s) < SPARE_STARTS:
            given_s.append(now_s)
            return 0.0
        return given_s[0] + WINDOW_S - now_s
