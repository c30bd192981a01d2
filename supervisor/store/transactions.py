"""Our executions beside the exchange's own transaction log: is each movement of the wallet in both? Pure.

The log's `change` of an execution is what the wallet moved by: realised profit less fee, or funding. Other movements
(transfers, interest, a trade in another category) are in the log only, and are not differences. Each coin is compared
with itself: a fee in MNT has a row of its own there, and is no USDT.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Final, NamedTuple

from gridbot.exchange.requests import Transaction

__all__ = ["Comparison", "Recorded", "compare"]

ROUNDING: Final = Decimal("0.000001")
"""USDT by which one movement may differ: the exchange rounds to 8 decimals, average entries have more."""
ZERO: Final = Decimal(0)


class Recorded(NamedTuple):
    """An execution in the records, corrections included: USDT, and its time on the exchange (UTC, ms)."""

    exec_id: str
    symbol: str
    kind: str
    realised: Decimal
    fee: Decimal
    exchange_ts: int
    strategy: str = ""
    direction: str = "long"
    is_maker: bool = True
    other_fees: Mapping[str, Decimal] = MappingProxyType({})
    """What other coins were charged, by coin."""

    @property
    def net(self) -> Decimal:
        """What it moved the wallet by."""
        return self.realised - self.fee


@dataclass(slots=True)
class Comparison:
    """`unexplained` is the sum of `lines` in USDT.

    `later` counts what the exchange lists after the newest record: not recorded yet, or the bot does not run. `older`
    counts what we have from before the first movement it lists: its log does not reach back that far. `differing` are
    those that both have with other figures: they can be corrected.
    """

    agree: int = 0
    differing: list[tuple[Recorded, Transaction]] = field(default_factory=list)
    _found: list[tuple[Decimal, int, str]] = field(default_factory=list)
    transfers: list[str] = field(default_factory=list)
    unexplained: Decimal = ZERO
    later: int = 0
    older: int = 0

    def add(self, what: str, movement: Recorded | Transaction, text: str, amount: Decimal) -> None:
        """A movement that is in one of the two only, or differs by `amount` (USDT)."""
        self.unexplained += amount
        moment = _time(movement.exchange_ts)
        line = f"{what}: {moment} {movement.kind} {movement.symbol} {movement.exec_id}: {text}"
        insort(self._found, (-abs(amount), len(self._found), line))

    @property
    def lines(self) -> list[str]:
        """Each movement that is in one of the two only, or differs; those of most USDT first."""
        return [line for _, _, line in self._found]


def compare(
    recorded: Mapping[str, Recorded], listed: Iterable[Transaction], *, since_ms: int, until_ms: int
) -> Comparison:
    """Match by execution id what happened between two moments (UTC, ms). `listed` is sorted by time, coin by coin.

    `recorded` may reach a little beyond them: the two times of one movement may differ by milliseconds.
    """
    result = Comparison()
    other_coins: list[Transaction] = []
    seen: set[str] = set()
    first_ms: int | None = None
    for row in listed:
        if not row.is_usdt:
            other_coins.append(row)
            continue
        if first_ms is None:
            first_ms = row.exchange_ts
        ours = recorded.get(row.exec_id)
        if ours is not None:
            seen.add(row.exec_id)
            if abs(ours.realised - ours.fee - row.change) <= ROUNDING:
                result.agree += 1
            else:
                text = f"recorded {ours.net:f}, the exchange says {row.change:f} USDT"
                result.add("differs", row, text, row.change - ours.net)
                result.differing.append((ours, row))
        elif row.exchange_ts > until_ms:
            result.later += 1
        elif row.is_of_execution:
            result.add("not recorded", row, f"{row.change:+f} USDT", row.change)
        else:
            result.transfers.append(f"{_time(row.exchange_ts)} {row.kind} {row.symbol} {row.change:+f} USDT")
    for exec_id, ours in recorded.items():
        if exec_id in seen or not since_ms < ours.exchange_ts <= until_ms:
            continue
        if first_ms is None or ours.exchange_ts < first_ms:
            result.older += 1
        elif not ours.net:  # moved no USDT, so need not be there: its fee was in another coin
            result.agree += 1
        else:
            result.add("not listed", ours, f"{ours.net:+f} USDT", -ours.net)
    _compare_coins(result, recorded, other_coins, since_ms, until_ms)
    return result


def _compare_coins(
    result: Comparison, recorded: Mapping[str, Recorded], listed: Iterable[Transaction], since_ms: int, until_ms: int
) -> None:
    """Fees in other coins than USDT; only their amount is told, since nobody here knows their price."""
    moved = {(row.exec_id, row.currency): row for row in listed}
    for exec_id, ours in recorded.items():
        for coin, fee in ours.other_fees.items():
            row = moved.pop((exec_id, coin), None)
            if row is not None and abs(row.change + fee) <= ROUNDING:
                result.agree += 1
            elif row is not None:
                result.add("differs", row, f"recorded {-fee:f}, the exchange says {row.change:f} {coin}", ZERO)
            elif since_ms < ours.exchange_ts <= until_ms:
                result.add("not listed", ours, f"{-fee:+f} {coin}", ZERO)
    for row in moved.values():
        if row.is_of_execution and row.exchange_ts <= until_ms:
            result.add("not recorded", row, f"{row.change:+f} {row.currency}", ZERO)


def _time(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M:%S}"
