"""One second of an account: retries, readings that are due, records; and how late the second is."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

import pytest

from gridbot.core import OrderStatus
from gridbot.exchange.failures import ErrorKind, make_error
from gridbot.worker.clockwork import Clockwork
from gridbot.worker.jobs import Jobs
from gridbot.worker.readings import Readings
from gridbot.worker.refused_strategies import NOBODY
from gridbot.worker.schedule import Intervals
from gridbot.worker.symbol_states import SymbolStates
from tests.execution.support import settle
from tests.worker.account_bench import BTC, AccountBench, strategy, ticker


@dataclass
class Asked:
    """As much of a `Reconciler` and a `MoneyWatch` as the clockwork asks; notes what is read."""

    done: list[str] = field(default_factory=list)
    why_again: str = ""
    busy: asyncio.Event | None = None
    """A reconcile takes until this is set."""
    last_s: float | None = None

    def again(self) -> str:
        return self.why_again

    async def reconcile(self, reason: str) -> None:
        self.done.append(f"reconcile: {reason}")
        if self.busy is not None:
            await self.busy.wait()

    async def positions(self, symbol: str) -> None:
        self.done.append(f"positions of {symbol}")

    async def wallet(self) -> None:
        self.done.append("wallet")

    async def read(self, symbol: str) -> None:
        self.done.append(f"terms of {symbol}")

    async def read_margin_mode(self) -> None:
        self.done.append("margin mode")

    async def measure_clock(self) -> None:
        self.done.append("clock")

    async def check(self) -> None:
        self.done.append("money")

    async def set(self) -> None:
        self.done.append("dead man")


@dataclass
class Announcements:
    """As much of a `NoticeWatch` as the clockwork asks."""

    done: list[str]
    is_maintained: bool = False
    looked: int = 0

    async def read(self) -> None:
        self.done.append("notices")

    def look(self) -> None:
        self.looked += 1


class Kept:
    """As much of `AccountRecords` and `FileWatch` as the clockwork calls."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def look(self) -> None:
        self.calls.append("files")

    def watch_journal(self) -> None:
        self.calls.append("journal")

    def record_state(self) -> None:
        self.calls.append("state")

    def flush(self) -> None:
        self.calls.append("flush")


class Bench:
    def __init__(self, account: AccountBench | None = None) -> None:
        self.account = account or AccountBench()
        self.account.start()
        self.asked = Asked()
        self.notices = Announcements(self.asked.done)
        self.kept = Kept()
        self.private_alive = True
        self.readings = Readings(
            self.asked,  # type: ignore[arg-type]
            self.asked,  # type: ignore[arg-type]
            self.asked,  # type: ignore[arg-type]
            {} if self.account.runner.shadow is None else {"BTCUSDT": self.account.runner.shadow},
            self.account.context.faults,
            self.notices,  # type: ignore[arg-type]
            self.asked,  # type: ignore[arg-type]
        )
        context = self.account.context
        self.clockwork = Clockwork(
            context,
            [self.account.runner],
            self.readings,
            intervals=Intervals(order_sync_s=60, position_check_s=30, wallet_s=20),
            jobs=Jobs(context.faults, context.jobs, self.account.clock, lambda: None),
            records=self.kept,  # type: ignore[arg-type]
            files=self.kept,  # type: ignore[arg-type]
            states=SymbolStates(self.account.context, {"BTCUSDT": self.account.runner}, NOBODY),
            private_alive=lambda: self.private_alive,
        )

    async def second(self) -> list[str]:
        """What is read in the next second."""
        self.asked.done.clear()
        self.account.clock.now_s += 1
        self.clockwork.tick(self.account.clock.now_s)
        await settle()
        return self.asked.done


async def test_everything_is_read_in_the_first_second_and_then_at_its_interval() -> None:
    bench = Bench()
    first = ["reconcile: periodic", "positions of BTCUSDT", "clock", "wallet", "money", "notices"]
    assert await bench.second() == first
    later = [set(await bench.second()) for _ in range(60)]
    assert {n: read for n, read in enumerate(later, 1) if read} == {
        20: {"wallet"},
        30: {"positions of BTCUSDT"},
        40: {"wallet"},
        60: {"reconcile: periodic", "positions of BTCUSDT", "wallet"},
    }


async def test_a_symbol_that_is_not_in_order_is_read_each_minute() -> None:
    bench = Bench()
    await bench.second()
    bench.account.runner.risk_state.listed(replace(BTC, status="Delivering"))
    later = [n for n in range(1, 130) if "terms of BTCUSDT" in await bench.second()]
    assert later[:3] == [1, 61, 121]


async def test_fills_that_are_untold_are_looked_at_each_second(monkeypatch: pytest.MonkeyPatch) -> None:
    bench, looks = Bench(), list[float]()
    lines = bench.account.runner.fill_lines
    monkeypatch.setattr(lines, "look", lambda: looks.append(bench.account.clock.now_s))
    await bench.second()
    await bench.second()
    assert len(looks) == 2


async def test_missing_executions_are_paged() -> None:
    bench = Bench()
    await bench.second()
    bench.account.clock.now_s += 5
    bench.asked.why_again = "executions of a finished order are missing"
    assert await bench.second() == ["reconcile: executions of a finished order are missing"]


async def test_the_records_come_last_and_are_written() -> None:
    bench = Bench()
    await bench.second()
    assert bench.kept.calls == ["files", "journal", "state", "flush"]


