"""What must be right before the first order, asked of an exchange that gives the answers a test wants."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pytest

from gridbot.config.account_models import AccountConfig
from gridbot.config.strategy_kinds import strategy_config
from gridbot.core import Instrument
from gridbot.exchange.environment import Environment
from gridbot.exchange.failures import ErrorKind, ExchangeError, make_error
from gridbot.exchange.listing import Unreadable, UnreadableRows
from gridbot.exchange.requests import AccountInfo, ApiKeyInfo, FeeRate
from gridbot.orders.shadow_account import ShadowTerms
from gridbot.worker.startup import Prepared, PreparedSymbol, RefusedStrategy, StartRefused, is_hopeless, prepare_account
from tests.case_table import case_table

D = Decimal
KEY = ApiKeyInfo(user_id="1", read_only=False, contract_trade=("Order", "Position"), can_withdraw=False)
BTC = Instrument("BTCUSDT", D("0.1"), D("0.001"), D("0.001"), D(100))


@dataclass
class Exchange:
    """Answers of the exchange; `done` is what it was told to change."""

    key: ApiKeyInfo | ExchangeError = KEY
    margin_mode: str = "REGULAR_MARGIN"
    instrument_row: Instrument = BTC
    bad: dict[str, ExchangeError] = field(default_factory=dict)
    """By symbol."""
    hedge: ExchangeError | None = None
    fees: FeeRate | ExchangeError = field(default_factory=lambda: FeeRate("BTCUSDT", D("0.0002"), D("0.00055")))
    clock_ms: int = 1_000_000
    done: list[str] = field(default_factory=list)
    under_way: set[str] = field(default_factory=set)
    together: list[set[str]] = field(default_factory=list)
    """What was asked at the same time."""

    async def asked(self, what: str) -> None:
        self.under_way.add(what)
        await asyncio.sleep(0)
        self.together.append(set(self.under_way))
        self.under_way.discard(what)

    clock_offset_ms = 0

    async def server_time_ms(self, *, max_age_s: float = 0.0) -> int:
        return self.clock_ms

    async def api_key_info(self) -> ApiKeyInfo:
        await self.asked("key")
        if isinstance(self.key, ExchangeError):
            raise self.key
        return self.key

    async def account_info(self) -> AccountInfo:
        await self.asked("account")
        return AccountInfo(self.margin_mode)

    async def instrument(self, symbol: str, *, max_age_s: float = 0.0) -> Instrument:
        await self.asked(symbol)
        if symbol in self.bad:
            raise self.bad[symbol]
        return replace(self.instrument_row, symbol=symbol)

    async def leverage(self, symbol: str) -> Decimal | None:
        return D(7)

    async def fee_rate(self, symbol: str) -> FeeRate:
        if isinstance(self.fees, ExchangeError):
            raise self.fees
        return self.fees

    async def ensure_hedge_mode(self, symbol: str) -> bool:
        if self.hedge is not None:
            raise self.hedge
        self.done.append(f"hedge {symbol}")
        return True

    async def set_leverage(self, symbol: str, leverage: Decimal) -> bool:
        self.done.append(f"leverage {leverage}")
        return True


def prepare(
    exchange: Exchange,
    environment: Environment = Environment.TESTNET,
    account: Mapping[str, object] = MappingProxyType({}),
    **strategy: object,
) -> Prepared:
    return prepare_all(exchange, [{"strat_id": "s", "symbol": "BTCUSDT", **strategy}], environment, account)


def prepare_all(
    exchange: Exchange,
    strategies: list[dict[str, object]],
    environment: Environment = Environment.TESTNET,
    keys: Mapping[str, object] = MappingProxyType({}),
) -> Prepared:
    account = AccountConfig.model_validate(
        {"name": "alice", "environment": environment, "api_key": "k" * 18, "api_secret": "s" * 36, **keys}
    )
    grids = [strategy_config({"account": "alice", **strategy}) for strategy in strategies]
    return asyncio.run(prepare_account(exchange, account, grids, 1_000_000))  # type: ignore[arg-type]


def gather(exchange: Exchange, environment: Environment = Environment.TESTNET, **strategy: object) -> Exchange:
    prepare(exchange, environment, {}, **strategy)
    return exchange


def test_a_good_account_is_prepared() -> None:
    assert gather(Exchange(), leverage=10).done == ["hedge BTCUSDT", "leverage 10"]


def test_a_shadow_strategy_changes_nothing_on_the_account() -> None:
    assert gather(Exchange(), leverage=10, shadow_mode=True).done == []


@pytest.mark.parametrize(
    ("fees", "configured", "terms"),
    [
        (FeeRate("BTCUSDT", D("0.0001"), D("0.0004")), {}, ShadowTerms(D(7), D("0.0001"), D("0.0004"))),
        (FeeRate("BTCUSDT", D(0), D(0)), {"leverage": 20}, ShadowTerms(D(20), D(0), D(0))),
        (ExchangeError("not in this environment", kind=ErrorKind.RETRY), {}, ShadowTerms(D(7))),
    ],
)
def test_a_shadow_strategy_reckons_with_the_accounts_leverage_and_fees(
    fees: FeeRate | ExchangeError, configured: dict[str, Any], terms: ShadowTerms
) -> None:
    assert prepare(Exchange(fees=fees), shadow_mode=True, **configured).symbols["BTCUSDT"] == PreparedSymbol(BTC, terms)
    assert prepare(Exchange(fees=fees)).symbols["BTCUSDT"] == PreparedSymbol(BTC)


def test_a_key_that_may_not_read_the_fees_is_no_environment_without_them() -> None:
    with pytest.raises(ExchangeError):
        prepare(Exchange(fees=ExchangeError("no permission", kind=ErrorKind.AUTH)), shadow_mode=True)


@case_table(
    ("exchange", "text"),
    [
        (Exchange(key=replace(KEY, read_only=True)), "read-only"),
        (Exchange(key=replace(KEY, contract_trade=("Position",))), "Order missing"),
        (Exchange(key=replace(KEY, is_unified=False)), "unified trading account"),
        (Exchange(key=replace(KEY, can_withdraw=True)), "set `allow_withdraw_permission: true` in the account"),
        (Exchange(margin_mode="ISOLATED_MARGIN"), "expected cross margin, the account is in isolated margin"),
        (Exchange(margin_mode="A_NEW_MARGIN"), "the account is in A_NEW_MARGIN, a margin mode nobody knows; switch"),
    ],
)
def test_what_makes_trading_unsafe_on_any_symbol_refuses_the_start_in_words(exchange: Exchange, text: str) -> None:
    with pytest.raises(StartRefused, match=text):
        gather(exchange)
    assert not any("leverage" in step for step in exchange.done)


@pytest.mark.parametrize("status", ["PendingOpen", "PreLaunch", "Napping"])
def test_a_symbol_that_does_not_trade_yet_is_waited_for_and_nothing_is_set(status: str) -> None:
    exchange = Exchange(instrument_row=replace(BTC, status=status))
    found = prepare(exchange, leverage=10)
    assert found.symbols == {}
    [waits] = found.refused
    assert (waits.waits, waits.key) == (True, "listing.BTCUSDT")
    assert str(waits).startswith(f"s waits: BTCUSDT is {status}")
    assert "remove" not in waits.reason
    assert exchange.done == []


@pytest.mark.parametrize("status", ["Settling", "Delivering"])
def test_a_symbol_that_is_being_settled_is_followed_and_nothing_is_set(status: str) -> None:
    exchange = Exchange(instrument_row=replace(BTC, status=status))
    assert list(prepare(exchange, leverage=10).symbols) == ["BTCUSDT"]
    assert exchange.done == []


def test_a_symbol_that_is_going_to_be_delisted_is_set_up_like_any_other() -> None:
    exchange = Exchange(instrument_row=replace(BTC, delivery_ms=1_000_000 + 3_600_000))
    assert list(prepare(exchange, leverage=10).symbols) == ["BTCUSDT"]
    assert exchange.done == ["hedge BTCUSDT", "leverage 10"]


def test_what_is_only_unwise_is_said(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    gather(Exchange(key=replace(KEY, deadline_days=3), clock_ms=990_000))
    said = caplog.text
    assert "expires in 3 days" in said
    assert "10000 ms off" in said


def test_a_key_that_may_withdraw_is_taken_where_the_account_allows_it() -> None:
    prepare(Exchange(key=replace(KEY, can_withdraw=True)), account={"allow_withdraw_permission": True})


def test_an_environment_that_does_not_tell_about_keys_is_tolerated_where_documented() -> None:
    silent = ExchangeError("not found", kind=ErrorKind.PARAM)
    gather(Exchange(key=silent), Environment.DEMO)
    with pytest.raises(ExchangeError):
        gather(Exchange(key=silent), Environment.TESTNET)
    refused = ExchangeError("invalid key", kind=ErrorKind.AUTH)
    with pytest.raises(ExchangeError):
        gather(Exchange(key=refused), Environment.DEMO)


def test_only_passing_troubles_are_tried_again() -> None:
    hopeless = {kind for kind in ErrorKind if is_hopeless(ExchangeError("no", kind=kind))}
    assert hopeless == {ErrorKind.AUTH, ErrorKind.HALT, ErrorKind.PARAM}


ETH: dict[str, object] = {"strat_id": "eth", "symbol": "ETHUSDT"}
GONE = make_error("expected a linear instrument ETHUSDT, the exchange has none", ErrorKind.PARAM)
ODD = Unreadable("ETHUSDT", "unreadable instrument: expected a tick size")


@pytest.mark.parametrize("error", [GONE, UnreadableRows(str(ODD), ODD)])
def test_a_symbol_that_may_not_be_traded_refuses_its_own_strategy_alone(error: ExchangeError) -> None:
    """One symbol that was no longer listed kept the account from starting, and the other's orders rested unwatched."""
    exchange = Exchange(bad={"ETHUSDT": error})
    found = prepare_all(exchange, [ETH, {"strat_id": "btc", "symbol": "BTCUSDT"}])
    assert list(found.symbols) == ["BTCUSDT"]
    assert found.refused == (RefusedStrategy("eth", "ETHUSDT", str(error)),)
    assert str(found.refused[0]).startswith("eth is halted: ")


