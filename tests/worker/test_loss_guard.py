"""The session loss limit in a worker: gate, alert and file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any, TypeVar

import pytest

from gridbot.core import Side
from gridbot.core.events import CoinBalance, ExecutionEvent
from gridbot.core.limits import Limit
from gridbot.risk.holds import Hold
from gridbot.risk.loss_limit import LossLimit
from gridbot.state.documents import Unreadable
from gridbot.worker.loss_guard import LossGuard
from tests.worker.account_bench import SYMBOL, AccountBench, wallet

D = Decimal
T = TypeVar("T")


class Paper:
    """A file that is a variable."""

    def __init__(self) -> None:
        self.document: dict[str, Any] | None = None
        self.waiting: dict[str, Any] | None = None
        self.full = False
        self.on_save: Callable[[], None] = lambda: None

    def load_as(self, read: Callable[[dict[str, Any]], T]) -> T | None:
        try:
            return None if self.document is None else read(self.document)
        except (KeyError, TypeError, ValueError, ArithmeticError) as error:
            raise Unreadable(f"latch.json cannot be read ({error!r})") from error

    def save(self, document: dict[str, Any]) -> None:
        self.on_save()
        self.waiting = document
        if not self.full:
            self.document = document


def guarded(paper: Paper, *, limit: Limit | None = None, lost: str = "0") -> tuple[AccountBench, LossGuard]:
    """A started account whose guard was loaded before it lost `lost` USDT in fees."""
    bench = AccountBench()
    bench.start()
    rule = LossLimit(limit or Limit(D(10)), includes_unrealised=True)
    guard = LossGuard(rule, paper, bench.context, ["btc"])  # type: ignore[arg-type]
    guard.load()
    lose(bench, lost)
    return bench, guard


def lose(bench: AccountBench, usdt: str, strategy: str = "btc") -> None:
    count = bench.context.ledger.of(strategy).fills
    fee = ExecutionEvent(SYMBOL, f"{strategy}{count}", "o", "", Side.BUY, D(1), D(1), fee=D(usdt))
    bench.context.ledger.apply(strategy, fee)


def test_a_loss_above_the_limit_closes_the_gate_once() -> None:
    bench, guard = guarded(Paper(), lost="9")
    assert not guard.check()
    lose(bench, "2")
    assert guard.check()
    assert guard.check()
    assert "session loss limit" in bench.gate.loss_latched
    assert bench.alarm.keys == ["session_loss_limit"]


def test_the_latch_outlives_a_restart_without_another_alert() -> None:
    paper = Paper()
    _, guard = guarded(paper, lost="11")
    assert guard.check()
    again, guard = guarded(paper)
    assert again.gate.loss_latched
    assert guard.check()
    assert again.alarm.alerts == []


def test_memory_comes_first_and_the_file_after_without_a_wait_for_the_disk() -> None:
    """The file was written first, and waited for: a slow disk delayed the cancels of a losing account."""
    paper = Paper()
    bench, guard = guarded(paper, lost="11")
    seen: list[tuple[bool, int]] = []
    paper.on_save = lambda: seen.append((bool(bench.gate.loss_latched), len(bench.alarm.alerts)))
    assert guard.check()
    guard.clear()
    assert seen == [(True, 1), (False, 1)]


def test_a_latch_that_a_crash_kept_from_the_file_is_found_by_the_next_start() -> None:
    paper = Paper()
    _, guard = guarded(paper, lost="11")
    paper.full = True
    assert guard.check()
    again, guard = guarded(paper)
    assert not again.gate.loss_latched
    lose(again, "11")
    assert guard.check(), "the same ledger, the same baseline"


def test_a_full_disk_neither_stops_the_latch_nor_its_clearing() -> None:
    """An error here would end the worker before it has cancelled the orders of a losing account."""
    paper = Paper()
    bench, guard = guarded(paper, lost="11")
    paper.full = True
    assert guard.check()
    assert bench.gate.loss_latched
    assert paper.waiting is not None
    assert paper.waiting["latched"]
    guard.clear()
    assert not bench.gate.loss_latched
    assert not paper.waiting["latched"]


@pytest.mark.parametrize("document", [{}, {"baseline": "x", "latched": ""}, {"baseline": None, "latched": ""}])
def test_a_file_that_does_not_say_whether_it_is_latched_latches_until_an_operator_resumes(
    document: dict[str, Any],
) -> None:
    """The start was refused, again and again, and no command could lift that."""
    paper = Paper()
    paper.document = document
    bench, guard = guarded(paper)
    assert guard.check()
    assert "unknown whether the account has lost too much" in bench.gate.loss_latched
    assert "until an operator resumes the account" in bench.gate.loss_latched
    assert bench.alarm.keys == ["session_loss_limit"]
    again, guard = guarded(paper)
    assert again.gate.loss_latched == bench.gate.loss_latched, "the next start knows it from the file"
    guard.clear()
    free, _ = guarded(paper)
    assert free.gate.loss_latched == ""


def test_a_latch_keeps_its_time_over_restarts() -> None:
    paper = Paper()
    bench, guard = guarded(paper, lost="11")
    bench.clock.now_s += 5
    guard.check()
    since_ms = bench.clock.wall_ms()
    again, _ = guarded(paper)
    assert again.gate.state.holds.held[Hold.SESSION_LOSS].since_ms == since_ms != again.clock.wall_ms()


def test_clear_lets_trade_again_and_counts_from_there() -> None:
    bench, guard = guarded(Paper(), lost="11")
    guard.check()
    guard.clear()
    assert bench.gate.loss_latched == ""
    lose(bench, "9")
    assert not guard.check()
    lose(bench, "2")
    assert guard.check()


def test_the_first_start_counts_from_what_the_ledger_has() -> None:
    paper = Paper()
    bench = AccountBench()
    lose(bench, "100")
    guard = LossGuard(LossLimit(Limit(D(10)), includes_unrealised=False), paper, bench.context, ["btc"])  # type: ignore[arg-type]
    guard.load()
    assert paper.document == {"baseline": "-100", "latched": "", "since_ms": 0, "fees": {}}


def test_only_live_strategies_lose_money() -> None:
    bench, guard = guarded(Paper())
    lose(bench, "1000", "a shadow")
    assert not guard.check()


def test_unrealised_losses_count_where_that_is_configured() -> None:
    bench, guard = guarded(Paper())
    bench.gate.wallet_seen(replace(wallet(ts=9), unrealised_pnl=D(-50)), bench.clock.now_s)
    assert guard.check()


def test_a_share_of_the_wallet_is_of_what_it_was_before_the_loss() -> None:
    bench, guard = guarded(Paper(), limit=Limit(D("0.5"), of_wallet=True), lost="9000")
    assert not guard.check(), "less than a half of 19000, though nearly all of the 10000 that are left"
    lose(bench, "2000")
    assert guard.check()


def test_fees_in_another_coin_count_once_the_wallet_tells_its_price_and_are_told_until_then() -> None:
    paper = Paper()
    bench, guard = guarded(paper)
    fee = ExecutionEvent(SYMBOL, "mnt", "o", "", Side.BUY, D(1), D(1), other_fees=(("MNT", D(30)),))
    bench.context.ledger.apply("btc", fee, shadow=False)
    assert not guard.check()
    assert not guard.check()
    [(level, key, text, _)] = bench.alarm.alerts
    assert (level, key) == ("warning", "session_loss_fees")
    assert "fees in MNT are not counted" in text
    known = replace(wallet(ts=2), others=(CoinBalance("MNT", D(1000), D(500)),))
    bench.gate.wallet_seen(known, bench.clock.now_s)
    assert guard.check(), "30 MNT are 15 USDT, the limit is 10"
    assert bench.alarm.ended == ["all fees are counted by the session loss limit"]
