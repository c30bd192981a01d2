"""Brings what is recorded of executions to the exchange's figures: periodically, and as `ledger check --repair` says.

`orders/money_check.py` decides. Corrections are records; what was recorded is never edited.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from gridbot.core import Direction, ExecType
from gridbot.core.account_legs import Correction
from gridbot.core.execution_ledger import OVERLAP_MS
from gridbot.core.strict_numbers import decimal_of, time_of
from gridbot.exchange.failures import ExchangeError
from gridbot.exchange.listing import Unreadable
from gridbot.orders.money_check import Findings, described, findings, limit_of
from gridbot.orders.set_back import NEVER_SET_BACK
from gridbot.ports import ExchangeQueries
from gridbot.records import builders
from gridbot.worker.context import WorkerContext
from gridbot.worker.startup import CLOCK_AGE_S

__all__ = ["MoneyWatch"]

log = logging.getLogger(__name__)

BY_LOG = "the exchange's transaction log"
BY_OPERATOR = "the exchange's transaction log, by ledger check --repair"


class MoneyWatch:
    """One per account. `last_seq` tells the number of the account's newest record."""

    def __init__(self, queries: ExchangeQueries, context: WorkerContext, last_seq: Callable[[], int]) -> None:
        self._queries = queries
        self._context = context
        self._last_seq = last_seq
        self._unreadable: frozenset[Unreadable] = frozenset()
        """The rows that could not be read when the log was read last; a row is read more than once."""
        self._set_back = NEVER_SET_BACK
        self._repaired_seq = last_seq()
        """The record up to which the database must reach: a repair is worked out from it."""

    async def check(self) -> None:
        """Read the log since it was checked last, and act on it. Raises ExchangeError; it is tried again soon then."""
        context = self._context
        checked_ms = context.ledger.checked_to
        try:
            now_ms = await self._queries.server_time_ms(max_age_s=CLOCK_AGE_S)
            self._set_back = self._set_back.asked(checked_ms, now_ms, context.clock.monotonic_s())
            since_ms = max(0, self._set_back.begin_ms(checked_ms) - OVERLAP_MS)
            rows = await self._queries.transactions(since_ms, max(now_ms, since_ms))
        except ExchangeError:
            context.requests.check_money()
            raise
        self._tell_unreadable(rows.unreadable)
        found = findings(rows, context.ledger, rows.unreadable)
        if found.unknown_since_ms is not None:  # an outage may have kept them from us longer than a pass looks back
            since_ms = found.unknown_since_ms - (now_ms - context.clock.wall_ms())
            context.requests.reconcile("the exchange's log has executions that are not recorded", since_ms=since_ms)
        wallet = context.funds.wallet
        equity = (wallet.equity if wallet.equity is not None else wallet.wallet_balance) if wallet else None
        if found.amount > limit_of(equity):
            self._wait_for_operator(found, limit_of(equity))
            return
        context.alert.over("money", "the records equal the exchange's transaction log, or are corrected to it")
        for difference in found.differences:
            context.ledger.correct(difference.exec_id, difference.realised, difference.fee, BY_LOG)
        context.record_corrections()
        context.ledger.reached(checked_to=found.up_to_ms)
        if found.unknown_since_ms is None:
            self._set_back = self._set_back.answered(context.ledger.checked_to)

    def _tell_unreadable(self, rows: Sequence[Unreadable]) -> None:
        """What one of them moved is compared with nothing; all others are.

        Each row counts once in the one incident, which is over when no other has come for an hour.
        """
        known, self._unreadable = self._unreadable, frozenset(rows)
        for row in dict.fromkeys(each for each in rows if each not in known):
            self._context.alert(
                "warning",
                "money_rows",
                f"rows of the exchange's transaction log cannot be read, so nothing says what they moved; the newest: "
                f"{row}; see what it is on Bybit's page of the account's transactions",
            )

    def _wait_for_operator(self, found: Findings, limit: Decimal) -> None:
        """Too much to be put right unasked. It stays in sight: neither checked nor folded."""
        count = len(found.differences)
        self._context.alert(
            "error",
            "money",
            f"the records of {count} executions differ from the exchange's by {found.amount:.2f} USDT in all "
            f"({described(found.differences)}), more than the {limit:.2f} that are corrected unasked; look at "
            f"`{self._context.command_line('ledger check --exchange')}`, then correct them with the same and --repair",
        )

    def repair(self, as_of: int, figures: Sequence[Mapping[str, Any]]) -> str:
        """Correct executions to the exchange's figures, as the database has them up to the record `as_of`.

        Returns what was done, in words. ValueError when that is too old to be added to.
        """
        if as_of < self._repaired_seq:
            raise ValueError(
                f"expected the database to reach record {self._repaired_seq}, it reached {as_of}; again in a moment"
            )
        corrections = [(_correction(each), each) for each in figures]
        ledger, total = self._context.ledger, Decimal(0)
        for correction, figure in corrections:
            if ledger.legs.recorded(correction.exec_id) is None:
                ledger.restore_correction(correction)
                self._context.recorder.record(builders.of_correction(correction))
            else:  # what is recorded by now counts, whatever the database had
                realised, fee = decimal_of(figure["realised"]), decimal_of(figure["fee"])
                ledger.correct(correction.exec_id, realised, fee, BY_OPERATOR)
            total += correction.net
        self._context.record_corrections()
        self._repaired_seq = self._last_seq()
        return f"{len(corrections)} executions corrected by {total.normalize():+f} USDT"


def _correction(figure: Mapping[str, Any]) -> Correction:
    """What is to be added to one execution. ValueError when something is missing or makes no sense."""
    try:
        return Correction(
            strategy=str(figure["strategy"]),
            symbol=str(figure["symbol"]),
            direction=Direction(figure["direction"]),
            exec_id=str(figure["exec_id"]),
            exec_type=ExecType(figure["exec_type"]),
            is_maker=bool(figure["is_maker"]),
            shadow=False,
            exchange_ts=time_of(figure["exchange_ts"]),
            realised=decimal_of(figure["realised"]) - decimal_of(figure["recorded_realised"]),
            fee=decimal_of(figure["fee"]) - decimal_of(figure["recorded_fee"]),
            final=True,
            reason=BY_OPERATOR,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"expected the exchange's figures of an execution, got {figure!r:.200} ({error!r})") from None
