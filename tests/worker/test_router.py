"""Which strategy hears of what, in which order, and what a fault in one event costs."""

from __future__ import annotations

from decimal import Decimal

import pytest

from gridbot.bybit.mailbox import PrivateFrame
from gridbot.bybit.private_frames import read_private
from gridbot.core import Direction, ExecType, Side, WalletEvent
from gridbot.core.events import ExecutionEvent
from gridbot.exchange.requests import PublicTrade
from gridbot.exchange.stream_news import Drained, Gap, OneWayPosition, PrivateEvent
from gridbot.records import builders
from gridbot.records.record_types import PublicTradeRecord, StreamGapRecord, TickerRecord, WalletRecord
from gridbot.strategies.grid import GridConfig, ImpossibleLadder
from gridbot.worker.router import Router
from gridbot.worker.schedule import Job, JobKind
from tests.execution.support import settle
from tests.worker.account_bench import BTC, PRICE, AccountBench, position, strategy, take_reconcile, ticker, wallet

D = Decimal
IMPOSSIBLE = ImpossibleLadder(GridConfig(grid_count=4, grid_step=D("0.2")), BTC, PRICE, "no room")


class Bench:
    def __init__(self, *, ticker_interval_s: float = 0, **more: object) -> None:
        self.account = AccountBench(strategy(**more))
        self.account.start()
        runners = {"BTCUSDT": self.account.runner}
        live = {} if self.account.runner.is_shadow else runners
        self.router = Router(self.account.context, runners, live, ticker_interval_s=ticker_interval_s)

    def route(self, *private: PrivateEvent, prices: tuple[object, ...] = (), gaps: tuple[Gap, ...] = ()) -> None:
        self.router.route(Drained([ticker(price) for price in prices], list(private), list(gaps), []))


async def test_what_happened_to_the_account_comes_before_the_price() -> None:
    bench = Bench()
    bench.route(position(Direction.LONG, "1", exchange_ts=9), prices=(50000,))
    closes = [order for order in bench.account.orders if order.reduce_only]
    assert closes, "the decision at the new price knew the leg"
    await settle()


async def test_a_liquidation_pauses_its_strategy() -> None:
    """incident L51, from the stream's event."""
    bench = Bench()
    bench.route(bench.account.taken(ExecType.BUST))
    assert bench.account.runner.risk_state.paused
    assert bench.account.alarm.keys == ["reduced.BTCUSDT"]


def test_events_of_a_symbol_without_a_live_strategy_are_left_alone() -> None:
    bench = Bench(shadow_mode=True)
    bench.route(bench.account.taken(ExecType.BUST))
    assert not bench.account.runner.risk_state.paused
    bench.router.route(Drained([ticker()], [ExecutionEvent("X", "e", "o", "", Side.BUY, D(1), D(1))], [], []))


