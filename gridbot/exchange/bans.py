"""A ban of our address, and what an operator is told of it. Pure; times are monotonic seconds."""

from __future__ import annotations

from typing import NamedTuple

from gridbot.exchange.failures import ExchangeError
from gridbot.exchange.remedies import with_remedy

__all__ = ["Ban"]


class Ban(NamedTuple):
    """Nothing may be sent until `until_s`; `error` is how the exchange said so."""

    until_s: float
    error: ExchangeError

    def is_on(self, now_s: float) -> bool:
        return now_s < self.until_s

    def __str__(self) -> str:
        return f"the exchange bans this address, nothing is sent until that is over: {with_remedy(self.error)}"
