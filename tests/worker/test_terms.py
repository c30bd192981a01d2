"""What the exchange allows on a symbol is read again: mode and leverage are set, an instrument that changed is told."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from gridbot.core import Instrument
from gridbot.exchange.failures import ErrorKind, ExchangeError, make_error
from gridbot.worker.terms import Terms, changes
from tests.worker.account_bench import BTC, AccountBench, strategy

D = Decimal


class Exchange:
    """As much of the queries as `Terms` asks."""

    def __init__(self) -> None:
        self.found = BTC
        self.failures: dict[str, ExchangeError] = {}
        self.asked: list[str] = []

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        if what in self.failures:
            raise self.failures[what]

    async def instrument(self, symbol: str) -> Instrument:
        self._ask("instrument")
        return self.found

    async def ensure_hedge_mode(self, symbol: str) -> None:
        self._ask("mode")

    async def set_leverage(self, symbol: str, leverage: Decimal) -> None:
        self._ask("leverage")


class Bench:
    def __init__(self, **config: Any) -> None:
        self.exchange = Exchange()
        self.passage = AccountBench().context.passage
        self.wishes: list[str] = []
        self.terms = Terms(
            self.exchange,  # type: ignore[arg-type]
            [strategy(**config)],
            {"BTCUSDT": BTC},
            self.passage,
            self.wishes.append,
        )

    async def read(self) -> str:
        await self.terms.read("BTCUSDT")
        return self.passage.terms["BTCUSDT"]


async def test_nothing_has_changed() -> None:
    bench = Bench(leverage=5)
    assert await bench.read() == ""
    assert bench.exchange.asked == ["instrument", "mode", "leverage"]
    assert bench.wishes == []


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


async def test_a_symbol_that_does_not_trade_is_told() -> None:
    bench = Bench()
    bench.exchange.found = replace(BTC, status="Delivering")
    assert await bench.read() == "the exchange says that BTCUSDT is Delivering"
    assert bench.wishes == []


async def test_a_mode_that_cannot_be_switched_and_a_leverage_that_cannot_be_set_are_told_until_they_can() -> None:
    bench = Bench(leverage=5)
    bench.exchange.failures["mode"] = make_error("a position", ErrorKind.RESYNC, ret_code=110024)
    bench.exchange.failures["leverage"] = make_error("too high", ErrorKind.PARAM, ret_code=110013)
    assert await bench.read() == (
        "BTCUSDT is not in hedge mode and cannot be switched now: a position (retCode 110024, resync); "
        "the leverage of BTCUSDT cannot be set to 5: too high (retCode 110013, param)"
    )
    bench.exchange.failures.clear()
    assert await bench.read() == ""


async def test_an_exchange_that_cannot_be_read_changes_nothing() -> None:
    bench = Bench()
    bench.exchange.failures["mode"] = make_error("no answer in time", ErrorKind.AMBIGUOUS)
    with pytest.raises(ExchangeError):
        await bench.terms.read("BTCUSDT")
    assert bench.passage.terms == {}


def test_what_orders_are_not_made_by_is_no_change() -> None:
    assert changes(BTC, replace(BTC, max_leverage=D(3), funding_interval_minutes=60)) == ""
