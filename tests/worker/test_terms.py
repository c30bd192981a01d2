"""What the exchange allows on a symbol is read again: mode and leverage are set, an instrument that changed is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from gridbot.core import Direction, Instrument
from gridbot.exchange.failures import ErrorKind, ExchangeError, make_error
from gridbot.exchange.requests import AccountInfo
from gridbot.incidents import Name, Standing
from gridbot.orders.order import TrackedOrder
from gridbot.orders.outcomes import result_of_place
from gridbot.risk.symbol_state import SymbolWord
from gridbot.worker.refused_strategies import RefusedStrategies
from gridbot.worker.startup import RefusedStrategy
from gridbot.worker.symbol_states import SymbolStates
from gridbot.worker.terms import HOURLY_MS, SHARED_S, Terms, changes
from tests.orders.helpers import make_order
from tests.worker.account_bench import BTC, AccountBench, strategy, ticker

D = Decimal
MODE = RefusedStrategy("sol", "SOLUSDT", "expected SOLUSDT in hedge mode")


class Exchange:
    """As much of the queries as `Terms` asks."""

    def __init__(self) -> None:
        self.found = BTC
        self.failures: dict[str, ExchangeError] = {}
        self.asked: list[str] = []
        self.meanwhile: dict[str, Callable[[], object]] = {}
        """What happens while a question is under way."""
        self.ages_s: list[float] = []
        self.margin_mode = "REGULAR_MARGIN"
        self.was_changed: set[str] = set()
        """What somebody else has changed since it was set."""

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        self.meanwhile.get(what, list)()
        if what in self.failures:
            raise self.failures[what]

    async def instrument(self, symbol: str, *, max_age_s: float = 0.0) -> Instrument:
        self._ask("instrument")
        self.ages_s.append(max_age_s)
        return self.found

    async def account_info(self) -> AccountInfo:
        self._ask("account")
        return AccountInfo(self.margin_mode)

    async def ensure_hedge_mode(self, symbol: str) -> bool:
        return self._set("mode")

    async def set_leverage(self, symbol: str, leverage: Decimal) -> bool:
        return self._set("leverage")

    def _set(self, what: str) -> bool:
        self._ask(what)
        was_changed = what in self.was_changed
        self.was_changed.discard(what)
        return was_changed


class Bench:
    def __init__(self, **config: Any) -> None:
        self.exchange = Exchange()
        self.account = AccountBench(config=strategy(**config))
        self.passage = self.account.context.passage
        waits = RefusedStrategy("eth", "ETHUSDT", "it is PendingOpen", waits=True)
        self.runners = {"BTCUSDT": self.account.runner}
        self.states = states = SymbolStates(self.account.context, self.runners, RefusedStrategies([waits, MODE]))
        self.wishes: list[str] = []
        self.wall_ms = 0
        self.terms = Terms(
            self.exchange,  # type: ignore[arg-type]
            [strategy(**config), *(strategy(strat_id=each.strat_id, symbol=each.symbol) for each in (waits, MODE))],
            {"BTCUSDT": BTC},
            self.passage,
            states=states,
            alert=self.account.alarm,
            begin_anew=self.wishes.append,
            wall_ms=lambda: self.wall_ms,
        )

    async def read(self) -> str:
        await self.terms.read("BTCUSDT")
        return self.passage.terms["BTCUSDT"]

    async def read_margin_mode(self) -> str:
        await self.terms.read_margin_mode()
        return self.passage.terms["BTCUSDT"]


def opening() -> TrackedOrder:
    return replace(make_order(), strat_id="btc")


async def test_nothing_has_changed() -> None:
    bench = Bench(leverage=5)
    assert await bench.read() == ""
    assert bench.exchange.asked == ["instrument", "mode", "leverage"]
    assert bench.wishes == []


async def test_the_look_of_each_hour_is_had_once_by_all_accounts_and_every_other_is_fresh() -> None:
    bench = Bench()
    for wall_ms in (0, 60_000, 60_000 + HOURLY_MS, 60_001 + HOURLY_MS, 60_001 + HOURLY_MS + 3_600_000):
        bench.wall_ms = wall_ms
        await bench.read()
    assert bench.exchange.ages_s == [0.0, 0.0, 0.0, 0.0, SHARED_S]


async def test_a_shadow_strategy_sets_nothing() -> None:
    bench = Bench(leverage=5, shadow_mode=True)
    assert await bench.read() == ""
    assert bench.exchange.asked == ["instrument"]


async def test_an_instrument_that_changed_is_told_and_another_start_is_asked_for_once() -> None:
    bench = Bench()
    bench.exchange.found = replace(BTC, tick_size=D("0.5"), min_notional=D("10"))
    text = "the exchange has changed BTCUSDT: tick_size from 0.1 to 0.5, min_notional from 5 to 10"
    assert await bench.read() == text
    assert await bench.read() == text
    assert bench.wishes == [text]


async def test_what_an_answer_leaves_out_has_not_changed() -> None:
    """A smallest value that was left out counted as one of 5 USDT: the account started anew, with orders too small."""
    bench = Bench()
    bench.exchange.found = replace(BTC, min_notional=D("7"), untold=frozenset({"min_notional"}))
    assert await bench.read() == ""
    assert bench.wishes == []


async def test_a_symbol_that_does_not_trade_is_a_state_and_nothing_is_set() -> None:
    bench = Bench(leverage=5)
    bench.exchange.found = replace(BTC, status="Delivering")
    assert await bench.read() == ""
    assert bench.exchange.asked == ["instrument"]
    assert bench.account.runner.risk_state.symbol_watch.state.word is SymbolWord.SETTLING
    assert bench.wishes == []


async def test_a_symbol_that_was_waited_for_begins_when_it_trades() -> None:
    bench = Bench()
    trades = ["ETHUSDT may be traded now"]
    for status, wishes in (("PendingOpen", []), ("Trading", trades), ("Trading", trades)):
        bench.exchange.found = replace(BTC, symbol="ETHUSDT", status=status)
        await bench.terms.read("ETHUSDT")
        assert bench.wishes == wishes


async def test_a_symbol_that_could_not_be_set_up_begins_when_it_can() -> None:
    """One-way mode with a position: every start of the whole account was refused until somebody had closed it."""
    bench = Bench()
    bench.exchange.failures["mode"] = make_error("a position", ErrorKind.RESYNC, ret_code=110024)
    await bench.terms.read("SOLUSDT")
    assert bench.wishes == []
    bench.exchange.failures["mode"] = make_error("no answer in time", ErrorKind.AMBIGUOUS)
    with pytest.raises(ExchangeError):
        await bench.terms.read("SOLUSDT")
    bench.exchange.failures.clear()
    await bench.terms.read("SOLUSDT")
    assert bench.wishes == ["SOLUSDT may be traded now"]


async def test_a_symbol_that_was_waited_for_and_will_not_trade_is_told_by_another_start() -> None:
    bench = Bench()
    bench.exchange.found = replace(BTC, symbol="ETHUSDT", status="Closed")
    await bench.terms.read("ETHUSDT")
    [wish] = bench.wishes
    assert wish.startswith("eth is halted: ETHUSDT is Closed")


@pytest.mark.parametrize("what", ["mode", "leverage"])
async def test_what_somebody_else_has_changed_is_set_again_told_and_what_it_had_stopped_is_free(what: str) -> None:
    bench = Bench(leverage=5)
    account = bench.account
    order, refusal = opening(), make_error("position idx not match", ErrorKind.RESYNC, ret_code=10001)
    for _ in range(3):
        account.gate.refused(order, account.clock.now_s)
        account.context.passage.answered(order, result_of_place(refusal))
    blocked = bench.passage.blocked(account.runner.book, "btc")
    account.alarm.look({Name("refused.BTCUSDT", "btc"): Standing("error", blocked)})
    assert account.gate.breaker.open_until(account.clock.now_s)
    bench.exchange.was_changed = {what}
    assert await bench.read() == ""
    assert account.gate.breaker.open_until(account.clock.now_s) == {}
    assert bench.passage.blocked(account.runner.book, "btc") == ""
    [said] = [text for _, key, text, _ in account.alarm.alerts if key == "set_again.BTCUSDT"]
    assert account.alarm.ended == [f"over: {said}; the levels it had refused are free"]
    assert await bench.read() == ""
    assert len(account.alarm.ended) == 1, "nothing was set, so nothing is told"


async def test_a_mode_that_cannot_be_switched_and_a_leverage_that_cannot_be_set_are_told_until_they_can() -> None:
    bench = Bench(leverage=5)
    bench.exchange.failures["mode"] = make_error("a position", ErrorKind.RESYNC, ret_code=110024)
    bench.exchange.failures["leverage"] = make_error("too high", ErrorKind.PARAM, ret_code=110013)
    assert await bench.read() == (
        "BTCUSDT is not in hedge mode and cannot be switched now: a position (retCode 110024, resync); "
        "the leverage of BTCUSDT cannot be set to 5: too high (retCode 110013, param)"
    )
    bench.exchange.failures.clear()
    account = bench.account
    for _ in range(3):
        account.gate.refused(opening(), account.clock.now_s)
    assert await bench.read() == ""
    assert account.gate.breaker.open_until(account.clock.now_s) == {}, "an operator has repaired it: nobody waits"


async def test_isolated_margin_lets_positions_be_reduced_only_until_the_account_is_in_cross_margin_again() -> None:
    bench = Bench(leverage=5)
    account, state = bench.account, bench.account.runner.risk_state
    account.start()
    account.runner.on_ticker(ticker())
    assert [order.reduce_only for order in account.runner.book] == [False] * len(account.runner.book) != []
    bench.exchange.margin_mode = "ISOLATED_MARGIN"
    assert await bench.read_margin_mode() == ""
    assert (state.symbol_watch.state.word, state.may_open(Direction.LONG)) == (SymbolWord.REDUCING, False)
    assert "isolated margin" in state.symbol_watch.state.text
    assert {order.withdrawn for order in account.runner.book} == {"reduce_only"}, "what opens goes"
    assert bench.states.watched >= {"BTCUSDT"}, "it is read each minute"
    bench.exchange.margin_mode = "REGULAR_MARGIN"
    assert await bench.read_margin_mode() == ""
    assert (state.symbol_watch.state.word, state.may_open(Direction.LONG)) == (SymbolWord.TRADING, True)


async def test_a_shadow_strategy_is_not_restricted_by_the_margin_mode_of_the_account() -> None:
    bench = Bench(shadow_mode=True)
    bench.exchange.margin_mode = "ISOLATED_MARGIN"
    await bench.terms.read_margin_mode()
    assert bench.exchange.asked == []
    assert bench.account.runner.risk_state.may_open(Direction.LONG)


async def test_portfolio_margin_is_told_until_the_account_is_in_cross_margin_again() -> None:
    bench = Bench()
    bench.exchange.margin_mode = "PORTFOLIO_MARGIN"
    assert "portfolio margin" in await bench.read_margin_mode()
    assert "portfolio margin" in await bench.read(), "the symbol's own terms do not take it back"
    assert bench.account.runner.risk_state.may_open(Direction.LONG)
    for _ in range(3):
        bench.account.gate.refused(opening(), bench.account.clock.now_s)
    bench.exchange.margin_mode = "REGULAR_MARGIN"
    assert await bench.read_margin_mode() == ""
    assert bench.account.gate.breaker.open_until(bench.account.clock.now_s) == {}, "what it had refused is free"


async def test_what_cannot_be_read_changes_nothing() -> None:
    bench = Bench()
    for what in ("mode", "account"):
        bench.exchange.failures = {what: make_error("no answer in time", ErrorKind.AMBIGUOUS)}
        with pytest.raises(ExchangeError):
            await (bench.terms.read("BTCUSDT") if what == "mode" else bench.terms.read_margin_mode())
        assert not bench.passage.terms.get("BTCUSDT")


@pytest.mark.parametrize("kind", [ErrorKind.RETRY, ErrorKind.AMBIGUOUS])
async def test_a_leverage_that_nobody_answers_for_is_tried_again_and_not_told_as_one_that_cannot_be_set(
    kind: ErrorKind,
) -> None:
    bench = Bench(leverage=5)
    bench.exchange.failures["leverage"] = make_error("no answer in time", kind)
    with pytest.raises(ExchangeError):
        await bench.terms.read("BTCUSDT")
    assert not bench.passage.terms["BTCUSDT"]


async def test_each_reading_stands_alone() -> None:
    """While one failed, a changed tick was not told, and leverage was not set."""
    bench = Bench(leverage=5)
    bench.exchange.found = replace(BTC, tick_size=D("0.5"))
    bench.exchange.failures["mode"] = make_error("no answer in time", ErrorKind.AMBIGUOUS)
    bench.exchange.was_changed = {"leverage"}
    with pytest.raises(ExchangeError, match="no answer in time"):
        await bench.terms.read("BTCUSDT")
    text = "the exchange has changed BTCUSDT: tick_size from 0.1 to 0.5"
    assert (bench.passage.terms["BTCUSDT"], bench.wishes) == (text, [text])
    assert "set_again.BTCUSDT" in bench.account.alarm.keys
    bench.exchange.found = BTC
    with pytest.raises(ExchangeError):
        await bench.terms.read("BTCUSDT")
    assert bench.passage.terms["BTCUSDT"] == text, "what is not known stays as it was"


def test_what_orders_are_not_made_by_is_no_change() -> None:
    assert changes(BTC, replace(BTC, max_leverage=D(3), funding_interval_minutes=60)) == ""


@pytest.mark.parametrize("during", ["instrument", "mode", "leverage", "account"])
async def test_a_strategy_that_a_reload_removes_during_a_question_is_asked_about_no_more(during: str) -> None:
    """It raised KeyError, and an alert told of a fault of ours (seed 411355 of docs/clocks.md)."""
    bench = Bench(leverage=5)

    def remove() -> None:
        bench.terms.forget("BTCUSDT")
        bench.account.context.passage.terms.clear()
        del bench.runners["BTCUSDT"]

    bench.exchange.meanwhile[during] = remove
    bench.exchange.was_changed = {"mode", "leverage"}
    await (bench.terms.read_margin_mode() if during == "account" else bench.terms.read("BTCUSDT"))
    assert bench.exchange.asked[-1] == during
    assert (bench.passage.terms, bench.account.alarm.keys) == ({}, [])