@case_table(
    ("exchange", "configured", "text"),
    [
        (Exchange(bad={"ETHUSDT": GONE}), {}, "expected a linear instrument ETHUSDT"),
        (Exchange(instrument_row=replace(BTC, status="Closed")), {}, "ETHUSDT is Closed: it was delisted"),
        (Exchange(hedge=ExchangeError("position exists", kind=ErrorKind.RESYNC)), {}, "cannot be switched: position"),
        (Exchange(), {"tick_size": "0.5"}, "expected tick_size 0.5 for ETHUSDT as configured"),
    ],
)
def test_an_account_with_nothing_left_to_trade_is_followed_all_the_same(
    exchange: Exchange, configured: dict[str, object], text: str
) -> None:
    """Every start was refused, until somebody had set right what was wrong with one symbol: nothing was recorded."""
    found = prepare_all(exchange, [{**ETH, **configured}])
    assert found.symbols == {}
    [refused] = found.refused
    assert text in refused.reason
    assert (refused.waits, refused.key) == (False, "halt.ETHUSDT")
    assert not any("leverage" in step for step in exchange.done)


def test_what_is_wrong_with_the_line_is_about_no_symbol() -> None:
    exchange = Exchange(bad={"ETHUSDT": make_error("busy", ErrorKind.RETRY)})
    with pytest.raises(ExchangeError, match="busy"):
        prepare_all(exchange, [ETH, {"strat_id": "btc", "symbol": "BTCUSDT"}])


def test_what_does_not_wait_for_each_other_is_asked_side_by_side_and_nothing_is_set_before_the_key_is_in_order() -> (
    None
):
    exchange = Exchange()
    names = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
    symbols: list[dict[str, object]] = [{"strat_id": each, "symbol": each} for each in names]
    assert list(prepare_all(exchange, symbols).symbols) == list(names)
    assert exchange.together[0] == {"key", "account", *names}
    assert set(names) in exchange.together
    exchange = Exchange(margin_mode="ISOLATED_MARGIN", key=make_error("no such key", ErrorKind.AUTH))
    with pytest.raises(ExchangeError, match="no such key"):
        prepare_all(exchange, symbols)
    assert exchange.done == []
