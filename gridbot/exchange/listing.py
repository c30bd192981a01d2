"""A listing of the exchange, with the rows of it that we cannot read. Pure.

One row with a value that nobody knew must stop one symbol, not the account: who reads a listing halts what the bad rows
are about, and uses the rest.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from gridbot.exchange.failures import TruncatedListing

__all__ = ["Listing", "Unreadable", "UnreadableRows"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A row that could not be used: of which symbol, why, and its exchange time (ms UTC; 0 when it has none)."""

    symbol: str
    reason: str
    exchange_ts: int = 0

    def __str__(self) -> str:
        return f"{self.symbol}: {self.reason}" if self.symbol else self.reason


class Listing(list[T]):
    """The rows that could be read, and those that could not: what is missing may be one of these."""

    def __init__(self, rows: Iterable[T] = (), unreadable: Iterable[Unreadable] = ()) -> None:
        super().__init__(rows)
        self.unreadable = tuple(unreadable)


class UnreadableRows(TruncatedListing):
    """The answer to a question about one symbol could not be read."""

    def __init__(self, message: str, unreadable: Unreadable) -> None:
        super().__init__(message)
        self.unreadable = unreadable
