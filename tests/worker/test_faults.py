"""Faults of our own: each is told once, of a strategy halts it, and everything else goes on."""

from __future__ import annotations

import logging

import pytest

from gridbot.incidents import QUIET_S
from tests.worker.account_bench import AccountBench, take_reconcile


def broken(text: str = "broken") -> None:
    raise ValueError(text)


def fail(bench: AccountBench, *, symbol: str = "", text: str = "broken") -> None:
    with bench.context.faults.contained("a part", symbol):
        broken(text)


def test_a_fault_of_the_account_is_one_alert_and_one_traceback(caplog: pytest.LogCaptureFixture) -> None:
    bench = AccountBench()
    with caplog.at_level(logging.ERROR):
        for _ in range(100):
            fail(bench)
            bench.clock.now_s += 1
    [(level, key, text, strategy)] = bench.alarm.alerts
    assert (level, key, strategy) == ("error", "fault", "")
    assert text == "a part failed: ValueError: broken; the log file has the traceback"
    assert caplog.text.count("Traceback") == 1
    assert len(caplog.records) == 7, "the 1st, 2nd, 4th ... 64th"
    assert bench.runner.risk_state.halted == ""


def test_after_a_quiet_time_it_is_a_new_incident() -> None:
    bench = AccountBench()
    fail(bench)
    bench.clock.now_s += QUIET_S + 1
    fail(bench)
    assert bench.alarm.keys == ["fault", "fault"]


def test_a_fault_of_a_strategy_halts_it_and_everything_is_compared() -> None:
    bench = AccountBench()
    fail(bench, symbol="BTCUSDT")
    fail(bench, symbol="BTCUSDT")
    assert bench.alarm.keys == ["halt.BTCUSDT"], "the halt's own alert says why"
    assert "a part failed: ValueError: broken" in bench.runner.risk_state.halted
    assert take_reconcile(bench.requests) == "a part failed"


def test_another_fault_of_a_halted_strategy_is_told_too() -> None:
    bench = AccountBench()
    bench.runner.halt("by somebody")
    fail(bench, symbol="BTCUSDT")
    assert bench.alarm.keys == ["halt.BTCUSDT", "fault.BTCUSDT"]
    assert bench.runner.risk_state.halted == "by somebody"


def test_a_resumed_strategy_is_halted_again_by_the_same_fault() -> None:
    bench = AccountBench()
    fail(bench, symbol="BTCUSDT")
    take_reconcile(bench.requests)
    bench.runner.resume()
    fail(bench, symbol="BTCUSDT")
    assert bench.alarm.keys == ["halt.BTCUSDT", "halt.BTCUSDT"]
    assert bench.requests.wishes.reconcile


def test_a_symbol_without_a_strategy_is_an_alert() -> None:
    bench = AccountBench()
    fail(bench, symbol="XRPUSDT")
    assert bench.alarm.keys == ["fault.XRPUSDT"]
    assert not bench.requests.wishes.reconcile
