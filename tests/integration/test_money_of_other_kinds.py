"""Executions that are no trades, and money that is no USDT, through a whole worker and the paper exchange."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gridbot.bybit.parse_account import parse_transaction
from gridbot.bybit.raw_fields import FieldError, Row
from gridbot.core import Direction
from gridbot.exchange.requests import Transaction
from gridbot.paper.accounts.account import Account
from gridbot.paper.server.paper_thread import PaperThread
from gridbot.records.record_types import ExecutionRecord
from supervisor.store.address_pace import Paces
from supervisor.store.exchange_ledger import check_with_exchange
from tests.integration.worker_bench import WorkerBench, account_of, exchange, executions, resting, settings, trading
from tests.store.session import write_all

D = Decimal


def command(paper: PaperThread, action: str, **more: Any) -> None:
    server = paper.server
    paper.call(lambda: server.market.carry_out({"account": "alice", "action": action, **more}))


def of_exchange(paper: PaperThread, what: Callable[[Account], Any]) -> Any:
    return paper.call(lambda: what(account_of(paper)))


async def with_a_long(bench: WorkerBench, paper: PaperThread) -> Decimal:
    """Two levels are bought; what the long holds."""
    await bench.quiet()
    paper.set_price("BTCUSDT", "49790")
    await bench.until(lambda: bench.size(Direction.LONG) == D("0.02"), "the long")
    await bench.quiet()
    return bench.size(Direction.LONG)


def recorded(data_dir: Path, word: str) -> list[ExecutionRecord]:
    return [record for record in executions(data_dir) if record.exec_type == word]


def money_is_exact(bench: WorkerBench, paper: PaperThread) -> None:
    totals = bench.assembly.context.ledger.of("btc")
    theirs = of_exchange(paper, lambda account: (account.realised, account.fees, account.wallet - account.deposit))
    assert (totals.realised, totals.fees, totals.net) == theirs


@pytest.mark.parametrize("word", ["Dividend", "Settle", "SessionSettlePnL"])
def test_money_without_a_trade_is_booked_once_told_and_trading_goes_on(tmp_path: Path, word: str) -> None:
    async def run() -> None:
        with exchange(settings(tmp_path)) as paper:
            async with trading(settings(tmp_path), paper) as bench:
                size = await with_a_long(bench, paper)
                command(paper, "execution", symbol="BTCUSDT", positionIdx=1, type=word, money="3.25")
                await bench.until(lambda: any(key == "unusual.BTCUSDT" for _, key, _ in bench.alerts), "the alert")
                ledger = bench.assembly.context.ledger
                assert ledger.leg("btc", Direction.LONG)[0] == size
                money_is_exact(bench, paper)
                assert not bench.runner().risk_state.paused
            async with trading(settings(tmp_path), paper) as bench:
                money_is_exact(bench, paper)
                assert bench.assembly.context.ledger.leg("btc", Direction.LONG)[0] == size
        assert [record.realised_pnl for record in recorded(tmp_path, word)] == [D("3.25")]

    asyncio.run(run())


@pytest.mark.parametrize("word", ["MovePosition", "SpinOffSettle"])
def test_a_leg_that_is_moved_in_a_way_nobody_knows_pauses_its_strategy(tmp_path: Path, word: str) -> None:
    async def run() -> None:
        with exchange(settings(tmp_path)) as paper:
            async with trading(settings(tmp_path), paper) as bench:
                await with_a_long(bench, paper)
                command(paper, "execution", symbol="BTCUSDT", positionIdx=1, type=word, qty="0.005")
                await bench.until(lambda: bench.runner().risk_state.paused, "the pause")
                await bench.until(lambda: bench.size(Direction.LONG) == D("0.015"), "the position as it is")
                assert [key for _, key, _ in bench.alerts] == ["reduced.BTCUSDT"]
                money_is_exact(bench, paper)
        [record] = recorded(tmp_path, word)
        assert (record.order_id, record.closed_size) == ("", D("0.005"))

    asyncio.run(run())


def test_a_delivery_closes_the_legs_without_an_order_and_nothing_is_placed_any_more(tmp_path: Path) -> None:
    async def run() -> None:
        with exchange(settings(tmp_path)) as paper:
            async with trading(settings(tmp_path), paper) as bench:
                size = await with_a_long(bench, paper)
                command(paper, "deliver", symbol="BTCUSDT", price="49000")
                await bench.until(lambda: bench.runner().risk_state.paused, "the pause")
                ledger = bench.assembly.context.ledger
                assert ledger.leg("btc", Direction.LONG)[0] == 0
                await bench.until(lambda: bench.size(Direction.LONG) == 0, "the flat leg")
                money_is_exact(bench, paper)
                paper.set_price("BTCUSDT", "49100")
                await bench.until(lambda: bench.runner().risk_state.last_price == 49100, "the price")
                await bench.until(lambda: bench.assembly.context.executor.idle, "nothing under way")
                assert resting(paper) == []
        [record] = recorded(tmp_path, "Delivery")
        assert (record.qty, record.closed_size, record.order_id, record.price) == (size, size, "", 49000)

    asyncio.run(run())


def parsed_but_for(exec_id: str) -> Callable[[Row], Transaction]:
    """The parser of the transaction log, which cannot read one row."""

    def parse(row: Row) -> Transaction:
        if row.get("tradeId") == exec_id:
            raise FieldError("expected a number in change")
        return parse_transaction(row)

    return parse


def test_taxes_count_and_a_fee_in_mnt_is_no_usdt(tmp_path: Path) -> None:
    async def run() -> None:
        with exchange(settings(tmp_path)) as paper:
            command(paper, "charges", tax="0.18")
            async with trading(settings(tmp_path), paper) as bench:
                await with_a_long(bench, paper)
                money_is_exact(bench, paper)
                command(paper, "charges", tax="0.18", coin="MNT", price="0.5")
                paper.set_price("BTCUSDT", "49690")
                await bench.until(lambda: bench.size(Direction.LONG) == D("0.03"), "one more level")
                money_is_exact(bench, paper)
                mnt = of_exchange(paper, lambda account: next(account.executions.newest_first()).fee)
                assert bench.assembly.context.ledger.of("btc").other_fees == {"MNT": mnt}
                await bench.assembly.orchestrator.money.check()
                assert bench.alerts == []
            async with trading(settings(tmp_path), paper) as bench:
                money_is_exact(bench, paper)
                assert bench.assembly.context.ledger.of("btc").other_fees == {"MNT": mnt}
            await asyncio.to_thread(write_all, tmp_path)
            config = settings(tmp_path)
            [check] = await asyncio.to_thread(
                check_with_exchange, config, tmp_path, (), lambda: paper.url, Paces(config, tmp_path)
            )
            assert check.comparison is not None
            assert (check.comparison.lines, check.comparison.unexplained) == ([], 0)
            assert check.comparison.agree == len(executions(tmp_path)) + 1, "the fee in MNT, too"
            assert check.explained
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(
                    "gridbot.bybit.transaction_log.parse_transaction", parsed_but_for(executions(tmp_path)[0].exec_id)
                )
                [check] = await asyncio.to_thread(
                    check_with_exchange, config, tmp_path, (), lambda: paper.url, Paces(config, tmp_path)
                )
            assert check.comparison is not None
            assert check.comparison.agree == len(executions(tmp_path)), "all others are compared"
            assert (len(check.unreadable), check.explained) == (1, False)
        first, *_, last = executions(tmp_path)
        assert (first.fee_currency, first.taxes) == ("USDT", (first.fee / D("1.18") * D("0.18")).quantize(D("1e-8")))
        assert (last.fee_currency, last.fee) == ("MNT", last.taxes)
        assert {coin: D(fee) for coin, fee in json.loads(last.other_fees or "").items()} == {"MNT": mnt}

    asyncio.run(run())


def test_a_wallet_frame_without_usdt_leaves_the_balance_and_brings_the_totals(tmp_path: Path) -> None:
    async def run() -> None:
        with exchange(settings(tmp_path)) as paper:
            async with trading(settings(tmp_path), paper) as bench:
                await with_a_long(bench, paper)
                funds = bench.assembly.context.gate.state.funds
                assert funds.wallet is not None
                before, balance = funds.wallet.exchange_ts, funds.wallet_balance
                command(paper, "wallet", coin="MNT")
                gate = bench.assembly.context.gate
                await bench.until(lambda: gate.state.funds.wallet.exchange_ts > before, "the frame")  # type: ignore[union-attr]
                assert gate.state.funds.wallet_balance == balance > 0

    asyncio.run(run())