@pytest.mark.parametrize("error", [RuntimeError("a fault of ours"), IMPOSSIBLE])
async def test_a_fault_halts_its_strategy_and_the_rest_is_routed(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """incident L59."""
    bench = Bench()
    runner = bench.account.runner

    def fail(*_: object, **__: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(runner, "on_position_update", fail)
        bench.route(position(Direction.LONG, "1"), wallet("123", ts=9), prices=(50001,))
    assert str(error) in runner.risk_state.halted
    assert bench.account.context.funds.wallet_balance == 123
    assert runner.risk_state.last_price == 50001, "a halted strategy still knows the price"
    assert bench.account.orders == []
    assert bool(bench.account.requests.wishes.reconcile) is isinstance(error, RuntimeError)
    bench.route(prices=(50002,))
    assert bench.account.alarm.keys == ["halt.BTCUSDT"], "once"


def test_a_gap_is_recorded_and_everything_compared() -> None:
    bench = Bench()
    bench.route(gaps=(Gap("private", 1_000, 3_500),))
    [record] = bench.account.notes.of(StreamGapRecord)
    assert (record.started_at, record.ended_at) == (1_000_000, 3_500_000)
    assert take_reconcile(bench.account.requests) == "the private stream reconnected"
    assert bench.account.requests.take_gap() == 1_000
    assert bench.account.requests.take_gap() is None, "the pass that begins has taken it"


def test_the_oldest_gap_of_the_private_stream_is_paged_from() -> None:
    bench = Bench()
    bench.route(gaps=(Gap("private", 5_000, 6_000), Gap("private", 2_000, 3_000), Gap("public", 1_000, 3_500)))
    assert bench.account.requests.take_gap() == 2_000, "no execution is lost with the public one"


def test_the_newer_wallet_counts_wherever_it_comes_from() -> None:
    bench = Bench()
    bench.route(wallet("500", ts=9))
    bench.router.on_wallet(wallet("900", ts=8), "rest")
    assert bench.account.context.funds.wallet_balance == 500
    bench.router.on_wallet(wallet("500", ts=10), "rest")
    bench.route(wallet("500", ts=11))
    assert [record.source for record in bench.account.notes.of(WalletRecord)] == ["stream", "rest"]


def test_a_wallet_frame_without_usdt_has_its_totals_taken_and_the_balance_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It was dropped whole: what is available stayed as it was before."""
    bench = Bench()
    bench.route(wallet("500", "450", ts=5))
    frame = WalletEvent("USDT", None, available_balance=D(120), total_equity=D(900), exchange_ts=6, has_coin=False)
    heard: list[WalletEvent] = []
    bench.account.runner.hears_wallet = True
    monkeypatch.setattr(bench.account.runner, "on_wallet", heard.append)
    bench.route(frame)
    funds = bench.account.context.funds
    assert [each.wallet_balance for each in heard] == [500], "who wants the wallet knows the balance"
    assert bench.account.runner.sizer.balances == (500, 120), "so do sizes"
    assert (funds.wallet_balance, funds.available) == (500, 120)


async def test_prices_are_recorded_at_their_interval_only() -> None:
    bench = Bench(ticker_interval_s=10)
    for now_s in (1.0, 5.0, 11.0, 12.0):
        bench.account.clock.now_s = now_s
        bench.route(prices=(50000,))
    assert len(bench.account.notes.of(TickerRecord)) == 2
    await settle()


def test_trades_of_the_market_are_recorded() -> None:
    bench = Bench()
    trade = PublicTrade("BTCUSDT", "t1", Side.BUY, D(50000), D(1), 5)
    bench.router.route(Drained([], [], [], [trade]))
    [record] = bench.account.notes.of(PublicTradeRecord)
    assert record.trade_id == "t1"


def test_a_wallet_that_shows_another_margin_mode_than_we_know_has_it_read_and_no_other_wallet_does() -> None:
    """In isolated margin each frame asked for the terms of all symbols."""
    bench = Bench()
    requests, watch = bench.account.requests, bench.account.runner.risk_state.symbol_watch

    def asked(available: str | None, ts: int) -> bool:
        bench.route(wallet("500", available, ts=ts))
        found = requests.wishes.margin_mode
        assert not requests.wishes.terms
        requests.started(Job(JobKind.MARGIN_MODE))
        return found

    assert [asked(available, 5 + n) for n, available in enumerate(("450", "440"))] == [False, False]
    assert [asked(None, 10 + n) for n in range(2)] == [True, True], "until it is read"
    watch.in_margin_mode("ISOLATED_MARGIN")
    assert [asked(None, 20 + n) for n in range(2)] == [False, False]
    assert asked("450", 30)
    watch.in_margin_mode("REGULAR_MARGIN")
    assert not asked("450", 31)


async def test_a_wallet_that_breaks_one_strategy_halts_it_and_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was a line in the log: the strategies behind it did not learn of the wallet, and nobody was told."""
    bench = Bench()

    def fail(*_: object) -> None:
        raise RuntimeError("a fault of ours")

    bench.account.runner.hears_wallet = True
    monkeypatch.setattr(bench.account.runner, "on_wallet", fail)
    bench.route(wallet("123", ts=9))
    assert bench.account.alarm.keys == ["halt.BTCUSDT"]
    assert [record.wallet_balance for record in bench.account.notes.of(WalletRecord)] == [123]


def test_a_wallet_that_cannot_be_taken_in_is_an_alert(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()

    def fail(*_: object) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(bench.account.context.gate, "wallet_seen", fail)
    bench.route(wallet("123", ts=9))
    assert bench.account.alarm.keys == ["fault"]
    assert not bench.account.runner.risk_state.halted


@pytest.mark.parametrize("name", ["of_public_trade", "of_ticker", "of_execution", "of_wallet"])
async def test_a_record_that_cannot_be_made_costs_its_own_strategy_at_most(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    bench = Bench(ticker_interval_s=1)
    runner = bench.account.runner

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(builders, name, fail)
    trade = PublicTrade("BTCUSDT", "t1", Side.BUY, D(50000), D(1), 5)
    private: list[PrivateEvent] = [bench.account.taken(ExecType.TRADE), wallet("123", ts=9)]
    bench.router.route(Drained([ticker(50001)], private, [Gap("private", 1, 2)], [trade]))
    halted = name in ("of_ticker", "of_execution")
    assert bench.account.alarm.keys == (["halt.BTCUSDT"] if halted else ["fault"])
    assert runner.risk_state.last_price == 50001
    assert bench.account.context.funds.wallet_balance == 123
    assert len(bench.account.notes.of(StreamGapRecord)) == 1
    await settle()


def test_a_gap_that_cannot_be_recorded_is_an_alert_and_everything_is_still_compared(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench()

    def fail(record: object) -> int:
        raise RuntimeError("a fault of ours")

    with monkeypatch.context() as patch:
        patch.setattr(bench.account.notes, "record", fail)
        bench.route(gaps=(Gap("private", 1, 2), Gap("public", 1, 2)))
    assert bench.account.alarm.keys == ["fault", "fault"], "two causes"
    assert take_reconcile(bench.account.requests) == "the private stream reconnected"


@pytest.mark.parametrize("part", ["engine", "placement"])
async def test_a_decision_that_raises_halts_its_strategy(monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    bench = Bench()
    runner = bench.account.runner

    def fail(*_: object) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(*((runner.engine, "on_event", fail) if part == "engine" else (runner.placement, "act", fail)))
    bench.route(prices=(50000,))
    bench.route(prices=(50001,))
    assert bench.account.alarm.keys == ["halt.BTCUSDT"]
    assert "BTCUSDT: a price failed: RuntimeError: a fault of ours" in runner.risk_state.halted


def test_a_one_way_row_on_the_stream_has_the_terms_of_its_symbol_read_again_and_moves_no_leg() -> None:
    """Somebody has switched the position mode by hand: the frame is the exchange's notice, nothing was refused yet."""
    bench = Bench()
    row = {"symbol": "BTCUSDT", "positionIdx": 0, "side": "Buy", "size": "0.5", "entryPrice": "50000"}
    [event], problems = read_private(PrivateFrame("position", [row], sent_ms=1, received_ns=1))
    assert problems == []
    before = dict(bench.account.runner.risk_state.legs)
    bench.route(event, OneWayPosition("XRPUSDT"))
    assert bench.account.requests.wishes.terms == {"BTCUSDT"}
    assert bench.account.runner.risk_state.legs == before
