"""What is recorded of executions beside the exchange's transaction log, and what follows from a difference. Pure.

The log is the truth (`Transaction.realised` and `cost`)::

    log read ──► nothing differs ──────────────────────► checked
                 together within the limit ──► corrected, checked
                 above it ──► an alert; nothing is corrected until an operator says so

One USDT or one percent of the equity, whichever is less: so much is no rounding, and no late execution either. What a
dividend or a settlement brought does not count for the limit: lists of executions do not say it, so only the log does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from gridbot.core import ExecType
from gridbot.core.execution_ledger import Ledger
from gridbot.core.leg_history import UNIT
from gridbot.exchange.listing import Unreadable
from gridbot.exchange.requests import Transaction

__all__ = ["UNKNOWN_MOST_MS", "Difference", "Findings", "described", "findings", "limit_of"]

ZERO = Decimal(0)
MOST_USDT = Decimal(1)
MOST_OF_EQUITY = Decimal("0.01")
UNKNOWN_MOST_MS = 3_600_000
"""So long the log is read again from an execution on that no list of executions has."""


@dataclass(frozen=True, slots=True)
class Difference:
    """An execution of which something else is recorded: the exchange's figures (USDT), and what they add to ours.

    `is_news`: nobody had said what it realised, and it cannot be worked out.
    """

    exec_id: str
    realised: Decimal
    fee: Decimal
    net: Decimal
    is_news: bool = False


@dataclass(frozen=True, slots=True)
class Findings:
    """`unknown`: executions of the log that were never counted; `unknown_since_ms`: exchange time of the first of them.

    `up_to_ms`: exchange time up to which the log is checked, that of its newest row, readable or not; but it waits an
    hour for what is unknown.
    """

    differences: tuple[Difference, ...]
    unknown: tuple[str, ...]
    up_to_ms: int
    unknown_since_ms: int | None = None

    @property
    def amount(self) -> Decimal:
        """USDT by which the records are off, each execution by itself; without what is only news."""
        return sum((abs(difference.net) for difference in self.differences if not difference.is_news), ZERO)


def findings(rows: Iterable[Transaction], ledger: Ledger, unreadable: Iterable[Unreadable] = ()) -> Findings:
    """Compare the log's rows of executions that the ledger still keeps; older ones are `ledger check`'s.

    Rows of other coins than USDT concern no figure of ours.
    """
    differences: list[Difference] = []
    unknown: dict[str, int] = {}
    up_to_ms = max((row.exchange_ts for row in unreadable), default=0)
    for row in rows:
        up_to_ms = max(up_to_ms, row.exchange_ts)
        if not row.is_usdt:
            continue
        ours = ledger.legs.recorded(row.exec_id)
        if ours is not None:
            realised, fee = row.realised, row.cost
            if max(abs(realised - ours.realised), abs(fee - ours.fee)) >= UNIT:
                untold = not ours.final and not (ours.exec_type.moves_legs or ours.exec_type is ExecType.FUNDING)
                differences.append(Difference(row.exec_id, realised, fee, realised - fee - ours.net, untold))
        elif row.is_of_execution and ledger.is_new(row.exec_id):
            unknown[row.exec_id] = row.exchange_ts
    since_ms = min(unknown.values(), default=None)
    if since_ms is not None:
        up_to_ms = max(since_ms, up_to_ms - UNKNOWN_MOST_MS)
    return Findings(tuple(differences), tuple(unknown), up_to_ms, since_ms)


def limit_of(equity: Decimal | None) -> Decimal:
    """USDT up to which records are corrected without asking, by the account's equity (USDT)."""
    return MOST_USDT if equity is None else min(MOST_USDT, max(ZERO, equity) * MOST_OF_EQUITY)


def described(differences: Sequence[Difference], names: int = 3) -> str:
    """A few of them, for an alert."""
    listed = ", ".join(f"{each.exec_id} {each.net:+f}" for each in differences[:names])
    return listed + (f" and {len(differences) - names} more" if len(differences) > names else "")
