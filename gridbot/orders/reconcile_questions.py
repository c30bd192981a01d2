"""What the reconciler asks of the exchange: those of its effects that an answer comes back for. Data only."""

from __future__ import annotations

from dataclasses import dataclass

from gridbot.core import PositionEvent
from gridbot.orders.reconcile_state import Who

__all__ = [
    "AskClosed",
    "AskExecutions",
    "AskExecutionsOf",
    "AskListing",
    "AskOrder",
    "AskPositions",
    "AskWallet",
    "Question",
]


@dataclass(frozen=True, slots=True)
class AskExecutions:
    """The account's executions since a time."""

    who: Who
    from_ms: int


@dataclass(frozen=True, slots=True)
class AskExecutionsOf:
    """The executions of one order, whenever they were."""

    who: Who
    symbol: str
    link_id: str
    order_id: str


@dataclass(frozen=True, slots=True)
class AskListing:
    """All open orders of the account."""

    who: Who


@dataclass(frozen=True, slots=True)
class AskOrder:
    """One order by its id."""

    who: Who
    symbol: str
    link_id: str
    order_id: str


@dataclass(frozen=True, slots=True)
class AskClosed:
    """The orders of the account that ended last; no more of the list is needed than has all the `wanted` ones (ids)."""

    who: Who
    wanted: frozenset[str]


@dataclass(frozen=True, slots=True)
class AskPositions:
    """Both legs of a symbol.

    With `rows` nobody is asked: these were read before what was paged was counted, and are to be compared once more.
    """

    who: Who
    symbol: str
    rows: tuple[PositionEvent, ...] = ()


@dataclass(frozen=True, slots=True)
class AskWallet:
    """The wallet."""

    who: Who


Question = AskExecutions | AskExecutionsOf | AskListing | AskOrder | AskClosed | AskPositions | AskWallet
