"""Recorded money becomes the exchange's: unasked within a limit, otherwise when an operator says so."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from gridbot.core import ExecutionEvent, Side
from gridbot.core.execution_ledger import OVERLAP_MS
from gridbot.exchange.failures import ErrorKind, ExchangeError, make_error
from gridbot.exchange.listing import Listing, Unreadable
from gridbot.exchange.requests import Transaction
from gridbot.records.record_types import CorrectionRecord
from gridbot.worker.money_watch import MoneyWatch
from tests.worker.account_bench import SYMBOL, AccountBench

D = Decimal


class Log:
    """As much of the exchange's queries as the watch asks."""

    def __init__(self) -> None:
        self.rows: list[Transaction] = []
        self.asked: list[tuple[int, int]] = []
        self.error: ExchangeError | None = None
        self.unreadable: list[Unreadable] = []

    clock_offset_ms = 0

    async def server_time_ms(self, *, max_age_s: float = 0.0) -> int:
        return 1_000_000

    async def transactions(self, start_ms: int, end_ms: int) -> Listing[Transaction]:
        self.asked.append((start_ms, end_ms))
        if self.error is not None:
            raise self.error
        return Listing(self.rows, self.unreadable)


class Bench:
    """Two executions are recorded: bought at 100, sold at 110, a coin; 0.02 each for the fee."""

    def __init__(self) -> None:
        self.account = AccountBench()
        self.log = Log()
        self.seq = 5
        self.watch = MoneyWatch(self.log, self.account.context, lambda: self.seq)  # type: ignore[arg-type]
        self.ledger = self.account.context.ledger
        self.ledger.begin(OVERLAP_MS + 7)
        for n, side, price in ((1, Side.BUY, 100), (2, Side.SELL, 110)):
            closed = D(side is Side.SELL)
            self.account.runner.on_execution(
                ExecutionEvent(
                    SYMBOL, f"e{n}", "o", "", side, D(price), D(1), D(0), D("0.02"), closed, exchange_ts=900_000
                )
            )

    def lists(self, exec_id: str, cash_flow: str, fee: str = "0.02") -> None:
        flow, fees = D(cash_flow), D(fee)
        self.log.rows.append(
            Transaction("TRADE", SYMBOL, exec_id, "USDT", flow, D(0), fees, flow - fees, exchange_ts=900_000)
        )

    @property
    def corrections(self) -> list[tuple[str, Decimal, Decimal]]:
        return [(r.exec_id, r.realised_pnl, r.fee) for r in self.account.notes.of(CorrectionRecord)]


def figure(exec_id: str, realised: str, fee: str = "0.02", recorded: str = "10") -> dict[str, Any]:
    return {
        "exec_id": exec_id,
        "strategy": "btc",
        "symbol": SYMBOL,
        "direction": "long",
        "exec_type": "Trade",
        "is_maker": True,
        "exchange_ts": 900_000,
        "recorded_realised": recorded,
        "recorded_fee": "0.02",
        "realised": realised,
        "fee": fee,
    }


async def test_what_agrees_is_checked_and_the_next_reading_begins_there() -> None:
    bench = Bench()
    bench.lists("e1", "0")
    bench.lists("e2", "10")
    await bench.watch.check()
    assert (bench.corrections, bench.ledger.checked_to) == ([], 900_000)
    await bench.watch.check()
    assert bench.log.asked == [(7, 1_000_000), (900_000 - OVERLAP_MS, 1_000_000)]


async def test_a_small_difference_is_corrected_by_a_record_and_the_totals_have_it() -> None:
    bench = Bench()
    bench.lists("e2", "9.5", "0.03")
    await bench.watch.check()
    assert bench.corrections == [("e2", D("-0.5"), D("0.01"))]
    totals = bench.ledger.of("btc")
    assert (totals.realised, totals.fees) == (D("9.5"), D("0.05"))
    await bench.watch.check()
    assert len(bench.corrections) == 1
    assert bench.account.alarm.keys == []


