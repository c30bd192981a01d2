"""Totals of an account's executions, each counted exactly once. Pure; the journal and a checkpoint make it durable.

"Newest counted" is not "complete up to": after a gap a live fill is counted before the older ones that were missed. So
the ledger has a watermark, `complete_to`, which only a finished backfill moves (incident L49).

Realised PnL and fees come from executions alone, never from position rows (incidents L26, L27), at average entry, in
the exchange's order (`leg_history`). What was recorded of an execution may so turn out to be wrong: an older one came
late, or the exchange itself says otherwise. Then there are corrections, which the caller records (`take_corrections`);
the totals have them at once.

`checked_to` is to the exchange's transaction log what `complete_to` is to its executions. What is complete and checked
is folded into its leg, and forgotten; of its id, the newest `counted_ids.IDS_KEPT` stay.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from gridbot.core import Direction, ExecType, ExecutionEvent, PositionEvent
from gridbot.core.account_legs import AccountLegs, Correction
from gridbot.core.counted_ids import CountedIds

__all__ = ["OVERLAP_MS", "Ledger", "Totals"]

ZERO = Decimal(0)
OVERLAP_MS = 60_000
"""How far behind the watermark (ms) paging begins: the exchange may list an execution late."""


@dataclass(slots=True)
class Totals:
    """Totals of one strategy since its state began, in USDT. `realised` is before fees and funding.

    `other_fees` are those charged in other coins, by coin: they are no USDT, and in no other figure.
    """

    fills: int = 0
    realised: Decimal = ZERO
    fees: Decimal = ZERO
    funding: Decimal = ZERO
    other_fees: dict[str, Decimal] = field(default_factory=dict)

    @property
    def net(self) -> Decimal:
        return self.realised - self.fees - self.funding

    def count(self, execution: ExecutionEvent) -> None:
        """Add an execution, but for what it realised."""
        self._charge(execution.exec_type, execution.fee)
        for coin, fee in execution.other_fees:
            self.other_fees[coin] = self.other_fees.get(coin, ZERO) + fee
        self.fills += execution.exec_type is ExecType.TRADE

    def correct(self, correction: Correction) -> None:
        """Add what the recorded figures of an execution lack."""
        self.realised += correction.realised
        self._charge(correction.exec_type, correction.fee)

    def _charge(self, kind: ExecType, fee: Decimal) -> None:
        if kind is ExecType.FUNDING:
            self.funding += fee
        else:
            self.fees += fee


@dataclass(slots=True)
class Ledger:
    """Totals by strategy, legs, and the ids of what is counted. `ledger_document` saves it.

    Executions of symbols that nobody trades belong to the strategy "", which has legs of its own in each symbol.
    """

    totals: dict[str, Totals] = field(default_factory=dict)
    last_exec_ts: int = 0
    """Exchange time (ms) of the newest execution counted."""
    complete_to: int = 0
    """Exchange time (ms) up to which every execution is counted: where paging continues, less `OVERLAP_MS`."""
    checked_to: int = 0
    """Exchange time (ms) up to which what is recorded equals the exchange's transaction log."""
    legs: AccountLegs = field(default_factory=AccountLegs)
    """To be read; what changes them goes through the ledger."""
    counted: CountedIds = field(default_factory=CountedIds)
    """To be read, too."""
    _corrections: list[Correction] = field(default_factory=list, compare=False)

    def begin(self, exchange_ts: int) -> None:
        """Start counting at this exchange time (ms): earlier executions are not paged."""
        self.last_exec_ts = max(self.last_exec_ts, exchange_ts)
        self.complete_to = self.checked_to = exchange_ts

    def reached(self, *, complete_to: int = 0, checked_to: int = 0) -> None:
        """Up to these exchange times (ms) all is paged and counted, or equals the transaction log. None moves back."""
        self.complete_to = max(self.complete_to, complete_to)
        self.checked_to = max(self.checked_to, checked_to)
        self.legs.fold(_final_to(self))

    def of(self, strategy: str) -> Totals:
        """The totals of one strategy, zero at first."""
        return self.totals.setdefault(strategy, Totals())

    def is_new(self, exec_id: str, exchange_ts: int | None = None) -> bool:
        """False for an execution that was counted before; one without an id is never a repeat.

        With its exchange time (ms), also for one whose id is forgotten: a gap may begin so long ago that paging brings
        it again.
        """
        return not exec_id or not self.counted.has(exec_id, exchange_ts)

    def leg(self, strategy: str, direction: Direction, symbol: str = "") -> tuple[Decimal, Decimal]:
        """Size (base coin) and average entry (USDT) as our executions have it; for the strategy "" of a symbol."""
        held = self.legs.held((strategy, "" if strategy else symbol, direction))
        return held.size, held.entry

    # ------------------------------------------------------------------ what happens

    def apply(self, strategy: str, execution: ExecutionEvent, *, shadow: bool = False) -> Decimal | None:
        """Count an execution; its realised PnL in USDT before fees, or None when it was counted before.

        Afterwards there may be corrections, also for a repeat: it may bring the exchange's figure.
        """
        if not self.is_new(execution.exec_id, None if shadow else execution.exchange_ts):
            self._book(self.legs.learn(execution))
            return None
        self._count(strategy, execution, shadow=shadow)
        realised, corrections = self.legs.add(strategy, execution, shadow=shadow)
        self.of(strategy).realised += realised
        self._book(corrections)
        return realised

    def restore(
        self, strategy: str, execution: ExecutionEvent, realised: Decimal, *, shadow: bool, is_final: bool = False
    ) -> None:
        """Count an execution again from the journal, after a restart, with the realised PnL recorded for it.

        `is_final`: that cannot be worked out again, since what was held then is not known. Call `settle` at the end.
        Without a checkpoint the oldest record is all that tells since when there is a ledger.
        """
        if not self.is_new(execution.exec_id):
            return
        if not shadow:
            self.complete_to = self.complete_to or execution.exchange_ts
            self.checked_to = self.checked_to or execution.exchange_ts
        self._count(strategy, execution, shadow=shadow)
        self.legs.restore(strategy, execution, realised, shadow=shadow, is_final=is_final)
        self.of(strategy).realised += realised

    def restore_correction(self, correction: Correction) -> None:
        """Apply a correction that the journal has, or one of an execution that is folded."""
        self.legs.take_in(correction)
        self.of(correction.strategy).correct(correction)

    def restore_row(self, strategy: str, row: PositionEvent) -> None:
        """Believe a row that the journal says was believed."""
        self.legs.restore_row(strategy, row)

    def settle(self, reason: str) -> None:
        """Work everything out again that is not folded."""
        self._book(self.legs.settle(reason))

    def believe(self, strategy: str, row: PositionEvent) -> None:
        """Take the exchange's position for what was held when it made the row."""
        self._book(self.legs.believe(strategy, row))

    def correct(self, exec_id: str, realised: Decimal, fee: Decimal, reason: str) -> None:
        """The exchange says what an execution that is kept realised and cost (USDT)."""
        self._book(self.legs.correct(exec_id, realised, fee, reason))

    def take_corrections(self) -> list[Correction]:
        """What is to be recorded, each once."""
        taken, self._corrections = self._corrections, []
        return taken

    # ------------------------------------------------------------------ inside

    def _count(self, strategy: str, execution: ExecutionEvent, *, shadow: bool) -> None:
        """All but what it realised."""
        if execution.exec_id:
            self.counted.add(execution.exec_id, execution.exchange_ts, final_to=_final_to(self))
        if not shadow:
            self.last_exec_ts = max(self.last_exec_ts, execution.exchange_ts)
        self.of(strategy).count(execution)

    def _book(self, corrections: list[Correction]) -> None:
        self._corrections += corrections
        for correction in corrections:
            self.of(correction.strategy).correct(correction)


def _final_to(ledger: Ledger) -> int:
    """Exchange time (ms) before which nothing is paged or compared any more."""
    return min(ledger.complete_to, ledger.checked_to) - OVERLAP_MS