async def test_a_wallet_is_fresh_while_the_private_stream_lives() -> None:
    bench = Bench()
    bench.account.clock.now_s += 1000
    assert bench.account.context.funds.fresh(bench.account.clock.now_s) is None
    await bench.second()
    assert bench.account.context.funds.fresh(bench.account.clock.now_s) is not None
    bench.private_alive = False
    bench.account.clock.now_s += 1000
    await bench.second()
    assert bench.account.context.funds.fresh(bench.account.clock.now_s) is None


async def test_a_retry_that_is_due_is_sent() -> None:
    bench = Bench()
    account = bench.account
    account.gateway.failures.append(make_error("busy", ErrorKind.RETRY))
    account.runner.on_ticker(ticker())
    await settle()
    sent = len(account.gateway.sent)
    await bench.second()
    assert len(account.gateway.sent) > sent
    for order in account.orders:
        account.runner.on_order_update(account.update(order, OrderStatus.NEW))
    assert {order.state for order in account.orders} == {"open"}
    assert len(account.context.retry) == 0


async def test_a_reconcile_that_is_asked_for_while_one_runs_follows_it() -> None:
    """The second one was dropped (issue 11, kind 1)."""
    bench = Bench()
    busy = bench.asked.busy = asyncio.Event()
    await bench.second()
    bench.account.requests.reconcile("the private stream reconnected")
    seconds = [await bench.second() for _ in range(8)]
    assert seconds == [[]] * 8, "one at a time"
    busy.set()
    await settle()
    assert await bench.second() == ["reconcile: the private stream reconnected"]
    later = [read for _ in range(40) for read in await bench.second()]
    assert not [read for read in later if "reconcile" in read], "and once is enough"


@pytest.mark.parametrize(
    ("owner", "name", "part"),
    [
        ("clockwork", "_private_alive", "the age of the wallet"),
        ("retry", "due", "the retries that are due"),
        ("executor", "pump", "sending what waits"),
        ("asked", "again", "looking for missing executions"),
        ("readings", "of", "the jobs that are due"),
        ("kept", "look", "the watch over the files"),
        ("kept", "watch_journal", "the watch over the journal"),
        ("kept", "record_state", "recording the state"),
        ("kept", "flush", "writing the records"),
    ],
)
async def test_a_broken_part_of_a_second_is_one_alert_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch, owner: str, name: str, part: str
) -> None:
    bench = Bench()
    context = bench.account.context
    owners = {"retry": context.retry, "executor": context.executor}
    broken = owners[owner] if owner in owners else getattr(bench, owner)

    def fail(*_: object) -> None:
        raise RuntimeError("a fault of ours")

    with monkeypatch.context() as patch:
        patch.setattr(broken, name, fail)
        done = [read for _ in range(40) for read in await bench.second()]
    assert bench.account.alarm.keys == ["fault"]
    assert bench.account.alarm.alerts[0][2].startswith(f"{part} failed: RuntimeError: a fault of ours")
    assert bench.account.runner.risk_state.halted == ""
    if owner != "readings":
        assert done.count("wallet") == 2
    if owner != "kept":
        assert bench.kept.calls == ["files", "journal", "state", "flush"] * 40
    else:
        assert len(bench.kept.calls) == 120
    bench.account.clock.now_s += 100
    assert "wallet" in await bench.second(), "and when it works again, everything does"


async def test_a_retry_that_breaks_halts_its_strategy_and_the_clock_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    account = bench.account
    account.gateway.failures.append(make_error("busy", ErrorKind.RETRY))
    account.runner.on_ticker(ticker())
    await settle()

    def fail(item: object) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(account.runner.orders, "retry", fail)
    assert "wallet" in await bench.second()
    assert "another try of an order failed" in account.runner.risk_state.halted
    assert account.alarm.keys == ["halt.BTCUSDT"]


async def test_a_reading_of_positions_that_breaks_halts_its_strategy(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()

    async def fail(symbol: str) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(bench.asked, "positions", fail)
    assert "wallet" in await bench.second()
    assert "the job positions.BTCUSDT failed" in bench.account.runner.risk_state.halted
    assert bench.account.alarm.keys == ["halt.BTCUSDT"]


async def test_a_loop_that_is_late_says_how_much() -> None:
    bench = Bench()
    ticks = 0

    async def sleep(seconds: float) -> None:
        nonlocal ticks
        ticks += 1
        if ticks > 2:
            raise asyncio.CancelledError
        bench.account.clock.now_s += seconds + (0.0, 0.0, 0.25)[ticks]

    bench.account.clock.sleep = sleep  # type: ignore[method-assign]
    try:
        await bench.clockwork.run()
    except asyncio.CancelledError:
        assert abs(bench.clockwork.loop_lag_s - 0.25) < 1e-6
    else:
        raise AssertionError("expected the clockwork to run until cancelled")


async def test_the_legs_of_a_shadow_strategy_are_judged_as_often_as_those_of_a_live_one() -> None:
    bench = Bench(account=AccountBench(strategy(shadow_mode=True)))
    judged: list[str] = []
    assert bench.account.runner.shadow is not None
    bench.account.runner.shadow.read_legs = lambda: judged.append("legs")  # type: ignore[method-assign]
    assert "positions of BTCUSDT" not in await bench.second()
    assert judged == ["legs", "legs"], "in the first second with the comparison, and as a job of its own"
    judged.clear()
    for _ in range(29):
        await bench.second()
    assert judged == []
    await bench.second()
    assert judged == ["legs"]
