"""Answers of the exchange, counted by their retCode."""

from __future__ import annotations

from collections import Counter
from typing import Final

from gridbot.exchange.failures import ExchangeError

__all__ = ["KNOWN_MOST", "AnswerCounts"]

OTHER: Final = "other"
"""A retCode that is in no table of ours: there is no end to those."""
NONE: Final = "none"
"""No retCode came: the connection failed, or something before Bybit's application answered."""
KNOWN_MOST: Final = 60
"""Codes that are counted apart; the tables of ours have about as many."""


class AnswerCounts(Counter[str]):
    """How often each answer came: `0` for done, a retCode that we know, `other`, or `none`."""

    def came(self, error: ExchangeError | None) -> None:
        """Count one more; None: it was done."""
        code = _code(error)
        is_new = code not in self and len(self) >= KNOWN_MOST
        self[OTHER if is_new else code] += 1


def _code(error: ExchangeError | None) -> str:
    if error is None:
        return "0"
    if error.ret_code is None:
        return NONE
    return OTHER if error.is_unknown else str(error.ret_code)