async def test_a_large_one_waits_for_an_operator() -> None:
    bench = Bench()
    bench.lists("e2", "8.5")
    for _ in range(2):
        await bench.watch.check()
    assert (bench.corrections, bench.account.alarm.keys) == ([], ["money"])
    assert bench.ledger.checked_to == OVERLAP_MS + 7, "it stays in sight"
    bench.lists("e1", "0.1")
    await bench.watch.check()
    assert bench.corrections == []
    assert bench.watch.repair(5, [figure("e2", "8.5")]) == "1 executions corrected by -1.5 USDT"
    await bench.watch.check()
    assert bench.corrections == [("e2", D("-1.5"), 0), ("e1", D("0.1"), 0)]
    assert bench.ledger.of("btc").realised == D("8.6")


async def test_an_execution_that_is_not_recorded_leads_to_a_comparison() -> None:
    bench = Bench()
    bench.lists("e3", "1")
    await bench.watch.check()
    assert bench.account.requests.wishes.reconcile == "the exchange's log has executions that are not recorded"
    ahead_ms = 1_000_000 - bench.account.context.clock.wall_ms()
    assert bench.account.requests.take_gap() == 900_000 - ahead_ms, "by our clock"


async def test_a_row_that_cannot_be_read_is_told_and_all_others_are_compared() -> None:
    bench = Bench()
    bench.lists("e1", "0")
    bench.lists("e2", "9.5")
    bench.log.unreadable = [Unreadable("", "account/transaction-log: expected a number in change, got ''")]
    await bench.watch.check()
    assert bench.corrections == [("e2", D("-0.5"), 0)]
    assert bench.ledger.checked_to == 900_000, "it is not read for ever"
    [(_, key, text, _)] = bench.account.alarm.alerts
    assert key == "money_rows"
    assert text.startswith("rows of the exchange's transaction log cannot be read")
    bench.log.unreadable = [Unreadable(SYMBOL, "no change", exchange_ts=950_000)]
    await bench.watch.check()
    assert bench.ledger.checked_to == 950_000, "it is the newest row"


async def test_rows_that_cannot_be_read_are_one_incident_that_counts_each_once_and_ends() -> None:
    """Of a symbol that nobody trades: told at each check, over at the next one that had none, and told again."""
    bench = Bench()
    alarm, clock = bench.account.alarm, bench.account.clock
    one, two, three = (Unreadable("SOLUSDT", f"row {number}: no change", number) for number in (1, 2, 3))
    for rows in ([one], [one], [one, two], [], [three], [three]):
        bench.log.unreadable = rows
        await bench.watch.check()
        clock.now_s += 300
        alarm.look({})
    assert alarm.keys == ["money_rows"]
    assert alarm.ended == []
    assert [(row["key"], row["count"]) for row in alarm.rows()] == [("money_rows", 3)]
    clock.now_s += 3600
    alarm.look({})
    [ended] = alarm.ended
    assert ended.startswith("over, 3 times in ")


def test_what_is_folded_is_corrected_as_the_database_has_it_and_never_twice() -> None:
    bench = Bench()
    bench.seq = 9
    done = bench.watch.repair(5, [figure("old", "8", "0.05")])
    assert done == "1 executions corrected by -2.03 USDT"
    assert bench.corrections == [("old", D(-2), D("0.03"))]
    assert bench.ledger.of("btc").realised == D(8)
    with pytest.raises(ValueError, match="expected the database to reach record 9, it reached 8; again in a moment"):
        bench.watch.repair(8, [figure("old", "8", "0.05")])
    assert len(bench.corrections) == 1


def test_figures_that_are_none_change_nothing() -> None:
    bench = Bench()
    strange: list[dict[str, Any]] = [
        {name: value} for name in ("fee", "realised") for value in ("x", "NaN", "1e30", "1_0", None, [])
    ]
    strange += [{"exchange_ts": value} for value in (2**63 - 1, "-1", 1.5)]
    wrongs = [{**figure("e2", "8"), **each} for each in strange]
    for wrong in (*wrongs, {"exec_id": "e2"}, {**figure("e2", "8"), "direction": "up"}):
        with pytest.raises(ValueError, match=r"up|expected the exchange's figures"):
            bench.watch.repair(5, [figure("old", "8"), wrong])
    assert bench.corrections == []


async def test_a_log_that_could_not_be_read_is_asked_for_again() -> None:
    """What an execution without a trade brought was unknown for five more minutes (dense seed 141)."""
    bench = Bench()
    bench.log.error = make_error("no answer in time", ErrorKind.AMBIGUOUS)
    with pytest.raises(ExchangeError):
        await bench.watch.check()
    assert bench.account.requests.wishes.money
