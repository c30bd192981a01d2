"""Where the records of a backtest go: they are numbered as a worker's are, kept in memory, and handed on in bulk.

Readings that show what was known already (positions and wallet by REST) are sampled: at most one in `sample_s` of the
wallet, and in `leg_sample_s` of each leg.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from gridbot.backtest.record_columns import Kept, KeptRecords
from gridbot.backtest.run_loop import RunLoop
from gridbot.core.execution_types import ExecType
from gridbot.core.vocabulary import Direction
from gridbot.orders.order import OrderState
from gridbot.records.record_types import (
    ExecutionRecord,
    GridRecord,
    IntentRecord,
    OrderRecord,
    PositionRecord,
    Record,
    WalletRecord,
)

__all__ = ["RunRecords"]

WALLET: Final = ("wallet", "", "")
USUAL: Final = frozenset({OrderState.PENDING, OrderState.OPEN, OrderState.PARTIALLY_FILLED, OrderState.FILLED})
AT_ONCE: Final = 3_000
"""Records that are handed on together; until then they are objects of half a kilobyte."""


@dataclass(frozen=True, slots=True)
class _Stats:
    """A journal that is always well."""

    journal_error: str | None = None
    records_refused: int = 0


class RunRecords:
    """One per account: the worker's recorder. `put` takes what goes into one transaction."""

    stats: Final = _Stats()

    def __init__(
        self,
        account: str,
        run_id: str,
        loop: RunLoop,
        put: Callable[[KeptRecords], None],
        sample_s: float,
        leg_sample_s: float,
    ) -> None:
        self._account = account
        self._run_id = run_id
        self._loop = loop
        self._put = put
        self._sample_us = {"wallet": round(sample_s * 1e6), "leg": round(leg_sample_s * 1e6)}
        self._sampled: dict[tuple[str, str, str], int] = {}
        self._next_samples_us: dict[str, int] = {}
        self._read: set[str] = set()
        """Symbols of which a leg was recorded since somebody asked when its next sample is due."""
        self._tables: defaultdict[str, list[Kept]] = defaultdict(list)
        self._later: list[tuple[int, Callable[[], Record]]] = []
        self._waiting = 0
        self.last_seq = 0
        self.changes = 0
        """Grows with each record but those of readings and ladders: with whatever is a reason to look again."""
        self.news = 0
        """Grows with those of them that a fill and its orders do not make anyhow (`record`)."""
        self.fills = 0

    def record(self, record: Record, at_us: int | None = None) -> int:
        """Number a record and keep it, of now or of a time (µs UTC). 0 for a sample that came too soon.

        Usual is what comes with every fill: an order that is sent, rests or is filled, a trade, what the streams
        tell of leg and wallet. Nothing that stops orders, is in their way, or would be told to an operator comes with
        these alone.
        """
        now_us = self._loop.now_us if at_us is None else at_us
        if type(record) is OrderRecord:
            self.changes += 1
            if record.state not in USUAL:
                self.news += 1
        elif type(record) is PositionRecord or type(record) is WalletRecord:
            if record.source != "rest":
                self.changes += 1
            if not self._is_due(record, now_us):
                return 0
        elif type(record) is ExecutionRecord:
            self.changes += 1
            self.fills += record.exec_type != ExecType.FUNDING
            self.news += record.exec_type != ExecType.TRADE
        elif type(record) is IntentRecord:
            self.changes += 1
            self.news += record.verdict != "sent" or record.action != "place"
        elif type(record) is not GridRecord:
            self.changes += 1
            self.news += 1
        self.last_seq += 1
        self._tables[record.TABLE].append((self.last_seq, now_us, record))
        self._waiting += 1
        return self.last_seq

    def samples(self, symbol: str, direction: str) -> bool:
        """Whether a reading of this leg would be recorded now, though it shows what was known."""
        return self._begins(("leg", symbol, direction), self._loop.now_us)

    def next_samples_us(self) -> Mapping[str, int]:
        """By symbol, from when on (µs UTC) a reading of either leg would be recorded, though it shows what was known;
        at once where it is missing."""
        for symbol in self._read:
            both = [self._sampled.get(("leg", symbol, leg)) for leg in Direction]
            self._next_samples_us[symbol] = min(
                0 if at_us is None else at_us + self._sample_us["leg"] for at_us in both
            )
        self._read.clear()
        return self._next_samples_us

    def record_sent(self, order_data: bytes) -> int:
        """The record of an order that is being sent."""
        self.last_seq += 1
        self.changes += 1
        self._tables[OrderRecord.TABLE].append((self.last_seq, self._loop.now_us, order_data))
        self._waiting += 1
        return self.last_seq

    def record_later(self, make: Callable[[], Record]) -> None:
        """Record what `make` returns with the next `write`, dated now, as a worker's recorder does."""
        self._later.append((self._loop.now_us, make))

    @property
    def has_later(self) -> bool:
        """Whether something was put off."""
        return bool(self._later)

    def write(self) -> None:
        """Record what was put off."""
        if self._later:
            later, self._later = self._later, []
            for at_us, make in later:
                self.record(make(), at_us)

    def flush(self) -> None:
        """Record what was put off, and hand on what is much."""
        self.write()
        if self._waiting >= AT_ONCE:
            self.hand_on()

    def hand_on(self) -> None:
        """Hand on everything."""
        self.write()
        if self._waiting:
            tables, self._tables, self._waiting = self._tables, defaultdict(list), 0
            self._put(KeptRecords(self._account, self._run_id, self.last_seq, tables))

    def _is_due(self, record: PositionRecord | WalletRecord, now_us: int) -> bool:
        """Of what was read without a change at most one in a while; whatever a stream told is recorded."""
        key = ("leg", record.symbol, record.direction) if type(record) is PositionRecord else WALLET
        if record.source == "rest" and not self._begins(key, now_us):
            return False
        self._sampled[key] = now_us
        if type(record) is PositionRecord:
            self._read.add(record.symbol)
        return True

    def _begins(self, key: tuple[str, str, str], now_us: int) -> bool:
        last_us = self._sampled.get(key)
        return last_us is None or now_us - last_us >= self._sample_us[key[0]]
